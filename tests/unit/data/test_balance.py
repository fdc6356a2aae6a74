from collections import Counter

import pytest

from helpers.curation import results, three
from ingot.errors import InputError
from ingot.io.records import write_records
from ingot.settings.data import Balance
from workflow_scripts.data.balance import balance

NO_WISH = {"domain": None, "difficulty": None}


@pytest.fixture
def records(record):
    """600 of code and 300 of math; a third of each is hard."""
    return [
        record(
            f"question {i}", "a", "math" if i % 3 == 0 else "code", "hard" if i % 9 < 3 else "easy", source="ab"[i % 2]
        )
        for i in range(900)
    ]


def run(tmp_path, records, most=None, mix=NO_WISH, weights=None):
    write_records(tmp_path / "in.jsonl", records)
    paths = three(tmp_path, "balanced")
    balance(tmp_path / "in.jsonl", *paths, settings=Balance(most=most, mix=mix), weights=weights or {})
    return results(paths)


def by(records, field):
    return Counter(r["metadata"][field] for r in records)


def test_without_wishes_everything_is_kept_in_its_order(tmp_path, records):
    assert run(tmp_path, records)[0] == records


def test_the_wanted_mix_is_reached_with_as_many_as_there_are(tmp_path, records):
    kept, rejected, _ = run(tmp_path, records, mix=NO_WISH | {"domain": {"code": 0.5, "math": 0.5}})
    assert by(kept, "domain") == {"code": 300, "math": 300}
    assert by(kept, "difficulty")["hard"] == 200
    assert {r["reason"] for r in rejected} == {"not_in_the_mix"}


def test_two_wishes_at_once(tmp_path, records):
    mix = {"domain": {"code": 0.8, "math": 0.2}, "difficulty": {"hard": 0.5, "easy": 0.5}}
    kept, _, _ = run(tmp_path, records, most=200, mix=mix)
    assert by(kept, "domain") == {"code": 160, "math": 40}
    assert by(kept, "difficulty") == {"hard": 100, "easy": 100}


def test_a_domain_without_a_share_is_left_out(tmp_path, records):
    assert by(run(tmp_path, records, mix=NO_WISH | {"domain": {"math": 1.0}})[0], "domain") == {"math": 300}


def test_a_smaller_number_keeps_the_mix_and_is_part_of_a_larger(tmp_path, records):
    small, large = (run(tmp_path, records, most=count)[0] for count in (90, 180))
    assert by(small, "domain") == {"code": 60, "math": 30}
    assert {r["id"] for r in small} <= {r["id"] for r in large}


def test_a_source_of_more_weight_is_taken_more_often(tmp_path, records):
    kept, _, _ = run(tmp_path, records, most=300, weights={"a": 4.0, "b": 1.0})
    counts = by(kept, "source")
    assert counts["a"] > 2 * counts["b"] > 0


def test_a_wanted_domain_without_records_is_named(tmp_path, records):
    with pytest.raises(InputError, match=r"balance\.mix\.domain: no record has poetry"):
        run(tmp_path, records, mix=NO_WISH | {"domain": {"code": 0.5, "poetry": 0.5}})
