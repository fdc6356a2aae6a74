"""Prune the merged model in one shot, with SparseGPT or Wanda, to 2:4 or to a ratio per part."""

from pathlib import Path
from typing import Any

from ingot.io.records import read_records, write_json
from ingot.settings.compress import Prune
from ingot.training import sparsity
from ingot.training.oneshot import oneshot

TARGETS = {"attention": r"re:.*self_attn.*_proj$", "feed_forward": r"re:.*mlp.*_proj$"}


def recipe(settings: Prune) -> list[Any]:
    """Return llm-compressor modifiers for the method, and for 2:4 or the ratios of each part.

    Sources: Frantar and Alistarh 2023 (SparseGPT), Sun et al. 2024 (Wanda).
    """
    from llmcompressor.modifiers.pruning import SparseGPTModifier, WandaPruningModifier

    modifier = {"sparsegpt": SparseGPTModifier, "wanda": WandaPruningModifier}[settings.method]
    if settings.structure == "2:4":
        return [modifier(sparsity=0.5, mask_structure="2:4", targets=list(TARGETS.values()))]
    ratios = {part: getattr(settings.ratios, part) for part in TARGETS}
    return [modifier(sparsity=ratio, targets=[TARGETS[part]]) for part, ratio in ratios.items() if ratio]


def prune(
    model: Path,
    train: Path,
    pruned: Path,
    report: Path,
    *,
    settings: Prune,
    threads: int,
) -> None:
    """Write the pruned model and a report of its zeros; raises RuntimeError where 2:4 was asked for and not reached."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForCausalLM.from_pretrained(model, dtype="auto")
    records = list(read_records(train))
    oneshot(network, tokenizer, records, recipe(settings), settings.calibration)
    matrices = sparsity.pruned_matrices(network)
    groups = all(sparsity.is_two_of_four(matrix) for matrix in matrices.values())
    if settings.structure == "2:4" and not groups:
        raise RuntimeError("a matrix is not 2:4 sparse after pruning")
    network.save_pretrained(pruned)
    AutoTokenizer.from_pretrained(model).save_pretrained(pruned)
    write_json(report, {"zeros": sparsity.shares(network), "matrices": len(matrices), "two_of_four": groups})
