"""The records of a step as a page."""

import pytest

from helpers.records import make_record
from ingot.errors import InputError
from ingot.io.records import write_records
from ingot.tools import preview


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_preview_shows_kept_and_rejected_records_of_every_part(here):
    kept = [make_record("What is 1 + 1?", "2", tokens=9), make_record("A </script> in a text", "b", tokens=9)]
    rejected = {"id": "7", "filter": "length", "reason": "too_short", "evidence": "", "record": kept[0]}
    for part, records in (("a", kept[:1]), ("b", [*kept[1:], rejected])):
        folder = here / f"results/data/parts/source/{part}"
        folder.mkdir(parents=True)
        write_records(folder / "filtered.jsonl", records)
    assert preview.preview("filtered", here / "page.html") == 3
    page = (here / "page.html").read_text()
    assert "3 of 3 records" in page
    assert "too_short" in page
    assert "A </script>" not in page


def test_a_rejected_record_is_shown_whole_only_on_request(here):
    secret = "ghp_" + "a1" * 18
    whole = make_record(f"Use {secret}", "ok", tokens=9)
    masked = {**whole, "instruction": "Use [GitHub token]"}
    rejected = {"id": whole["id"], "filter": "secrets", "reason": "x", "evidence": "", "record": masked}
    folder = here / "results/data/parts/source/a"
    folder.mkdir(parents=True)
    write_records(folder / "records.jsonl", [make_record("other", "x", tokens=1), whole])
    write_records(folder / "filtered.rejected.jsonl", [rejected])
    preview.preview("filtered.rejected", here / "page.html")
    assert secret not in (here / "page.html").read_text()
    preview.preview("filtered.rejected", here / "page.html", full=True)
    assert secret in (here / "page.html").read_text()


def test_preview_says_which_records_there_are(here):
    with pytest.raises(InputError, match="there are none yet"):
        preview.files_of("filtered")
    (here / "results/data").mkdir(parents=True)
    (here / "results/data/balanced.jsonl").write_text("")
    with pytest.raises(InputError, match="no step has written records called 'filterd'; there are balanced"):
        preview.files_of("filterd")
