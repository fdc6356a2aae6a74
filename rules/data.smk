"""Data: from source files to what is learned from and what is measured with.

Inputs:   the files of `sources` and `benchmarks`; the tokenizer of the base
Outputs:  results/data/{train,valid,routing,test}.jsonl
          results/data/*.rejected.jsonl, with the reason why each record was dropped
          results/data/parts/{source}/{part}/: the parts of the sources, read, filtered, scored and signed side by side
          results/curation.html, what happened to the records
          results/world/: the tiny world, where `sources` or `benchmarks` name its files
"""


wildcard_constraints:
    source="[a-z][a-z0-9_]*",
    part="[^/]+",


rule generate:
    input:
        code=code("data", "world/generate"),
    output:
        alpaca="results/world/alpaca.jsonl",
        messages="results/world/messages.jsonl.gz",
        question="results/world/question.jsonl.zst",
        pretraining="results/world/pretraining.jsonl",
        benchmark="results/world/benchmark.jsonl",
        truth="results/world/truth.jsonl",
    log:
        "logs/generate.log",
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **step(
            **config["generate"],
            test_share=config["split"]["shares"]["test"],
            seed=config["seed"],
        ),
    message:
        "Generate the tiny world: raw sources with planted flaws, benchmark and pretraining corpus"
    shell:
        RUN


if any("hub" in source for source in config["sources"]):

    HUB = {
        source["name"]: source["hub"] for source in config["sources"] if "hub" in source
    }

    rule fetch_source:
        input:
            code=code("data", "data/fetch_source"),
        output:
            file="results/hub/{source}/{file}",
        log:
            "logs/fetch_source_{source}_{file}.log",
        threads: 1
        resources:
            mem_mb=1000,
        params:
            **step(
                dataset=lambda wildcards: HUB[wildcards.source]["id"],
                revision=lambda wildcards: HUB[wildcards.source]["revision"],
                name=wildcard("file"),
            ),
        message:
            "Fetch {wildcards.file} of {wildcards.source} from the hub"
        shell:
            RUN


rule read:
    input:
        source=unit("file"),
        code=code("data", "data/read"),
    output:
        records=f"{PART}/records.jsonl",
        rejected=f"{PART}/records.rejected.jsonl",
        report=f"{PART}/read.json",
    log:
        "logs/read_{source}_{part}.log",
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **step(
            **config["read"],
            format=unit("format"),
            shape=unit("shape"),
            sample=unit("sample"),
            shard=unit("shard"),
            shards=unit("shards"),
            defaults=lambda wildcards: {
                "source": wildcards.source,
                **{
                    key: unit(key)(wildcards)
                    for key in ("domain", "difficulty", "licence")
                },
            },
        ),
    message:
        "Read {wildcards.source} ({wildcards.part}) into records of one shape"
    shell:
        RUN


if config["benchmarks"]:

    rule read_benchmarks:
        input:
            files=config["benchmarks"],
            code=code("data", "data/read_benchmarks"),
        output:
            benchmark="results/data/benchmark.jsonl",
            report="results/reports/read_benchmarks.json",
        log:
            "logs/read_benchmarks.log",
        threads: 1
        resources:
            mem_mb=2000,
        params:
            **step(**config["read"]),
        message:
            "Read the benchmark items"
        shell:
            RUN


rule filter:
    input:
        records=f"{PART}/records.jsonl",
        tokenizer=TOKENIZER,
        code=code("data", "data/filter"),
    output:
        kept=f"{PART}/filtered.jsonl",
        rejected=f"{PART}/filtered.rejected.jsonl",
        report=f"{PART}/filter.json",
    log:
        "logs/filter_{source}_{part}.log",
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **step(
            filters=[
                {"name": name, "settings": config["filter"].get(name, {})}
                for name in config["filter"]["order"]
            ],
            appeals=config["filter"]["appeals"],
        ),
    message:
        "Filter {wildcards.source} ({wildcards.part})"
    shell:
        RUN


if config["score"]:

    rule score:
        input:
            records=f"{PART}/filtered.jsonl",
            code=code("data", "data/score"),
        output:
            kept=f"{PART}/scored.jsonl",
            rejected=f"{PART}/scored.rejected.jsonl",
            report=f"{PART}/score.json",
        log:
            "logs/score_{source}_{part}.log",
        threads: 1
        resources:
            mem_mb=1000,
            judges=1,
        params:
            **step(
                **config["score"],
                judge=config["judge"],
                appeals=config["filter"]["appeals"],
                answers=".cache/answers",
            ),
        message:
            "Score {wildcards.source} ({wildcards.part}) by {config[judge][model]}"
        shell:
            RUN


rule sign:
    input:
        records=f"{PART}/{CURATED}.jsonl",
        code=code("data", "data/sign"),
    output:
        signed=f"{PART}/signatures.safetensors",
    log:
        "logs/sign_{source}_{part}.log",
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **step(**config["sign"]),
    message:
        "Sign {wildcards.source} ({wildcards.part})"
    shell:
        RUN


rule deduplicate:
    input:
        records=parts(f"{CURATED}.jsonl"),
        signed=parts("signatures.safetensors"),
        code=code("data", "data/deduplicate"),
    output:
        kept="results/data/deduplicated.jsonl",
        rejected="results/data/deduplicated.rejected.jsonl",
        report="results/reports/deduplicate.json",
    log:
        "logs/deduplicate.log",
    threads: 1
    resources:
        mem_mb=4000,
    params:
        **step(
            **config["deduplicate"],
            shingles=config["sign"]["shingles"],
            threshold=config["sign"]["threshold"],
        ),
    message:
        "Keep one of every group of duplicates"
    shell:
        RUN


rule decontaminate:
    input:
        records="results/data/deduplicated.jsonl",
        benchmarks=HELD_OUT,
        code=code("data", "data/decontaminate"),
    output:
        kept="results/data/clean.jsonl",
        rejected="results/data/clean.rejected.jsonl",
        report="results/reports/decontaminate.json",
    log:
        "logs/decontaminate.log",
    threads: 1
    resources:
        mem_mb=2000,
    params:
        **step(**config["decontaminate"]),
    message:
        "Drop records that repeat a benchmark item"
    shell:
        RUN


rule balance:
    input:
        records="results/data/clean.jsonl",
        code=code("data", "data/balance"),
    output:
        kept="results/data/balanced.jsonl",
        rejected="results/data/balanced.rejected.jsonl",
        report="results/reports/balance.json",
    log:
        "logs/balance.log",
    threads: 1
    resources:
        mem_mb=2000,
    params:
        **step(
            **config["balance"],
            weights={source["name"]: source["weight"] for source in config["sources"]},
        ),
    message:
        "Sample the records to the wanted mix"
    shell:
        RUN


rule split:
    input:
        records="results/data/balanced.jsonl",
        code=code("data", "data/split"),
    output:
        train="results/data/train.jsonl",
        valid="results/data/valid.jsonl",
        routing="results/data/routing.jsonl",
        test="results/data/test.jsonl",
        report="results/reports/split.json",
    log:
        "logs/split.log",
    threads: 1
    resources:
        mem_mb=2000,
    params:
        **step(**config["split"], domains=DOMAINS),
    message:
        "Split the records by the hash of their prompt"
    shell:
        RUN


rule gate_data:
    input:
        trained=[f"results/data/{part}.jsonl" for part in ("train", "valid", "routing")],
        pretrained=["results/world/pretraining.jsonl"] if PRETRAINED else [],
        benchmarks=HELD_OUT,
        test="results/data/test.jsonl",
        code=code("data", "data/gate_data"),
    output:
        verdict="results/gates/data/verdict.json",
    log:
        "logs/gate_data.log",
    threads: 1
    resources:
        mem_mb=2000,
    params:
        **step(**config["decontaminate"]),
    message:
        "Check that nothing is trained on that is evaluated"
    shell:
        RUN


rule report_curation:
    input:
        read=parts("read.json"),
        filtered=parts("filter.json"),
        scored=parts("score.json") if config["score"] else [],
        deduplicated="results/reports/deduplicate.json",
        decontaminated="results/reports/decontaminate.json",
        balanced="results/reports/balance.json",
        split="results/reports/split.json",
        rejected=[
            *parts("records.rejected.jsonl"),
            *parts("filtered.rejected.jsonl"),
            *(parts("scored.rejected.jsonl") if config["score"] else []),
            "results/data/deduplicated.rejected.jsonl",
            "results/data/clean.rejected.jsonl",
            "results/data/balanced.rejected.jsonl",
        ],
        records="results/data/balanced.jsonl",
        template=templates("curation")[0],
        code=code("data", "data/report_curation") + templates("curation", "browser", "style"),
    output:
        page="results/curation.html",
        report="results/reports/curation.json",
    log:
        "logs/report_curation.log",
    threads: 1
    resources:
        mem_mb=2000,
    params:
        **step(
            appeals=config["filter"]["appeals"],
            licences={
                source["name"]: source["licence"] for source in config["sources"]
            },
        ),
    message:
        "Report what happened to the records"
    shell:
        RUN
