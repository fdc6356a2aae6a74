"""Data: from source files to what is learned from and what is measured with.

Inputs:   the files of `sources` and `benchmarks`; the tokenizer of the base
Outputs:  results/data/{train,valid,routing,test}.jsonl
          results/data/*.rejected.jsonl, with the reason why each record was dropped
          results/world/: the tiny world, where `sources` or `benchmarks` name its files
"""


rule generate:
    input:
        code=code("data", "generate"),
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


rule read:
    input:
        sources=[source["path"] for source in config["sources"]],
        code=code("data", "read"),
    output:
        records="results/data/records.jsonl",
        rejected="results/data/records.rejected.jsonl",
        report="results/reports/read.json",
    log:
        "logs/read.log",
    threads: 1
    resources:
        mem_mb=2000,
    params:
        **step(
            **config["read"],
            defaults=[{"domain": source["domain"]} for source in config["sources"]],
        ),
    message:
        "Read the sources into records of one shape"
    shell:
        RUN


if config["benchmarks"]:

    rule read_benchmarks:
        input:
            files=config["benchmarks"],
            code=code("data", "read_benchmarks"),
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
        records="results/data/records.jsonl",
        tokenizer=TOKENIZER,
        code=code("data", "filter"),
    output:
        kept="results/data/filtered.jsonl",
        rejected="results/data/filtered.rejected.jsonl",
        report="results/reports/filter.json",
    log:
        "logs/filter.log",
    threads: 1
    resources:
        mem_mb=2000,
    params:
        **step(**config["filter"]),
    message:
        "Drop records of the wrong length or language, with personal data, or badly formed"
    shell:
        RUN


rule deduplicate:
    input:
        records="results/data/filtered.jsonl",
        code=code("data", "deduplicate"),
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
        **step(**config["deduplicate"]),
    message:
        "Drop exact and near duplicates"
    shell:
        RUN


rule decontaminate:
    input:
        records="results/data/deduplicated.jsonl",
        benchmarks=[BENCHMARK] if config["benchmarks"] else [],
        code=code("data", "decontaminate"),
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


rule split:
    input:
        records="results/data/clean.jsonl",
        code=code("data", "split"),
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
