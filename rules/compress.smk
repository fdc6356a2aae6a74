"""Compress: prune the merged model, recover what that lost, quantise to 4 bit with AWQ.

Inputs:   results/merged/, results/data/train.jsonl
Outputs:  results/pruned/     after the one-shot pruning
          results/recovered/  after masked training
          results/awq/        packed 4-bit checkpoint
          results/scaled/     the same weights scaled by AWQ and not rounded, from which the GGUF files are made
"""

# backend: its environment and script
AWQ_BACKENDS = {
    "llmcompressor": ("ml", "compress/quantize_awq"),
    "autoawq": ("autoawq", "compress/quantize_autoawq"),
}


rule prune:
    input:
        merged="results/merged",
        train="results/data/train.jsonl",
        gate=["results/gates/adapter.json", "results/gates/merged.json"],
        code=code("ml", "compress/prune"),
    output:
        pruned=directory("results/pruned"),
        report="results/reports/prune.json",
    log:
        "logs/prune.log",
    threads: config["threads"]
    resources:
        **gpu(),
    params:
        **step(**config["prune"], threads=config["threads"]),
    message:
        "Prune ({config[prune][method]}, {config[prune][structure]})"
    shell:
        RUN


rule recover:
    input:
        pruned="results/pruned",
        train="results/data/train.jsonl",
        code=code("ml", "compress/recover"),
    output:
        recovered=directory("results/recovered"),
        report="results/reports/recover.json",
    log:
        "logs/recover.log",
    threads: config["threads"]
    resources:
        **gpu(),
    params:
        **step(
            **config["recover"],
            difficulties=config["adapt"]["difficulties"],
            dtype=config["merge"]["dtype"],
            **SHARED,
        ),
    message:
        "Train the pruned model with its zeros held"
    shell:
        RUN


rule quantize_awq:
    input:
        recovered="results/recovered",
        train="results/data/train.jsonl",
        gate="results/gates/recovered.json",
        code=code(*AWQ_BACKENDS[config["quantize_awq"]["backend"]]),
    output:
        packed=directory("results/awq"),
        scaled=directory("results/scaled"),
        report="results/reports/quantize_awq.json",
    log:
        "logs/quantize_awq.log",
    threads: config["threads"]
    resources:
        **gpu(),
    params:
        **step(
            scheme=config["quantize_awq"]["scheme"],
            calibration=config["quantize_awq"]["calibration"],
            dtype=config["merge"]["dtype"],
            threads=config["threads"],
        ),
    message:
        "Quantise to 4 bit with AWQ ({config[quantize_awq][backend]})"
    shell:
        RUN
