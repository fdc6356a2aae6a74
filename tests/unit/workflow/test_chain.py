"""The table of kinds, and what follows from a chain."""

import pytest

from ingot.settings.everything import Settings
from ingot.workflow.chain import KINDS, Chain, problems

WHOLE = ["adapt", "target", "merge", "prune", "recover", "quantize_awq"]


def test_every_kind_has_a_settings_section_and_names_of_its_own():
    assert set(KINDS) <= set(Settings.model_fields)
    assert len({kind.model for kind in KINDS.values()}) == len(KINDS)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (
            ["recover", "prune"],
            "`recover` needs a pruned checkpoint, but the base gives a checkpoint; put `prune` before",
        ),
        (["merge"], "`merge` needs an adapter, but the base gives a checkpoint; put `adapt` before it"),
        (["adapt", "prune"], "`prune` needs a checkpoint, but `adapt` gives an adapter; put `merge` before it"),
        (["target"], "`target` needs an adapter"),
        (["prune", "adapt"], "`adapt` needs a checkpoint, but `prune` gives a pruned checkpoint; put it earlier"),
        (["quantize_awq", "prune"], "that AWQ has scaled; put it earlier in the chain"),
        (["prnue"], "there is no step 'prnue'; there are adapt, target, prefer, merge, prune, recover, quantize_awq"),
    ],
)
def test_an_order_that_cannot_work_is_refused_with_the_reason(steps, said):
    assert said in "\n".join(problems(steps, has_data=True))


@pytest.mark.parametrize("steps", [[], ["adapt"], ["adapt", "merge"], ["prune"], ["quantize_awq"], WHOLE])
def test_an_order_that_works_is_not_refused(steps):
    assert problems(steps, has_data=True) == []


def test_a_step_that_learns_needs_data():
    assert "name `sources`" in problems(["prune"], has_data=False)[0]
    assert problems([], has_data=False) == []


def test_the_whole_chain_hands_on_from_step_to_step():
    chain = Chain(WHOLE, rounds=2)
    assert chain.inputs == {
        "adapt": "results/base",
        "target": "results/adapter",
        "merge": "results/rounds/2/adapter",
        "prune": "results/merged",
        "recover": "results/pruned",
        "quantize_awq": "results/recovered",
    }
    assert chain.last_checkpoint == "results/scaled"
    parents = {model.name: model.parent for model in chain.models.values()}
    assert parents["recovered"] == "merged", "recovery is compared with what pruning took"
    assert parents["awq"] == "recovered"
    assert chain.uncompressed == "merged"
    assert chain.same_as_f16 == "recovered", "AWQ's rounding is on a side branch"
    assert chain.models["targeted"].folders == ("results/base", "results/rounds/2/adapter")


def test_without_rounds_there_is_no_targeted_model():
    chain = Chain(WHOLE, rounds=0)
    assert "target" not in chain
    assert chain.models["merged"].parent == "adapter"
    assert chain.inputs["merge"] == "results/adapter"


def test_an_empty_chain_takes_the_base_as_it_is():
    chain = Chain([], rounds=3)
    assert (chain.last_checkpoint, chain.uncompressed, chain.same_as_f16) == ("results/base", "base", "base")
    assert list(chain.models) == ["base"]


def test_long_steps_wait_for_the_gates_before_them_and_merging_does_not():
    chain = Chain(WHOLE, rounds=1)
    assert chain.gates_before("prune") == ["adapter", "targeted", "merged"]
    assert chain.gates_before("merge") == chain.gates_before("recover") == []
    # GGUF files are made from weights that AWQ has scaled, and not rounded.
    assert chain.gates_before("convert") == ["adapter", "targeted", "merged", "pruned", "recovered"]


def test_trainings_are_reported_where_there_are_some():
    chain = Chain(WHOLE, rounds=2)
    assert chain.trainings(KINDS["target"]) == ["results/reports/target_1.json", "results/reports/target_2.json"]
    assert chain.trainings(KINDS["merge"]) == []
