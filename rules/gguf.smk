"""GGUF: convert the last checkpoint of the chain to files that llama.cpp runs, and pack them for sending.

Inputs:   the last checkpoint of the chain, results/data/train.jsonl
Outputs:  results/gguf/{quant}.gguf        a file for each type of `gguf.types`; a mix such as MIX_2_25 is a type, too
          results/packed/{quant}.gguf.zst  the packed file; it contains the size and the digest of its content
          results/types/{source}/{quant}.gguf  the same of other models of the chain, for who asks for them
          results/types/distil/{quant}.gguf    the same of the last model before compression, trained for the type
"""

from ingot.quantities import bits_of

SERVED = f"results/gguf/{BUILD.served}.gguf"


wildcard_constraints:
    quant="[A-Z0-9_]+",
    source="|".join([*CHAIN.models, *BUILD.prunings, "distil"]),


rule convert:
    input:
        model=CHAIN.last_checkpoint,
        gate=BUILD.gates_before("convert"),
        code=code("gguf", "gguf/convert", CONVERTER, PROBE),
    output:
        gguf="results/gguf/F16.gguf",
    log:
        "logs/convert.log",
    resources:
        mem_mb=LARGE,
    params:
        **step(name=f"ingot-{Path(SETTINGS.preset).stem}"),
    message:
        "Convert the last checkpoint to a 16-bit GGUF file"
    shell:
        RUN


if BUILD.has_importance:

    rule importance:
        input:
            model=CHAIN.last_checkpoint,
            train="results/data/train.jsonl",
            code=code("gguf", "gguf/importance"),
        output:
            matrix="results/gguf/importance.safetensors",
        log:
            "logs/importance.log",
        resources:
            **gpu(),
        params:
            **step(settings=SETTINGS.importance, threads=1),
        message:
            "Measure the importance matrix"
        shell:
            RUN

    rule sensitivity:
        input:
            model=CHAIN.last_checkpoint,
            gguf="results/gguf/F16.gguf",
            train="results/data/train.jsonl",
            matrix="results/gguf/importance.safetensors",
            code=code("gguf", "gguf/sensitivity"),
        output:
            report="results/gguf/sensitivity.json",
        log:
            "logs/sensitivity.log",
        priority: LONG_WAY
        threads: SETTINGS.threads
        resources:
            **gpu(),
        params:
            **step(settings=SETTINGS.sensitivity, threads=SETTINGS.threads),
        message:
            "Measure what each matrix loses in fewer bits"
        shell:
            RUN


def if_mixed(path):
    """Make the input function of a file that only mixes of types need."""
    return lambda wildcards: (
        [path.format(**dict(wildcards.items()))] if bits_of(wildcards.quant) else []
    )


if "distil" in CHAIN:

    # The file of that type is what was trained.
    ruleorder: take_distilled > convert > quantize

else:

    ruleorder: convert > quantize


rule quantize:
    input:
        gguf="results/gguf/F16.gguf",
        matrix=["results/gguf/importance.safetensors"] if BUILD.has_importance else [],
        sensitivity=if_mixed("results/gguf/sensitivity.json"),
        code=code("gguf", "gguf/quantize"),
    output:
        quantized="results/gguf/{quant}.gguf",
    log:
        "logs/quantize_{quant}.log",
    resources:
        mem_mb=LARGE,
    params:
        **step(quant=wildcard("quant"), threads=SETTINGS.threads),
    message:
        "Quantise the GGUF file to {wildcards.quant}"
    shell:
        RUN


rule pack:
    input:
        model="results/gguf/{quant}.gguf",
        gate=lambda wildcards: [
            f"results/gates/{model}.json"
            for model in BUILD.gated
            if model == wildcards.quant
        ],
        code=code("gguf", "gguf/pack"),
    output:
        packed="results/packed/{quant}.gguf.zst",
        report="results/reports/pack_{quant}.json",
    log:
        "logs/pack_{quant}.log",
    resources:
        mem_mb=2000,
    params:
        **step(settings=SETTINGS.pack, threads=SETTINGS.threads),
    message:
        "Pack {wildcards.quant}"
    shell:
        RUN


use rule convert as convert_model with:
    input:
        model=lambda wildcards: BUILD.weights_of(wildcards.source),
        code=code("gguf", "gguf/convert", CONVERTER, PROBE),
    output:
        gguf="results/types/{source}/F16.gguf",
    log:
        "logs/convert_model_{source}.log",
    message:
        "Convert {wildcards.source} to a 16-bit GGUF file"


MATRIX_OF_MODEL = "results/types/{source}/importance.safetensors"

if BUILD.has_importance:

    use rule importance as importance_of_model with:
        input:
            model=lambda wildcards: BUILD.weights_of(wildcards.source),
            train="results/data/train.jsonl",
            code=code("gguf", "gguf/importance"),
        output:
            matrix=MATRIX_OF_MODEL,
        log:
            "logs/importance_of_model_{source}.log",
        message:
            "Measure the importance matrix of {wildcards.source}"

    use rule sensitivity as sensitivity_of_model with:
        input:
            model=lambda wildcards: BUILD.weights_of(wildcards.source),
            gguf="results/types/{source}/F16.gguf",
            train="results/data/train.jsonl",
            matrix=MATRIX_OF_MODEL,
            code=code("gguf", "gguf/sensitivity"),
        output:
            report="results/types/{source}/sensitivity.json",
        log:
            "logs/sensitivity_of_model_{source}.log",
        message:
            "Measure what each matrix of {wildcards.source} loses in fewer bits"


ruleorder: convert_model > quantize_model


use rule quantize as quantize_model with:
    input:
        gguf="results/types/{source}/F16.gguf",
        matrix=[MATRIX_OF_MODEL] if BUILD.has_importance else [],
        sensitivity=if_mixed("results/types/{source}/sensitivity.json"),
        code=code("gguf", "gguf/quantize"),
    output:
        quantized="results/types/{source}/{quant}.gguf",
    log:
        "logs/quantize_model_{source}_{quant}.log",
    message:
        "Quantise {wildcards.source} to {wildcards.quant}"


if BUILD.has_data and BUILD.types:
    BEFORE = CHAIN.uncompressed

    ruleorder: distil > convert_model > quantize_model

    # The same job for a search and for a chain, so that what a search has trained is there for the build.
    rule distil:
        input:
            model=CHAIN.weights_of(BEFORE),
            train="results/data/train.jsonl",
            gguf=f"results/types/{BEFORE}/F16.gguf",
            start=f"results/types/{BEFORE}/{{quant}}.gguf",
            matrix=(
                [MATRIX_OF_MODEL.format(source=BEFORE)] if BUILD.has_importance else []
            ),
            gate=BUILD.gates_up_to(BEFORE),
            code=code("gguf", "compress/distil"),
        output:
            distilled=directory("results/types/distil/{quant}"),
            quantized="results/types/distil/{quant}.gguf",
            report="results/types/distil/{quant}.json",
        log:
            "logs/distil_{quant}.log",
        priority: LONG_WAY
        threads: SETTINGS.threads
        resources:
            **gpu(),
        params:
            **step(
                training=SETTINGS.distil.training,
                difficulties=SETTINGS.adapt.difficulties,
                dtype=SETTINGS.merge.dtype,
                **SHARED,
            ),
        message:
            f"Train {BEFORE} for {{wildcards.quant}}"
        shell:
            RUN


if "distil" in CHAIN:

    rule take_distilled:
        input:
            checkpoint=f"results/types/distil/{SETTINGS.distil.type}",
            gguf=f"results/types/distil/{SETTINGS.distil.type}.gguf",
            losses=f"results/types/distil/{SETTINGS.distil.type}.json",
            code=code("data", "compress/take_distilled"),
        output:
            distilled=directory("results/distilled"),
            quantized=f"results/gguf/{SETTINGS.distil.type}.gguf",
            report="results/reports/distil.json",
        log:
            "logs/take_distilled.log",
        params:
            **step(),
        message:
            f"Take what was trained for {SETTINGS.distil.type}"
        shell:
            RUN
