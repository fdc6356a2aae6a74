import pytest

from ingot.errors import InputError
from ingot.io.records import read_json, read_records, write_records
from ingot.settings.data import Split
from ingot.text.forms import unit_hash
from workflow_scripts.data.split import edges_of, side_of, split

SETTINGS = Split(offset=0, shares={"valid": 0.1, "routing": 0.2, "test": 0.1})
EDGES = edges_of(SETTINGS.shares)


def test_shares_are_kept_and_no_prompt_is_on_two_sides(tmp_path, record):
    records = [record(f"question {i // 2}", f"answer {i}") for i in range(4000)]
    write_records(tmp_path / "in.jsonl", records)
    paths = [tmp_path / f"{name}.jsonl" for name in ("train", "valid", "routing", "test")]
    told = {"settings": SETTINGS, "domains": ["code"], "least_failures": 1000, "router": True}
    split(tmp_path / "in.jsonl", *paths, tmp_path / "report.json", **told)
    sides = [[r["instruction"] for r in read_records(path)] for path in paths]
    assert sum(map(len, sides)) == 4000 == read_json(tmp_path / "report.json")["records"]
    assert sum(len(set(side)) for side in sides) == 2000
    for side, share in zip(sides, (0.6, 0.1, 0.2, 0.1), strict=True):
        assert abs(len(side) / 4000 - share) < 0.03


def test_a_domain_without_records_is_named_before_anything_is_trained(tmp_path, record):
    write_records(tmp_path / "in.jsonl", [record(f"question {i}", "a") for i in range(100)])
    paths = [tmp_path / f"{name}.jsonl" for name in ("train", "valid", "routing", "test", "report")]
    with pytest.raises(InputError, match=r"has domain poetry, which .*; the data have \['code'\]"):
        split(
            tmp_path / "in.jsonl", *paths, settings=SETTINGS, domains=["code", "poetry"], least_failures=1, router=True
        )


@pytest.mark.parametrize(
    ("open_part", "least", "said"),
    [
        ("", 100, r"the train part has \d\d records of domain code .* needs 100; .*least_failures"),
        ("train", 1, "the train part has 0 records of domain code whose answers a checker can check"),
        ("valid", 1, "the valid part has 0 records"),
        ("routing", 1, "the routing part has 0 records"),
    ],
)
def test_a_modifier_that_could_learn_too_little_is_said_before_anything_is_trained(
    tmp_path, record, open_part, least, said
):
    def checker(prompt):
        return "open" if side_of(prompt, EDGES) == open_part else "text"

    prompts = [f"question {i}" for i in range(100)]
    write_records(tmp_path / "in.jsonl", [record(prompt, "a", checker=checker(prompt)) for prompt in prompts])
    paths = [tmp_path / f"{name}.jsonl" for name in ("train", "valid", "routing", "test", "report")]
    with pytest.raises(InputError, match=said):
        split(tmp_path / "in.jsonl", *paths, settings=SETTINGS, domains=["code"], least_failures=least, router=True)
    if open_part == "routing":
        split(tmp_path / "in.jsonl", *paths, settings=SETTINGS, domains=["code"], least_failures=least, router=False)


def test_a_prompt_stays_where_it_is_however_it_is_written():
    assert side_of("Sort: 3 1 2", EDGES) == side_of("  sort: 3  1 2", EDGES)


def test_an_offset_moves_all_sides_along_the_hashes():
    prompts = [f"question {i}" for i in range(1000)]
    assert not any(side_of(p, EDGES) == side_of(p, EDGES, 0.5) == "test" for p in prompts)
    moved = [unit_hash(p) for p in prompts if side_of(p, EDGES, 0.5) == "test"]  # [0.9, 1) moved by a half
    assert 60 < len(moved) < 140
    assert all(0.4 <= place < 0.5 for place in moved)


def test_the_benchmark_of_the_world_lies_on_the_test_side():
    """`generate` draws the benchmark from the end of the hash range, and there `split` must put the test set."""
    import itertools

    from ingot.world import tasks

    items = itertools.islice(tasks.tasks(0, {"math": {"easy": 1.0}}, 1 - SETTINGS.shares.test, 1.0), 20)
    assert {side_of(item.instruction, EDGES) for item in items} == {"test"}
