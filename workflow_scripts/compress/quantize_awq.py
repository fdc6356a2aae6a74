"""Quantise a model to 4 bit with AWQ, by llm-compressor. GGUF files are made from its scaled, unrounded weights."""

from pathlib import Path
from typing import Any

from ingot.io.records import read_records, write_json
from ingot.settings.training import Calibration
from ingot.text.tokenizer_files import copy_tokenizer
from ingot.training import sparsity
from ingot.training.oneshot import group_of, oneshot

# Only a quantised model has tensors whose names end with one of these.
QUANTISATION_SUFFIXES = ("_scale", "_zero_point", "_shape", "_g_idx")


def scaled_weights(model: Any, tied: bool, dtype: Any) -> dict[str, Any]:
    """Copy the weights after AWQ's scaling and before rounding, under the names that they have in the plain model."""
    skip = (*QUANTISATION_SUFFIXES, *(("lm_head.weight",) if tied else ()))
    weights = {name: weight for name, weight in model.state_dict().items() if not name.endswith(skip)}
    return {name: weight.detach().to("cpu", dtype, copy=True).contiguous() for name, weight in weights.items()}


def scheme_of(name: str, group: int) -> Any:
    """Return llm-compressor's scheme of this name, with another size of groups."""
    from compressed_tensors.quantization import preset_name_to_scheme

    scheme = preset_name_to_scheme(name, ["Linear"])
    scheme.weights.group_size = group
    return scheme


def quantize_awq(
    model: Path,
    train: Path,
    packed: Path,
    scaled: Path,
    report: Path,
    work: Path,
    *,
    scheme: str,
    group: str | int,
    calibration: Calibration,
    dtype: str,
    threads: int,
) -> None:
    """Write the packed 4-bit checkpoint, and the scaled weights that were rounded to it as an ordinary checkpoint.

    The method is AWQ (Lin et al. 2024). It multiplies the weights of each input by a constant, and divides by it in the
    layer before. So the scaled model computes the same as the model, and zeros stay zeros.
    A run that was killed goes on from what is in `work`.

    Raises RuntimeError if the scaled weights do not fit the model.
    """
    import torch
    from llmcompressor.modifiers.quantization import QuantizationModifier
    from llmcompressor.modifiers.transform.awq import AWQModifier
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(model)
    # In float32: the scaled weights are the ones that GGUF files are made from, and bfloat16 would round them first.
    network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    size, before = group_of(network, group), sparsity.shares(network)
    recipe: list[tuple[type, dict[str, Any]]] = [
        (AWQModifier, {"duo_scaling": "both"}),
        (QuantizationModifier, {"config_groups": {"weights": scheme_of(scheme, size)}, "ignore": ["lm_head"]}),
    ]
    oneshot(network, tokenizer, list(read_records(train)), recipe, calibration, work)
    with torch.device("meta"):  # without weights of its own
        plain = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model))
    weights = scaled_weights(network, bool(plain.config.tie_word_embeddings), getattr(torch, dtype))
    missing, unexpected = plain.load_state_dict(weights, strict=False, assign=True)
    if unexpected or [name for name in missing if name != "lm_head.weight"]:
        raise RuntimeError(f"the scaled weights do not fit the model: missing {missing}, unexpected {unexpected}")
    plain.tie_weights()
    plain.generation_config = network.generation_config
    plain.save_pretrained(scaled)
    network.to(torch.bfloat16).save_pretrained(packed, save_compressed=True)
    for folder in (scaled, packed):
        copy_tokenizer(model, folder)
    write_json(report, {"group": size, "zeros_before": before, "zeros_scaled": sparsity.shares(plain)})
