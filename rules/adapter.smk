"""Adapter: train a LoRA adapter over the base, train it on its failures in targeted rounds or on pairs, and merge it.

Inputs:   results/base/, results/data/{train,valid}.jsonl
Outputs:  results/adapter/                        the LoRA adapter
          results/rounds/{turn}/questions.jsonl   training prompts for the adapter of the round before
          results/rounds/{turn}/answers.jsonl     its answers
          results/rounds/{turn}/failures.jsonl    the records that it fails
          results/rounds/{turn}/solved.jsonl      the records that it solves consistently
          results/rounds/{turn}/judged.jsonl      the records where a judge found the reference as good, or better
          results/rounds/{turn}/adapter/          the adapter after the round; unchanged if the round did not help
          results/preferences/                    the same of `prefer`: its questions, answers and wrong answers
          results/preferred/                      the adapter after `prefer`; unchanged if that did not help
          results/merged/                         the merged, dense checkpoint
"""

if "adapt" in CHAIN:

    rule adapt:
        input:
            base=CHAIN.inputs["adapt"],
            train="results/data/train.jsonl",
            valid="results/data/valid.jsonl",
            gate=["results/gates/data/verdict.json", *BUILD.base_gate],
            code=chain_code("adapter", "adapt"),
        output:
            adapter=directory("results/adapter"),
            report="results/reports/adapt.json",
        log:
            "logs/adapt.log",
        priority: LONG_WAY
        threads: SETTINGS.threads
        resources:
            **gpu(),
        params:
            **step(settings=SETTINGS.adapt, curves="logs/tensorboard/adapter", **SHARED),
        message:
            f"Train the adapter ({SETTINGS.adapt.backend})"
        shell:
            RUN


def report_of_earlier_round(wildcards):
    """Name the report of the round before. The first round has none."""
    turn = int(wildcards.turn) - 1
    return [f"results/reports/target_{turn}.json"] if turn else []


# The modifiers use these two rules, too.
rule choose_questions:
    input:
        train="results/data/train.jsonl",
        earlier=report_of_earlier_round,
        code=code("data", "adapter/choose_questions"),
    output:
        questions="results/rounds/{turn}/questions.jsonl",
    log:
        "logs/choose_questions_{turn}.log",
    params:
        **step(
            domains=[],
            difficulties=SETTINGS.adapt.difficulties,
            most_asked=SETTINGS.target.most_asked,
            turn=wildcard("turn"),
            consistency=SETTINGS.target.consistency,
            judged=BUILD.judged_domains,
        ),
    message:
        "Choose the questions of round {wildcards.turn}"
    shell:
        RUN


rule collect_failures:
    input:
        questions="results/rounds/{turn}/questions.jsonl",
        answers="results/rounds/{turn}/answers.jsonl",
        code=code("data", "adapter/collect_failures"),
    output:
        failures="results/rounds/{turn}/failures.jsonl",
        solved="results/rounds/{turn}/solved.jsonl",
        open_answers="results/rounds/{turn}/open.jsonl",
        report="results/reports/collect_failures_{turn}.json",
    log:
        "logs/collect_failures_{turn}.log",
    params:
        **step(
            model=lambda wildcards: f"round {int(wildcards.turn) - 1}",
            consistency=SETTINGS.target.consistency,
            judged=BUILD.judged_domains,
            least_failures=0,
        ),
    message:
        "Collect the failures of round {wildcards.turn}"
    shell:
        RUN


if "target" in CHAIN or "prefer" in CHAIN:

    rule ask_checkpoint:
        input:
            model=lambda wildcards: [
                CHAIN.inputs["adapt"],
                CHAIN.adapter_after(int(wildcards.turn) - 1),
            ],
            questions="results/rounds/{turn}/questions.jsonl",
            code=code("ml", "adapter/ask_checkpoint"),
        output:
            answers="results/rounds/{turn}/answers.jsonl",
        log:
            "logs/ask_checkpoint_{turn}.log",
        priority: LONG_WAY
        threads: SETTINGS.threads
        resources:
            **gpu(),
        params:
            **step(
                batch=SETTINGS.measure.batch,
                longest=SETTINGS.measure.longest,
                **SHARED,
            ),
        message:
            "Ask the adapter the questions of round {wildcards.turn}"
        shell:
            RUN

    if BUILD.judged_domains:

        rule judge_round:
            input:
                open_answers="results/rounds/{turn}/open.jsonl",
                code=code("data", "adapter/judge_round"),
            output:
                judged="results/rounds/{turn}/judged.jsonl",
                report="results/reports/judge_round_{turn}.json",
            log:
                "logs/judge_round_{turn}.log",
            resources:
                judges=1,
            params:
                **step(
                    turn=wildcard("turn"),
                    judge=SETTINGS.judge,
                    malformed=SETTINGS.target.judged.malformed,
                    remembered=REMEMBERED,
                    network=True,
                ),
            message:
                f"Let {SETTINGS.judge.model} judge the open answers of round {{wildcards.turn}}"
            shell:
                RUN


if "target" in CHAIN:

    rule target:
        input:
            base=CHAIN.inputs["adapt"],
            before=lambda wildcards: CHAIN.adapter_after(int(wildcards.turn) - 1),
            failures=[
                "results/rounds/{turn}/failures.jsonl",
                *(
                    ["results/rounds/{turn}/judged.jsonl"]
                    if BUILD.judged_domains
                    else []
                ),
            ],
            solved="results/rounds/{turn}/solved.jsonl",
            valid="results/data/valid.jsonl",
            earlier=report_of_earlier_round,
            code=chain_code("adapter", "target"),
        output:
            adapter=directory("results/rounds/{turn}/adapter"),
            report="results/reports/target_{turn}.json",
        log:
            "logs/target_{turn}.log",
        priority: LONG_WAY
        threads: SETTINGS.threads
        resources:
            **gpu(),
        params:
            **step(
                turn=wildcard("turn"),
                difficulties=SETTINGS.adapt.difficulties,
                **{
                    key: getattr(SETTINGS.target, key)
                    for key in ("training", "rehearsal", "least_failures", "limits")
                },
                batch=SETTINGS.measure.batch,
                longest=SETTINGS.measure.longest,
                curves=lambda wildcards: f"logs/tensorboard/round_{wildcards.turn}",
                **SHARED,
            ),
        message:
            "Train the adapter on its failures, round {wildcards.turn}"
        shell:
            RUN


if "prefer" in CHAIN:

    use rule choose_questions as choose_questions_of_preferences with:
        input:
            train="results/data/train.jsonl",
            earlier=[],
            code=code("data", "adapter/choose_questions"),
        output:
            questions="results/preferences/questions.jsonl",
        log:
            "logs/choose_questions_of_preferences.log",
        params:
            **step(
                domains=[],
                difficulties=SETTINGS.adapt.difficulties,
                most_asked=SETTINGS.prefer.most_asked,
                turn=str(CHAIN.rounds + 1),
                consistency=None,
                judged=BUILD.judged_domains,
            ),
        message:
            "Choose the questions whose answers are paired"

    use rule ask_checkpoint as ask_checkpoint_of_preferences with:
        input:
            model=[CHAIN.inputs["adapt"], CHAIN.inputs["prefer"]],
            questions="results/preferences/questions.jsonl",
            code=code("ml", "adapter/ask_checkpoint"),
        output:
            answers="results/preferences/answers.jsonl",
        log:
            "logs/ask_checkpoint_of_preferences.log",
        message:
            "Ask the adapter the questions whose answers are paired"

    use rule collect_failures as collect_failures_of_preferences with:
        input:
            questions="results/preferences/questions.jsonl",
            answers="results/preferences/answers.jsonl",
            code=code("data", "adapter/collect_failures"),
        output:
            failures="results/preferences/failures.jsonl",
            solved="results/preferences/solved.jsonl",
            open_answers="results/preferences/open.jsonl",
            report="results/reports/collect_failures_of_preferences.json",
        log:
            "logs/collect_failures_of_preferences.log",
        params:
            **step(
                model=CHAIN.before("prefer"),
                consistency=None,
                judged=BUILD.judged_domains,
                least_failures=0,
            ),
        message:
            "Collect the wrong answers for the pairs"

    if BUILD.judged_domains:

        use rule judge_round as judge_round_of_preferences with:
            input:
                open_answers="results/preferences/open.jsonl",
                code=code("data", "adapter/judge_round"),
            output:
                judged="results/preferences/judged.jsonl",
                report="results/reports/judge_round_of_preferences.json",
            log:
                "logs/judge_round_of_preferences.log",
            params:
                **step(
                    turn=str(CHAIN.rounds + 1),
                    judge=SETTINGS.judge,
                    malformed=SETTINGS.target.judged.malformed,
                    remembered=REMEMBERED,
                    network=True,
                ),
            message:
                f"Let {SETTINGS.judge.model} judge the open answers for the pairs"

    rule prefer:
        input:
            base=CHAIN.inputs["adapt"],
            before=CHAIN.inputs["prefer"],
            failures=[
                "results/preferences/failures.jsonl",
                *(
                    ["results/preferences/judged.jsonl"]
                    if BUILD.judged_domains
                    else []
                ),
            ],
            valid="results/data/valid.jsonl",
            code=chain_code("adapter", "prefer"),
        output:
            adapter=directory("results/preferred"),
            report="results/reports/prefer.json",
        log:
            "logs/prefer.log",
        priority: LONG_WAY
        threads: SETTINGS.threads
        resources:
            **gpu(),
        params:
            **step(
                settings=SETTINGS.prefer,
                turn=CHAIN.rounds + 1,
                difficulties=SETTINGS.adapt.difficulties,
                batch=SETTINGS.measure.batch,
                longest=SETTINGS.measure.longest,
                curves="logs/tensorboard/preferred",
                **SHARED,
            ),
        message:
            f"Train the adapter on pairs ({SETTINGS.prefer.loss})"
        shell:
            RUN


if "merge" in CHAIN:

    rule merge:
        input:
            base=CHAIN.inputs["adapt"],
            adapter=CHAIN.inputs["merge"],
            code=chain_code("adapter", "merge"),
        output:
            merged=directory("results/merged"),
        log:
            "logs/merge.log",
        resources:
            mem_mb=LARGE,
        params:
            **step(settings=SETTINGS.merge),
        message:
            "Merge the adapter into the base"
        shell:
            RUN
