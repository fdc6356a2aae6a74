import pytest

from ingot.measuring.consistency import consistent, diverse, groups
from ingot.text.checkers import same_number


def test_answers_are_grouped_by_what_they_say():
    assert groups(["7", "8", "It is 7", "7.0"], same_number) == [["7", "It is 7", "7.0"], ["8"]]


@pytest.mark.parametrize(("right", "expected"), [(6, "It is 7"), (5, None)])
def test_a_majority_of_sixty_percent_is_needed_and_its_longest_answer_taken(right, expected):
    said = ["It is 7"] + ["7"] * (right - 1) + [str(i) for i in range(10, 20 - right)]
    assert len(said) == 10
    assert consistent(said, same_number, 6) == expected


def test_diverse_answers_are_unlike_each_other():
    said = ["a red fox", "a red fox runs", "blue whales sing", "", "old trees fall slowly", "one two three"]
    assert diverse(said, 3, 0.5) == ["a red fox", "blue whales sing", "old trees fall slowly"]
