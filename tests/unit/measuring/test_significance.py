import pytest

from ingot.measuring.significance import compare_pairs, holm, proportion, spent


def test_the_interval_is_wilsons():
    """Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662."""
    assert proportion(81, 263) == {"right": 81, "of": 263, "share": 0.308, "low": 0.2553, "high": 0.3662}
    assert proportion(0, 0)["high"] == 1.0


def pairs(won, lost, both=0, neither=0):
    return ([True] * won + [False] * lost + [True] * both + [False] * neither), (
        [False] * won + [True] * lost + [True] * both + [False] * neither
    )


def test_the_paired_test_is_mcnemars_exact_one():
    """Of 10 questions on which two models differ, one wins 9: 2 (C(10, 0) + C(10, 1)) / 2^10 = 0.0215."""
    found = compare_pairs(*pairs(9, 1, both=40))
    assert (found["won"], found["lost"], found["gain"]) == (9, 1, 16.0)
    assert found["p_value"] == pytest.approx(22 / 1024, abs=1e-4)
    assert compare_pairs(*pairs(1, 9, both=40))["p_value"] == found["p_value"]


def test_the_interval_of_the_gain_is_agresti_and_mins():
    """By hand: (41.5 - 15.5) / 352 = 0.0739, spread sqrt(57 - 26^2 / 352) / 352 = 0.0211."""
    found = compare_pairs(*pairs(41, 15, both=200, neither=94))
    assert found["gain_low"] == pytest.approx(100 * (0.07386 - 1.95996 * 0.02108), abs=0.02)
    assert found["gain_high"] == pytest.approx(100 * (0.07386 + 1.95996 * 0.02108), abs=0.02)


def test_equal_models_are_not_told_apart():
    found = compare_pairs(*pairs(0, 0, both=5, neither=5))
    assert (found["gain"], found["p_value"]) == (0.0, 1.0)
    assert found["gain_low"] < 0 < found["gain_high"]


def test_models_that_were_asked_other_questions_are_not_compared():
    with pytest.raises(ValueError, match="longer|shorter"):
        compare_pairs([True], [True, False])


def test_several_p_values_are_corrected_by_holm():
    """Holm 1979: .01, .02 and .04 of three tests become .03, .04 and .04."""
    assert holm({"a": 0.02, "b": 0.01, "c": 0.04}) == {"b": 0.03, "a": 0.04, "c": 0.04}
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def test_all_rounds_together_spend_no_more_than_one_test_may():
    assert sum(spent(0.05, turn) for turn in range(1, 10_000)) <= 0.05
    assert sum(spent(0.05, turn) for turn in range(1, 21)) > 0.048
    assert spent(1, 20) == 1


def test_the_formulas_are_scipys():
    from scipy.stats import binomtest

    for right, of in ((0, 7), (3, 7), (7, 7), (1, 1000), (812, 1319), (1319, 1319)):
        wilson = binomtest(right, of).proportion_ci(0.95, method="wilson")
        found = proportion(right, of)
        assert (found["low"], found["high"]) == (round(float(wilson.low), 4), round(float(wilson.high), 4))
    for won, lost in ((0, 0), (0, 1), (5, 5), (9, 1), (40, 22), (700, 612)):
        expected = binomtest(won, won + lost).pvalue if won + lost else 1.0
        assert compare_pairs(*pairs(won, lost, 10, 10))["p_value"] == float(f"{expected:.3g}")
