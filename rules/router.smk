"""Router: train the router and the escalation detector, and measure the whole system.

Inputs:   the served GGUF file, the modifiers, results/data/routing.jsonl, the benchmark
Outputs:  results/data/asked_routing.jsonl                   the prompts that are asked, with `router.most`
          results/answers/{model}/routing.jsonl              answers of the served model and of each modifier
          results/answers/modifier_{domain}/benchmark.jsonl  answers of each modifier to the benchmark
          results/router/model/                              the router: it chooses the base or a modifier for a prompt
          results/router/detector/                           the detector of messages like "that's wrong, try again"
          results/answers/system/benchmark.jsonl             answers of the routes that the router chooses
          results/measured/system.json                       figures of the system
          results/gates/system/verdict.json                  exists only if the system keeps its limits
"""


def answers_of_all(questions):
    """Name the files with the answers of the served model and of every modifier, in this order."""
    models = [BUILD.served, *(f"modifier_{domain}" for domain in BUILD.domains)]
    return [f"results/answers/{model}/{questions}.jsonl" for model in models]


if BUILD.has_router:

    if SETTINGS.router.most:

        rule choose_routing:
            input:
                benchmark="results/data/routing.jsonl",
                code=code("data", "measure/choose_asked"),
            output:
                asked=BUILD.routing,
            log:
                "logs/choose_routing.log",
            params:
                **step(most=SETTINGS.router.most, checked=False),
            message:
                f"Choose {SETTINGS.router.most} routing prompts of each domain"
            shell:
                RUN

    use rule ask_gguf as ask_served with:
        input:
            model=SERVED,
            lora=[],
            tokenizer=BUILD.tokenizer,
            questions=BUILD.routing,
            gate=[],
            code=code("serve", "modifiers/ask_gguf"),
        output:
            answers=f"results/answers/{BUILD.served}/routing.jsonl",
        log:
            "logs/ask_served.log",
        message:
            "Ask the served model the routing prompts"

    use rule ask_gguf as ask_modifier with:
        input:
            model=SERVED,
            lora=["results/modifiers/{domain}/lora.gguf"],
            tokenizer=BUILD.tokenizer,
            questions=lambda wildcards: {
                "routing": BUILD.routing,
                "benchmark": BUILD.asked,
            }[wildcards.questions],
            gate=[],
            code=code("serve", "modifiers/ask_gguf"),
        output:
            answers="results/answers/modifier_{domain}/{questions}.jsonl",
        log:
            "logs/ask_modifier_{domain}_{questions}.log",
        wildcard_constraints:
            questions="routing|benchmark",
        message:
            "Ask the modifier {wildcards.domain} the {wildcards.questions} prompts"

    rule train_router:
        input:
            answers=answers_of_all("routing"),
            embedding=[path for path in [SETTINGS.router.embedding] if path],
            code=code("ml", "router/train_router"),
        output:
            router=directory("results/router/model"),
            report="results/reports/train_router.json",
        log:
            "logs/train_router.log",
        resources:
            # The table of vectors of a large model is in memory as a whole.
            mem_mb=LARGE if SETTINGS.router.embedding else 2000,
        params:
            **step(domains=BUILD.domains, settings=SETTINGS.router, seed=SETTINGS.seed),
        message:
            "Train and calibrate the router"
        shell:
            RUN

    rule measure_system:
        input:
            answers=answers_of_all("benchmark"),
            router="results/router/model",
            uncompressed=f"results/answers/{CHAIN.uncompressed}/benchmark.jsonl",
            code=code("ml", "router/measure_system"),
        output:
            report="results/measured/system.json",
            system="results/answers/system/benchmark.jsonl",
        log:
            "logs/measure_system.log",
        resources:
            mem_mb=2000,
        params:
            **step(
                domains=BUILD.domains,
                costs=SETTINGS.router.costs,
                uncompressed_model=CHAIN.uncompressed,
            ),
        message:
            "Measure the whole system on the benchmark"
        shell:
            RUN

    rule gate_system:
        input:
            system="results/measured/system.json",
            uncompressed=f"results/measured/{CHAIN.uncompressed}.json",
            served=f"results/measured/{BUILD.served}.json",
            whole="results/reports/pack_F16.json",
            packed=f"results/reports/pack_{BUILD.served}.json",
            code=code("data", "router/gate_system"),
        output:
            verdict="results/gates/system/verdict.json",
        log:
            "logs/gate_system.log",
        resources:
            mem_mb=500,
        params:
            **step(limits=SETTINGS.gate_system),
        message:
            "Check the gate of the system"
        shell:
            RUN


if BUILD.has_detector:

    rule train_detector:
        input:
            code=code("ml", "router/train_detector"),
        output:
            detector=directory("results/router/detector"),
            report="results/reports/train_detector.json",
        log:
            "logs/train_detector.log",
        resources:
            mem_mb=2000,
        params:
            **step(settings=SETTINGS.detector, seed=SETTINGS.seed),
        message:
            "Train the escalation detector"
        shell:
            RUN
