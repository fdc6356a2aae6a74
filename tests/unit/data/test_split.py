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
    split(tmp_path / "in.jsonl", *paths, tmp_path / "report.json", settings=SETTINGS, domains=["code"])
    sides = [[r["instruction"] for r in read_records(path)] for path in paths]
    assert sum(map(len, sides)) == 4000 == read_json(tmp_path / "report.json")["records"]
    assert sum(len(set(side)) for side in sides) == 2000
    for side, share in zip(sides, (0.6, 0.1, 0.2, 0.1), strict=True):
        assert abs(len(side) / 4000 - share) < 0.03


def test_a_domain_without_records_is_named_before_anything_is_trained(tmp_path, record):
    write_records(tmp_path / "in.jsonl", [record(f"question {i}", "a") for i in range(100)])
    paths = [tmp_path / f"{name}.jsonl" for name in ("train", "valid", "routing", "test", "report")]
    with pytest.raises(InputError, match=r"has domain poetry, which .*; the data have \['code'\]"):
        split(tmp_path / "in.jsonl", *paths, settings=SETTINGS, domains=["code", "poetry"])


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
