"""Choosing among candidates: what is ruled out is never the best, and what is chosen keeps the budget."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from ingot.measuring.frontier import Candidate, Point, choose, interval_of, why_not_asked
from ingot.measuring.significance import compare_pairs
from ingot.quantities import bytes_of
from ingot.settings.frontier import Budget


def candidate(name, file_bytes=1000, memory_bytes=2000, lost=0.1, reach=0.01):
    return Candidate(name, file_bytes, memory_bytes, {"mean": lost, "low": lost - reach, "high": lost + reach})


def point(one, gain=0.0, gain_low=-1.0, right=50):
    return Point(one, right, gain, gain_low)


def test_what_is_larger_and_further_away_is_not_asked():
    small, close = candidate("small"), candidate("close", 3000, 3000, lost=0.01, reach=0.001)
    beaten, alike = candidate("beaten", 1000, 2001, lost=0.2), candidate("alike", 1000, 2001, lost=0.11)
    all_of_them = [small, close, beaten, alike]
    assert why_not_asked(beaten, all_of_them, 1, None) == "small is no larger and better"
    assert [why_not_asked(one, all_of_them, 1, None) for one in (small, close, alike)] == ["", "", ""]


def test_what_exceeds_the_budget_or_lost_too_much_is_not_asked_and_rules_nobody_out():
    large, lost = candidate("large", 500, 5000, lost=0.001, reach=0), candidate("lost", lost=2.0)
    budget = Budget(memory="4KB")
    assert why_not_asked(large, [large, lost], 1, budget) == "1,000 bytes beyond budget.memory"
    assert why_not_asked(lost, [large, lost], 1, budget).endswith("more than frontier.max_token_loss")
    other = candidate("other", 600, 6000)
    assert why_not_asked(other, [large, other], 1, None) == "large is no larger and better"


candidates = some.lists(
    some.tuples(some.integers(1, 50), some.integers(1, 50), some.floats(0, 1)), min_size=1, max_size=12
).map(lambda rows: [candidate(f"c{i}", 1000 * a, 1000 * b, lost, 0.02) for i, (a, b, lost) in enumerate(rows)])


@given(candidates, some.integers(1, 60))
def test_whoever_rules_a_candidate_out_is_itself_no_worse_and_some_are_left(all_of_them, most):
    budget = Budget(file=f"{most}KB")
    left = [one for one in all_of_them if not why_not_asked(one, all_of_them, 10, budget)]
    for one in all_of_them:
        if one not in left and not one.excess(budget):
            assert any(other.is_no_larger(one) and other.token_loss["mean"] < one.token_loss["mean"] for other in left)
    assert bool(left) == any(one.file_bytes <= bytes_of(budget.file) for one in all_of_them)


@given(candidates, some.data())
def test_the_smallest_that_keeps_the_loss_is_chosen(all_of_them, data):
    gains = [data.draw(some.floats(-20, 5)) for _ in all_of_them]
    points = [
        point(one, gain, gain - data.draw(some.floats(0, 5))) for one, gain in zip(all_of_them, gains, strict=True)
    ]
    name, problem = choose(points, all_of_them, Budget(loss=2), 100)
    keeping = [one for one in points if one.gain >= -2 and one.gain_low >= -4]
    if keeping:
        assert not problem
        (chosen,) = (one for one in keeping if one.candidate.name == name)
        assert chosen.size == min(one.size for one in keeping)
    else:
        assert not name and "budget.loss: no candidate is known to lose at most 2 points" in problem


def test_without_a_loss_the_best_that_fits_is_chosen_and_of_equals_the_smaller():
    small, large = candidate("small", 10, 10), candidate("large", 20, 20)
    budget = Budget(memory="1KB")
    assert choose([point(small, right=7), point(large, right=9)], [small, large], budget, 9) == ("large", "")
    assert choose([point(small, right=9), point(large, right=9)], [small, large], budget, 9) == ("small", "")


def test_a_budget_that_cannot_be_met_is_answered_with_the_arithmetic():
    small, large = candidate("small", 5_000, 9_000), candidate("large", 6_000, 12_000)
    name, problem = choose([], [small, large], Budget(memory="8KB"), 9)
    assert not name
    assert problem.startswith("budget.memory: 8KB are wanted, and small takes 9,000 bytes, 1,000 too many")
    assert "raise frontier.max_token_loss" in choose([], [small, large], Budget(memory="9KB"), 9)[1]


@pytest.mark.parametrize("budget", [None, Budget()])
def test_without_a_budget_nothing_is_chosen(budget):
    assert "no budget is set" in choose([point(candidate("a"))], [candidate("a")], budget, 9)[1]


def test_a_loss_of_nothing_is_a_budget_and_no_prompts_choose_nothing():
    one = candidate("a")
    assert choose([point(one, 0.0, 0.0)], [one], Budget(loss=0), 9) == ("a", "")
    assert "no validation prompt has an answer that a checker can check" in choose([], [one], Budget(loss=0), 0)[1]


def test_more_looks_make_intervals_wider_and_leave_the_gain():
    ours, theirs = [True] * 90 + [False] * 10, [True] * 95 + [False] * 5
    once, often = compare_pairs(ours, theirs), compare_pairs(ours, theirs, looks=20)
    assert often["gain"] == once["gain"] == -5
    assert often["gain_low"] < once["gain_low"] and often["gain_high"] > once["gain_high"]


def test_the_interval_knows_that_neighbours_are_alike():
    values = np.repeat(np.random.default_rng(0).exponential(size=50), 16)
    interval = interval_of(values)
    naive = 1.96 * values.std(ddof=1) / len(values) ** 0.5
    assert interval["low"] < interval["mean"] < interval["high"]
    assert interval["mean"] == pytest.approx(values.mean(), abs=1e-5)
    assert interval["high"] - interval["mean"] > 3 * naive
    assert interval_of(np.array([0.5]))["low"] < -1e6, "one token says nothing"
