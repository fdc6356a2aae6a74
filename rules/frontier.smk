"""Frontier: try GGUF types of several models of the chain, and choose the best base within `budget`.

Nothing of a plain build needs this. A candidate is a model of the chain in a GGUF type; or the model before compression,
trained for that type (`distil`), or pruned in a way of `frontier.prunings`. All are packed and compared with the model before compression, token by token.
Those that may be the best are asked the validation prompts. The one that is chosen is asked the benchmark, once.

Inputs:   the models of the chain, results/data/{train,valid}.jsonl, the benchmark
Outputs:  results/frontier/{source}/{quant}.json        what each takes, and how its predictions differ from those before
          results/frontier/{source}/{quant}.asked.json  whether it is asked, or why not
          results/frontier/{source}/{quant}.jsonl       its answers to the validation prompts
          results/types/{pruning}/pruned, recovered     the model before compression, pruned in that way, and recovered
          results/types/{pruning}/*.json                what these two steps report
          results/frontier/speed.json                   how fast those that were asked are
          results/frontier/frontier.{json,svg}          all of it, and what was chosen
          results/frontier/chosen.json                  only what was chosen
          results/frontier/confirmed.json               the chosen one on the benchmark
"""

if BUILD.candidates:
    BEFORE = CHAIN.uncompressed
    OF_CANDIDATE = "results/frontier/{source}/{quant}"
    CANDIDATES = [
        OF_CANDIDATE.format(source=source, quant=quant)
        for source, quant in BUILD.candidates
    ]
    MODELS = [
        f"results/types/{source}/{quant}.gguf" for source, quant in BUILD.candidates
    ]
    NAMES = [f"{source}-{quant}" for source, quant in BUILD.candidates]

    if BUILD.prunings:

        wildcard_constraints:
            pruning="|".join(BUILD.prunings),

        if BUILD.base_gate:

            use rule check_base as check_prunings with:
                output:
                    verdict="results/gates/base/prunings.json",
                log:
                    "logs/check_prunings.log",
                params:
                    **step(
                        chain=[],
                        group="auto",
                        pruned={
                            f"frontier.prunings.{name}": pruning.structure
                            for name, pruning in BUILD.prunings.items()
                        },
                        context=SETTINGS.context,
                        types=BUILD.types,
                        most_tokens=None,
                        probe_tokenizer=False,
                    ),
                message:
                    "Check that the shape of the base allows the ways to prune"

        rule prune_candidate:
            input:
                model=CHAIN.weights_of(BEFORE),
                train="results/data/train.jsonl",
                gate=BUILD.gates_up_to(BEFORE)
                + (["results/gates/base/prunings.json"] if BUILD.base_gate else []),
                code=code("ml", "compress/prune"),
            output:
                pruned=directory("results/types/{pruning}/pruned"),
                report="results/types/{pruning}/prune.json",
            log:
                "logs/prune_candidate_{pruning}.log",
            priority: LONG_WAY
            threads: SETTINGS.threads
            resources:
                **gpu(),
            params:
                **step(
                    settings=lambda wildcards: BUILD.prune_as(wildcards.pruning),
                    threads=SETTINGS.threads,
                ),
            message:
                f"Prune {BEFORE} as {{wildcards.pruning}}"
            shell:
                RUN

        rule recover_candidate:
            input:
                model="results/types/{pruning}/pruned",
                train="results/data/train.jsonl",
                code=code("ml", "compress/recover"),
            output:
                recovered=directory("results/types/{pruning}/recovered"),
                report="results/types/{pruning}/recover.json",
            log:
                "logs/recover_candidate_{pruning}.log",
            priority: LONG_WAY
            threads: SETTINGS.threads
            resources:
                **gpu(),
            params:
                **step(
                    training=SETTINGS.recover.training,
                    gradual=lambda wildcards: BUILD.prunings[
                        wildcards.pruning
                    ].gradual,
                    difficulties=SETTINGS.adapt.difficulties,
                    dtype=SETTINGS.merge.dtype,
                    **SHARED,
                ),
            message:
                "Train {wildcards.pruning} further, and keep its zeros"
            shell:
                RUN

    rule choose_validation:
        input:
            benchmark="results/data/valid.jsonl",
            code=code("data", "measure/choose_asked"),
        output:
            asked="results/frontier/questions.jsonl",
        log:
            "logs/choose_validation.log",
        params:
            **step(most=SETTINGS.frontier.questions, checked=True),
        message:
            "Choose the validation prompts that candidates are asked"
        shell:
            RUN

    use rule measure_gguf as measure_before with:
        input:
            model=f"results/types/{BEFORE}/F16.gguf",
            tokenizer=BUILD.tokenizer,
            texts="results/data/valid.jsonl",
            benchmark="results/frontier/questions.jsonl",
            code=code("gguf", "measure/measure_gguf"),
        output:
            report="results/frontier/before.json",
            logprobs="results/frontier/before.safetensors",
            answers="results/frontier/before.jsonl",
        log:
            "logs/measure_before.log",
        params:
            **step(
                name=BEFORE,
                settings=SETTINGS.measure,
                open_too=False,
                context=SETTINGS.context,
                threads=1,
            ),
        message:
            f"Measure {BEFORE}, which candidates are compared with"

    rule screen_candidate:
        input:
            model="results/types/{source}/{quant}.gguf",
            tokenizer=BUILD.tokenizer,
            texts="results/data/valid.jsonl",
            before="results/frontier/before.safetensors",
            code=code("serve", "frontier/screen_candidate"),
        output:
            report=f"{OF_CANDIDATE}.json",
        log:
            "logs/screen_candidate_{source}_{quant}.log",
        resources:
            mem_mb=LARGE,
        params:
            **step(
                fidelity_tokens=SETTINGS.measure.fidelity_tokens,
                level=SETTINGS.pack.level,
                context=SETTINGS.context,
                threads=1,
            ),
        message:
            f"Compare {{wildcards.source}} in {{wildcards.quant}} with {BEFORE}"
        shell:
            RUN

    rule rule_out:
        input:
            screened=[f"{candidate}.json" for candidate in CANDIDATES],
            code=code("data", "frontier/rule_out"),
        output:
            asked=f"{OF_CANDIDATE}.asked.json",
        log:
            "logs/rule_out_{source}_{quant}.log",
        params:
            **step(
                name=lambda wildcards: f"{wildcards.source}-{wildcards.quant}",
                names=NAMES,
                max_loss=SETTINGS.frontier.max_token_loss,
                budget=SETTINGS.budget,
            ),
        message:
            "Tell whether {wildcards.source} in {wildcards.quant} may be the best"
        shell:
            RUN

    rule ask_candidate:
        input:
            model="results/types/{source}/{quant}.gguf",
            tokenizer=BUILD.tokenizer,
            questions="results/frontier/questions.jsonl",
            asked=f"{OF_CANDIDATE}.asked.json",
            code=code("serve", "frontier/ask_candidate"),
        output:
            answers=f"{OF_CANDIDATE}.jsonl",
        log:
            "logs/ask_candidate_{source}_{quant}.log",
        resources:
            mem_mb=LARGE,
        params:
            **step(
                longest=SETTINGS.measure.longest, context=SETTINGS.context, threads=1
            ),
        message:
            "Ask {wildcards.source} in {wildcards.quant} the validation prompts"
        shell:
            RUN

    rule time_candidates:
        input:
            models=MODELS,
            asked=[f"{candidate}.asked.json" for candidate in CANDIDATES],
            before=f"results/types/{BEFORE}/F16.gguf",
            tokenizer=BUILD.tokenizer,
            questions="results/frontier/questions.jsonl",
            code=code("serve", "frontier/time_candidates"),
        output:
            report="results/frontier/speed.json",
        log:
            "logs/time_candidates.log",
        # Alone on this machine, or it would time what runs beside it.
        threads: lambda _: workflow.cores if workflow.local_exec else SETTINGS.threads
        resources:
            mem_mb=LARGE,
        params:
            **step(names=NAMES, context=SETTINGS.context, threads=SETTINGS.threads),
        message:
            "Time the candidates that were asked, one after the other"
        shell:
            RUN

    rule choose_candidate:
        input:
            screened=[f"{candidate}.json" for candidate in CANDIDATES],
            asked=[f"{candidate}.asked.json" for candidate in CANDIDATES],
            answers=[f"{candidate}.jsonl" for candidate in CANDIDATES],
            before="results/frontier/before.jsonl",
            sixteen_bits=f"results/types/{BEFORE}/F16.gguf",
            speed="results/frontier/speed.json",
            code=code("data", "frontier/choose_candidate"),
        output:
            table="results/frontier/frontier.json",
            chosen="results/frontier/chosen.json",
            plot=report("results/frontier/frontier.svg", category="Plots"),
        log:
            "logs/choose_candidate.log",
        params:
            **step(
                names=NAMES,
                compared_with=BEFORE,
                budget=SETTINGS.budget,
                prunings=BUILD.prunings,
                preset=Path(SETTINGS.preset).stem,
            ),
        message:
            "Choose within the budget, and draw the frontier"
        shell:
            RUN

    rule confirm_candidate:
        input:
            chosen="results/frontier/chosen.json",
            models=MODELS,
            tokenizer=BUILD.tokenizer,
            questions=BUILD.asked,
            before=f"results/answers/{BEFORE}/benchmark.jsonl",
            code=code("gguf", "frontier/confirm_candidate"),
        output:
            report="results/frontier/confirmed.json",
            answers="results/frontier/confirmed.jsonl",
        log:
            "logs/confirm_candidate.log",
        resources:
            mem_mb=LARGE,
        params:
            **step(
                names=NAMES,
                budget=SETTINGS.budget,
                longest=SETTINGS.measure.longest,
                context=SETTINGS.context,
                threads=SETTINGS.threads,
            ),
        message:
            "Ask the chosen candidate the benchmark"
        shell:
            RUN
