"""What the docs show of a build, from made-up figures."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from helpers.figures import figures
from helpers.workspaces import ENVIRONMENT, ROOT
from ingot.errors import InputError
from ingot.tools import figures as tool


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with the figures of a build."""
    (tmp_path / "results/release").mkdir(parents=True)
    (tmp_path / "results/release/figures.json").write_text(json.dumps(figures()))
    plots = tmp_path / "results/plots"
    plots.mkdir()
    for name in ("accuracy-cost", "losses", "sizes-quality"):
        (plots / f"{name}.svg").write_text("<svg></svg>")
    (tmp_path / "docs").mkdir()
    (tmp_path / "rules").symlink_to(ROOT / "rules")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def step(rule, seconds, peak_bytes):
    return {"step": rule, "rule": rule, "ended": 0.0, "seconds": seconds, "peak_bytes": peak_bytes}


def test_the_page_is_the_card_under_its_own_title_with_what_it_took(here):
    steps = [step("adapt", 40.2, 9e8), step("measure", 30, 8e8), step("measure", 50, 7e8)]
    times = tool.by_rule({"steps": steps, "busy_seconds": 100})
    tool.write_page(tool.read_figures(), times, here / "docs/tiny.md", None)
    page = (here / "docs/tiny.md").read_text()
    assert page.startswith("# What the tiny preset measures\n")
    assert page.count("\n# ") == 0
    for heading in ("## Quality", "### Domain by domain", "### Open answers", "## Size ledger", "## Pictures"):
        assert heading in page
    assert "| adapter | base | +2.0, p = 0.003 | +2.0, p = 0.003 | +2.0, p = 0.003 |\n" in page
    assert "| base |  | instruction | 40 | -1.500 |  |\n" in page
    assert "| adapter | base | instruction | 40 | -1.500 | +0.020" in page
    assert (
        "| measure | 2 | 80 | 800 |\n| adapt | 1 | 40 | 900 |\n| while at least one of them ran | 3 | 100 | |" in page
    )


def test_a_build_in_which_nothing_ran_says_so(here):
    tool.write_page(tool.read_figures(), tool.by_rule({"steps": [], "busy_seconds": 0}), here / "docs/tiny.md", None)
    assert "nothing ran here" in (here / "docs/tiny.md").read_text()


def test_what_a_search_found_is_on_the_page_of_its_preset(here):
    against = {"gain": -0.5, "gain_low": -2.0, "gain_high": 1.0}
    chosen = {"recipe": "awq-Q2_K", "memory_bytes": 1_406_208, "right": 473, "of": 658, "chosen": True, "not_asked": ""}
    beaten = {"recipe": "merged-Q2_K", "memory_bytes": 1_406_209, "right": None, "of": None, "not_asked": "no better"}
    row = {"file_bytes": 1_324_948, "kl": 0.4, "token_loss": {"mean": 0.65}, "tokens_per_second": 91.5, "chosen": False}
    found = {
        "preset": "tiny", "budget": {"file": None, "memory": None, "loss": 0}, "chosen": "awq-Q2_K", "looks": 11,
        "prunings": {"half": {"structure": "2:4"}},
        "before": {"model": "merged", "memory_bytes": 6_854_912, "right": 470, "of": 658},
        "candidates": [row | chosen | {"against": against}, row | beaten],
    }  # fmt: skip
    folder = here / tool.FRONTIER
    folder.mkdir(parents=True)
    for name, content in (("frontier.json", found), ("confirmed.json", {"against": against, "kept": True})):
        (folder / name).write_text(json.dumps(content))
    (folder / "frontier.svg").write_text("<svg></svg>")
    times = tool.by_rule({"steps": [], "busy_seconds": 0})
    tool.write_page(tool.read_figures(), times, here / "docs/tiny.md", tool.read_frontier())
    page = (here / "docs/tiny.md").read_text()
    assert "for the budget `loss: 0`" in page and (here / "docs/pictures/tiny/frontier.svg").exists()
    assert (
        "| awq-Q2_K | 1,324,948 | 1,406,208 | 20.5 % | 0.400 | 0.7 | 473 | -0.5 (-2.0 to +1.0) | 91.5 | **chosen** |"
        in page
    )
    assert "| merged-Q2_K | 1,324,948 | 1,406,209 | 20.5 % | 0.400 | 0.7 |  | | | no better |" in page
    assert "awq-Q2_K gains -0.5 points (-2.0 to +1.0) against merged" in page
    assert '\n\n- `half` is merged, pruned and recovered with `{"structure": "2:4"}`.\n\n' in page
    (here / "config.yaml").write_text("# a comment\npreset: tiny\nbudget: {loss: 0}\n")
    tool.write_search(tool.read_frontier(), "tiny-frontier")
    alone = (here / "docs/tiny-frontier.md").read_text()
    assert "```yaml\npreset: tiny\nbudget: {loss: 0}\n```" in alone and "| awq-Q2_K | 1,324,948 |" in alone


def test_without_a_build_it_says_what_to_do(here):
    tool.FIGURES.unlink()
    with pytest.raises(InputError, match="build first"):
        tool.read_figures()


def test_figures_of_a_preset_without_a_page_are_refused(here):
    tool.FIGURES.write_text(json.dumps(figures("llama-3.2-1b")))
    with pytest.raises(InputError, match=r"of the preset llama-3\.2-1b"):
        tool.read_figures()


GRAPH = """digraph snakemake_dag {
    node[shape=box, style=rounded];
	0[label = "all", color = "0.01 0.6 0.85", style="rounded"];
	1[label = "gate", color = "0.02 0.6 0.85", style="rounded,dashed"];
	2[label = "measure", color = "0.03 0.6 0.85", style="rounded"];
	3[label = "versus_parent", color = "0.03 0.6 0.85", style="rounded"];
	4[label = "prune", color = "0.03 0.6 0.85", style="rounded"];
	1 -> 0
	2 -> 3
	3 -> 1
	2 -> 1
	4 -> 2
	1 -> 4
}
"""


def test_the_graph_has_a_node_per_rule_and_no_arrow_that_others_imply(here):
    drawn = tool.rule_graph(GRAPH)
    assert re.findall(r"^    (\w+) \[color", drawn, re.MULTILINE) == ["prune", "measure", "versus_parent", "gate"]
    arrows = re.findall(r"^  (\w+ -> \w+)(.*);", drawn, re.MULTILINE)
    assert arrows == [
        ("measure -> versus_parent", ""),
        ("prune -> measure", ""),
        ("versus_parent -> gate", ""),
        ("gate -> prune", " [style=dashed, constraint=false]"),
    ]


def test_without_graphviz_it_says_how_to_install_it(here, monkeypatch):
    monkeypatch.setenv("PATH", str(here))
    with pytest.raises(InputError, match="apt-get install graphviz"):
        tool.draw_rule_graph(here)


@pytest.mark.graph
def test_every_rule_has_a_place_in_the_graph():
    """Every rule is in a rule file that has a colour."""
    assert set(tool.THEMES) == {path.stem for path in (ROOT / "rules").glob("*.smk")} - {"common"}


@pytest.mark.graph
@pytest.mark.skipif(not shutil.which("dot"), reason="there is no graphviz here")
def test_everything_is_written(here):
    for name in ("Snakefile", "config.yaml", "presets", "envs", "ingot", "traced", "workflow_scripts", "suites"):
        (here / name).symlink_to(ROOT / name)
    done = subprocess.run(
        [sys.executable, "-m", "ingot.tools.figures"], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    pictures = here / "docs/pictures"
    assert sorted(str(path.relative_to(pictures)) for path in pictures.rglob("*.svg")) == [
        "rulegraph.svg",
        "tiny/accuracy-cost.svg",
        "tiny/losses.svg",
        "tiny/sizes-quality.svg",
    ]
    graph = (here / "docs/pictures/rulegraph.svg").read_text()
    assert graph.startswith("<svg")
    assert graph.count("<title>prune</title>") == 1
