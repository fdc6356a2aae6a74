"""Suites: ask models the suites that `ask_suite` names, and let a judge compare two models.

Inputs:   the models, results/suites/{suite}.jsonl, results/answers/{model}/benchmark.jsonl
Outputs:  results/suites/{model}/{suite}.json      how many items are right, compared with the nearest ancestor
          results/answers/{model}/{suite}.jsonl    the answers
          results/compared/report.json             which answers the judge prefers, if `compare` asks for it
          results/compared/judgements.jsonl        every judgement
"""


def evaluation_of_ancestor(wildcards):
    """Name the report and the answers of the nearest ancestor that is asked the same suite. There may be none."""
    ancestor = BUILD.nearest_ancestor_asked(wildcards.model)
    return (
        [
            f"results/{kind}/{ancestor}/{wildcards.suite}.{end}"
            for kind, end in (("suites", "json"), ("answers", "jsonl"))
        ]
        if ancestor
        else []
    )


if BUILD.asked_suites:

    rule ask_suite:
        input:
            model=lambda wildcards: BUILD.models[wildcards.model].folders,
            tokenizer=BUILD.tokenizer,
            questions="results/suites/{suite}.jsonl",
            task=lambda wildcards: TASKS[wildcards.suite],
            parent=evaluation_of_ancestor,
            code=code("ml", "suites/ask_suite"),
        output:
            report="results/suites/{model}/{suite}.json",
            answers="results/answers/{model}/{suite}.jsonl",
        log:
            "logs/ask_suite_{model}_{suite}.log",
        wildcard_constraints:
            model="|".join(CHAIN.models),
            suite="|".join(BUILD.suites),
        threads: SETTINGS.threads
        resources:
            **gpu(),
        params:
            **step(
                name=wildcard("model"),
                suite=wildcard("suite"),
                batch=SETTINGS.measure.batch,
                context=SETTINGS.context,
                longest=SETTINGS.ask_suite.longest,
                threads=SETTINGS.threads,
            ),
        message:
            "Ask {wildcards.model} the suite {wildcards.suite}"
        shell:
            RUN

    use rule ask_suite as ask_suite_gguf with:
        input:
            model="results/gguf/{model}.gguf",
            tokenizer=BUILD.tokenizer,
            questions="results/suites/{suite}.jsonl",
            task=lambda wildcards: TASKS[wildcards.suite],
            parent=evaluation_of_ancestor,
            code=code("gguf", "suites/ask_suite_gguf"),
        log:
            "logs/ask_suite_gguf_{model}_{suite}.log",
        wildcard_constraints:
            model="|".join(BUILD.types),
            suite="|".join(BUILD.suites),
        resources:
            mem_mb=LARGE,
        params:
            **step(
                name=wildcard("model"),
                suite=wildcard("suite"),
                context=SETTINGS.context,
                longest=SETTINGS.ask_suite.longest,
                threads=SETTINGS.threads,
            ),


if SETTINGS.compare:

    COMPARED = {
        "ours": SETTINGS.compare.model,
        "theirs": SETTINGS.compare.reference,
    }

    rule compare:
        input:
            **{
                side: f"results/answers/{model}/benchmark.jsonl"
                for side, model in COMPARED.items()
            },
            code=code("data", "suites/compare"),
        output:
            report="results/compared/report.json",
            judgements="results/compared/judgements.jsonl",
        log:
            "logs/compare.log",
        resources:
            judges=1,
        params:
            **step(
                names=COMPARED,
                judge=SETTINGS.judge,
                settings=SETTINGS.compare,
                remembered=REMEMBERED,
                network=True,
            ),
        message:
            f"Let {SETTINGS.judge.model} compare the answers of two models"
        shell:
            RUN
