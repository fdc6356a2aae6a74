"""The judge in pairs: through a real server, and through endpoints whose opinion is known."""

import json
import re

import pytest

from helpers import endpoints
from ingot.errors import InputError
from ingot.io.records import read_json, read_records, write_records
from ingot.measuring.judging import CRITERIA, means_of, verdict_of
from ingot.measuring.significance import mean_interval
from ingot.settings.measure import Compare, JudgeOpen, NextRound
from workflow_scripts.adapter.judge_round import judge_round
from workflow_scripts.measure.judge_open import judge_open
from workflow_scripts.suites.compare import compare, decide

pytestmark = pytest.mark.graph
COUNT = 6
PARITY = NextRound(skip=0.5, required=0.5)


@pytest.fixture(scope="module")
def server(f16, tmp_path_factory):
    with endpoints.llama_server(f16, tmp_path_factory.mktemp("served") / "log") as address:
        yield address


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", endpoints.KEY)

    def run(address, ours="good", theirs="bad", count=COUNT, malformed=0.0):
        for name, word in (("ours", ours), ("theirs", theirs)):
            rows = [
                {"instruction": f"Question {i}?", "domain": "ab"[i % 2], "difficulty": "easy", "answer": f"{word} {i}"}
                for i in range(count)
            ]
            write_records(tmp_path / f"{name}.jsonl", rows)
        compare(
            tmp_path / "ours.jsonl", tmp_path / "theirs.jsonl", tmp_path / "report.json", tmp_path / "judgements.jsonl",
            names={"ours": "child", "theirs": "parent"}, judge=endpoints.judge_at(address, retries=1),
            settings=Compare(model="child", reference="parent", malformed=malformed, next_round=PARITY),
            remembered=str(tmp_path / "answers"),
        )  # fmt: skip
        return read_json(tmp_path / "report.json"), list(read_records(tmp_path / "judgements.jsonl"))

    return run


class Opinion(endpoints.FaultyProxy):
    """A judge whose points depend on the two answers that it is shown."""

    def __init__(self, points):
        super().__init__(None, [])
        self.points = points

    def answer(self, handler, body):
        self.fault(body, handler.headers["Authorization"])
        text = json.loads(body)["messages"][0]["content"]
        shown = [re.search(rf"<answer_{side}>\n(.*)\n</answer_{side}>", text).group(1) for side in "ab"]
        points = self.points(*shown)
        content = json.dumps({side: dict.fromkeys(CRITERIA, one) for side, one in zip("ab", points, strict=True)})
        self.reply(handler, content, 100, 20)


def test_only_open_answers_are_judged_beside_the_parents_and_a_sample_of_them(tmp_path, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", endpoints.KEY)
    for name, word in (("ours", "good"), ("theirs", "bad")):
        labels = [{"domain": "ab"[i % 2], "difficulty": "easy", "right": None if i % 3 else True} for i in range(12)]
        rows = [{"id": f"{99 - i}", "instruction": f"Q{i}?", "answer": word, **one} for i, one in enumerate(labels)]
        write_records(tmp_path / f"{name}.jsonl", rows)
    paths = [tmp_path / name for name in ("ours.jsonl", "theirs.jsonl", "report", "judgements")]
    settings, kept = JudgeOpen(most=6, malformed=0.0), str(tmp_path / "answers")
    proxy = Opinion(lambda a, b: (9, 5) if a == "good" else (5, 9))
    with proxy.running() as address:
        judge_open(*paths, judge=endpoints.judge_at(address, retries=1), settings=settings, remembered=kept)
    report, judgements = read_json(paths[2]), list(read_records(paths[3]))
    assert [row["instruction"] for row in judgements] == ["Q11?", "Q10?", "Q8?", "Q7?", "Q5?", "Q4?"]
    assert (report["all"]["win"], report["all"]["share"], report["all"]["of"]) == (6, 1.0, 6)
    assert set(report["domains"]) == {"a", "b"}


def test_in_a_round_what_is_no_better_than_its_reference_is_a_failure(tmp_path, record, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", endpoints.KEY)
    said = ["a fine tale", "as the reference", "bad"]
    records = [record(f"Tell {i}", "as the reference", domain="creativity") | {"answered": said[i]} for i in range(3)]
    write_records(tmp_path / "open", records)
    worth = {"a fine tale": 9, "as the reference": 7, "bad": 2}
    with Opinion(lambda a, b: (worth[a], worth[b])).running() as address:
        judge_round(
            tmp_path / "open",
            tmp_path / "judged",
            tmp_path / "report",
            turn="2",
            judge=endpoints.judge_at(address, retries=1),
            malformed=0.0,
            remembered=str(tmp_path / "answers"),
        )
    failed = list(read_records(tmp_path / "judged"))
    assert [row["failure"] for row in failed] == [
        {"kind": "tie", "answer": "as the reference", "model": "round 1"},
        {"kind": "loss", "answer": "bad", "model": "round 1"},
    ]
    assert failed[1]["response"] == "as the reference"
    assert "answered" not in failed[1]
    assert read_json(tmp_path / "report")["verdicts"] == {"loss": 1, "tie": 1, "win": 1}


def test_only_a_judgement_of_the_asked_form_counts():
    good = {side: dict.fromkeys(CRITERIA, 5) for side in "ab"}
    assert means_of(json.dumps(good)) == (5, 5)
    for bad in (
        "", "7", "[]", "A is better", json.dumps({"a": good["a"]}), json.dumps(good | {"c": good["a"]}),
        json.dumps(good | {"b": good["b"] | {"clarity": 11}}), json.dumps(good | {"b": good["b"] | {"clarity": True}}),
        json.dumps(good | {"b": {"clarity": 5}}), json.dumps(good | {"b": 5}),
    ):  # fmt: skip
        assert means_of(bad) is None, bad


@pytest.mark.parametrize(("points", "verdict"), [(0.6, "win"), (0.5, "tie"), (0, "tie"), (-0.5, "tie"), (-0.6, "loss")])
def test_a_difference_must_be_more_than_the_margin(points, verdict):
    assert verdict_of(points) == verdict


def test_the_better_answers_win_in_both_orders(run):
    with Opinion(lambda a, b: (8 if "good" in a else 4, 8 if "good" in b else 4)).running() as address:
        report, rows = run(address)
    assert (report["all"]["win"], report["all"]["share"], report["orders_agree"]) == (COUNT, 1.0, 1.0)
    assert report["first_place_worth"] == 0
    assert {row["verdict"] for row in rows} == {"win"}
    assert set(report["domains"]) == {"a", "b"}
    assert report["judge"]["answers"] == 2 * COUNT


def test_a_judge_that_prefers_the_first_place_decides_nothing_and_is_found_out(run):
    with Opinion(lambda a, b: (9, 5)).running() as address:
        report, _ = run(address)
    assert (report["all"]["tie"], report["all"]["share"]) == (COUNT, 0.5)
    assert report["orders_agree"] == 0
    assert report["first_place_worth"] == 4
    assert report["next_round"]["all"] == "optional"


def test_the_judge_is_not_told_whose_answer_is_whose(run):
    proxy = Opinion(lambda a, b: (5, 5))
    with proxy.running() as address:
        run(address)
    for request in endpoints.sent(proxy.requests):
        text = request["messages"][0]["content"]
        assert "child" not in text
        assert "parent" not in text
    shown = {
        re.findall(r"(good|bad) 0", one["messages"][0]["content"])[0]
        for one in endpoints.sent(proxy.requests)
        if " 0\n" in one["messages"][0]["content"]
    }
    assert shown == {"good", "bad"}


@pytest.mark.parametrize(
    ("values", "decision"),
    [([1.0] * 40, "skip"), ([0.0] * 40, "required"), ([1.0, 0.0] * 20, "optional"), ([1.0], "optional")],
)
def test_the_interval_and_not_the_mean_decides(values, decision):
    assert decide(mean_interval(values), PARITY) == decision


def test_a_real_model_judges_and_a_second_run_asks_nobody(server, run):
    proxy = endpoints.FaultyProxy(server, ["500"])
    with proxy.running() as address:
        report, rows = run(address, count=3)
        asked = len(proxy.requests)
    assert asked >= 6
    assert len(rows) == report["all"]["of"] == 3
    assert run(address, count=3) == (report, rows)  # the endpoint is gone
    assert len(proxy.requests) == asked


def test_answers_to_other_questions_are_not_compared(run, tmp_path):
    write_records(tmp_path / "a.jsonl", [{"instruction": "x"}])
    write_records(tmp_path / "b.jsonl", [{"instruction": "y"}])
    from workflow_scripts.suites.compare import paired_answers

    with pytest.raises(InputError, match="do not answer the same questions"):
        paired_answers(tmp_path / "a.jsonl", tmp_path / "b.jsonl")


def test_unusable_judgements_are_counted_and_never_guessed(run):
    with Opinion(lambda a, b: (0, 11)).running() as address:
        with pytest.raises(InputError, match=rf"{COUNT} of {COUNT} pairs got no usable judgement, at most 10% may"):
            run(address, malformed=0.1)
        report, rows = run(address, malformed=1.0)
    assert rows == []
    assert report["without_judgement"] == COUNT
