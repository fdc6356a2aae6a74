import json
import re
import subprocess

import pytest

from helpers.browser import chromium
from helpers.curation import results, three
from ingot.curation.accounting import Books, Volume, add_up
from ingot.errors import InputError
from ingot.pages.page import page_of
from ingot.tools.preview import preview
from workflow_scripts.data.report_curation import figure, funnel, histogram, report_curation

EVIL = "</script><img src=x onerror=\"document.title='broken'\"> & \u2028 <b>"


@pytest.fixture
def books():
    """Writes the files of one lossy step: some records kept, some rejected for a reason."""

    def write(paths, kept, rejected=(), filter="read", reason="invalid", **details):
        with Books(*paths) as books:
            for record in kept:
                books.keep(record)
            for record in rejected:
                books.reject(record, filter, reason, "because")
            books.details = details
        return paths

    return write


def test_the_books_do_not_close_when_counts_do_not_add_up(tmp_path, record):
    message = "2 records read, but 1 kept and 0 rejected"
    with pytest.raises(RuntimeError, match=message), Books(*three(tmp_path, "x")) as books:
        books.keep(record("q", "a"))
        books.read.add({}, 10)
    assert not (tmp_path / "x.json").exists()


def test_reports_of_parts_add_up_to_that_of_the_whole(tmp_path, record, books):
    records = [record(f"q{i}", "a", domain="ab"[i % 2], tokens=i) for i in range(10)]
    whole = results(books(three(tmp_path / "w", "x"), records[:7], records[7:], seen={"en": 3}))[2]
    parts = [
        results(books(three(tmp_path / "a", "x"), records[:4], [], seen={"en": 2}))[2],
        results(books(three(tmp_path / "b", "x"), records[4:7], records[7:], seen={"en": 1}))[2],
    ]
    assert add_up(parts) == whole
    assert funnel({"read": whole})[0]["tokens_out"] == sum(range(7))


def test_a_volume_counts_records_bytes_tokens_and_mix():
    volume = Volume()
    volume.add({"domain": "a", "difficulty": "easy", "source": "s", "tokens": 3}, 10)
    assert volume.figures()["mix"]["domain"] == {"a": 1}
    assert (volume.records, volume.bytes, volume.tokens) == (1, 10, 3)


def test_plots_and_histograms_are_the_same_each_time():
    assert histogram([]) == {"edges": [], "counts": []}
    assert sum(histogram([1.0, 2.0, 2.0])["counts"]) == 3
    draw = lambda axes: axes.barh(["<a> & b"], [1])  # noqa: E731
    assert figure(draw) == figure(draw)
    assert "&lt;a&gt; &amp; b" in figure(draw)


@pytest.fixture
def page(tmp_path, record, books):
    """The page of a small curation whose records try to break out of it."""
    kept = [record(f"{EVIL} {i}", "a", tokens=5) for i in range(40)]
    dropped = record(f"{EVIL} dropped", "a", domain=EVIL)
    pair = {"jaccard": 0.9, "kept": kept[0], "dropped": dropped}
    shared = {"permutations": 128, "bands": 1, "rows": 2, "threshold": 0.8}
    steps = {
        "read": books(three(tmp_path, "read"), kept),
        "filter": books(
            three(tmp_path, "filter"), kept, [dropped], "length", "too_short", languages={"en": 40}, appealed=[]
        ),
        "deduplicate": books(three(tmp_path, "deduplicate"), kept, clusters={"2": 1}, examples=[pair], **shared),
        "decontaminate": books(three(tmp_path, "decontaminate"), kept, items=3, hits={EVIL: 0}, examples=[]),
        "balance": books(three(tmp_path, "balance"), kept),
    }
    (tmp_path / "split.json").write_text('{"sides": {"train": 40}}')
    report_curation(
        [steps["read"][2]],
        [steps["filter"][2]],
        [],
        *(steps[name][2] for name in ("deduplicate", "decontaminate", "balance")),
        tmp_path / "split.json",
        [paths[1] for paths in steps.values()],
        steps["balance"][0],
        tmp_path / "page.html",
        tmp_path / "page.json",
        appeals=[dropped["id"], "0" * 16],
        licences={"test": EVIL},
    )
    return tmp_path / "page.html"


def test_the_page_is_one_file_and_nothing_in_a_record_can_break_it(page):
    text = page.read_text()
    markup = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert re.findall(r"""\b(?:src|href)="(?!#)[^"]*""", markup) == []
    assert "<img" not in text
    rows = json.loads(re.search(r'<script id="rows" type="application/json">(.*?)</script>', text, re.DOTALL)[1])
    assert len(rows) == 41
    assert rows[0]["instruction"].startswith(EVIL)
    report = json.loads(page.with_suffix(".json").read_text())
    assert report["appeals"]["unknown"] == ["0" * 16]
    assert len(report["appeals"]["still_refused"]) == 1


def test_a_browser_shows_fifteen_records_a_page(page):
    command = [chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", page.as_uri()]
    done = subprocess.run(
        [*command, f"--user-data-dir={page.parent / 'profile'}"], capture_output=True, text=True, check=True
    )
    assert "page 1 of 3, 41 records" in done.stdout
    assert done.stdout.count('<tr><td class="muted"') == 15
    assert "<title>Curation</title>" in done.stdout


def test_a_template_must_know_its_values(tmp_path, monkeypatch):
    import jinja2

    monkeypatch.setattr("ingot.pages.page.TEMPLATES", tmp_path)
    (tmp_path / "page.html").write_text("{{ absent }}")
    with pytest.raises(jinja2.UndefinedError):
        page_of("page.html")


def test_the_records_of_any_step_can_be_looked_at(tmp_path, record, books, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for part in "ab":
        books(
            three(tmp_path / f"results/data/parts/s/{part}", "filtered"), [record(f"q{part}", "a")], [record("no", "b")]
        )
    assert preview("filtered", tmp_path / "page.html") == 2
    assert "2 of 2 records" in (tmp_path / "page.html").read_text()
    assert preview("filtered.rejected", tmp_path / "page.html") == 2
    with pytest.raises(InputError, match=r"records called 'absent'; there are filtered, filtered\.rejected"):
        preview("absent", tmp_path / "page.html")
