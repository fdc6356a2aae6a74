import copy

import pytest

from ingot.errors import InputError
from ingot.io.records import write_json
from ingot.settings.measure import Gate, GateSystem
from workflow_scripts.measure.gate import LIMITS, broken_limits, gate
from workflow_scripts.router import gate_system as last_gate

MEASURED = {"model": "awq", "unstopped": 0, "token_mismatches": 0}
VERSUS = {
    "model": "awq",
    "parent": "recovered",
    "perplexity_ratio": 1.01,
    "top1_agreement": 0.98,
    "kl": 0.01,
    "exact_match_gain": -0.5,
    "more_unstopped": 1.5,
    "open_gain": -0.03,
    "open_score": 0.48,
    "interval_gap": -4.0,
    "p_value": 0.04,
    "forgetting": 0.6,
}


def pass_gate(folder, limits, **versus):
    """Write both reports and ask the gate; return the verdict."""
    paths = [folder / name for name in ("measured.json", "versus_parent.json", "verdict.json")]
    write_json(paths[0], MEASURED)
    write_json(paths[1], VERSUS | versus)
    gate(*paths, limits=Gate(**limits))
    return paths[2].read_bytes()


@pytest.mark.parametrize(
    ("limit", "open_at", "closed_at"),
    [
        ("max_perplexity_ratio", 1.01, 1.0),
        ("min_top1_agreement", 0.98, 0.99),
        ("max_kl", 0.01, 0.009),
        ("max_exact_match_loss", 0.5, 0.4),
        ("max_open_loss", 0.03, 0.02),
        ("min_open_score", 0.48, 0.5),
        ("min_exact_match_gain", -0.5, 10),
        ("min_interval_gap", -4.0, 0),
        ("max_p_value", 0.05, 0.01),
        ("max_forgetting", 0.6, 0.5),
        ("max_unstopped", 0, -1),
        ("max_more_unstopped", 1.5, 1.4),
        ("max_token_mismatches", 0, -1),
    ],
)
def test_each_limit_opens_and_closes_where_it_says(limit, open_at, closed_at):
    assert limit in LIMITS
    assert broken_limits(MEASURED | VERSUS, {limit: open_at}) == []
    assert len(broken_limits(MEASURED | VERSUS, {limit: closed_at})) == 1


def test_a_figure_that_is_not_a_number_closes_the_gate():
    assert broken_limits(MEASURED | VERSUS | {"kl": float("nan")}, {"max_kl": 1.0})


def test_a_closed_gate_names_figure_limit_and_advice(tmp_path):
    with pytest.raises(InputError, match=r"recovered -> awq is closed(.|\n)*kl is 0.01, at most 0.001(.|\n)*try: "):
        pass_gate(tmp_path, {"max_kl": 0.001})
    assert not (tmp_path / "verdict.json").exists()


def test_the_verdict_does_not_change_with_a_figure_within_its_limit(tmp_path):
    assert pass_gate(tmp_path, {"max_kl": 0.05}) == pass_gate(tmp_path, {"max_kl": 0.05}, kl=0.02)


SYSTEM = {
    "modifiers": {"code": {"base": {"of": 80}, "gain": 25.0, "p_value": 0.001}},
    "right_decisions": {"share": 0.97},
    "expected_calibration_error": 0.03,
    "oracle_gap": 0.8,
    "forgetting": 0.2,
    "versus_uncompressed": {"gain": 10.0, "p_value": 0.001},
    "versus_constant": {"gain": 8.0, "p_value": 0.001},
}
REPORTS = {
    "system": SYSTEM,
    "uncompressed": {"exact_match": {"all": {"share": 0.7}}},
    "served": {"model": "IQ4_XS", "exact_match": {"all": {"share": 0.69}}},
    "whole": {"bytes": 1000},
    "packed": {"packed_bytes": 220},
}
ASKED = GateSystem(**{
    "min_modifier_gain": 20,
    "min_right_decisions": 0.95,
    "max_calibration_error": 0.05,
    "max_oracle_gap": 1,
    "max_forgetting": 1,
    "min_system_gain": 0.1,
    "min_routing_gain": 5,
    "max_p_value": 0.05,
    "max_compressed_loss": 2,
    "max_compressed_share": 0.25,
})  # fmt: skip


@pytest.mark.parametrize("name", GateSystem.model_fields)
def test_each_limit_of_the_system_can_close_its_gate(name):
    measured = last_gate.figures(**REPORTS, limits=ASKED)
    assert last_gate.broken_limits(measured, ASKED) == []
    broken = last_gate.broken_limits(measured, ASKED.model_copy(update={name: -1 if name.startswith("max") else 99}))
    assert len(broken) == (3 if name == "max_p_value" else 1)
    assert all(name in one for one in broken)


@pytest.mark.parametrize("name", GateSystem.model_fields)
def test_a_limit_of_the_system_may_be_left_out(name):
    limits = GateSystem(**dict.fromkeys(GateSystem.model_fields) | {name: ASKED.model_dump()[name]})
    measured = last_gate.figures(**REPORTS, limits=limits)
    assert {limit for limit, _, _ in measured} <= {name}
    assert last_gate.broken_limits(measured, limits) == []


def test_one_gain_of_many_that_chance_explains_closes_the_gate():
    """.02 alone would do; among three tests it counts as .06 (Holm)."""
    lucky = copy.deepcopy(REPORTS)
    for gain in (lucky["system"]["modifiers"]["code"], lucky["system"]["versus_constant"]):
        gain["p_value"] = 0.02
    lucky["system"]["versus_uncompressed"]["p_value"] = 0.02
    assert len(last_gate.broken_limits(last_gate.figures(**lucky, limits=ASKED), ASKED)) == 3
    two = ASKED.model_copy(update={"min_routing_gain": None})
    assert last_gate.broken_limits(last_gate.figures(**lucky, limits=two), two) == [], "a gain nobody asked for counted"


def test_always_the_base_does_not_pass_for_a_router():
    """It decides right for every prompt that needs no modifier, and wins nothing."""
    lazy = copy.deepcopy(REPORTS)
    lazy["system"]["versus_constant"] = {"gain": 0.0, "p_value": 1.0}
    broken = last_gate.broken_limits(last_gate.figures(**lazy, limits=ASKED), ASKED)
    assert any("min_routing_gain" in one for one in broken)


def test_a_modifier_without_benchmark_items_cannot_be_judged():
    empty = copy.deepcopy(REPORTS)
    empty["system"]["modifiers"]["code"]["base"]["of"] = 0
    with pytest.raises(InputError, match="no benchmark item has domain 'code'"):
        last_gate.figures(**empty, limits=ASKED)


def test_the_gate_of_the_system_raises(tmp_path):
    for name, report in REPORTS.items():
        write_json(tmp_path / name, report)
    with pytest.raises(InputError, match=r"modifier code: .*25.0, at least 30 is asked for"):
        limits = ASKED.model_copy(update={"min_modifier_gain": 30})
        last_gate.gate_system(*(tmp_path / name for name in REPORTS), tmp_path / "v.json", limits=limits)
