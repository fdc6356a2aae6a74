"""Base: the model that everything starts from, pretrained here, or brought from a folder or the hub.

Inputs:   results/world/pretraining.jsonl, or `base.model`
Outputs:  results/base/        checkpoint with its tokenizer
          results/tokenizer/   only where the base is pretrained here
"""

if PRETRAINED:

    rule train_tokenizer:
        input:
            corpus="results/world/pretraining.jsonl",
            code=code("ml", "base/train_tokenizer"),
        output:
            tokenizer=directory("results/tokenizer"),
        log:
            "logs/train_tokenizer.log",
        threads: 1
        resources:
            mem_mb=2000,
        params:
            **step(**config["train_tokenizer"], context=config["context"]),
        message:
            "Train the tokenizer of the base"
        shell:
            RUN

    rule pretrain:
        input:
            corpus="results/world/pretraining.jsonl",
            tokenizer="results/tokenizer",
            code=code("ml", "base/pretrain"),
        output:
            base=directory("results/base"),
            report="results/reports/base.json",
        log:
            "logs/pretrain.log",
        threads: config["threads"]
        resources:
            **gpu(),
        params:
            **step(**config["pretrain"], **SHARED, context=config["context"]),
        message:
            "Pretrain the base"
        shell:
            RUN

else:

    rule fetch:
        input:
            # A folder that is not there is refused by ingot/workflow/preflight.py, in clearer words.
            folder=[
                folder
                for folder in [config["base"]["model"]]
                if config["base"]["kind"] == "local" and Path(folder).is_dir()
            ],
            code=code("ml", "base/fetch"),
        output:
            base=directory("results/base"),
            report="results/reports/base.json",
        log:
            "logs/fetch.log",
        threads: 1
        resources:
            mem_mb=config["resources"]["memory_mb"],
        params:
            **step(
                kind=config["base"]["kind"],
                model=config["base"]["model"],
                revision=config["base"]["revision"],
                dtype=config["base"]["dtype"],
            ),
        message:
            "Bring the base {config[base][model]} into the workspace"
        shell:
            RUN
