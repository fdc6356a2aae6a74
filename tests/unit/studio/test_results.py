"""Two builds beside each other."""

import copy
import json
import shutil

import pytest

from helpers import figures as made_up
from helpers.workspaces import ROOT
from ingot.errors import InputError
from ingot.studio.editing import Editor
from ingot.studio.options import Options
from ingot.studio.results import compare, figures_of
from ingot.studio.views import show_comparison, show_results


@pytest.fixture
def build(tmp_path):
    """A project with results."""
    return place(tmp_path / "here", made_up.figures())


def place(folder, figures):
    (folder / "results/release").mkdir(parents=True, exist_ok=True)
    (folder / "results/release/figures.json").write_text(json.dumps(figures))
    return folder


def given(root, **beside):
    return Options(root, watch=None, editor=Editor(root), may_edit=False, beside=beside)


def test_figures_that_differ_come_first_and_say_which_is_better(build, tmp_path):
    other = copy.deepcopy(made_up.figures())
    other["ledger"][-1]["bytes"] += 1000
    other["measured"][1]["exact_match"]["all"]["share"] += 0.05
    lines = {line.what: line for line in compare(figures_of(build), other) if line.difference != "the same"}
    name, model = other["ledger"][-1]["artifact"], other["measured"][1]["model"]
    size, right = lines[f"size: {name}"], lines[f"right answers: {model}, all questions"]
    assert (size.difference, size.better) == ("-1,000", True)
    assert (right.difference, right.better) == ("-5.0 points", False)
    assert len(lines) == 2
    page = show_comparison(given(build, other=place(tmp_path / "other", other)), "other")
    assert "-1,000 (better)" in page and "-5.0 points (worse)" in page
    assert "has no config.yaml" in page, "what cannot be compared is said"


def test_another_release_beside_this_one_is_not_taken_for_this_one(build):
    other = made_up.figures()
    other["ledger"][0]["bytes"] = 7
    folder = build / "results/old"
    folder.mkdir()
    (folder / "figures.json").write_text(json.dumps(other))
    assert figures_of(folder)["ledger"][0]["bytes"] == 7
    assert figures_of(build / "results")["ledger"][0]["bytes"] != 7


def test_settings_that_differ_are_listed(build, tmp_path):
    for folder, seed in ((build, 0), (tmp_path / "other", 7)):
        place(folder, made_up.figures())
        shutil.copytree(ROOT / "presets", folder / "presets")
        shutil.copytree(ROOT / "suites", folder / "suites")
        (folder / "config.yaml").write_text(f"preset: tiny\nseed: {seed}\n")
    page = show_comparison(given(build, other=tmp_path / "other"), "other")
    assert "All figures are the same" in page
    assert "<td>seed</td><td><code>0</code></td><td><code>7</code></td>" in page


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"manifest": 1, "ledger": 2, "measured": 3}', "null"])
def test_figures_of_another_version_are_said(build, text):
    (build / "results/release/figures.json").write_text(text)
    page = show_results(given(build))
    assert "of another version" in page and 'role="alert"' in page
    assert "of another version" in show_comparison(given(build, it=build), "it")


def test_without_results_it_says_what_to_do(tmp_path):
    assert "build there first, with `make`" in show_results(given(tmp_path))
    with pytest.raises(InputError, match="there is no figures.json"):
        figures_of(tmp_path)


def test_results_show_plots_rounds_and_artifacts(build):
    (build / "results/plots").mkdir()
    (build / "results/plots/losses.svg").write_text("<svg id='losses'></svg>")
    page = show_results(given(build))
    assert "<svg id='losses'></svg>" in page and "Trainings" in page
    assert "IQ4_XS.zst" in page and "1,492,305" in page
