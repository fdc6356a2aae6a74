"""GGUF: convert the last checkpoint of the chain to files that llama.cpp runs, and pack them for sending.

Inputs:   the last checkpoint of the chain, results/data/train.jsonl
Outputs:  results/gguf/{quant}.gguf        a file for each type of `gguf.types`
          results/packed/{quant}.gguf.zst  the packed file; it contains the size and the digest of its content
"""

# These run in processes of their own.
CONVERTER = "ingot/converting/convert_own_tokenizer.py"
PROBE = "ingot/converting/probe.py"
SERVED = f"results/gguf/{BUILD.served}.gguf"


wildcard_constraints:
    quant="[A-Z0-9_]+",


rule convert:
    input:
        model=CHAIN.last_checkpoint,
        gate=BUILD.gates_before("convert"),
        code=code("gguf", "gguf/convert", CONVERTER, PROBE),
    output:
        gguf="results/gguf/F16.gguf",
    log:
        "logs/convert.log",
    resources:
        mem_mb=LARGE,
    params:
        **step(name=f"ingot-{Path(SETTINGS.preset).stem}"),
    message:
        "Convert the last checkpoint to a 16-bit GGUF file"
    shell:
        RUN


if BUILD.has_importance:

    rule importance:
        input:
            model=CHAIN.last_checkpoint,
            train="results/data/train.jsonl",
            code=code("gguf", "gguf/importance"),
        output:
            matrix="results/gguf/importance.safetensors",
        log:
            "logs/importance.log",
        resources:
            **gpu(),
        params:
            **step(settings=SETTINGS.importance, threads=1),
        message:
            "Measure the importance matrix"
        shell:
            RUN


ruleorder: convert > quantize


rule quantize:
    input:
        gguf="results/gguf/F16.gguf",
        matrix=["results/gguf/importance.safetensors"] if BUILD.has_importance else [],
        code=code("gguf", "gguf/quantize"),
    output:
        quantized="results/gguf/{quant}.gguf",
    log:
        "logs/quantize_{quant}.log",
    resources:
        mem_mb=LARGE,
    params:
        **step(quant=wildcard("quant"), threads=SETTINGS.threads),
    message:
        "Quantise the GGUF file to {wildcards.quant}"
    shell:
        RUN


rule pack:
    input:
        model="results/gguf/{quant}.gguf",
        gate=lambda wildcards: [
            f"results/gates/{model}.json"
            for model in BUILD.gated
            if model == wildcards.quant
        ],
        code=code("gguf", "gguf/pack"),
    output:
        packed="results/packed/{quant}.gguf.zst",
        report="results/reports/pack_{quant}.json",
    log:
        "logs/pack_{quant}.log",
    resources:
        mem_mb=2000,
    params:
        **step(settings=SETTINGS.pack, threads=SETTINGS.threads),
    message:
        "Pack {wildcards.quant}"
    shell:
        RUN
