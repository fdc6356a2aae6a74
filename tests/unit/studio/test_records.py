"""Pages of records."""

import json
import os

import pytest

from ingot.errors import InputError
from ingot.studio.records import DATA, files_of, groups, page, stamp_of, steps
from ingot.studio.texts import SHOWN
from ingot.studio.views import read_records

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def folder(tmp_path, record):
    """37 kept records and 3 dropped ones, in two parts."""
    kept = [record(f"Question {i} {'odd' if i % 2 else 'even'}?", "Answer") for i in range(37)]
    dropped = [
        {
            "id": f"{i:016x}",
            "filter": "length" if i else "personal",
            "reason": "too_long",
            "evidence": EVIL,
            "record": kept[i],
        }
        for i in range(3)
    ]
    write(tmp_path / DATA / "train.jsonl", kept)
    for i, rows in enumerate((dropped[:1], dropped[1:])):
        write(tmp_path / DATA / f"parts/source/part_{i}/filtered.rejected.jsonl", rows)
    return tmp_path


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_records_are_shown_by_pages(folder):
    assert steps(folder) == ["filtered.rejected", "train"]
    files = files_of("train", folder)
    first = page(files, "", "", 1, 10)
    assert (len(first.records), first.pages, first.matching) == (10, 4, 37)
    last = page(files, "", "", 99, 10)
    assert (last.number, len(last.records)) == (4, 7)
    assert last.records[-1].instruction == "Question 36 even?"
    assert page(files, "ODD", "", 1, 20).matching == 18
    assert page(files, "nothing like that", "", 1, 20).records == []


def test_pages_go_over_the_files_of_all_parts(folder):
    files = files_of("filtered.rejected", folder)
    assert groups(stamp_of(files)) == ["length", "personal"]
    assert [one.id for one in page(files, "", "", 1, 2).records] == [f"{0:016x}", f"{1:016x}"]
    assert [one.id for one in page(files, "", "", 2, 2).records] == [f"{2:016x}"]
    assert page(files, "", "length", 1, 2).matching == 2


def test_nothing_of_a_record_is_run_and_nothing_personal_shown(folder, record):
    secret = "ghp_" + "a1B2" * 9
    write(folder / DATA / "train.jsonl", [record(f"{EVIL} mail jane.doe@example.com", f"key {secret}")])
    _, shown = read_records(files_of("train", folder), "", "", 1, 10)
    assert EVIL not in shown and "&lt;img" in shown
    assert "jane.doe" not in shown and secret not in shown


def test_a_record_of_a_megabyte_is_shown_as_its_beginning(folder, record):
    write(folder / DATA / "train.jsonl", [record("a " * 500_000, "b")])
    (one,) = page(files_of("train", folder), "", "", 1, 10).records
    assert len(one.instruction) < SHOWN + 200 and "1,000,000 characters" in one.instruction


def test_a_secret_is_masked_where_a_text_is_cut(folder, record):
    secret = "hf_" + "aB3" * 12
    write(folder / DATA / "train.jsonl", [record("a" * (SHOWN - 12) + " " + secret, "b")])
    (one,) = page(files_of("train", folder), "", "", 1, 10).records
    assert "aB3" not in one.instruction


def test_lines_that_are_no_records_are_counted(folder):
    path = folder / DATA / "train.jsonl"
    with open(path, "ab") as file:
        file.write(b'\n[1]\n\xff\xfe\n{"id": "x", "instruc')
    found = page(files_of("train", folder), "", "", 4, 10)
    assert (found.matching, found.broken, len(found.records)) == (37, 4, 7)
    write(path, [{"id": "other", "version": 9}])
    (one,) = page(files_of("train", folder), "", "", 1, 10).records
    assert "other" in one.instruction and one.about == "not a record of this version"


def test_a_file_that_is_replaced_is_read_anew(folder, record):
    files = files_of("train", folder)
    assert page(files, "", "", 1, 10).matching == 37
    write(files[0], [record("Another?", "One")])
    assert page(files, "", "", 1, 10).matching == 1
    os.unlink(files[0])
    with pytest.raises(InputError, match="a build has replaced it"):
        page(files, "", "", 1, 10)
    with pytest.raises(InputError, match=r"no step has written records called 'train'; there are filtered.rejected"):
        files_of("train", folder)
