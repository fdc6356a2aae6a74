"""Evaluate: every model of the chain against its parent on held-out data, and the gate on every edge.

Inputs:   the models of the other rule files, results/data/test.jsonl, `benchmarks`
Outputs:  results/measured/{model}.json             figures
          results/measured/{model}.answers.jsonl    what was asked and answered
          results/measured/{model}.safetensors      predictions
          results/measured/{model}.versus_parent.json  what it gained and lost, and how alike the two are
          results/gates/{model}.json                there only if the gate is open
          results/routing.html                      who answers what, at what cost
          results/evaluated/{model}/{suite}.json    the suites of `evaluate`, if it names some
          results/evaluated/{model}/{suite}.answers.jsonl
          results/compared/report.json              what the judge prefers, if `compare` asks for it
          results/compared/judgements.jsonl
"""


rule measure:
    input:
        checkpoint=lambda wildcards: CHECKPOINTS[wildcards.model][1],
        tokenizer=TOKENIZER,
        test="results/data/test.jsonl",
        benchmark=BENCHMARK,
        code=code("ml", "measure/measure"),
    output:
        report="results/measured/{model}.json",
        logprobs="results/measured/{model}.safetensors",
        answers="results/measured/{model}.answers.jsonl",
    log:
        "logs/measure_{model}.log",
    wildcard_constraints:
        model="|".join(CHECKPOINTS),
    threads: 1
    resources:
        **gpu(),
    params:
        **step(**config["measure"], model=wildcard("model"), threads=1),
    message:
        "Measure {wildcards.model}"
    shell:
        RUN


rule measure_gguf:
    input:
        gguf="results/gguf/{quant}.gguf",
        tokenizer=TOKENIZER,
        test="results/data/test.jsonl",
        benchmark=BENCHMARK,
        code=code("gguf", "measure/measure_gguf"),
    output:
        report="results/measured/{quant}.json",
        logprobs="results/measured/{quant}.safetensors",
        answers="results/measured/{quant}.answers.jsonl",
    log:
        "logs/measure_{quant}.log",
    threads: 1
    resources:
        mem_mb=config["resources"]["memory_mb"],
    params:
        **step(
            quant=wildcard("quant"),
            context=config["context"],
            longest=config["measure"]["longest"],
            fidelity_tokens=config["measure"]["fidelity_tokens"],
            threads=1,
        ),
    message:
        "Measure {wildcards.quant}"
    shell:
        RUN


rule versus_parent:
    input:
        child=measurement("{model}"),
        parent=lambda wildcards: measurement(parent_of(wildcards.model)),
        code=code("data", "measure/versus_parent"),
    output:
        report="results/measured/{model}.versus_parent.json",
    log:
        "logs/versus_parent_{model}.log",
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **step(),
    message:
        "Compare {wildcards.model} with its parent"
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
    threads: 1
    resources:
        mem_mb=500,
    params:
        **step(limits=lambda wildcards: limits_of(wildcards.model)),
    message:
        "Gate {wildcards.model}"
    shell:
        RUN


rule measure_system:
    input:
        labels=labels("benchmark"),
        router="results/router/model",
        adapter=[
            f"results/measured/{parent_of('merged')}.{end}"
            for end in ("json", "answers.jsonl")
        ],
        code=code("ml", "router/measure_system"),
    output:
        report="results/measured/system/report.json",
        decisions="results/measured/system/decisions.jsonl",
    log:
        "logs/measure_system.log",
    threads: 1
    resources:
        mem_mb=2000,
    params:
        **step(domains=DOMAINS, costs=config["router"]["costs"]),
    message:
        "Measure the system: router before base and modifiers"
    shell:
        RUN


rule report_routing:
    input:
        system="results/measured/system/report.json",
        router="results/reports/train_router.json",
        detector="results/reports/train_detector.json",
        rounds="results/release/rounds.json",
        template=templates("routing")[0],
        code=code("data", "release/report_routing") + templates("routing", "style"),
    output:
        page="results/routing.html",
    log:
        "logs/report_routing.log",
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **step(),
    message:
        "Report who answers what"
    shell:
        RUN


rule gate_system:
    input:
        system="results/measured/system/report.json",
        merged="results/measured/merged.json",
        served=f"results/measured/{config['gguf']['serve']}.json",
        whole="results/reports/pack_F16.json",
        packed=f"results/reports/pack_{config['gguf']['serve']}.json",
        code=code("data", "router/gate_system"),
    output:
        verdict="results/gates/system/verdict.json",
    log:
        "logs/gate_system.log",
    threads: 1
    resources:
        mem_mb=500,
    params:
        **step(limits=config["gate_system"]),
    message:
        "Gate the system"
    shell:
        RUN


if SUITES:

    wildcard_constraints:
        suite="|".join(SUITES),

    rule read_suite:
        input:
            data=lambda wildcards: SUITES[wildcards.suite]["data"],
            answers=suite_files("answers"),
            examples=suite_files("examples"),
            task=lambda wildcards: TASKS[wildcards.suite],
            code=code("data", "data/read_suite"),
        output:
            questions="results/suites/{suite}.jsonl",
            report="results/reports/read_suite_{suite}.json",
        log:
            "logs/read_suite_{suite}.log",
        threads: 1
        resources:
            mem_mb=1000,
        params:
            **step(
                suite=wildcard("suite"),
                shots=lambda wildcards: SUITES[wildcards.suite]["shots"],
                most=lambda wildcards: SUITES[wildcards.suite]["most"],
                limits=config["read"],
            ),
        message:
            "Read the suite {wildcards.suite}"
        shell:
            RUN

    rule evaluate:
        input:
            checkpoint=lambda wildcards: CHECKPOINTS[wildcards.model][1],
            tokenizer=TOKENIZER,
            questions="results/suites/{suite}.jsonl",
            task=lambda wildcards: TASKS[wildcards.suite],
            parent=evaluation_of_ancestor,
            code=code("ml", "suites/ask_suite"),
        output:
            report="results/evaluated/{model}/{suite}.json",
            answers="results/evaluated/{model}/{suite}.answers.jsonl",
        log:
            "logs/evaluate_{model}_{suite}.log",
        wildcard_constraints:
            model="|".join(CHECKPOINTS),
        threads: config["threads"]
        resources:
            **gpu(),
        params:
            **step(
                model=wildcard("model"),
                suite=wildcard("suite"),
                batch=config["measure"]["batch"],
                context=config["context"],
                longest=config["evaluate"]["longest"],
                threads=config["threads"],
            ),
        message:
            "Evaluate {wildcards.model} on {wildcards.suite}"
        shell:
            RUN

    rule evaluate_gguf:
        input:
            gguf="results/gguf/{quant}.gguf",
            tokenizer=TOKENIZER,
            questions="results/suites/{suite}.jsonl",
            task=lambda wildcards: TASKS[wildcards.suite],
            parent=evaluation_of_ancestor,
            code=code("gguf", "suites/ask_suite_gguf"),
        output:
            report="results/evaluated/{quant}/{suite}.json",
            answers="results/evaluated/{quant}/{suite}.answers.jsonl",
        log:
            "logs/evaluate_{quant}_{suite}.log",
        wildcard_constraints:
            quant="|".join(QUANTS),
        threads: config["threads"]
        resources:
            mem_mb=config["resources"]["memory_mb"],
        params:
            **step(
                quant=wildcard("quant"),
                suite=wildcard("suite"),
                context=config["context"],
                longest=config["evaluate"]["longest"],
                threads=config["threads"],
            ),
        message:
            "Evaluate {wildcards.quant} on {wildcards.suite}"
        shell:
            RUN


if config["compare"]:

    COMPARED = {
        "ours": config["compare"]["model"],
        "theirs": config["compare"]["reference"],
    }

    rule compare:
        input:
            **{
                side: f"results/measured/{model}.answers.jsonl"
                for side, model in COMPARED.items()
            },
            code=code("data", "suites/compare"),
        output:
            report="results/compared/report.json",
            judgements="results/compared/judgements.jsonl",
        log:
            "logs/compare.log",
        threads: 1
        resources:
            mem_mb=1000,
            judges=1,
        params:
            **step(
                names=COMPARED,
                judge=config["judge"],
                thresholds=config["compare"]["next_round"],
                malformed=config["compare"]["malformed"],
                answers=".cache/answers",
            ),
        message:
            "Let {config[judge][model]} compare the answers of two models"
        shell:
            RUN
