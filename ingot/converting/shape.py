"""What the shape of a model rules out, by its config.json alone: said before anything long starts."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingot.quantities import bits_of
from ingot.settings.gguf import Quant

AWQ_GROUPS = (128, 64, 32)
"""How many weights of a row may share a scale, the smallest files first."""
BLOCKS = {"F16": 1, "Q8_0": 32, "Q5_0": 32, "Q4_0": 32, "IQ4_NL": 32}
"""Weights of a row that a GGUF type stores together. All other types store 256."""
LARGE_BLOCK = 256
POSITIONAL = ("gemma2", "gemma3", "gemma3_text", "smollm3")
"""Models of whose blocks llama.cpp knows by their places which attend locally, or without positions."""
TRANSPOSED = ("gpt2",)
"""Models that store their matrices as [inputs, outputs]. llm-compressor's masks and groups go along the wrong side."""


@dataclass(frozen=True)
class Shape:
    """The widths of a model that matter to compression: how many inputs its matrices have."""

    architecture: str
    model_type: str
    inputs: dict[str, int]
    """{what it is called: inputs of the matrices of a block}."""
    context: int | None


def shape_of(config: dict[str, Any]) -> Shape:
    """Read the shape from the content of a config.json. KeyError if it says too little."""
    inner = config.get("text_config") or config
    hidden = inner.get("hidden_size") or inner["n_embd"]
    heads = inner.get("num_attention_heads") or inner["n_head"]
    head = inner.get("head_dim") or hidden // heads
    feed_forward = inner.get("intermediate_size") or inner.get("n_inner") or 4 * hidden
    context = inner.get("max_position_embeddings") or inner.get("n_positions")
    inputs = {"hidden_size": int(hidden), "attention heads x head_dim": int(heads * head)}
    # Some models have blocks of several widths.
    widths = sorted(set(feed_forward)) if isinstance(feed_forward, list) else [feed_forward]
    inputs |= {"intermediate_size" + ("" if len(widths) == 1 else f" {i}"): int(w) for i, w in enumerate(widths)}
    name = (config.get("architectures") or ["unknown"])[0]
    return Shape(name, str(config.get("model_type")), inputs, context)


def fitting_groups(inputs: dict[str, int]) -> list[int]:
    """List the groups of AWQ that divide all inputs of a model, the largest first."""
    return [group for group in AWQ_GROUPS if all(width % group == 0 for width in inputs.values())]


def group_problem(inputs: dict[str, int], wanted: str | int) -> str:
    """Say why weights cannot be grouped so; "" if they can."""
    fitting = fitting_groups(inputs)
    if fitting and wanted in ("auto", *fitting):
        return ""
    least = AWQ_GROUPS[-1] if wanted == "auto" else int(wanted)
    odd = next(f"{name} is {width}" for name, width in inputs.items() if width % least)
    instead = f"use {' or '.join(map(str, fitting))}, or " if fitting else ""
    return (
        f"quantize_awq.group: {wanted} does not divide every width of the model ({odd}); {instead}leave `quantize_awq`"
        " out of the chain"
    )


def problems(
    shape: Shape, chain: list[str], types: list[Quant], group: str | int, pruned: dict[str, str], context: int
) -> list[str]:
    """List what the settings ask for and this shape does not allow, in a line each, with what to do.

    `pruned` has the structures of pruning by their keys in the settings.
    """
    lines = []
    compressing = [step for step in chain if step in ("prune", "recover", "quantize_awq", "distil")]
    if shape.model_type in TRANSPOSED and compressing:
        lines.append(
            f"chain: {', '.join(f'`{step}`' for step in compressing)} cannot treat a {shape.model_type}, whose matrices"
            " are stored transposed; leave them out"
        )
        compressing = []
    if shape.model_type in TRANSPOSED and (mixes := [quant for quant in types if bits_of(quant)]):
        lines.append(
            f"gguf.types: what {', '.join(mixes)} would lose cannot be measured on a {shape.model_type}, whose"
            " matrices are stored transposed; take types of llama.cpp"
        )
    if "quantize_awq" in compressing and (line := group_problem(shape.inputs, group)):
        lines.append(line)
    for key, structure in pruned.items():
        lines += pruning_problems(shape, key, structure, bool(types))
    if shape.context and context > shape.context:
        lines.append(f"context: {context} is more than the {shape.context} tokens of the model; lower it")
    return lines


def pruning_problems(shape: Shape, key: str, structure: str, as_gguf: bool) -> Iterator[str]:
    """Say why a model of this shape cannot be pruned to a structure, which the settings ask for at `key`."""
    kind = shape.model_type
    if kind in TRANSPOSED:
        if key != "prune":  # of the chain it is said already
            yield f"{key}: a {kind}, whose matrices are stored transposed, cannot be pruned; leave it out"
    elif structure == "2:4":
        for name, width in shape.inputs.items():
            if width % 4:
                yield f'{key}.structure: "2:4" needs multiples of 4, and {name} is {width}; set it to unstructured'
    elif structure == "blocks" and as_gguf and kind in POSITIONAL:
        yield (
            f"{key}.structure: llama.cpp takes the kind of a block of a {kind} from its place, so none can be dropped;"
            f" {'set it to unstructured, or `gguf: null`' if key == 'prune' else 'leave it out'}"
        )


def unknown_to_llama_cpp(architecture: str, sources: Path) -> str:
    """Say that the converter of llama.cpp does not know an architecture; "" if it does, or is not there to be asked."""
    files = [*sources.glob("conversion/*.py")]
    if not files or any(f'"{architecture}"' in path.read_text(encoding="utf-8") for path in files):
        return ""
    return f"gguf: llama.cpp knows no {architecture}; set `gguf: null`, or take another base"


def fallbacks(shape: Shape, types: list[Quant]) -> list[str]:
    """List the GGUF types that cannot take rows of these widths, and what llama.cpp does then."""
    odd = [f"{name} is {width}" for name, width in shape.inputs.items() if width % LARGE_BLOCK]
    # A mix takes the bits of its name: it is chosen among the types that the widths allow.
    concerned = [quant for quant in types if not bits_of(quant) and BLOCKS.get(quant, LARGE_BLOCK) == LARGE_BLOCK]
    if not odd or not concerned:
        return []
    return [
        f"{', '.join(concerned)}: {odd[0]}, no multiple of {LARGE_BLOCK}. llama.cpp stores such matrices in a type with"
        " blocks of 32 (IQ4_NL, Q5_0, Q8_0), so these files become larger than their names say"
    ]
