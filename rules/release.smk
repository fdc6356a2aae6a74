"""Release: list what a receiver gets, how large and how good it is, and show it in reports.

Inputs:   every artifact and every figure of the build
Outputs:  results/release/ledger.{json,md}   bytes and quality of each artifact
          results/release/rounds.{json,md}   what each stage made better, and what it cost
          results/routing.html               which route answers how well, and at what cost
          results/release/files/             all that a receiver needs, under the names that it has in results/
          results/release/manifest.json      files with digests, versions, licence and parents
          results/release/MODEL_CARD.md      the model card, for people
          results/plots/                     plots of sizes against quality, costs against accuracy, and losses
"""

from ingot.workflow.left_out import left_out

ARTIFACTS = list(BUILD.artifacts()) if BUILD.has_model else []
MEASURED = [model.name for model in BUILD.measured]
STAGES = BUILD.stages() if MEASURED else []
END = next(reversed(CHAIN.models.values())).folders[-1]


rule ledger:
    input:
        artifacts=[path for _, _, path in ARTIFACTS],
        reports=[f"results/measured/{model}.json" for model in MEASURED],
        code=page("gguf", "release/ledger", "ledger.md", "ledger_table.md"),
    output:
        table="results/release/ledger.json",
        markdown="results/release/ledger.md",
    log:
        "logs/ledger.log",
    resources:
        mem_mb=LARGE,
    params:
        **step(
            names=[name for name, _, _ in ARTIFACTS],
            parents=[parent for _, parent, _ in ARTIFACTS],
            measured=MEASURED,
        ),
    message:
        "Write the size ledger"
    shell:
        RUN


rule report_rounds:
    input:
        answers=[f"results/answers/{stage['name']}/benchmark.jsonl" for stage in STAGES],
        trainings=[path for stage in STAGES for path in stage["trainings"]],
        artifacts=[path for stage in STAGES for path in stage["adds"]],
        code=page("data", "release/report_rounds", "rounds.md", "macros.md"),
    output:
        table="results/release/rounds.json",
        markdown="results/release/rounds.md",
    log:
        "logs/report_rounds.log",
    resources:
        mem_mb=500,
    params:
        **step(
            names=[stage["name"] for stage in STAGES],
            trainings_per_stage=[len(stage["trainings"]) for stage in STAGES],
            artifacts_per_stage=[len(stage["adds"]) for stage in STAGES],
        ),
    message:
        "Write the rounds table"
    shell:
        RUN


if BUILD.has_router:

    rule report_routing:
        input:
            system="results/measured/system.json",
            router="results/reports/train_router.json",
            detector=(
                ["results/reports/train_detector.json"] if BUILD.has_detector else []
            ),
            rounds="results/release/rounds.json",
            code=page("data", "release/report_routing", "routing.html", "style.html"),
        output:
            page=report("results/routing.html", category="Routing"),
            costs=report("results/plots/accuracy-cost.svg", category="Plots"),
        log:
            "logs/report_routing.log",
        params:
            **step(),
        message:
            "Write the page on routing"
        shell:
            RUN


def packed(name):
    """Name the packed file of a GGUF type, if the type is built."""
    return [f"results/packed/{name}.gguf.zst"] if name in BUILD.types else []


rule release:
    input:
        # A release has the served type and its modifiers or, without GGUF files, the end of the chain.
        files=[
            *packed(BUILD.served),
            *expand("results/modifiers/{domain}/lora.gguf.zst", domain=BUILD.domains),
        ],
        folders=[
            *([] if BUILD.types or not BUILD.has_model else [END]),
            *(["results/router/model"] if BUILD.has_router else []),
            *(["results/router/detector"] if BUILD.has_detector else []),
        ],
        tokenizer=[BUILD.tokenizer] if BUILD.types else [],
        other_types=[
            path
            for quant in BUILD.types
            for path in packed(quant)
            if quant != BUILD.served
        ],
        gates=[
            *expand("results/gates/{model}.json", model=BUILD.gated),
            *(["results/gates/system/verdict.json"] if BUILD.has_router else []),
        ],
        ledger="results/release/ledger.json",
        rounds=["results/release/rounds.json"] if STAGES else [],
        origin="results/reports/base.json",
        curation=["results/reports/curation.json"] if BUILD.has_data else [],
        measured=[f"results/measured/{model}.json" for model in MEASURED],
        versus=[f"results/measured/{model}.versus_parent.json" for model in BUILD.gated],
        system=["results/measured/system.json"] if BUILD.has_router else [],
        detector=["results/reports/train_detector.json"] if BUILD.has_detector else [],
        suites=expand(
            "results/suites/{model}/{suite}.json",
            model=BUILD.asked_suites,
            suite=BUILD.suites,
        ),
        pages=[
            *(["results/curation.html"] if BUILD.has_data else []),
            *(["results/routing.html"] if BUILD.has_router else []),
        ],
        compared=["results/compared/report.json"] if SETTINGS.compare else [],
        locks=[here(f"envs/{name}.lock") for name in ("data", "ml", "gguf")],
        code=page(
            "data",
            "release/release",
            "card.md",
            "ledger_table.md",
            "rounds.md",
            "macros.md",
        ),
    output:
        content=directory("results/release/files"),
        manifest="results/release/manifest.json",
        figures="results/release/figures.json",
        card=report("results/release/MODEL_CARD.md", category="Model card"),
    log:
        "logs/release.log",
    params:
        **step(
            preset=Path(SETTINGS.preset).stem,
            licence=SETTINGS.base.licence,
            served=BUILD.served,
            chain=[kind.step for kind in CHAIN.kinds],
            adapters=CHAIN.adapters,
            left_out=left_out(BUILD),
            context=SETTINGS.context,
            router_settings=SETTINGS.router if BUILD.has_router else None,
        ),
    message:
        "Put the release together, with manifest and model card"
    shell:
        RUN


if MEASURED:

    TRAININGS = BUILD.trainings()

    rule draw_plots:
        input:
            figures="results/release/figures.json",
            trainings=list(TRAININGS.values()),
            code=code("data", "release/draw_plots"),
        output:
            sizes=report("results/plots/sizes-quality.svg", category="Plots"),
            losses=report("results/plots/losses.svg", category="Plots"),
        log:
            "logs/draw_plots.log",
        params:
            **step(names=list(TRAININGS)),
        message:
            "Draw the plots"
        shell:
            RUN
