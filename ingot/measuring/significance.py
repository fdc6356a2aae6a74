"""Say how sure a share of right answers is, and whether one model is better than another on the same questions.

The formulas are short, and scipy.stats takes most of a second to import, in every job that measures or compares. The
tests compare them with it.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist, fmean, stdev

LEVEL = 0.95
Z = NormalDist().inv_cdf((1 + LEVEL) / 2)


def proportion(right: int, of: int) -> dict[str, float]:
    """Compute the share `right` / `of` and its 95 % interval (Wilson score), all from 0 to 1."""
    if not of:
        return {"right": 0, "of": 0, "share": 0.0, "low": 0.0, "high": 1.0}
    share, weight = right / of, Z**2 / of
    middle = (share + weight / 2) / (1 + weight)
    reach = math.sqrt(share * (1 - share) * weight + weight**2 / 4) / (1 + weight)
    return {
        "right": right,
        "of": of,
        "share": round(share, 4),
        "low": round(max(0.0, middle - reach), 4),
        "high": round(min(1.0, middle + reach), 4),
    }


def mean_interval(values: Sequence[float]) -> dict[str, float]:
    """Compute the mean of values between 0 and 1, and its 95 % interval.

    The interval is Student's t. It is computed with a 0 and a 1 added to the values, as Agresti and Coull (1998) do for
    a proportion. Without them, equal values would seem to be certain.
    """
    from scipy.special import stdtrit

    if not values:
        return {"share": 0.0, "low": 0.0, "high": 1.0, "of": 0}
    padded = [*values, 0.0, 1.0]
    reach = float(stdtrit(len(padded) - 1, (1 + LEVEL) / 2)) * stdev(padded) / len(padded) ** 0.5
    middle = fmean(padded)
    low, high = max(0.0, middle - reach), min(1.0, middle + reach)
    return {"share": round(fmean(values), 4), "low": round(low, 4), "high": round(high, 4), "of": len(values)}


def compare_pairs(ours: Sequence[bool], theirs: Sequence[bool], looks: int = 1) -> dict[str, float]:
    """Compare two models by which of the same questions they answer right. Both lists are in the same order.

    With more `looks`, so many models are compared, and the intervals of all of them hold at once in 95 % of cases
    (Bonferroni).

    Returns:
        `won` and `lost`: how many questions only we, or only they, answer right; `gain` in points of exact match;
        `gain_low` and `gain_high`, its 95 % interval (Agresti and Min 2005, Statistics in Medicine 24, with half a
        question added to each cell); `p_value`, two-sided, of McNemar's exact test that both are equally good.

    Raises ValueError if the lists are not equally long.
    """
    won = sum(a and not b for a, b in zip(ours, theirs, strict=True))
    lost = sum(b and not a for a, b in zip(ours, theirs, strict=True))
    adjusted_won, adjusted_lost, of = won + 0.5, lost + 0.5, len(ours) + 2
    middle = (adjusted_won - adjusted_lost) / of
    spread = (adjusted_won + adjusted_lost - (adjusted_won - adjusted_lost) ** 2 / of) ** 0.5 / of
    reach = NormalDist().inv_cdf(1 - (1 - LEVEL) / 2 / looks) * spread
    extreme = sum(math.comb(won + lost, count) for count in range(min(won, lost) + 1))
    p_value = min(1.0, 2 * extreme / 2 ** (won + lost))
    return {
        "won": won,
        "lost": lost,
        "gain": round(100 * (won - lost) / max(1, len(ours)), 2),
        "gain_low": round(100 * (middle - reach), 2),
        "gain_high": round(100 * (middle + reach), 2),
        "p_value": float(f"{p_value:.3g}"),
    }


def compare_means(gains: Sequence[float]) -> dict[str, float]:
    """Compare two models by what one gains over the other on each question.

    Returns `of`, the mean `gain`, its 95 % interval `gain_low` and `gain_high`, and the two-sided `p_value` that it is
    zero, by Student's t test of paired samples. Fewer than two questions, or equal gains, say nothing: p is 1.
    """
    from scipy.special import stdtr, stdtrit

    of, mean = len(gains), fmean(gains) if gains else 0.0
    spread = stdev(gains) / of**0.5 if of > 1 else 0.0
    reach = float(stdtrit(of - 1, (1 + LEVEL) / 2)) * spread if spread else 0.0
    p_value = 2 * float(stdtr(of - 1, -abs(mean / spread))) if spread else 1.0
    return {
        "of": of,
        "gain": round(mean, 4),
        "gain_low": round(mean - reach, 4),
        "gain_high": round(mean + reach, 4),
        "p_value": float(f"{p_value:.3g}"),
    }


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjust the p values of several tests, so that the chance of any false gain stays what one test would have.

    This is the method of Holm 1979 (Scandinavian Journal of Statistics 6).
    """
    adjusted: dict[str, float] = {}
    least = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda one: p_values[one])):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = float(f"{least:.3g}")
    return adjusted


def spent(alpha: float, turn: int) -> float:
    """Return which part of `alpha` the test of a turn, from 1 on, may use. All turns together use no more than alpha.

    The shares are 6 / (pi * turn)^2, so early turns get most, and nobody needs to know how many there will be. An alpha
    of 1 asks for nothing in any turn.
    """
    return alpha if alpha >= 1 else alpha * 6 / (math.pi * turn) ** 2


def forgetting(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Compute how many points the domains fell, on average over all of them.

    `before` and `after` are the shares of right answers by domain, from 0 to 1. This is the forgetting of Chaudhry et
    al. 2018 (arXiv:1801.10112), except that a domain that rose counts as 0. So a gain in one domain does not hide a
    loss in another.
    """
    falls = [max(0.0, 100 * (share - after[domain])) for domain, share in before.items()]
    return round(sum(falls) / max(1, len(falls)), 2)
