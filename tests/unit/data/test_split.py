import pytest

from ingot.errors import InputError
from ingot.io.records import read_json, read_records, write_records
from workflow_scripts.data.split import part_of, split

SHARES = {"valid": 0.1, "routing": 0.2, "test": 0.1}


def test_shares_are_kept_and_no_prompt_is_on_two_sides(tmp_path, record):
    records = [record(f"question {i // 2}", f"answer {i}") for i in range(4000)]
    write_records(tmp_path / "in.jsonl", records)
    paths = [tmp_path / f"{name}.jsonl" for name in ("train", "valid", "routing", "test")]
    split(tmp_path / "in.jsonl", *paths, tmp_path / "report.json", shares=SHARES, domains=["code"])
    parts = [[r["instruction"] for r in read_records(path)] for path in paths]
    assert sum(map(len, parts)) == 4000 == read_json(tmp_path / "report.json")["records"]
    assert sum(len(set(part)) for part in parts) == 2000
    for part, share in zip(parts, (0.6, 0.1, 0.2, 0.1), strict=True):
        assert abs(len(part) / 4000 - share) < 0.03


def test_a_domain_without_records_is_named_before_anything_is_trained(tmp_path, record):
    write_records(tmp_path / "in.jsonl", [record(f"question {i}", "a") for i in range(100)])
    paths = [tmp_path / f"{name}.jsonl" for name in ("train", "valid", "routing", "test", "report")]
    with pytest.raises(InputError, match=r"has domain poetry, which .*; the data have \['code'\]"):
        split(tmp_path / "in.jsonl", *paths, shares=SHARES, domains=["code", "poetry"])


def test_a_prompt_stays_where_it_is_however_it_is_written():
    assert part_of("Sort: 3 1 2", SHARES) == part_of("  sort: 3  1 2", SHARES)


def test_the_benchmark_of_the_world_lies_in_the_test_part():
    """`generate` draws the benchmark from the end of the hash range, which must be where `split` puts the test set."""
    import itertools

    from ingot.world import tasks

    items = itertools.islice(tasks.tasks(0, {"math": {"easy": 1.0}}, 1 - SHARES["test"], 1.0), 20)
    assert {part_of(item.instruction, SHARES) for item in items} == {"test"}
