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


rule all:
    default_target: True
    input:
        "results/release/manifest.json",
