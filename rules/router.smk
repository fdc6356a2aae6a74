"""Router: from the prompt alone, base or which modifier; and the detector of dissatisfied messages.

Inputs:   the served GGUF, the modifiers, results/data/routing.jsonl
Outputs:  results/router/     features, layers and calibration of one decision per modifier
          results/detector/   the same for "that's wrong, try again"
"""


rule label:
    message: "Ask base and modifiers the routing prompts"
    input:
        gguf=SERVED,
        checkpoint="results/scaled",
        loras=expand("results/modifiers/{domain}/lora.gguf", domain=DOMAINS),
        routing="results/data/routing.jsonl",
    output:
        labels="results/router/labels.jsonl",
    params:
        **step(
            domains=DOMAINS,
            context=config["context"],
            longest=config["measure"]["longest"],
            threads=1,
        ),
    log:
        "logs/label.log",
    threads: 1
    resources: mem_mb=config["resources"]["memory_mb"],
    shell:
        run("gguf")


rule train_router:
    message: "Train and calibrate the router"
    input:
        labels="results/router/labels.jsonl",
    output:
        router=directory("results/router/model"),
        report="results/reports/train_router.json",
    params:
        **step(**config["router"], domains=DOMAINS, seed=config["seed"]),
    log:
        "logs/train_router.log",
    threads: 1
    resources: mem_mb=2000,
    shell:
        run("ml")


rule train_detector:
    message: "Train the escalation detector"
    output:
        detector=directory("results/router/detector"),
        report="results/reports/train_detector.json",
    params:
        **step(**config["detector"], seed=config["seed"]),
    log:
        "logs/train_detector.log",
    threads: 1
    resources: mem_mb=2000,
    shell:
        run("ml")
