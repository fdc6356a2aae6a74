"""Asking a model: what is asked how often, and the one format of all answers."""

from ingot.inference.answer import Answer
from ingot.measuring.answers import answer_row, ask, compare_domains, domain_shares, exact_match, limits_of


class Echo:
    """A model that remembers what it was asked, and answers with the number of the prompt."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.asked = []

    def complete(self, prompts, limits, temperature=0.0):
        self.asked.append((limits, temperature))
        return [Answer(str(i), True) for i in range(len(prompts))]


def test_a_question_is_asked_once_greedily_unless_it_wants_samples(tokenizer, record):
    model = Echo(tokenizer)
    questions = [
        record("a", "0", checker="number"),
        record("b", "1") | {"ask": {"samples": 3, "temperature": 0.7}},
        record("c", "9", checker="number"),
    ]
    rows = ask(model, questions, 8)
    assert model.asked == [([8] * 2, 0.0), ([8] * 3, 0.7)]
    assert [(row["instruction"], row["sample"], row["answer"]) for row in rows] == [
        ("a", 0, "0"), ("b", 0, "0"), ("b", 1, "1"), ("b", 2, "2"), ("c", 0, "1"),
    ]  # fmt: skip
    assert [row["right"] for row in rows] == [True, False, True, False, False]


def test_open_questions_are_asked_only_for_a_judge(tokenizer, record):
    questions = [record("a", "0", checker="number"), record("Tell a tale.", "Once.", checker="open")]
    rows = ask(Echo(tokenizer), questions, 8)
    assert [(row["instruction"], row["answer"], row["stopped"]) for row in rows] == [
        ("a", "0", True),
        ("Tell a tale.", None, None),
    ]
    assert [row["answer"] for row in ask(Echo(tokenizer), questions, 8, open_too=True)] == ["0", "1"]
    assert exact_match(rows)["all"]["of"] == 1


def test_auto_allows_an_answer_what_the_references_of_its_kind_call_for(tokenizer, record):
    questions = [
        record("a", "3", domain="math", checker="number"),
        record("b", "12345678", domain="math", checker="number"),
        record("c", "x", domain="logic", checker="number"),
    ]
    lengths = [len(tokenizer(question["response"])["input_ids"]) for question in questions]
    assert limits_of(tokenizer, questions, 7) == [7, 7, 7]
    found = limits_of(tokenizer, questions, "auto")
    assert found == [round(1.5 * lengths[1]) + 32] * 2 + [round(1.5 * lengths[2]) + 32]
    tales = [record("t", "a tale " * length, checker="open") for length in range(1, 21)]
    of_tale = len(tokenizer(tales[17]["response"])["input_ids"])
    assert set(limits_of(tokenizer, tales, "auto")) == {round(1.5 * of_tale) + 32}, "nine in ten are no longer"
    model = Echo(tokenizer)
    rows = ask(model, questions, "auto")
    assert model.asked == [(found, 0.0)]
    assert [row["instruction"] for row in rows] == ["a", "b", "c"]


def test_all_answers_have_one_format(record):
    row = answer_row(record("q", "1", domain="math", checker="number"), Answer("it is 1", True, 0.5))
    assert list(row) == [
        "id", "instruction", "response", "domain", "difficulty", "checker", "sample", "answer", "stopped",
        "confidence", "right",
    ]  # fmt: skip
    assert row["right"] is True


def test_shares_are_counted_by_domain(record):
    rows = [
        answer_row(record("q", "1", domain="math", checker="number"), Answer("it is 1", True)),
        answer_row(record("q", "x", domain="math", difficulty="hard"), Answer("y", False)),
    ]
    assert exact_match(rows)["all"]["share"] == exact_match(rows)["math"]["share"] == 0.5
    assert exact_match(rows)["math/hard"]["share"] == 0
    assert domain_shares(rows) == {"math": 0.5}


def test_a_domain_called_all_is_counted_once():
    rows = [
        {"domain": "all", "difficulty": "easy", "right": True},
        {"domain": "a/b", "difficulty": "easy", "right": False},
    ]
    assert exact_match(rows)["all"]["of"] == 2
    assert domain_shares(rows) == {"all": 1.0, "a/b": 0.0}


def test_domains_are_compared_each_by_itself_and_their_p_values_together():
    def rows(*groups):
        return [{"domain": domain, "right": right} for domain, marks in groups for right in marks]

    ours = rows(("a", [True] * 8), ("b", [True, False]), ("c", [None]))
    theirs = rows(("a", [False] * 8), ("b", [True, True]), ("c", [None]))
    found = compare_domains(ours, theirs)
    assert list(found) == ["a", "b"], "open answers are neither right nor wrong"
    assert (found["a"]["gain"], found["b"]["gain"]) == (100, -50)
    assert found["a"]["p_value"] == 0.00781
    assert found["a"]["p_adjusted"] == 0.0156, "one of two tests (Holm)"
    assert found["b"]["p_adjusted"] == 1
