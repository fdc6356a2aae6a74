"""Compress: prune a model, train it to win back what that lost, and quantise it to 4 bit with AWQ.

Inputs:   the checkpoint before in the chain, results/data/train.jsonl
Outputs:  results/pruned/     the pruned checkpoint
          results/recovered/  the pruned checkpoint after more training, with its zeros
          results/awq/        the packed 4-bit checkpoint
          results/scaled/     the weights that were rounded to it; GGUF files are made from them
"""

if "prune" in CHAIN:

    rule prune:
        input:
            model=CHAIN.inputs["prune"],
            train="results/data/train.jsonl",
            gate=BUILD.gates_before("prune"),
            code=chain_code("compress", "prune"),
        output:
            pruned=directory("results/pruned"),
            report="results/reports/prune.json",
        log:
            "logs/prune.log",
        priority: LONG_WAY
        threads: SETTINGS.threads
        resources:
            **gpu(),
        params:
            **step(settings=SETTINGS.prune, threads=SETTINGS.threads),
        message:
            f"Prune ({BUILD.pruned_how})"
        shell:
            RUN


if "recover" in CHAIN:

    rule recover:
        input:
            model=CHAIN.inputs["recover"],
            train="results/data/train.jsonl",
            gate=BUILD.gates_before("recover"),
            code=chain_code("compress", "recover"),
        output:
            recovered=directory("results/recovered"),
            report="results/reports/recover.json",
        log:
            "logs/recover.log",
        priority: LONG_WAY
        threads: SETTINGS.threads
        resources:
            **gpu(),
        params:
            **step(
                training=SETTINGS.recover.training,
                gradual=SETTINGS.recover.gradual,
                difficulties=SETTINGS.adapt.difficulties,
                dtype=SETTINGS.merge.dtype,
                **SHARED,
            ),
        message:
            "Train the pruned model further, and keep its zeros"
        shell:
            RUN


if "quantize_awq" in CHAIN:

    rule quantize_awq:
        input:
            model=CHAIN.inputs["quantize_awq"],
            train="results/data/train.jsonl",
            gate=BUILD.gates_before("quantize_awq"),
            code=chain_code("compress", "quantize_awq"),
        output:
            packed=directory("results/awq"),
            scaled=directory("results/scaled"),
            report="results/reports/quantize_awq.json",
        log:
            "logs/quantize_awq.log",
        priority: LONG_WAY
        threads: SETTINGS.threads
        resources:
            **gpu(),
        params:
            **step(
                scheme=SETTINGS.quantize_awq.scheme,
                group=SETTINGS.quantize_awq.group,
                calibration=SETTINGS.quantize_awq.calibration,
                dtype=SETTINGS.merge.dtype,
                threads=SETTINGS.threads,
            ),
        message:
            f"Quantise to 4 bit with AWQ ({SETTINGS.quantize_awq.backend})"
        shell:
            RUN
