"""The size ledger: by which weights the bits of an artifact are counted."""

import pytest
import torch
from safetensors.torch import save_file

from ingot.io.records import read_json
from workflow_scripts.release.ledger import ledger


@pytest.fixture
def rows(tmp_path):
    """The rows of a model of 100 weights that is made one of 60, and of what is packed of it or added to it."""
    weights = {"base": 100, "adapter": 10, "merged": 100, "pruned": 60, "recovered": 60, "awq": 60, "modifier_a": 8}
    parents = {"merged": "base", "pruned": "merged", "recovered": "pruned", "awq": "recovered"}
    parents |= {"recovered.zst": "recovered", "modifier_a.zst": "modifier_a"}
    order = ["base", "adapter", "merged", "pruned", "recovered", "awq", "recovered.zst", "modifier_a", "modifier_a.zst"]
    for name in order:
        if name.endswith(".zst"):
            (tmp_path / name).write_bytes(b"x" * 30)
            continue
        (tmp_path / name).mkdir()
        tensor = "a.weight_packed" if name == "awq" else "a.weight"
        save_file({tensor: torch.ones(weights[name], dtype=torch.float32)}, tmp_path / name / "model.safetensors")
    made = [tmp_path / name for name in ("ledger.json", "ledger.md")]
    ledger(
        [tmp_path / name for name in order], [], *made, names=order, parents=list(map(parents.get, order)), measured=[]
    )
    return {row["artifact"]: row for row in read_json(made[0])}


def test_bits_are_counted_by_the_weights_that_are_left(rows):
    assert {name: rows[name]["weights"] for name in ("base", "merged", "pruned", "recovered")} == {
        "base": 100,
        "merged": 100,
        "pruned": 60,
        "recovered": 60,
    }
    for row in rows.values():
        assert row["bits_per_weight"] == round(8 * row["bytes"] / row["weights"], 3)


def test_what_is_packed_has_the_weights_of_its_parent(rows):
    assert rows["awq"]["weights"] == rows["recovered.zst"]["weights"] == 60


def test_what_is_added_to_a_model_is_counted_by_that(rows):
    assert rows["adapter"]["weights"] == 100, "an adapter is added to the base"
    assert rows["modifier_a"]["weights"] == rows["modifier_a.zst"]["weights"] == 60, "a modifier to what is served"
