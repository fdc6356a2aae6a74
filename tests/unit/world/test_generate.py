import itertools
from typing import get_args

import pytest

from helpers.curation import READ
from ingot.io.formats import WHOLE, rows
from ingot.io.records import read_records
from ingot.settings.world import Difficulty, Generate, Plant, WorldDomain
from ingot.text.checkers import is_right
from ingot.text.forms import normalise, unit_hash
from ingot.world import tasks
from workflow_scripts.world.generate import generate

PLANTS = dict.fromkeys(get_args(Plant), 5)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "two")]
    names = (
        "alpaca.jsonl",
        "messages.jsonl.gz",
        "question.jsonl.zst",
        "pretraining.jsonl",
        "benchmark.jsonl",
        "truth.jsonl",
    )
    settings = Generate(
        counts={"records": 600, "benchmark": 60, "pretraining": 300},
        mix={domain: {"easy": 0.5, "medium": 0.3, "hard": 0.2} for domain in tasks.DOMAINS},
        plants=PLANTS,
    )
    for folder in folders:
        generate(*(folder / name for name in names), settings=settings, test_share=0.1, seed=3)
    return folders


def test_the_same_seed_gives_the_same_bytes(made):
    first, second = ([path.read_bytes() for path in sorted(folder.iterdir())] for folder in made)
    assert first == second


def test_the_truth_counts_what_was_planted(made):
    truth = list(read_records(made[0] / "truth.jsonl"))
    assert {kind: sum(t["plant"] == kind for t in truth) for kind in PLANTS} == PLANTS


def test_the_truth_names_the_line(made):
    files = {"alpaca": "alpaca.jsonl", "messages": "messages.jsonl.gz", "question": "question.jsonl.zst"}
    for entry in read_records(made[0] / "truth.jsonl"):
        if entry["plant"] == "broken":
            path = made[0] / files[entry["shape"]]
            row = next(itertools.islice(rows(path, None, READ, WHOLE), entry["line"] - 1, None))
            assert (row.number, row.reason) == (entry["line"], "invalid_json")


def test_no_pretraining_prompt_is_in_the_benchmark(made):
    asked = {normalise(r["instruction"]) for r in read_records(made[0] / "benchmark.jsonl")}
    assert asked.isdisjoint(normalise(r["instruction"]) for r in read_records(made[0] / "pretraining.jsonl"))
    assert all(unit_hash(prompt) >= 0.9 for prompt in asked)


@pytest.mark.parametrize("domain", tasks.DOMAINS)
def test_every_task_passes_its_own_checker_and_another_answer_does_not(domain):
    import random

    r = random.Random(0)
    for difficulty in filter(lambda d: tasks.has(domain, d), tasks.DIFFICULTIES):
        for _ in range(50):
            task = tasks.draw(r, domain, difficulty)
            assert is_right(task.checker, task.response, task.response)
            assert not is_right(task.checker, "no idea", task.response)


def test_a_domain_without_new_prompts_is_named():
    with pytest.raises(ValueError, match="'knowledge' has no more new prompts"):
        for _ in tasks.tasks(0, {"knowledge": {"easy": 1.0}}, 0.5, 0.500001):
            pass


def test_the_settings_know_the_domains_and_difficulties_of_the_world():
    assert get_args(WorldDomain) == tasks.DOMAINS
    assert get_args(Difficulty) == tasks.DIFFICULTIES
