"""Modifiers: per domain, a LoRA for what the compressed base still gets wrong.

Inputs:   the served GGUF, results/scaled/, results/data/{train,valid}.jsonl
Outputs:  results/modifiers/{domain}/failures.jsonl    what the base gets wrong, on training-side prompts
          results/modifiers/{domain}/clustered.jsonl   the same, by pattern
          results/modifiers/{domain}/taught.jsonl      with the right answers of the first teacher who knew one
          results/modifiers/{domain}/adapter/          LoRA over results/scaled
          results/modifiers/{domain}/lora.gguf         laid over the quantised base, swapped in place
          results/modifiers/{domain}/lora.gguf.zst
"""

CLUSTER, TEACH = (config["modifiers"][name] for name in ("cluster", "teach"))


rule collect_failures:
    input:
        gguf=SERVED,
        checkpoint="results/scaled",
        train="results/data/train.jsonl",
        gate=f"results/gates/{config['gguf']['serve']}.json",
        code=code("gguf", "modifiers/collect_failures"),
    output:
        failures="results/modifiers/{domain}/failures.jsonl",
        passed="results/modifiers/{domain}/passed.jsonl",
        report="results/reports/collect_failures_{domain}.json",
    log:
        "logs/collect_failures_{domain}.log",
    priority: LONG_WAY
    threads: 1
    resources:
        mem_mb=config["resources"]["memory_mb"],
    params:
        **step(
            domain=wildcard("domain"),
            **config["modifiers"]["collect_failures"],
            context=config["context"],
            longest=config["measure"]["longest"],
            threads=1,
        ),
    message:
        "Collect what the base gets wrong in {wildcards.domain}"
    shell:
        RUN


rule cluster:
    input:
        failures="results/modifiers/{domain}/failures.jsonl",
        encoder=[] if CLUSTER["embedding"] == "tfidf" else [CLUSTER["embedding"]],
        code=code("ml", "modifiers/cluster"),
    output:
        clustered="results/modifiers/{domain}/clustered.jsonl",
        report="results/reports/cluster_{domain}.json",
    log:
        "logs/cluster_{domain}.log",
    priority: LONG_WAY
    threads: 1
    resources:
        mem_mb=2000,
    params:
        **step(
            domain=wildcard("domain"),
            **{key: value for key, value in CLUSTER.items() if key != "embedding"},
            seed=config["seed"],
        ),
    message:
        "Cluster the failures in {wildcards.domain}"
    shell:
        RUN


rule teach:
    input:
        clustered="results/modifiers/{domain}/clustered.jsonl",
        passed="results/modifiers/{domain}/passed.jsonl",
        models=[tier["checkpoint"] for tier in TEACH["tiers"] if "checkpoint" in tier],
        code=code("ml", "modifiers/teach"),
    output:
        taught="results/modifiers/{domain}/taught.jsonl",
        report="results/reports/teach_{domain}.json",
    log:
        "logs/teach_{domain}.log",
    priority: LONG_WAY
    threads: 1
    resources:
        **(
            gpu()
            if any("checkpoint" in tier for tier in TEACH["tiers"])
            else {"mem_mb": 2000}
        ),
        # All that ask endpoints share a budget.
        judges=int(any("endpoint" in tier for tier in TEACH["tiers"])),
    params:
        **step(
            domain=wildcard("domain"),
            **TEACH,
            batch=config["measure"]["batch"],
            longest=config["measure"]["longest"],
            remembered=".cache/answers",
            seed=config["seed"],
            threads=1,
        ),
    message:
        "Teach what was failed in {wildcards.domain}"
    shell:
        RUN


rule train_modifier:
    input:
        scaled="results/scaled",
        taught="results/modifiers/{domain}/taught.jsonl",
        valid="results/data/valid.jsonl",
        code=code("ml", "modifiers/train_modifier"),
    output:
        adapter=directory("results/modifiers/{domain}/adapter"),
        report="results/reports/train_modifier_{domain}.json",
    log:
        "logs/train_modifier_{domain}.log",
    priority: LONG_WAY
    threads: 1
    resources:
        **gpu(),
    params:
        **step(
            domain=wildcard("domain"),
            training=config["modifiers"]["training"],
            work=lambda wildcards: f"results/work/{wildcards.domain}",
            seed=config["seed"],
            threads=1,
        ),
    message:
        "Train the modifier {wildcards.domain}"
    shell:
        RUN


rule convert_modifier:
    input:
        adapter="results/modifiers/{domain}/adapter",
        scaled="results/scaled",
        gguf=SERVED,
        valid="results/data/valid.jsonl",
        code=code("gguf", "modifiers/convert_modifier", CONVERTER),
    output:
        lora="results/modifiers/{domain}/lora.gguf",
        report="results/reports/convert_modifier_{domain}.json",
    log:
        "logs/convert_modifier_{domain}.log",
    priority: LONG_WAY
    threads: 1
    resources:
        mem_mb=config["resources"]["memory_mb"],
    params:
        **step(
            domain=wildcard("domain"),
            **config["modifiers"]["convert"],
            context=config["context"],
            longest=config["measure"]["longest"],
            work=lambda wildcards: f"results/work/{wildcards.domain}_types",
            threads=1,
        ),
    message:
        "Convert the modifier {wildcards.domain} to GGUF"
    shell:
        RUN


rule pack_modifier:
    input:
        model="results/modifiers/{domain}/lora.gguf",
        code=code("data", "gguf/pack"),
    output:
        packed="results/modifiers/{domain}/lora.gguf.zst",
        report="results/reports/pack_modifier_{domain}.json",
    log:
        "logs/pack_modifier_{domain}.log",
    threads: 1
    resources:
        mem_mb=2000,
    params:
        **step(**config["pack"], threads=config["threads"]),
    message:
        "Pack the modifier {wildcards.domain}"
    shell:
        RUN
