"""Release: what is given away, what it weighs, and how good it is.

Inputs:   every artifact and every figure of the build
Outputs:  results/release/ledger.{json,md}   bytes and quality of each step
          results/release/rounds.{json,md}   what every round made better, and what it cost
          results/release/manifest.json      files with digests, versions, licence and parents
          results/release/MODEL_CARD.md
"""

# artifact: (its parent, its path)
LEDGER = {
    "base": (None, "results/base"),
    "adapter": (None, "results/adapter"),
    "merged": ("base", "results/merged"),
    "pruned": ("merged", "results/pruned"),
    "recovered": ("pruned", "results/recovered"),
    "awq": ("recovered", "results/awq"),
    "F16": ("recovered", "results/gguf/F16.gguf"),
    **{
        quant: ("F16", f"results/gguf/{quant}.gguf")
        for quant in QUANTS
        if quant != "F16"
    },
    **{f"{quant}.zst": (quant, f"results/packed/{quant}.gguf.zst") for quant in QUANTS},
    **{
        f"modifier {domain}": (None, f"results/modifiers/{domain}/lora.gguf")
        for domain in DOMAINS
    },
    **{
        f"modifier {domain}.zst": (
            f"modifier {domain}",
            f"results/modifiers/{domain}/lora.gguf.zst",
        )
        for domain in DOMAINS
    },
}
MEASURED = [*CHECKPOINTS, *QUANTS]
# stage: (its answers to the benchmark, the reports of its trainings, what it adds)
STAGES = {
    "base": (
        "results/measured/base.answers.jsonl",
        ["results/reports/base.json"],
        ["results/base"],
    ),
    "adapter": (
        "results/measured/adapter.answers.jsonl",
        ["results/reports/adapt.json"],
        ["results/adapter"],
    ),
    **(
        {
            "targeted": (
                "results/measured/targeted.answers.jsonl",
                [
                    f"results/reports/target_{turn}.json"
                    for turn in range(1, ROUNDS + 1)
                ],
                # The rounds go on with the same adapter.
                [],
            )
        }
        if ROUNDS
        else {}
    ),
    "system": (
        "results/measured/system/decisions.jsonl",
        [
            "results/reports/recover.json",
            *expand("results/reports/train_modifier_{domain}.json", domain=DOMAINS),
        ],
        [
            *expand("results/modifiers/{domain}/lora.gguf", domain=DOMAINS),
            "results/router/model",
        ],
    ),
}


rule ledger:
    input:
        artifacts=[path for _, path in LEDGER.values()],
        reports=expand("results/measured/{model}.json", model=MEASURED),
        code=code("gguf", "release/ledger"),
    output:
        table="results/release/ledger.json",
        markdown="results/release/ledger.md",
    log:
        "logs/ledger.log",
    threads: 1
    resources:
        mem_mb=config["resources"]["memory_mb"],
    params:
        **step(
            names=list(LEDGER),
            parents=[parent for parent, _ in LEDGER.values()],
            measured=MEASURED,
        ),
    message:
        "Write the size ledger"
    shell:
        RUN


rule report_rounds:
    input:
        answers=[answers for answers, _, _ in STAGES.values()],
        trainings=[path for _, reports, _ in STAGES.values() for path in reports],
        artifacts=[path for _, _, added in STAGES.values() for path in added],
        code=code("data", "release/report_rounds"),
    output:
        table="results/release/rounds.json",
        text="results/release/rounds.md",
    log:
        "logs/report_rounds.log",
    threads: 1
    resources:
        mem_mb=500,
    params:
        **step(
            names=list(STAGES),
            trainings_per_stage=[len(reports) for _, reports, _ in STAGES.values()],
            artifacts_per_stage=[len(added) for _, _, added in STAGES.values()],
        ),
    message:
        "Report what every round made better"
    shell:
        RUN


rule release:
    input:
        files=[
            f"results/packed/{config['gguf']['serve']}.gguf.zst",
            *expand("results/modifiers/{domain}/lora.gguf.zst", domain=DOMAINS),
        ],
        packed=expand("results/packed/{quant}.gguf.zst", quant=QUANTS),
        folders=["results/router/model", "results/router/detector"],
        gates=[
            *expand(
                "results/gates/{model}.json",
                model=MEASURED[1:],
            ),
            "results/gates/system/verdict.json",
        ],
        table="results/release/ledger.json",
        markdown="results/release/ledger.md",
        rounds="results/release/rounds.md",
        origin="results/reports/base.json",
        curation="results/reports/curation.json",
        system="results/measured/system/report.json",
        detector="results/reports/train_detector.json",
        evaluated=expand(
            "results/evaluated/{model}/{suite}.json", model=EVALUATED, suite=SUITES
        ),
        pages=["results/curation.html", "results/routing.html"],
        compared=["results/compared/report.json"] if config["compare"] else [],
        locks=[
            os.path.normpath(f"{HERE}/envs/{name}.lock")
            for name in ("data", "ml", "gguf")
        ],
        code=code("data", "release/release"),
    output:
        manifest="results/release/manifest.json",
        card="results/release/MODEL_CARD.md",
    log:
        "logs/release.log",
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **step(
            preset=Path(config["preset"]).stem,
            base=config["base"],
            served=config["gguf"]["serve"],
        ),
    message:
        "Write manifest and model card"
    shell:
        RUN
