"""The search for a smaller base, on the real rules: a copy of the micro build, and a budget."""

import json

import pytest

pytestmark = pytest.mark.graph


def test_make_frontier_chooses_within_the_budget_and_a_second_search_costs_only_what_is_new(workspace):
    settings = "frontier: {sources: [merged], types: [Q8_0, IQ2_XXS], questions: 5, max_kl: 9}"
    workspace.set(settings)
    workspace.set("budget: {memory: 400KB, loss: 100}")
    said = workspace.call("make", "frontier", check=False)
    found = json.loads((workspace / "results/frontier/frontier.json").read_text())
    rows = {row["recipe"]: row for row in found["candidates"]}
    small, large = rows["merged-IQ2_XXS"], rows["merged-Q8_0"]
    assert "beyond budget.memory" in large["not_asked"] and large["of"] is None
    assert (
        small["file_bytes"] < small["memory_bytes"] < 400_000 < large["memory_bytes"] < found["before"]["memory_bytes"]
    )
    assert small["memory_bytes"] == (workspace / "results/types/merged/IQ2_XXS.gguf").stat().st_size
    assert 0 <= large["kl"]["mean"] < 0.01 < small["kl"]["mean"]
    assert small["of"] == found["before"]["of"] > 0 and small["tokens_per_second"] > 0
    assert found["chosen"] == "merged-IQ2_XXS" and small["chosen"]
    assert "merged-IQ2_XXS was chosen" in said and "serve: IQ2_XXS" in said
    assert "validation prompts" in (workspace / "results/frontier/frontier.svg").read_text()
    confirmed = json.loads((workspace / "results/frontier/confirmed.json").read_text())
    assert confirmed["chosen"] == "merged-IQ2_XXS" and confirmed["exact_match"]["all"]["of"] == 36

    workspace.unset(settings)
    workspace.set("frontier: {sources: [merged], types: [Q8_0, IQ2_XXS, Q2_K], questions: 5, max_kl: 9}")
    workspace.set("budget: {memory: 1KB}")
    ran, said = workspace.build("results/frontier/confirmed.json")
    assert "quantize_model_merged_Q2_K" in ran and "screen_candidate_merged_Q2_K" in ran
    assert not {"convert_model_merged", "measure_before", "quantize_model_merged_Q8_0"} & ran
    assert not [name for name in ran if name.startswith("screen_candidate") and "Q2_K" not in name]
    said = workspace.call("make", "frontier", check=False)
    assert "Nothing was chosen: budget.memory: 1KB are wanted, and merged-IQ2_XXS takes" in said
    assert "Error 1" in said
