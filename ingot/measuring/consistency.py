"""Self-consistency (Wang et al. 2022, arXiv:2203.11171): of several sampled answers, the one that most agree on."""

from collections.abc import Callable, Sequence

from ingot.text.forms import jaccard, shingles

Same = Callable[[str, str], bool]


def groups(answers: Sequence[str], same: Same) -> list[list[str]]:
    """Return the answers in groups of those that are the `same` as the first of the group, largest group first."""
    found: list[list[str]] = []
    for answer in answers:
        group = next((group for group in found if same(answer, group[0])), None)
        if group is None:
            found.append([answer])
        else:
            group.append(answer)
    return sorted(found, key=len, reverse=True)


def consistent(answers: Sequence[str], same: Same, least: float) -> str | None:
    """Return the longest answer of those that agree, if they are at least `least`, else None."""
    largest = groups(answers, same)[0] if answers else []
    return max(largest, key=len) if largest and len(largest) >= least else None


def diverse(answers: Sequence[str], most: int, likeness: float) -> list[str]:
    """Return up to `most` answers, in their order, no two of which share over `likeness` of their words (Jaccard)."""
    kept: list[str] = []
    for answer in answers:
        words = shingles(answer, "words", 1)
        alike = any(jaccard(words, shingles(other, "words", 1)) > likeness for other in kept)
        if answer and not alike and len(kept) < most:
            kept.append(answer)
    return kept
