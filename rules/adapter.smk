"""Adapter: QLoRA on the base, targeted rounds on what it fails, and the merged model.

Inputs:   results/base/, results/data/{train,valid}.jsonl
Outputs:  results/adapter/                        LoRA weights
          results/rounds/{turn}/failures.jsonl    what the adapter of the round before fails
          results/rounds/{turn}/solved.jsonl      what it solves steadily
          results/rounds/{turn}/judged.jsonl      where a judge found the reference as good or better, if `ask.judged`
          results/rounds/{turn}/adapter/          LoRA weights after the round; as before it if it did not help
          results/merged/                         dense checkpoint
"""


rule adapt:
    input:
        base="results/base",
        train="results/data/train.jsonl",
        valid="results/data/valid.jsonl",
        gate="results/gates/data/verdict.json",
        code=code(
            "unsloth" if config["adapt"]["backend"] == "unsloth" else "ml",
            "adapter/adapt",
        ),
    output:
        adapter=directory("results/adapter"),
        report="results/reports/adapt.json",
    log:
        "logs/adapt.log",
    threads: config["threads"]
    resources:
        **gpu(),
    params:
        **step(
            **config["adapt"],
            work="results/work/adapter",
            **SHARED,
        ),
    message:
        "Train the adapter ({config[adapt][backend]})"
    shell:
        RUN


def report_of_earlier_round(wildcards):
    """Return the report of the round before, or nothing for the first one."""
    turn = int(wildcards.turn) - 1
    return [f"results/reports/target_{turn}.json"] if turn else []


JUDGED = config["ask"]["judged"]["domains"] if config["ask"]["judged"] else []


rule ask:
    input:
        base="results/base",
        adapter=lambda wildcards: adapter_after(int(wildcards.turn) - 1),
        train="results/data/train.jsonl",
        earlier=report_of_earlier_round,
        code=code("ml", "adapter/ask"),
    output:
        failures="results/rounds/{turn}/failures.jsonl",
        solved="results/rounds/{turn}/solved.jsonl",
        open_answers="results/rounds/{turn}/open.jsonl",
        report="results/reports/ask_{turn}.json",
    log:
        "logs/ask_{turn}.log",
    threads: config["threads"]
    resources:
        **gpu(),
    params:
        **step(
            turn=wildcard("turn"),
            difficulties=config["adapt"]["difficulties"],
            **{key: config["ask"][key] for key in ("most_asked", "consistency")},
            judged=JUDGED,
            batch=config["measure"]["batch"],
            longest=config["measure"]["longest"],
            **SHARED,
        ),
    message:
        "Ask for failures, round {wildcards.turn}"
    shell:
        RUN


if JUDGED:

    rule judge_round:
        input:
            open_answers="results/rounds/{turn}/open.jsonl",
            code=code("data", "adapter/judge_round"),
        output:
            judged="results/rounds/{turn}/judged.jsonl",
            report="results/reports/judge_round_{turn}.json",
        log:
            "logs/judge_round_{turn}.log",
        threads: 1
        resources:
            mem_mb=1000,
            judges=1,
        params:
            **step(
                turn=wildcard("turn"),
                judge=config["judge"],
                malformed=config["ask"]["judged"]["malformed"],
                remembered=".cache/answers",
            ),
        message:
            "Let {config[judge][model]} judge what has no only right answer, round {wildcards.turn}"
        shell:
            RUN


rule target:
    input:
        base="results/base",
        before=lambda wildcards: adapter_after(int(wildcards.turn) - 1),
        failures=[
            "results/rounds/{turn}/failures.jsonl",
            *(["results/rounds/{turn}/judged.jsonl"] if JUDGED else []),
        ],
        solved="results/rounds/{turn}/solved.jsonl",
        valid="results/data/valid.jsonl",
        earlier=report_of_earlier_round,
        code=code("ml", "adapter/target"),
    output:
        adapter=directory("results/rounds/{turn}/adapter"),
        report="results/reports/target_{turn}.json",
    log:
        "logs/target_{turn}.log",
    threads: config["threads"]
    resources:
        **gpu(),
    params:
        **step(
            turn=wildcard("turn"),
            difficulties=config["adapt"]["difficulties"],
            **{
                key: config["target"][key]
                for key in ("training", "rehearsal", "least_failures", "limits")
            },
            batch=config["measure"]["batch"],
            longest=config["measure"]["longest"],
            work=lambda wildcards: f"results/work/round_{wildcards.turn}",
            **SHARED,
        ),
    message:
        "Train on what was failed, round {wildcards.turn}"
    shell:
        RUN


rule merge:
    input:
        base="results/base",
        adapter=adapter_after(ROUNDS),
        code=code("ml", "adapter/merge"),
    output:
        merged=directory("results/merged"),
    log:
        "logs/merge.log",
    threads: 1
    resources:
        mem_mb=config["resources"]["memory_mb"],
    params:
        **step(**config["merge"]),
    message:
        "Merge the adapter into the base"
    shell:
        RUN
