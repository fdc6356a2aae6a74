from snakemake.utils import min_version

min_version("9.27")


configfile: f"{workflow.basedir}/config.yaml"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/base.smk"
include: "rules/adapter.smk"
include: "rules/compress.smk"
include: "rules/gguf.smk"
include: "rules/modifiers.smk"
include: "rules/router.smk"
include: "rules/evaluate.smk"
include: "rules/release.smk"


# Done in less time than a cluster takes to start them.
localrules:
    gate,
    gate_data,
    gate_system,
    report_rounds,
    report_routing,
    versus_parent,
    release,


rule all:
    default_target: True
    input:
        "results/release/manifest.json",


# Content decides what runs again, not clocks.
engine.install(
    workflow,
    settings_files=SETTINGS_FILES,
    plots=[
        {
            "loss": {
                "x": "step",
                "y": {
                    f"results/reports/{name}.json": "loss"
                    for name in ("base", "adapt", "recover")
                    if PRETRAINED or name != "base"
                },
            }
        },
        {
            "sizes": {
                "template": "bar_horizontal",
                "x": "bytes",
                "y": {"results/release/ledger.json": "artifact"},
            }
        },
    ],
)
