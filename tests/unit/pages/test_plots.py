"""Plots: the same data give the same bytes, a colour means the same everywhere, labels can be read."""

import itertools
import xml.etree.ElementTree as ElementTree

import pytest

from helpers.figures import MODELS as BUILT
from helpers.figures import PACKED, figures, share, stages, system
from ingot.pages.figures import BASE, CHECKPOINT, GGUF, SYSTEM, colour_of, figure, picture
from ingot.pages.plots import (
    Sized,
    draw_costs,
    draw_frontier,
    draw_losses,
    draw_reliability,
    draw_rounds,
    draw_sizes,
    in_units,
    overlap,
    place_labels,
    sized,
    stage_colours,
)

MODELS = [
    Sized("base", 13_000_000, share(0.4)),
    Sized("F16", 6_800_000, share(0.78)),
    Sized("F16", 3_500_000, share(0.78), packed=True),
    Sized("system", 3_200_000, share(0.94)),
]


CANDIDATES = [
    {"recipe": "merged-Q8_0", "memory_bytes": 3_500_000, "right": 75, "of": 100, "interval": [0.6, 0.9]},
    {"recipe": "awq-IQ4_XS", "memory_bytes": 1_900_000, "right": 70, "of": 100, "interval": [0.5, 0.8]},
    {"recipe": "awq-IQ1_M", "memory_bytes": 900_000, "right": None, "of": None, "interval": None},
]
CANDIDATES = [row | {"chosen": row["recipe"] == "awq-IQ4_XS"} for row in CANDIDATES]
BEFORE = {"model": "merged", "share": 0.76}


@pytest.mark.parametrize(
    "draw",
    [
        draw_costs(system()),
        draw_reliability(system()["reliability"]),
        draw_rounds(stages()),
        draw_sizes(MODELS),
        draw_frontier(CANDIDATES, BEFORE, []),
    ],
)
def test_the_same_data_give_the_same_whole_svg(draw):
    first, second = figure(draw), figure(draw)
    assert first == second
    assert ElementTree.fromstring(first).tag.endswith("svg")
    assert "(higher is better)" in first or "best on" in first


def test_the_frontier_shows_what_was_asked_and_says_if_nothing_was():
    drawn = figure(draw_frontier(CANDIDATES, BEFORE, []))
    assert all(text in drawn for text in ("made from merged", "made from awq", "chosen", "merged in 16 bits, 76.0 %"))
    assert "IQ1_M" not in drawn
    assert "no candidate was asked" in figure(draw_frontier(CANDIDATES[2:], BEFORE, []))


def test_a_picture_stands_alone():
    drawn = picture(draw_costs(system()), "What it costs")
    assert "What it costs" in drawn
    assert "fill: #ffffff" in drawn


def test_a_figure_of_a_page_is_transparent():
    assert "fill: #ffffff" not in figure(draw_costs(system()))


def test_a_colour_means_the_same_everywhere():
    assert [colour_of(name) for name in ("base", "merged", "IQ4_XS", "system")] == [BASE, CHECKPOINT, GGUF, SYSTEM]
    colours = stage_colours(["base", "adapter", "targeted", "system"])
    assert (colours[0], colours[-1]) == (BASE, SYSTEM)
    assert len(set(colours)) == 4
    assert stage_colours(["base", "Q8_0"]) == [BASE, GGUF]


def test_sizes_name_every_model_once():
    drawn = figure(draw_sizes(MODELS))
    for name in ("base", "F16", "system"):
        assert drawn.count(f">{name}</text>") == 1 + (name == "base")  # and in the legend


@pytest.mark.parametrize(("size", "text"), [(1, "1 B"), (2_000, "2 kB"), (1_500_000, "1.5 MB"), (5e13, "50 TB")])
def test_bytes_are_written_in_units(size, text):
    assert in_units(size) == text


def test_labels_cover_neither_points_nor_each_other():
    points = [(100.0 + 12 * (i % 4), 100.0 + 9 * (i // 4)) for i in range(12)]
    sizes = [(30.0, 10.0)] * len(points)
    corners = place_labels(points, sizes, (400, 300), [])
    boxes = [(x, y, x + width, y + height) for (x, y), (width, height) in zip(corners, sizes, strict=True)]
    assert all(overlap(one, other) == 0 for one, other in itertools.combinations(boxes, 2))
    assert not any(x0 < x < x1 and y0 < y < y1 for x0, y0, x1, y1 in boxes for x, y in points)
    assert all(x0 >= 0 and y0 >= 0 and x1 <= 400 and y1 <= 300 for x0, y0, x1, y1 in boxes)


def test_the_made_up_figures_have_what_the_rule_release_writes():
    import ast

    from helpers.workspaces import ROOT

    tree = ast.parse((ROOT / "workflow_scripts/release/release.py").read_text())
    dictionaries = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    keys = [{key.value for key in node.keys if isinstance(key, ast.Constant)} for node in dictionaries]
    assert set(figures()) in keys
    assert set(figures()["manifest"]) in keys


def test_every_artifact_with_a_quality_is_drawn():
    drawn = list(sized(figures()))
    assert {model.name for model in drawn} == {*BUILT, "system"}
    assert {model.name for model in drawn if model.packed} == set(PACKED)
    adapter = next(model for model in drawn if model.name == "adapter")
    assert adapter.bytes == BUILT["adapter"][1] + BUILT["base"][1], "an adapter does not run without its base"
    for i, model in enumerate(drawn):
        assert not model.packed or drawn[i - 1].name == model.name


def test_losses_are_drawn_by_the_name_of_their_training():
    rows = [{"step": step, "loss": 6.0 / (step + 1)} for step in range(4)]
    drawn = figure(draw_losses({"base": rows, "adapt": rows}))
    assert "adapt" in drawn and "lower is better" in drawn


def test_a_name_that_looks_like_a_formula_is_a_name():
    def draw(axes):
        axes.bar([r"$\frac{$", "plain"], [1, 2], label=r"$\x$")
        axes.legend()

    assert r"$\frac{$" in figure(draw)
