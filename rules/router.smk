"""Router: from the prompt alone, base or which modifier; and the detector of dissatisfied messages.

Inputs:   the served GGUF, the modifiers, results/data/routing.jsonl
Outputs:  results/router/labels/{routing,benchmark}/{route}.jsonl  who answers what right
          results/router/model/     features, layers and calibration of one decision per modifier
          results/router/detector/  the same for "that's wrong, try again"
"""

QUESTIONS = {"routing": "results/data/routing.jsonl", "benchmark": BENCHMARK}


rule label:
    input:
        gguf=SERVED,
        checkpoint="results/scaled",
        lora=lambda wildcards: [
            f"results/modifiers/{domain}/lora.gguf"
            for domain in DOMAINS
            if domain == wildcards.route
        ],
        questions=lambda wildcards: QUESTIONS[wildcards.questions],
        code=code("gguf", "measure/label"),
    output:
        labels="results/router/labels/{questions}/{route}.jsonl",
    log:
        "logs/label_{questions}_{route}.log",
    wildcard_constraints:
        questions="|".join(QUESTIONS),
        route="|".join(ROUTES),
    priority: LONG_WAY
    threads: 1
    resources:
        mem_mb=config["resources"]["memory_mb"],
    params:
        **step(
            context=config["context"],
            longest=config["measure"]["longest"],
            threads=1,
        ),
    message:
        "Ask {wildcards.route} the {wildcards.questions} prompts"
    shell:
        RUN


rule train_router:
    input:
        labels=labels("routing"),
        embedding=[path for path in [config["router"]["embedding"]] if path],
        code=code("ml", "router/train_router"),
    output:
        router=directory("results/router/model"),
        report="results/reports/train_router.json",
    log:
        "logs/train_router.log",
    threads: 1
    resources:
        # A large model's table of vectors is held as a whole.
        mem_mb=(
            config["resources"]["memory_mb"] if config["router"]["embedding"] else 2000
        ),
    params:
        **step(
            **{
                key: value
                for key, value in config["router"].items()
                if key != "embedding"
            },
            domains=DOMAINS,
            seed=config["seed"],
        ),
    message:
        "Train and calibrate the router"
    shell:
        RUN


rule train_detector:
    input:
        code=code("ml", "router/train_detector"),
    output:
        detector=directory("results/router/detector"),
        report="results/reports/train_detector.json",
    log:
        "logs/train_detector.log",
    threads: 1
    resources:
        mem_mb=2000,
    params:
        **step(**config["detector"], seed=config["seed"]),
    message:
        "Train the escalation detector"
    shell:
        RUN
