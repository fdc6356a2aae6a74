import csv
import gzip
import json

import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from helpers.curation import READ, read_file
from ingot.errors import InputError
from ingot.io import formats
from ingot.io.formats import WHOLE, Part, parse, rows

GOOD = json.dumps({"question": "Q", "answer": "A"}).encode()
TABLE = [{"question": f'Q{i}, "x"\n{i}', "answer": f"A{i}"} for i in range(2500)]
PACK = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}


def write_table(form, path, pack):
    plain = path.with_name("plain")
    if form == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(TABLE), plain, row_group_size=700)
    elif form == "json":
        plain.write_text(json.dumps({"about": "all", "examples": TABLE}))
    elif form == "csv":
        with open(plain, "w", newline="") as file:
            writer = csv.DictWriter(file, ["question", "answer"])
            writer.writeheader()
            writer.writerows(TABLE)
    else:
        plain.write_text("\n".join(map(json.dumps, TABLE)))
    path.write_bytes(pack(plain.read_bytes()))


@pytest.mark.parametrize("packed", PACK)
@pytest.mark.parametrize("form", formats.FORMATS)
def test_every_format_gives_the_same_rows_whole_and_in_parts(form, packed, tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "CHUNK", 10_000)  # so that records lie on the borders of chunks
    path = tmp_path / f"table.{form}{packed}"
    write_table(form, path, PACK[packed])
    assert [row.value for row in rows(path, None, READ, WHOLE)] == TABLE
    numbers = [row.number for i in range(3) for row in rows(path, None, READ, Part(i, 3))]
    assert sorted(numbers) == list(range(1, len(TABLE) + 1))
    path.rename(tmp_path / "unnamed")
    if form in ("jsonl", "parquet"):
        assert len(list(rows(tmp_path / "unnamed", None, READ, WHOLE))) == len(TABLE)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": "\x00"}', "nul_byte"),
        (b'{"a": "caf\xe9"}', "invalid_utf8"),
        (b'{"a": ', "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "duplicate_key"),
    ],
)
def test_a_broken_line_is_refused_with_its_reason(line, reason):
    assert parse(line) == (None, reason)


def test_garbage_between_good_lines_costs_only_itself_and_is_named_by_row(tmp_path):
    path = tmp_path / "s.jsonl"
    path.write_bytes(b"\n".join([GOOD, b"{broken", b"x" * (50 << 20), b"\x00", b"", GOOD.replace(b"Q", b"R")]) + b"\n")
    kept, rejected, report = read_file(path, tmp_path)
    assert [r["instruction"] for r in kept] == ["Q", "R"]
    assert [(r["record"]["row"], r["reason"]) for r in rejected] == [
        (2, "invalid_json"),
        (3, "row_too_long"),
        (4, "nul_byte"),
    ]
    assert report["read"] == 5


def test_broken_rows_of_a_table_are_named(tmp_path):
    path = tmp_path / "s.csv"
    path.write_bytes(b'question,answer\nQ,A\nonly one\ncaf\xe9,A\n"cut"off,A\nQ2,A\n')
    kept, rejected, _ = read_file(path, tmp_path)
    assert [r["instruction"] for r in kept] == ["Q", "Q2"]
    assert [(r["record"]["row"], r["reason"]) for r in rejected] == [
        (2, "wrong_number_of_columns"),
        (3, "invalid_utf8"),
        (4, "invalid_csv"),
    ]
    assert rejected[0]["evidence"] == "1 columns, and the first line names 2"
    assert "expected after" in rejected[2]["evidence"]


def test_a_list_of_records_may_hold_bad_ones(tmp_path):
    path = tmp_path / "s.json"
    path.write_bytes(
        b'[{"question": "Q", "answer": "A"}, 5, {"question": 1, "question": 2}, {"question": "caf\xe9", "answer": "A"}]'
    )
    kept, rejected, _ = read_file(path, tmp_path)
    assert len(kept) == 1
    assert [r["reason"] for r in rejected] == ["not_an_object", "duplicate_key", "invalid_utf8"]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_cut_off_source_stops_with_file_and_place(tmp_path, suffix):
    data = b"".join(json.dumps({"question": f"Q{i * i}", "answer": f"A{i}"}).encode() + b"\n" for i in range(5000))
    path = tmp_path / f"s.jsonl{suffix}"
    path.write_bytes(PACK[suffix](data)[:-100])
    with pytest.raises(InputError, match=r"s\.jsonl.*cut off after unpacked byte \d+"):
        read_file(path, tmp_path)


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_bomb_is_refused_before_it_fills_memory_or_disk(tmp_path, suffix):
    path = tmp_path / f"bomb.jsonl{suffix}"
    path.write_bytes(PACK[suffix](b" " * (200 << 20)))
    with pytest.raises(InputError, match=r"bomb.*unpacks to more than 64 MiB.*read\.unpacking"):
        read_file(path, tmp_path, row_bytes=1 << 30)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("absent.jsonl", None, "absent.jsonl: no such source"),
        ("empty.jsonl", b"", "empty.jsonl: the source is empty"),
        ("s.json", b'{"question": {"a": [1]}}', "must be a list of records"),
        ("s.json", b'[{"question": "Q", "answer": ', "record 1: not valid JSON"),
        ("s.csv", b"a,a\n1,2\n", "two columns have the same name"),
        ("s.csv", "Aufgabe;Lösung\nx?;y\n".encode("cp1252"), "names of the columns, is not UTF-8"),
        ("s.parquet", b"PAR1 and nothing else", "not a whole Parquet file"),
        ("s.bin", b"hello", "its format is not known"),
    ],
)
def test_a_source_that_cannot_be_read_is_named(name, data, message, tmp_path):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_file(tmp_path / name, tmp_path)


def test_a_table_with_other_columns_leaves_counts_that_add_up(tmp_path):
    pyarrow.parquet.write_table(pyarrow.table({"a": [1, 2], "b": ["x", "y"]}), tmp_path / "s.parquet")
    kept, rejected, _ = read_file(tmp_path / "s.parquet", tmp_path)
    assert kept == []
    assert [r["reason"] for r in rejected] == ["missing_fields"] * 2


def test_rows_of_a_table_are_bounded_as_lines_are(tmp_path):
    rows = {"question": ["q", "q" * 2000], "answer": ["a", "b"]}
    pyarrow.parquet.write_table(pyarrow.table(rows), tmp_path / "s.parquet")
    kept, rejected, _ = read_file(tmp_path / "s.parquet", tmp_path, row_bytes=1024)
    assert len(kept) == 1
    assert [r["reason"] for r in rejected] == ["row_too_long"]


def test_a_first_line_without_end_is_no_header(tmp_path):
    (tmp_path / "s.csv").write_text("x" * 5000)
    with pytest.raises(InputError, match="its first line, with the names of the columns, is longer than"):
        read_file(tmp_path / "s.csv", tmp_path, row_bytes=1024)


def test_a_table_that_unpacks_to_too_much_is_refused(tmp_path):
    table = pyarrow.table({"question": ["q" * 1000] * 100_000, "answer": [f"{'a' * 900}{i}" for i in range(100_000)]})
    pyarrow.parquet.write_table(table, tmp_path / "s.parquet", compression="zstd", use_dictionary=False)
    with pytest.raises(InputError, match="unpacks to more than 64 MiB"):
        read_file(tmp_path / "s.parquet", tmp_path, unpacking=2)


def test_a_long_text_that_stands_in_many_rows_does_not_fill_the_memory(tmp_path):
    """Eighty times eight megabytes are 640 MB, in a file of some kilobytes."""
    import tracemalloc

    texts = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 80), pyarrow.array(["q" * 8_000_000]))
    table = pyarrow.table({"question": texts, "answer": [str(i) for i in range(80)]})
    limits = {"compression": "zstd", "dictionary_pagesize_limit": 1 << 30}
    pyarrow.parquet.write_table(table, tmp_path / "s.parquet", **limits)
    assert (tmp_path / "s.parquet").stat().st_size < 200_000
    tracemalloc.start()
    with pytest.raises(InputError, match="row_too_long 80 times"):
        read_file(tmp_path / "s.parquet", tmp_path, row_bytes=1024)
    assert tracemalloc.get_traced_memory()[1] < 100_000_000
    tracemalloc.stop()
    assert pyarrow.default_memory_pool().max_memory() < 300_000_000


def test_a_hundred_thousand_empty_records_leave_counts_that_add_up(tmp_path):
    (tmp_path / "s.jsonl").write_text("{}\n" * 100_000 + '{"question": "Q", "answer": "A"}\n')
    kept, rejected, _ = read_file(tmp_path / "s.jsonl", tmp_path)
    assert (len(kept), len(rejected)) == (1, 100_000)
