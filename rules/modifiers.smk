"""Modifiers: train a LoRA adapter for each domain, on what the served model still gets wrong there.

Inputs:   the served GGUF file, the last checkpoint of the chain, results/data/{train,valid}.jsonl
Outputs:  results/modifiers/{domain}/questions.jsonl   training prompts for the served model
          results/modifiers/{domain}/answers.jsonl     its answers
          results/modifiers/{domain}/failures.jsonl    the records that it fails
          results/modifiers/{domain}/solved.jsonl      the records that it solves
          results/modifiers/{domain}/clustered.jsonl   the failures, with the numbers of their clusters
          results/modifiers/{domain}/taught.jsonl      the failures with right answers, and records for rehearsal
          results/modifiers/{domain}/adapter/          the adapter over the last checkpoint
          results/modifiers/{domain}/lora.gguf         the same for the served model
          results/modifiers/{domain}/lora.gguf.zst     the same, packed
"""

from ingot.settings.modifiers import LocalTeacher, PaidTeacher


wildcard_constraints:
    domain="[a-z_]+",


if BUILD.domains:

    MODIFIERS = SETTINGS.modifiers
    CLUSTER, TEACH = MODIFIERS.cluster, MODIFIERS.teach
    LOCAL_TEACHERS = [
        tier.checkpoint for tier in TEACH.tiers if isinstance(tier, LocalTeacher)
    ]
    # Jobs that ask endpoints share a budget, so only one of them runs at a time.
    ASKS_ENDPOINT = any(isinstance(tier, PaidTeacher) for tier in TEACH.tiers)

    use rule choose_questions as choose_questions_of_domain with:
        input:
            train="results/data/train.jsonl",
            earlier=[],
            code=code("data", "adapter/choose_questions"),
        output:
            questions="results/modifiers/{domain}/questions.jsonl",
        log:
            "logs/choose_questions_{domain}.log",
        params:
            **step(
                domains=lambda wildcards: [wildcards.domain],
                difficulties=[],
                most_asked=MODIFIERS.collect_failures.most_asked,
                turn="1",
                consistency=None,
                judged=[],
            ),
        message:
            "Choose the questions for the served model in {wildcards.domain}"

    rule ask_gguf:
        input:
            model=SERVED,
            lora=[],
            tokenizer=BUILD.tokenizer,
            questions="results/modifiers/{domain}/questions.jsonl",
            gate=[
                f"results/gates/{model}.json"
                for model in BUILD.gated
                if model == BUILD.served
            ],
            code=code("serve", "modifiers/ask_gguf"),
        output:
            answers="results/modifiers/{domain}/answers.jsonl",
        log:
            "logs/ask_gguf_{domain}.log",
        priority: LONG_WAY
        resources:
            mem_mb=LARGE,
        params:
            **step(
                longest=SETTINGS.measure.longest,
                context=SETTINGS.context,
                threads=1,
            ),
        message:
            "Ask the served model the questions in {wildcards.domain}"
        shell:
            RUN

    use rule collect_failures as collect_failures_of_domain with:
        input:
            questions="results/modifiers/{domain}/questions.jsonl",
            answers="results/modifiers/{domain}/answers.jsonl",
            code=code("data", "adapter/collect_failures"),
        output:
            failures="results/modifiers/{domain}/failures.jsonl",
            solved="results/modifiers/{domain}/solved.jsonl",
            open_answers="results/modifiers/{domain}/open.jsonl",
            report="results/reports/collect_failures_{domain}.json",
        log:
            "logs/collect_failures_{domain}.log",
        priority: LONG_WAY
        params:
            **step(
                model=BUILD.served,
                consistency=None,
                judged=[],
                least_failures=MODIFIERS.collect_failures.least_failures,
            ),
        message:
            "Collect the failures of the served model in {wildcards.domain}"

    rule cluster:
        input:
            failures="results/modifiers/{domain}/failures.jsonl",
            encoder=[] if CLUSTER.embedding == "tfidf" else [CLUSTER.embedding],
            code=code("ml", "modifiers/cluster"),
        output:
            clustered="results/modifiers/{domain}/clustered.jsonl",
            report="results/reports/cluster_{domain}.json",
        log:
            "logs/cluster_{domain}.log",
        priority: LONG_WAY
        resources:
            mem_mb=2000,
        params:
            **step(domain=wildcard("domain"), settings=CLUSTER, seed=SETTINGS.seed),
        message:
            "Cluster the failures in {wildcards.domain}"
        shell:
            RUN

    rule teach:
        input:
            clustered="results/modifiers/{domain}/clustered.jsonl",
            solved="results/modifiers/{domain}/solved.jsonl",
            models=LOCAL_TEACHERS,
            code=code("ml", "modifiers/teach"),
        output:
            taught="results/modifiers/{domain}/taught.jsonl",
            report="results/reports/teach_{domain}.json",
        log:
            "logs/teach_{domain}.log",
        priority: LONG_WAY
        resources:
            **(gpu() if LOCAL_TEACHERS else {"mem_mb": 2000}),
            judges=int(ASKS_ENDPOINT),
        params:
            **step(
                domain=wildcard("domain"),
                settings=TEACH,
                batch=SETTINGS.measure.batch,
                longest=SETTINGS.measure.longest,
                remembered=REMEMBERED,
                network=ASKS_ENDPOINT,
                seed=SETTINGS.seed,
                threads=1,
            ),
        message:
            "Get right answers to the failures in {wildcards.domain}"
        shell:
            RUN

    rule train_modifier:
        input:
            model=CHAIN.last_checkpoint,
            taught="results/modifiers/{domain}/taught.jsonl",
            valid="results/data/valid.jsonl",
            code=code("ml", "modifiers/train_modifier"),
        output:
            adapter=directory("results/modifiers/{domain}/adapter"),
            report="results/reports/train_modifier_{domain}.json",
        log:
            "logs/train_modifier_{domain}.log",
        priority: LONG_WAY
        threads: MODIFIERS.threads
        resources:
            **gpu(),
        params:
            **step(
                domain=wildcard("domain"),
                training=MODIFIERS.training,
                curves=lambda wildcards: f"logs/tensorboard/{wildcards.domain}",
                seed=SETTINGS.seed,
                threads=MODIFIERS.threads,
            ),
        message:
            "Train the modifier {wildcards.domain}"
        shell:
            RUN

    rule convert_modifier:
        input:
            adapter="results/modifiers/{domain}/adapter",
            model=CHAIN.last_checkpoint,
            gguf=SERVED,
            valid="results/data/valid.jsonl",
            code=code("gguf", "modifiers/convert_modifier", CONVERTER),
        output:
            lora="results/modifiers/{domain}/lora.gguf",
            report="results/reports/convert_modifier_{domain}.json",
        log:
            "logs/convert_modifier_{domain}.log",
        priority: LONG_WAY
        resources:
            mem_mb=LARGE,
        params:
            **step(
                domain=wildcard("domain"),
                settings=MODIFIERS.convert,
                longest=SETTINGS.measure.longest,
                context=SETTINGS.context,
                threads=1,
            ),
        message:
            "Convert the modifier {wildcards.domain} to GGUF"
        shell:
            RUN

    use rule pack as pack_modifier with:
        input:
            model="results/modifiers/{domain}/lora.gguf",
            code=code("gguf", "gguf/pack"),
        output:
            packed="results/modifiers/{domain}/lora.gguf.zst",
            report="results/reports/pack_modifier_{domain}.json",
        log:
            "logs/pack_modifier_{domain}.log",
        message:
            "Pack the modifier {wildcards.domain}"
