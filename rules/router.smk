"""Router: from the prompt alone, base or which modifier; and the detector of dissatisfied messages.

Inputs:   the served GGUF, the modifiers, results/data/routing.jsonl
Outputs:  results/router/model/     features, layers and calibration of one decision per modifier
          results/router/detector/  the same for "that's wrong, try again"
"""


rule label:
    input:
        gguf=SERVED,
        checkpoint="results/scaled",
        loras=expand("results/modifiers/{domain}/lora.gguf", domain=DOMAINS),
        routing="results/data/routing.jsonl",
        code=code("gguf", "label"),
    output:
        labels="results/router/labels.jsonl",
    log:
        "logs/label.log",
    threads: config["threads"]
    resources:
        mem_mb=config["resources"]["memory_mb"],
    params:
        **step(
            domains=DOMAINS,
            context=config["context"],
            longest=config["measure"]["longest"],
            threads=config["threads"],
        ),
    message:
        "Ask base and modifiers the routing prompts"
    shell:
        RUN


rule train_router:
    input:
        labels="results/router/labels.jsonl",
        embedding=[path for path in [config["router"]["embedding"]] if path],
        code=code("ml", "train_router"),
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
        code=code("ml", "train_detector"),
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
