import gzip
import json

import pytest
import zstandard

from lib.records import InputError, read_json, read_records
from read import parse, read, standardise

DEFAULTS = {"domain": "code"}


@pytest.mark.parametrize(
    "source",
    [
        {"instruction": "Q", "input": "", "output": "A"},
        {"instruction": "Q", "context": "", "response": "A"},
        {"question": "Q", "answer": "A"},
        {"prompt": "Q", "completion": "A"},
        {"instruction": "Q", "response": "A"},
        {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]},
        {
            "messages": [
                {"role": "system", "content": "S"},
                {"role": "user", "content": "Q"},
                {"role": "assistant", "content": "A"},
            ]
        },
        {"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]},
    ],
)
def test_every_known_shape_becomes_the_same_record(source):
    record, reason = standardise(source, "s.jsonl", DEFAULTS)
    assert reason == ""
    assert (record["instruction"], record["response"], record["metadata"]["domain"]) == ("Q", "A", "code")


def test_alpaca_input_is_part_of_the_question():
    record, _ = standardise({"instruction": "Sort", "input": "3 1", "output": "1 3"}, "s", DEFAULTS)
    assert record["instruction"] == "Sort\n\n3 1"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (["a list"], "not_an_object"),
        ({"text": "only text"}, "missing_fields"),
        ({"messages": [{"role": "user", "content": "Q"}]}, "missing_fields"),
        ({"messages": "no list"}, "missing_fields"),
        ({"question": 5, "answer": "A"}, "not_text"),
        ({"question": " ", "answer": "A"}, "empty_text"),
        ({"question": "\ud800", "answer": "A"}, "lone_surrogate"),
        ({"question": "Q", "answer": "A", "quality_score": "9"}, "bad_metadata"),
        ({"question": "Q", "answer": "A", "domain": ["code"]}, "bad_metadata"),
        ({"question": "Q", "answer": "A", "difficulty": []}, "bad_metadata"),
        ({"question": "Q", "answer": "A", "checker": "vibes"}, "bad_metadata"),
        ({"question": "Q", "answer": "#### 72", "checker": "number"}, "answer_is_no_number"),
    ],
)
def test_a_record_that_cannot_be_used_is_refused_with_its_reason(source, reason):
    assert standardise(source, "s", DEFAULTS) == (None, reason)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (None, "line_too_long"),
        (b'{"a": "\x00"}', "nul_byte"),
        (b'{"a": "caf\xe9"}', "invalid_utf8"),
        (b'{"a": ', "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
    ],
)
def test_a_broken_line_is_refused_with_its_reason(line, reason):
    assert parse(line) == (None, reason)


def read_file(path, tmp_path, limit=1 << 20):
    out = [tmp_path / name for name in ("records.jsonl", "rejected.jsonl", "report.json")]
    read([path], *out, defaults=[DEFAULTS], max_line_bytes=limit)
    return [list(read_records(p)) for p in out[:2]] + [read_json(out[2])]


GOOD = json.dumps({"question": "Q", "answer": "A"}).encode()


def test_garbage_between_good_lines_costs_only_itself_and_is_named_by_line(tmp_path):
    path = tmp_path / "s.jsonl"
    path.write_bytes(b"\n".join([GOOD, b"{broken", b"x" * (50 << 20), b"\x00", b"", GOOD.replace(b"Q", b"R")]) + b"\n")
    kept, rejected, report = read_file(path, tmp_path)
    assert [r["instruction"] for r in kept] == ["Q", "R"]
    assert [(r["record"]["line"], r["reason"]) for r in rejected] == [
        (2, "invalid_json"),
        (3, "line_too_long"),
        (4, "nul_byte"),
    ]
    assert report["read"] == report["kept"] + report["rejected"] == 5


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_packed_sources_read_like_plain_ones(tmp_path, suffix):
    data = GOOD + b"\n" + GOOD.replace(b"Q", b"R") + b"\n"
    pack = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}[suffix]
    path = tmp_path / f"s.jsonl{suffix}"
    path.write_bytes(pack(data))
    assert len(read_file(path, tmp_path)[0]) == 2


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_cut_off_source_stops_with_file_and_place(tmp_path, suffix):
    data = b"".join(json.dumps({"question": f"Q{i * i}", "answer": f"A{i}"}).encode() + b"\n" for i in range(5000))
    pack = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}[suffix]
    path = tmp_path / f"s.jsonl{suffix}"
    path.write_bytes(pack(data)[:-100])
    with pytest.raises(InputError, match=r"s\.jsonl.*cut off after line \d+, unpacked byte \d+"):
        read_file(path, tmp_path)


def test_a_missing_and_an_empty_source_are_named(tmp_path):
    with pytest.raises(InputError, match="absent.jsonl: no such source"):
        read_file(tmp_path / "absent.jsonl", tmp_path)
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(InputError, match="empty.jsonl: the source is empty"):
        read_file(tmp_path / "empty.jsonl", tmp_path)


def test_what_a_source_leaves_null_gets_its_default():
    source = {"question": "Q", "answer": "A", "domain": None, "difficulty": None, "quality_score": 7.5}
    metadata = standardise(source, "s", DEFAULTS)[0]["metadata"]
    assert (metadata["domain"], metadata["difficulty"], metadata["quality_score"]) == ("code", "medium", 7.5)
