"""Prune the merged model in one shot, with SparseGPT or Wanda, to 2:4 or to a ratio per part."""

from pathlib import Path
from typing import Any

from ingot.io.records import read_records, write_json
from ingot.training import sparsity
from ingot.training.oneshot import oneshot

TARGETS = {"attention": r"re:.*self_attn.*_proj$", "feed_forward": r"re:.*mlp.*_proj$"}


def recipe(method: str, structure: str, ratios: dict[str, float]) -> list[Any]:
    """Return llm-compressor modifiers: `method` sparsegpt or wanda, `structure` 2:4 or unstructured with `ratios`.

    Sources: Frantar and Alistarh 2023 (SparseGPT), Sun et al. 2024 (Wanda).
    """
    from llmcompressor.modifiers.pruning import SparseGPTModifier, WandaPruningModifier

    modifier = {"sparsegpt": SparseGPTModifier, "wanda": WandaPruningModifier}[method]
    if structure == "2:4":
        return [modifier(sparsity=0.5, mask_structure="2:4", targets=list(TARGETS.values()))]
    return [modifier(sparsity=ratio, targets=[TARGETS[part]]) for part, ratio in ratios.items() if ratio]


def prune(
    merged: Path,
    train: Path,
    pruned: Path,
    report: Path,
    *,
    method: str,
    structure: str,
    ratios: dict[str, float],
    calibration: dict[str, int],
    threads: int,
) -> None:
    """Write the pruned model and a report of its zeros; raises RuntimeError where 2:4 was asked for and not reached."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(merged)
    model = AutoModelForCausalLM.from_pretrained(merged, dtype="auto")
    records = list(read_records(train))
    modifiers = recipe(method, structure, ratios)
    oneshot(model, tokenizer, records, modifiers, calibration["records"], calibration["length"])
    matrices = sparsity.pruned_matrices(model)
    groups = all(sparsity.is_two_of_four(matrix) for matrix in matrices.values())
    if structure == "2:4" and not groups:
        raise RuntimeError("a matrix is not 2:4 sparse after pruning")
    model.save_pretrained(pruned)
    AutoTokenizer.from_pretrained(merged).save_pretrained(pruned)
    write_json(report, {"zeros": sparsity.shares(model), "matrices": len(matrices), "two_of_four": groups})
