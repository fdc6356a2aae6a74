"""Adapter: QLoRA on the base, and the merged model.

Inputs:   results/base/, results/data/{train,valid}.jsonl
Outputs:  results/adapter/   LoRA weights
          results/merged/    dense checkpoint
"""


rule adapt:
    input:
        base="results/base",
        train="results/data/train.jsonl",
        valid="results/data/valid.jsonl",
        gate="results/gates/data/verdict.json",
        code=code(
            "unsloth" if config["adapt"]["backend"] == "unsloth" else "ml", "adapt"
        ),
    output:
        adapter=directory("results/adapter"),
        report="results/reports/adapt.json",
    log:
        "logs/adapt.log",
    threads: config["threads"]
    resources:
        **gpu(),
    params:
        **step(
            **config["adapt"],
            work="results/work/adapter",
            **SHARED,
        ),
    message:
        "Train the adapter ({config[adapt][backend]})"
    shell:
        RUN


rule merge:
    input:
        base="results/base",
        adapter="results/adapter",
        code=code("ml", "merge"),
    output:
        merged=directory("results/merged"),
    log:
        "logs/merge.log",
    threads: 1
    resources:
        mem_mb=config["resources"]["memory_mb"],
    params:
        **step(**config["merge"]),
    message:
        "Merge the adapter into the base"
    shell:
        RUN
