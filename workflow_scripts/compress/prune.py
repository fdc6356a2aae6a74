"""Prune a model: to the pattern 2:4 or a ratio per part, with SparseGPT or Wanda, or by dropping whole blocks."""

from pathlib import Path
from typing import Any

from ingot.inference.device import device
from ingot.io.records import read_records, write_json
from ingot.quantities import blocks_dropped
from ingot.settings.compress import Prune
from ingot.text.tokenizer_files import copy_tokenizer
from ingot.training import sparsity
from ingot.training.depth import drop_blocks
from ingot.training.oneshot import calibration_rows, oneshot

TARGETS = {part: f"re:{pattern}$" for part, pattern in sparsity.PARTS.items()}


def recipe(settings: Prune) -> list[tuple[type, dict[str, Any]]]:
    """List llm-compressor's modifiers, and their arguments, for the method and the structure of the settings.

    Sources: Frantar and Alistarh 2023 (SparseGPT), Sun et al. 2024 (Wanda).
    """
    from llmcompressor.modifiers.pruning import SparseGPTModifier, WandaPruningModifier

    modifier = {"sparsegpt": SparseGPTModifier, "wanda": WandaPruningModifier}[settings.method]
    if settings.structure == "2:4":
        return [(modifier, {"sparsity": 0.5, "mask_structure": "2:4", "targets": list(TARGETS.values())})]
    ratios = {part: getattr(settings.ratios, part) for part in TARGETS}
    return [(modifier, {"sparsity": ratio, "targets": [TARGETS[part]]}) for part, ratio in ratios.items() if ratio]


def prune(
    model: Path,
    train: Path,
    pruned: Path,
    report: Path,
    work: Path,
    *,
    settings: Prune,
    threads: int,
) -> None:
    """Write the pruned model and a report of its zeros, or of the blocks that were dropped.

    A run that was killed goes on from what is in `work`.

    Raises RuntimeError if the settings ask for 2:4 and a matrix does not have this pattern afterwards.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(model)
    blocks = settings.structure == "blocks"
    # What a block matters drowns in the noise of 16 bits, which most processors only emulate.
    dtype: Any = torch.float32 if blocks and device() == "cpu" else "auto"
    network = AutoModelForCausalLM.from_pretrained(model, dtype=dtype)
    records = list(read_records(train))
    dropped = []
    if blocks:
        network.to(device()).eval()
        texts = calibration_rows(tokenizer, records, settings.calibration.records, settings.calibration.length)
        count = blocks_dropped(settings.ratios.blocks, network.config.get_text_config().num_hidden_layers)
        dropped = drop_blocks(network, texts, count, work)
        network.to(AutoConfig.from_pretrained(model).dtype)
    elif wanted := recipe(settings):  # nothing where zeros come only while it is trained further
        oneshot(network, tokenizer, records, wanted, settings.calibration, work)
    matrices = sparsity.pruned_matrices(network)
    is_two_of_four = all(sparsity.is_two_of_four(matrix) for matrix in matrices.values())
    if settings.structure == "2:4" and not is_two_of_four:
        raise RuntimeError("a matrix is not 2:4 sparse after pruning")
    network.save_pretrained(pruned)
    copy_tokenizer(model, pruned)
    found = {"zeros": sparsity.shares(network), "matrices": len(matrices), "two_of_four": is_two_of_four}
    write_json(report, found | ({"dropped": dropped} if dropped else {}))
