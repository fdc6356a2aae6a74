"""Release: what is given away, what it weighs, and how good it is.

Inputs:   every artifact and every figure of the build
Outputs:  results/release/ledger.{json,md}   bytes and quality of each step
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


rule ledger:
    input:
        artifacts=[path for _, path in LEDGER.values()],
        reports=expand("results/measured/{model}.json", model=MEASURED),
        code=code("gguf", "ledger"),
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
        code=code("data", "release"),
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
