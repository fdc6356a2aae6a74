"""GGUF: the scaled model as files that llama.cpp runs, and as packed files to send.

Inputs:   results/scaled/, results/data/train.jsonl
Outputs:  results/gguf/{quant}.gguf        one per type of `gguf.types`
          results/packed/{quant}.gguf.zst  with size and digest of the content inside
"""


# llama.cpp's converters run in a process of their own.
CONVERTER = "ingot/converting/convert_own_tokenizer.py"


wildcard_constraints:
    quant="[A-Z0-9_]+",
    domain="[a-z_]+",


rule convert:
    input:
        scaled="results/scaled",
        gate="results/gates/awq.json",
        code=code("gguf", "gguf/convert", CONVERTER),
    output:
        gguf="results/gguf/F16.gguf",
    log:
        "logs/convert.log",
    threads: 1
    resources:
        mem_mb=config["resources"]["memory_mb"],
    params:
        **step(name=f"ingot-{Path(config['preset']).stem}"),
    message:
        "Convert to GGUF in 16 bit"
    shell:
        RUN


rule importance:
    input:
        scaled="results/scaled",
        train="results/data/train.jsonl",
        code=code("gguf", "gguf/importance"),
    output:
        matrix="results/gguf/importance.safetensors",
    log:
        "logs/importance.log",
    threads: 1
    resources:
        **gpu(),
    params:
        **step(**config["importance"], threads=1),
    message:
        "Measure the importance matrix"
    shell:
        RUN


ruleorder: convert > quantize


rule quantize:
    input:
        gguf="results/gguf/F16.gguf",
        matrix="results/gguf/importance.safetensors",
        code=code("gguf", "gguf/quantize"),
    output:
        quantized="results/gguf/{quant}.gguf",
    log:
        "logs/quantize_{quant}.log",
    threads: 1
    resources:
        mem_mb=config["resources"]["memory_mb"],
    params:
        **step(quant=wildcard("quant"), threads=config["threads"]),
    message:
        "Quantise to {wildcards.quant}"
    shell:
        RUN


rule pack:
    input:
        model="results/gguf/{quant}.gguf",
        gate="results/gates/{quant}.json",
        code=code("data", "gguf/pack"),
    output:
        packed="results/packed/{quant}.gguf.zst",
        report="results/reports/pack_{quant}.json",
    log:
        "logs/pack_{quant}.log",
    threads: 1
    resources:
        mem_mb=2000,
    params:
        **step(**config["pack"], threads=config["threads"]),
    message:
        "Pack {wildcards.quant}"
    shell:
        RUN
