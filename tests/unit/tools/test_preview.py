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


def test_preview_says_which_records_there_are(here):
    with pytest.raises(InputError, match="there are none yet"):
        preview.files_of("filtered")
    (here / "results/data").mkdir(parents=True)
    (here / "results/data/balanced.jsonl").write_text("")
    with pytest.raises(InputError, match="no step has written records called 'filterd'; there are balanced"):
        preview.files_of("filterd")
