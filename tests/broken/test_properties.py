"""What must hold for every input that hypothesis makes up, of readers, shapes, configurations, remotes and releases.

    EXAMPLES=5000 pytest tests/broken/test_properties.py

makes up more of them, and others each time.
"""

import copy
import csv
import gzip
import json
import os
import re
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import yaml
import zstandard
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from helpers.curation import LABELS, READ
from helpers.settings import changed
from helpers.workspaces import ROOT
from ingot.curation.redaction import redacted
from ingot.curation.shapes import standardise
from ingot.errors import InputError
from ingot.io import formats
from ingot.io.container import pack_file, unpack_file
from ingot.io.formats import WHOLE, Part, parse, rows
from ingot.settings.everything import Settings
from ingot.settings.load import load
from ingot.workflow.build import problems
from ingot.workflow.parts import inert
from traced import yaml12
from traced.cache import is_inside, read_listing
from traced.lineage import check, read
from traced.step import Step
from traced.store import hash_of, parse_entry

EXAMPLES = int(os.environ.get("EXAMPLES", "60"))
settings.register_profile(
    "ingot",
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="EXAMPLES" not in os.environ,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("ingot")

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)
FIELDS = st.sampled_from(
    ["instruction", "input", "output", "response", "question", "answer", "messages", "conversations", "instances",
     "role", "content", "from", "value", "domain", "difficulty", "checker", "quality_score", "teacher"]
)  # fmt: skip
ROWS = st.dictionaries(FIELDS, VALUES, max_size=6)
# Pieces of which broken files are made: random bytes alone seldom get past the first of them.
PIECES = st.sampled_from(
    [
        *(sign.encode() for sign in '{}[]",;'), b"\n", b"\r", b"\t", b" ", b"\x00", b"\xff", b"\xef\xbb\xbf",
        b'{"question": "a", "answer": "b"}', b"question,answer\n", b'"a', b"1e999", b"NaN", b"\\ud800", b"PAR1",
        b"\x1f\x8b", b"\x28\xb5\x2f\xfd",
    ]
)  # fmt: skip
FILES = st.binary(max_size=200) | st.lists(PIECES, max_size=12).map(b"".join)
PACKINGS = st.sampled_from([bytes, gzip.compress, zstandard.ZstdCompressor().compress])


@given(data=FILES, pack=PACKINGS, form=st.sampled_from([None, *formats.FORMATS]))
def test_a_file_of_any_bytes_is_read_or_refused_by_name(tmp_path, data, pack, form):
    path = tmp_path / "any.bin"
    path.write_bytes(pack(data))
    try:
        found = list(rows(path, form, READ, WHOLE))
    except InputError as error:
        assert "any.bin" in str(error)
        return
    assert [row.number for row in found] == sorted({row.number for row in found}), "each row has its number"
    for row in found:
        record, reason = (None, row.reason) if row.reason else standardise(row.value, LABELS, None)
        assert (record is None) == bool(reason)


@given(data=FILES, form=st.sampled_from(["jsonl", "json", "csv"]), of=st.integers(2, 4))
def test_the_parts_of_a_file_are_the_whole(tmp_path, monkeypatch, data, form, of):
    monkeypatch.setattr(formats, "BLOCK", 2)
    path = tmp_path / "any.bin"
    path.write_bytes(data)
    try:
        whole = list(rows(path, form, READ, WHOLE))
    except InputError:
        return
    parts = [row for place in range(of) for row in rows(path, form, READ, Part(place, of))]
    assert sorted(map(repr, parts)) == sorted(map(repr, whole))


@given(table=st.lists(st.fixed_dictionaries({"question": TEXT, "answer": TEXT}), min_size=1, max_size=20))
def test_every_format_gives_back_what_was_written(tmp_path, table):
    assume(all("\x00" not in text for row in table for text in row.values()))
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, table)), encoding="utf-8")
    (tmp_path / "a.json").write_text(json.dumps(table), encoding="utf-8")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(table), tmp_path / "a.parquet")
    with open(tmp_path / "a.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["question", "answer"], quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(table)
    for form in formats.FORMATS:
        assert [row.value for row in rows(tmp_path / f"a.{form}", None, READ, WHOLE)] == table


@given(line=FILES)
def test_a_line_of_any_bytes_is_a_value_or_has_a_reason(line):
    value, reason = parse(line)
    assert value is None or not reason


@given(row=ROWS | VALUES)
def test_any_row_is_a_record_or_has_a_reason(row):
    record, reason = standardise(row, LABELS, None)
    if record is None:
        assert reason
        return
    assert not reason
    assert record["instruction"].strip() and record["response"].strip()
    json.dumps(record, ensure_ascii=False).encode()  # it can be written


@given(size=st.integers(1024, 2000), answer=st.text(max_size=3000))
def test_no_row_is_longer_than_allowed(tmp_path, size, answer):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"question": "a", "answer": answer}) + "\n")
    long = path.stat().st_size > size
    assert [row.reason for row in rows(path, None, changed(READ, row_bytes=size), WHOLE)] == [
        "row_too_long"
    ] * long or not long


@given(text=st.text(max_size=300))
def test_what_is_redacted_once_stays_as_it_is(text):
    once = redacted({"text": text}, "US")
    assert redacted(once, "US") == once


@given(name=st.text(min_size=1, max_size=100))
def test_any_file_name_becomes_an_inert_one(name):
    assume("/" not in name and "\x00" not in name)
    try:
        found = inert(name)
    except UnicodeEncodeError:
        return  # half a surrogate: refused by `parts_of`
    assert re.fullmatch(r"[A-Za-z0-9._]{1,80}", found)


TINY = load({"preset": "tiny"}, ROOT).model_dump(mode="json")


def places(value, path=()):
    """Every place of nested settings."""
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


PLACES = [path for path in places(TINY) if path and path[0] != "preset"]


@given(path=st.sampled_from(PLACES), value=VALUES, remove=st.booleans())
def test_any_change_of_a_setting_is_taken_or_refused_in_words(path, value, remove):
    given_settings = copy.deepcopy(TINY)
    inner = given_settings
    for key in path[:-1]:
        inner = inner[key]
    if remove and isinstance(inner, dict):
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    try:
        assert isinstance(load(given_settings, ROOT, problems), Settings)
    except InputError as error:
        assert "the configuration is not valid" in str(error) or str(path[0]) in str(error)


ENTRY = {
    "cmd": "one", "deps": [{"path": "in", "md5": "0" * 32, "size": 1}], "params": {"params.json": {"one": {"a": 1}}},
    "outs": [{"path": "out", "md5": "1" * 32, "size": 1}],
}  # fmt: skip


@given(data=st.binary(max_size=300) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_whatever_a_remote_sends_as_a_trace_is_refused_unless_it_is_one(data):
    assert parse_entry(data, hash_of(ENTRY)) is None
    assert read_listing(data, "0" * 32 + ".dir") is None


@given(place=st.integers(0, 10_000), sign=st.integers(1, 255))
def test_a_trace_with_a_changed_byte_is_not_used(place, sign):
    text = bytearray(json.dumps(ENTRY).encode())
    text[place % len(text)] ^= sign
    found = parse_entry(bytes(text), hash_of(ENTRY))
    assert found is None or hash_of(found) == hash_of(ENTRY)


@given(name=st.text(max_size=40))
def test_no_name_of_a_list_leads_out_of_its_folder(tmp_path, name):
    if is_inside(name):
        assert (tmp_path / name).resolve().is_relative_to(tmp_path.resolve())


@given(value=st.dictionaries(TEXT, VALUES))
def test_the_yaml_that_we_write_is_read_back_as_it_was(tmp_path, value):
    text = yaml12.dump({"value": value})
    assume("surrogates not allowed" not in repr(text))
    found = yaml12.parse(text)["value"]
    assert json.dumps(found, sort_keys=True) == json.dumps(value, sort_keys=True)


@given(words=st.lists(st.lists(st.text(max_size=30), min_size=1, max_size=3), min_size=2, max_size=5, unique_by=tuple))
def test_no_two_steps_have_one_name(words):
    try:
        names = [Step.of("rule", json.dumps({"wildcards": dict(enumerate(one)), "settings": {}})).name for one in words]
    except UnicodeEncodeError:
        return
    assert len(set(names)) == len(names)
    assert all(len(name.encode()) <= 200 for name in names)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    (folder / "whole").write_bytes(b"a model, " * 500)
    pack_file(folder / "whole", folder / "good.zst", 3, 1)
    return (folder / "good.zst").read_bytes()


@given(place=st.integers(0, 10_000), sign=st.integers(1, 255), cut=st.booleans())
def test_a_packed_file_with_any_changed_byte_is_refused_or_unpacks_to_the_same(tmp_path, packed, place, sign, cut):
    data = bytearray(packed)
    place %= len(data)
    if cut:
        data = data[:place]
    else:
        data[place] ^= sign
    (tmp_path / "bad.zst").write_bytes(data)
    try:
        unpack_file(tmp_path / "bad.zst", tmp_path / "out")
        assert (tmp_path / "out").read_bytes() == b"a model, " * 500
        (tmp_path / "out").unlink()
    except InputError:
        assert not (tmp_path / "out").exists()


def statement():
    from traced.lineage import BUILD_TYPE, PREDICATE, STATEMENT
    from traced.store import key_of

    entry = copy.deepcopy(ENTRY)
    return {
        "_type": STATEMENT,
        "subject": [{"name": "out", "digest": {"md5": "1" * 32, "sha256": "2" * 64}}],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"rule": "one", "settings": {"a": 1}},
                "internalParameters": {"step": "one", "entry": entry},
                "resolvedDependencies": [{"name": "in", "digest": {"md5": "0" * 32}}],
            },
            "runDetails": {"builder": {"id": "urn:uuid:x"}, "metadata": {"invocationId": key_of(entry)}},
        },
    }


STATEMENT_PLACES = [path for path in places(statement()) if path]


@given(path=st.sampled_from(STATEMENT_PLACES), value=VALUES, remove=st.booleans())
def test_a_lineage_with_any_change_is_refused_or_checked(tmp_path, path, value, remove):
    changed_statement = statement()
    inner = changed_statement
    for key in path[:-1]:
        inner = inner[key]
    if remove:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    (tmp_path / "lineage.jsonl").write_text(json.dumps(changed_statement) + "\n")
    try:
        check(read(tmp_path / "lineage.jsonl"))
    except ValueError as error:
        assert "lineage.jsonl: line 1" in str(error)


def test_the_preset_that_is_changed_here_is_itself_valid():
    assert isinstance(load(copy.deepcopy(TINY), ROOT, problems), Settings)
    assert Path(ROOT / "presets/tiny.yaml").is_file() and yaml.safe_load("a: 1") == {"a": 1}
