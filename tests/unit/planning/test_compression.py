"""What few bits cost: lines through what was measured, and what the plan says by them."""

import pytest

from helpers.workspaces import ROOT
from ingot.planning import compression
from ingot.tools.figures import page_of_compression


def model(name, at_four, per_bit=2.0, of_mix=0.5):
    bits = (2.0, 3.5, 5.0)
    points = [
        {"type": f"T{b}", "bits": b, "changed": at_four * per_bit ** (4 - b) * (of_mix if mixed else 1), "mixed": mixed}
        for b in bits
        for mixed in (False, True)
    ]
    return {"model": name, "weights": 1, "texts": "", "source": "", "points": points}


def test_the_lines_are_those_that_the_points_lie_on():
    lines = compression.lines_through([model("a", 0.02), model("b", 0.1)])
    assert (lines["per_bit"], lines["of_mix"], lines["spread"]) == (2.0, 0.5, 1.0)
    assert lines["at_four"] == {"a": pytest.approx(0.02, rel=1e-3), "b": pytest.approx(0.1, rel=1e-3)}
    assert compression.changed(3, mixed=False, lines=lines) == pytest.approx((0.04, 0.2), rel=1e-3)
    assert compression.changed(3, mixed=True, lines=lines) == pytest.approx((0.02, 0.1), rel=1e-3)
    assert compression.changed(8.5, mixed=False, lines=lines) is None
    assert max(compression.changed(1.5, mixed=False, lines={**lines, "per_bit": 100.0})) == 1.0


def test_a_search_gives_points_of_the_model_before_compression_alone():
    rows = [("merged-IQ3_S", 350, 0.9), ("merged-MIX_2_25", 225, 0.8), ("awq-IQ3_S", 350, 0.1),
            ("distil-IQ1_M", 200, 0.1), ("merged-Q8_0", 850, 0.99), ("merged-TQ2_0", 206, 0.0)]  # fmt: skip
    found = {
        "before": {"model": "merged", "memory_bytes": 1600},
        "candidates": [{"recipe": name, "memory_bytes": size, "top1_agreement": same} for name, size, same in rows],
    }
    points = compression.points_of(found)
    assert points == [
        {"type": "IQ3_S", "bits": 3.5, "changed": 0.1, "mixed": False},
        {"type": "MIX_2_25", "bits": 2.25, "changed": 0.2, "mixed": True},
    ]


def test_a_type_whose_size_nobody_knows_promises_nothing():
    lines = compression.known()["lines"]
    assert compression.changed_by("", {"F16": 160}, lines) is None
    assert compression.changed_by("IQ3_S", {"F16": 160}, lines) is None
    assert compression.changed_by("TQ2_0", {"F16": 160, "TQ2_0": 21}, lines) is None
    said = compression.changed_by("MIX_3_50", {"F16": 160, "MIX_3_50": 35}, lines)
    low, high = said["of_next_tokens"]
    assert compression.percent((0.031, 1.0)) == "3.1 to 100 %"
    assert compression.changed_by("MIX_3_50", {"F16": 160, "MIX_3_50": 35}, compression.line_alone("?", lines)) == said
    alone = compression.changed_by("MIX_3_50", {"F16": 160, "MIX_3_50": 35}, compression.line_alone("tiny", lines))
    assert low <= alone["of_next_tokens"][0] == alone["of_next_tokens"][1] <= high
    assert compression.percent(alone["of_next_tokens"]).count("%") == 1
    assert 0 < low < high < 1


def test_the_lines_and_the_page_in_the_docs_are_of_the_points():
    known = compression.known()
    assert compression.lines_through(known["models"]) == known["lines"]
    page = (ROOT / "docs/compression.md").read_text(encoding="utf-8")
    assert page == page_of_compression(known["models"], known["lines"])
