"""Base: the model that everything starts from, pretrained here, or brought from a folder or the hub.

Inputs:   results/world/pretraining.jsonl, or `base.model`
Outputs:  results/base/        checkpoint with its tokenizer
          results/tokenizer/   only where the base is pretrained here
"""

if PRETRAINED:

    rule train_tokenizer:
        message: "Train the tokenizer of the base"
        input:
            corpus="results/world/pretraining.jsonl",
        output:
            tokenizer=directory("results/tokenizer"),
        params:
            **step(**config["train_tokenizer"], context=config["context"]),
        log:
            "logs/train_tokenizer.log",
        threads: 1
        resources: mem_mb=2000,
        shell:
            run("ml")

    rule pretrain:
        message: "Pretrain the base"
        input:
            corpus="results/world/pretraining.jsonl",
            tokenizer="results/tokenizer",
        output:
            base=directory("results/base"),
            report="results/reports/base.json",
        params:
            **step(**config["pretrain"], **SHARED, context=config["context"]),
        log:
            "logs/pretrain.log",
        threads: config["threads"]
        resources: **gpu(),
        shell:
            run("ml")

else:

    rule fetch:
        message: "Bring the base {config[base][model]} into the workspace"
        output:
            base=directory("results/base"),
            report="results/reports/base.json",
        params:
            **step(
                kind=config["base"]["kind"],
                model=config["base"]["model"],
                revision=config["base"]["revision"],
                dtype=config["base"]["dtype"],
            ),
        log:
            "logs/fetch.log",
        threads: 1
        resources: mem_mb=config["resources"]["memory_mb"],
        shell:
            run("ml")
