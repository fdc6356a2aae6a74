"""Measure: measure every model on held-out data, compare it with its parent, and check its gate.

Inputs:   the models of the rule files before, results/data/test.jsonl, `benchmarks`
Outputs:  results/data/asked.jsonl                      the questions that are asked, with `measure.most`
          results/answers/{model}/benchmark.jsonl       its answers to the benchmark
          results/measured/{model}.json                 its figures
          results/measured/{model}.safetensors          its predictions of held-out texts
          results/measured/{model}.versus_parent.json   its gains and losses, and how alike the two models are
          results/measured/{model}.judged.json          what a judge makes of its open answers, with `judge_open`
          results/gates/{model}.json                    exists only if the gate is open
"""

if BUILD.asked != BUILD.benchmark:

    rule choose_asked:
        input:
            benchmark=BUILD.benchmark,
            code=code("data", "measure/choose_asked"),
        output:
            asked=BUILD.asked,
        log:
            "logs/choose_asked.log",
        params:
            **step(most=SETTINGS.measure.most, checked=False),
        message:
            f"Choose {SETTINGS.measure.most} questions of each domain"
        shell:
            RUN


if BUILD.measured:

    wildcard_constraints:
        model="|".join(BUILD.models),

    def measurement(model):
        """Name the files with the figures, the predictions and the answers of a model."""
        return [
            f"results/measured/{model}.json",
            f"results/measured/{model}.safetensors",
            f"results/answers/{model}/benchmark.jsonl",
        ]

    FIGURES, PREDICTIONS, ANSWERS = measurement("{model}")

    rule measure:
        input:
            model=lambda wildcards: BUILD.models[wildcards.model].folders,
            tokenizer=BUILD.tokenizer,
            texts=BUILD.held_out_texts,
            benchmark=BUILD.asked,
            gate="results/gates/data/verdict.json" if BUILD.has_data else [],
            code=code("ml", "measure/measure"),
        output:
            report=FIGURES,
            logprobs=PREDICTIONS,
            answers=ANSWERS,
        log:
            "logs/measure_{model}.log",
        wildcard_constraints:
            model="|".join(CHAIN.models),
        resources:
            **gpu(),
        params:
            **step(
                name=wildcard("model"),
                settings=SETTINGS.measure,
                open_too=BUILD.open_too,
                threads=1,
            ),
        message:
            "Measure {wildcards.model}"
        shell:
            RUN

    use rule measure as measure_gguf with:
        input:
            model="results/gguf/{model}.gguf",
            tokenizer=BUILD.tokenizer,
            texts=BUILD.held_out_texts,
            benchmark=BUILD.asked,
            code=code("gguf", "measure/measure_gguf"),
        log:
            "logs/measure_gguf_{model}.log",
        wildcard_constraints:
            model="[A-Z0-9_]+",
        resources:
            mem_mb=LARGE,
        params:
            **step(
                name=wildcard("model"),
                settings=SETTINGS.measure,
                open_too=BUILD.open_too,
                context=SETTINGS.context,
                threads=1,
            ),

    rule versus_parent:
        input:
            child=measurement("{model}"),
            parent=lambda wildcards: measurement(BUILD.models[wildcards.model].parent),
            judged=(
                ["results/measured/{model}.judged.json"] if SETTINGS.judge_open else []
            ),
            code=code("data", "measure/versus_parent"),
        output:
            report="results/measured/{model}.versus_parent.json",
        log:
            "logs/versus_parent_{model}.log",
        resources:
            mem_mb=LARGE,
        params:
            **step(),
        message:
            "Compare {wildcards.model} with its parent"
        shell:
            RUN

    if SETTINGS.judge_open:

        rule judge_open:
            input:
                ours="results/answers/{model}/benchmark.jsonl",
                theirs=lambda wildcards: measurement(
                    BUILD.models[wildcards.model].parent
                )[2],
                code=code("data", "measure/judge_open"),
            output:
                report="results/measured/{model}.judged.json",
                judgements="results/measured/{model}.judgements.jsonl",
            log:
                "logs/judge_open_{model}.log",
            resources:
                judges=1,
            params:
                **step(
                    judge=SETTINGS.judge,
                    settings=SETTINGS.judge_open,
                    remembered=REMEMBERED,
                    network=True,
                ),
            message:
                f"Let {SETTINGS.judge.model} compare open answers of {{wildcards.model}} with its parent's"
            shell:
                RUN

    rule gate:
        input:
            measured="results/measured/{model}.json",
            versus_parent="results/measured/{model}.versus_parent.json",
            code=code("data", "measure/gate"),
        output:
            verdict="results/gates/{model}.json",
        log:
            "logs/gate_{model}.log",
        resources:
            mem_mb=500,
        params:
            **step(limits=lambda wildcards: BUILD.limits_of(wildcards.model)),
        message:
            "Check the gate of {wildcards.model}"
        shell:
            RUN
