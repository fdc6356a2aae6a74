"""Choose among sampled answers what most of them agree on: self-consistency (Wang et al. 2022, arXiv:2203.11171)."""

from collections.abc import Callable, Sequence

from ingot.text.forms import jaccard, shingles

Same = Callable[[str, str], bool]


def groups(answers: Sequence[str], same: Same) -> list[list[str]]:
    """Group equal answers, the largest group first. Each answer is the `same` as the first of its group."""
    grouped: list[list[str]] = []
    for answer in answers:
        group = next((group for group in grouped if same(answer, group[0])), None)
        if group is None:
            grouped.append([answer])
        else:
            group.append(answer)
    return sorted(grouped, key=len, reverse=True)


def consistent(answers: Sequence[str], same: Same, least: float) -> str | None:
    """Return the longest answer of the largest group that agrees. None if the group has fewer than `least` answers."""
    largest = groups(answers, same)[0] if answers else []
    return max(largest, key=len) if largest and len(largest) >= least else None


def diverse(answers: Sequence[str], most: int, likeness: float) -> list[str]:
    """Take up to `most` answers, in their order, that are unlike each other.

    Two answers are alike if the Jaccard similarity of their words, from 0 to 1, is over `likeness`.
    """
    unlike: list[str] = []
    for answer in answers:
        words = shingles(answer, "words", 1)
        is_alike = any(jaccard(words, shingles(earlier, "words", 1)) > likeness for earlier in unlike)
        if answer and not is_alike and len(unlike) < most:
            unlike.append(answer)
    return unlike
