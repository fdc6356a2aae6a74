from snakemake.utils import min_version

min_version("9.27")


configfile: f"{workflow.basedir}/config.yaml"


# In the order of the flow: each reads only what those before it write, gates aside.
include: "rules/common.smk"
include: "rules/world.smk"
include: "rules/base.smk"
include: "rules/data.smk"
include: "rules/adapter.smk"
include: "rules/compress.smk"
include: "rules/gguf.smk"
include: "rules/measure.smk"
include: "rules/modifiers.smk"
include: "rules/router.smk"
include: "rules/suites.smk"
include: "rules/release.smk"
include: "rules/frontier.smk"


rule all:
    default_target: True
    input:
        BUILD.targets(),


# Content decides what runs again, not clocks.
engine.install(
    workflow,
    settings_files=settings_files(SETTINGS, ROOT),
    plots=BUILD.plots(),
    refresh="make dvc.yaml",
)
