"""The search for a smaller base, on the real rules: a copy of the micro build, and a budget."""

import json

import pytest

pytestmark = pytest.mark.graph

CONFIRMED = "results/frontier/confirmed.json"


def searching(types, distilled="", prunings=""):
    more = "questions: 5, max_token_loss: 100"
    tried = f"types: [{types}], distilled: [{distilled}], prunings: {{{prunings}}}"
    return f"frontier: {{sources: [merged], {tried}, {more}}}"


def test_a_search_chooses_within_its_budget_and_asks_the_benchmark_once(workspace):
    workspace.set(searching("Q8_0", "IQ2_XXS"))
    workspace.set("budget: {memory: 400KB, loss: 100}")
    said = workspace.call("make", "frontier")
    found = json.loads((workspace / "results/frontier/frontier.json").read_text())
    rows = {row["recipe"]: row for row in found["candidates"]}
    small, large = rows["distil-IQ2_XXS"], rows["merged-Q8_0"]
    assert "beyond budget.memory" in large["not_asked"] and large["of"] is None
    assert small["file_bytes"] < small["memory_bytes"] < 400_000
    assert 400_000 < large["memory_bytes"] < found["before"]["memory_bytes"]
    assert small["memory_bytes"] == (workspace / "results/types/distil/IQ2_XXS.gguf").stat().st_size
    assert 0 <= large["kl"] < 0.01 < small["kl"]
    assert small["of"] == found["before"]["of"] > 0 and small["tokens_per_second"] > 0
    assert found["chosen"] == "distil-IQ2_XXS" and small["chosen"]
    assert "distil-IQ2_XXS was chosen" in said and "`distil: {type: IQ2_XXS}`" in said
    assert "validation prompts" in (workspace / "results/frontier/frontier.svg").read_text()
    confirmed = json.loads((workspace / CONFIRMED).read_text())
    assert confirmed["chosen"] == "distil-IQ2_XXS" and confirmed["exact_match"]["all"]["of"] == 36


@pytest.mark.slow
def test_a_second_search_costs_what_is_new_and_a_chain_takes_what_was_trained(workspace):
    workspace.set(searching("Q8_0", "IQ2_XXS"))
    workspace.set("budget: {memory: 400KB, loss: 100}")
    workspace.build(CONFIRMED)
    workspace.unset(searching("Q8_0", "IQ2_XXS"))
    workspace.set(searching("Q8_0, MIX_3_00", "IQ2_XXS"))
    workspace.unset("budget: {memory: 400KB, loss: 100}")
    workspace.set("budget: {memory: 1KB}")
    ran, _ = workspace.build(CONFIRMED)
    made = {name for name in ran if "MIX_3_00" in name}
    assert made >= {"quantize_model_merged_MIX_3_00", "screen_candidate_merged_MIX_3_00"}
    kinds = {"sensitivity", "rule", "ask", "time", "choose", "confirm"}
    assert {name.partition("_")[0] for name in ran - made} == kinds
    with pytest.raises(AssertionError, match="Nothing was chosen: budget.memory: 1KB are wanted, and distil-IQ2_XXS"):
        workspace.call("python", "-m", "ingot.tools.frontier")

    workspace.set("chain: [adapt, target, merge, distil]")
    workspace.set("distil: {type: IQ2_XXS}")
    workspace.set("gguf: {types: [F16, IQ2_XXS], serve: IQ2_XXS}")
    workspace.set("ask_suite: {models: [merged]}")
    ran, _ = workspace.build("results/gguf/IQ2_XXS.gguf", "results/reports/distil.json")
    assert ran == {"take_distilled"}
    trained = (workspace / "results/types/distil/IQ2_XXS.gguf").read_bytes()
    assert (workspace / "results/gguf/IQ2_XXS.gguf").read_bytes() == trained


@pytest.mark.slow
def test_ways_to_prune_are_tried_beside_each_other(workspace):
    workspace.set(
        searching(
            "Q8_0",
            prunings='half: {structure: "2:4"}, shallow: {structure: blocks, ratios: {blocks: 0.5}},'
            " slow: {structure: unstructured, gradual: {attention: 0, feed_forward: 0.5, until: 0.5, every: 1}}",
        )
    )
    workspace.set("budget: {memory: 600KB, loss: 100}")
    said = workspace.call("make", "frontier")
    found = json.loads((workspace / "results/frontier/frontier.json").read_text())
    rows = {row["recipe"]: row for row in found["candidates"]}
    assert rows.keys() == {f"{name}-Q8_0" for name in ("merged", "half", "shallow", "slow")}
    zeros = {
        name: json.loads((workspace / f"results/types/{name}/recover.json").read_text())["zeros"]
        for name in ("half", "slow", "shallow")
    }
    assert zeros["half"]["attention"] == zeros["half"]["feed_forward"] == 0.5
    assert zeros["slow"]["feed_forward"] == pytest.approx(0.5, abs=0.001)
    assert zeros["slow"]["attention"] == pytest.approx(zeros["shallow"]["attention"], abs=0.001)
    dense, half, shallow = (rows[f"{name}-Q8_0"] for name in ("merged", "half", "shallow"))
    assert half["memory_bytes"] == dense["memory_bytes"] > shallow["memory_bytes"]
    assert half["file_bytes"] < dense["file_bytes"]
    assert found["chosen"] == "shallow-Q8_0"
    assert '`prune: {"structure": "blocks", "ratios": {"attention": 0.0, "feed_forward": 0.0, "blocks": 0.5}}`' in said
