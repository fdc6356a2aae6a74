"""Data: from source files to what is learned from, and what is measured with.

With `sources: []` there is no data stage: only the benchmarks and the suites are read, where some are named.

Inputs:   the files of `sources`, `benchmarks` and `ask_suite.suites`; the tokenizer of the base
Outputs:  results/data/{train,valid,routing,test}.jsonl   records to learn from, to choose by, to route by, to measure with
          results/data/benchmark.jsonl                    the benchmark items
          results/suites/{suite}.jsonl                    the items of a suite
          results/data/parts/{source}/{part}/             parts of the sources, read, filtered, scored, signed side by side
          results/**/*.rejected.jsonl                     dropped records, with the step, the reason and the evidence
          results/gates/data/verdict.json                 there only if nothing is trained on that is measured with
          results/curation.html                           what happened to the records
"""

from ingot.workflow.build import task_file

PART = "results/data/parts/{source}/{part}"
# The last file of a part.
CURATED = "scored" if SETTINGS.score else "filtered"
try:
    TASKS = {
        name: os.path.relpath(task_file(suite, ROOT))
        for name, suite in BUILD.suites.items()
    }
except InputError as error:
    raise WorkflowError(str(error))


def of_source(name):
    """Return a value of a step that is a setting of the source that the job is about."""
    return lambda wildcards: getattr(
        BUILD.parts[wildcards.source, wildcards.part].source, name
    )


def of_parts(name):
    """Return the file `name` of every part of the sources."""
    return [
        f"results/data/parts/{source}/{part}/{name}" for source, part in BUILD.parts
    ]


def file_of_suite(key):
    """Return the input function of a file that a suite may name: a list of it, or of none."""
    return lambda wildcards: [
        path for path in [getattr(BUILD.suites[wildcards.suite], key)] if path
    ]


wildcard_constraints:
    source="[a-z][a-z0-9_]*",
    part="[A-Za-z0-9_]+",


rule fetch_source:
    input:
        code=code("data", "data/fetch_source"),
    output:
        file="results/hub/{source}/{file}",
    log:
        "logs/fetch_source_{source}_{file}.log",
    params:
        **step(
            network=True,
            kept_here=["file"],
            hub=lambda wildcards: next(
                source.hub
                for source in SETTINGS.sources
                if source.name == wildcards.source
            ),
        ),
    message:
        "Fetch {wildcards.file} of {wildcards.source} from the hub"
    shell:
        RUN


rule read:
    input:
        source=lambda wildcards: literal(
            BUILD.parts[wildcards.source, wildcards.part].file
        ),
        answers=lambda wildcards: [
            literal(path)
            for path in [BUILD.parts[wildcards.source, wildcards.part].source.answers]
            if path
        ],
        code=code("data", "data/read"),
    output:
        records=f"{PART}/records.jsonl",
        rejected=f"{PART}/records.rejected.jsonl",
        report=f"{PART}/read.json",
    log:
        "logs/read_{source}_{part}.log",
    params:
        # Not the whole source: nothing is read again because of another `weight`. Nobody has looked for secrets in the
        # records yet.
        **step(
            kept_here=["records"],
            settings=SETTINGS.read,
            region=SETTINGS.filter.personal.region,
            format=of_source("format"),
            shape=of_source("shape"),
            sample=of_source("sample"),
            labels=lambda wildcards: {
                "source": wildcards.source,
                **{
                    name: of_source(name)(wildcards)
                    for name in ("domain", "difficulty", "licence", "checker")
                },
            },
            part=lambda wildcards: {
                "place": BUILD.parts[wildcards.source, wildcards.part].place,
                "of": of_source("parts")(wildcards),
            },
        ),
    message:
        "Read {wildcards.source} ({wildcards.part}) into records of one shape"
    shell:
        RUN


if SETTINGS.benchmarks:

    rule read_benchmarks:
        input:
            # Not as a list, in which Snakemake would take {braces} of a name for wildcards.
            files=lambda wildcards: list(map(literal, SETTINGS.benchmarks)),
            code=code("data", "data/read_benchmarks"),
        output:
            benchmark="results/data/benchmark.jsonl",
            report="results/reports/read_benchmarks.json",
        log:
            "logs/read_benchmarks.log",
        resources:
            mem_mb=2000,
        params:
            **step(settings=SETTINGS.read),
        message:
            "Read the benchmark items"
        shell:
            RUN


if BUILD.suites:

    rule read_suite:
        input:
            data=lambda wildcards: BUILD.suites[wildcards.suite].data,
            answers=file_of_suite("answers"),
            examples=file_of_suite("examples"),
            task=lambda wildcards: TASKS[wildcards.suite],
            code=code("data", "data/read_suite"),
        output:
            questions="results/suites/{suite}.jsonl",
            report="results/reports/read_suite_{suite}.json",
        log:
            "logs/read_suite_{suite}.log",
        wildcard_constraints:
            suite="|".join(BUILD.suites),
        params:
            **step(
                settings=SETTINGS.read,
                suite=lambda wildcards: BUILD.suites[wildcards.suite],
            ),
        message:
            "Read the suite {wildcards.suite}"
        shell:
            RUN


rule filter:
    input:
        records=f"{PART}/records.jsonl",
        tokenizer=BUILD.tokenizer_of_data,
        gate=BUILD.base_gate,
        code=code("data", "data/filter"),
    output:
        kept=f"{PART}/filtered.jsonl",
        rejected=f"{PART}/filtered.rejected.jsonl",
        report=f"{PART}/filter.json",
    log:
        "logs/filter_{source}_{part}.log",
    params:
        **step(settings=SETTINGS.filter),
    message:
        "Filter {wildcards.source} ({wildcards.part})"
    shell:
        RUN


if SETTINGS.score:

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
        resources:
            judges=1,
        params:
            **step(
                settings=SETTINGS.score,
                judge=SETTINGS.judge,
                appeals=SETTINGS.filter.appeals,
                remembered=REMEMBERED,
                network=True,
            ),
        message:
            f"Score {{wildcards.source}} ({{wildcards.part}}) by {SETTINGS.judge.model}"
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
    params:
        **step(settings=SETTINGS.sign),
    message:
        "Sign {wildcards.source} ({wildcards.part})"
    shell:
        RUN


# Without sources there are no parts to join, and nothing below can be made.
if BUILD.has_data:

    rule deduplicate:
        input:
            records=of_parts(f"{CURATED}.jsonl"),
            signed=of_parts("signatures.safetensors"),
            code=code("data", "data/deduplicate"),
        output:
            kept="results/data/deduplicated.jsonl",
            rejected="results/data/deduplicated.rejected.jsonl",
            report="results/reports/deduplicate.json",
        log:
            "logs/deduplicate.log",
        resources:
            mem_mb=4000,
        params:
            # Not all of `sign`: with another `recall`, the same signatures are as good.
            **step(
                settings=SETTINGS.deduplicate,
                shingles=SETTINGS.sign.shingles,
                threshold=SETTINGS.sign.threshold,
            ),
        message:
            "Keep one of every group of duplicates"
        shell:
            RUN


rule decontaminate:
    input:
        records="results/data/deduplicated.jsonl",
        benchmarks=BUILD.held_out,
        code=code("data", "data/decontaminate"),
    output:
        kept="results/data/clean.jsonl",
        rejected="results/data/clean.rejected.jsonl",
        report="results/reports/decontaminate.json",
    log:
        "logs/decontaminate.log",
    resources:
        mem_mb=2000,
    params:
        **step(settings=SETTINGS.decontaminate),
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
    resources:
        mem_mb=2000,
    params:
        **step(
            settings=SETTINGS.balance,
            weights={source.name: source.weight for source in SETTINGS.sources},
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
    resources:
        mem_mb=2000,
    params:
        **step(
            settings=SETTINGS.split,
            domains=BUILD.domains,
            least_failures=(
                SETTINGS.modifiers.collect_failures.least_failures
                if SETTINGS.modifiers
                else 0
            ),
            router=BUILD.has_router,
        ),
    message:
        "Split the records by the hash of their prompt"
    shell:
        RUN


rule gate_data:
    input:
        trained=[f"results/data/{side}.jsonl" for side in ("train", "valid", "routing")],
        pretrained=["results/world/pretraining.jsonl"] if BUILD.pretrained else [],
        benchmarks=BUILD.held_out,
        test="results/data/test.jsonl",
        benchmark=BUILD.benchmark,
        code=code("data", "data/gate_data"),
    output:
        verdict="results/gates/data/verdict.json",
    log:
        "logs/gate_data.log",
    resources:
        mem_mb=2000,
    params:
        **step(
            settings=SETTINGS.decontaminate,
            # Without a router, modifiers are not asked the benchmark.
            domains=BUILD.domains if BUILD.has_router else [],
            right_answers=any(
                BUILD.limits_of(model).counts_right_answers for model in BUILD.gated
            ),
            open_answers=any(
                BUILD.limits_of(model).counts_open_answers for model in BUILD.gated
            ),
        ),
    message:
        "Check that nothing is trained on that is measured with"
    shell:
        RUN


rule report_curation:
    input:
        read=of_parts("read.json"),
        filtered=of_parts("filter.json"),
        scored=of_parts("score.json") if SETTINGS.score else [],
        deduplicated="results/reports/deduplicate.json",
        decontaminated="results/reports/decontaminate.json",
        balanced="results/reports/balance.json",
        split="results/reports/split.json",
        rejected=[
            *of_parts("records.rejected.jsonl"),
            *of_parts("filtered.rejected.jsonl"),
            *(of_parts("scored.rejected.jsonl") if SETTINGS.score else []),
            "results/data/deduplicated.rejected.jsonl",
            "results/data/clean.rejected.jsonl",
            "results/data/balanced.rejected.jsonl",
        ],
        records="results/data/balanced.jsonl",
        code=page(
            "data",
            "data/report_curation",
            "curation.html",
            "browser.html",
            "style.html",
        ),
    output:
        page=report("results/curation.html", category="Curation"),
        report="results/reports/curation.json",
    log:
        "logs/report_curation.log",
    resources:
        mem_mb=2000,
    params:
        **step(
            appeals=SETTINGS.filter.appeals,
            licences={source.name: source.licence for source in SETTINGS.sources},
        ),
    message:
        "Report what happened to the records"
    shell:
        RUN
