"""What the tabs of the studio show, as HTML."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import markupsafe
from jinja2 import UndefinedError

from ingot.errors import InputError
from ingot.settings.load import USUAL, read_mapping
from ingot.studio import records, results
from ingot.studio.editing import Known, digest
from ingot.studio.options import Options
from ingot.studio.texts import inert, part_of
from ingot.studio.watch import CURRENT, FAILED, PENDING, RUNS, STOPPED, Row, Seen, Watch, tail

T = TypeVar("T")
ROWS = 15
"""Steps or settings on a page."""
STATES = [RUNS, FAILED, STOPPED, *PENDING, "restored", CURRENT]
"""The states of steps, in the order in which they are offered."""
CLASSES = {RUNS: "runs", FAILED: "failed", STOPPED: "stopped", CURRENT: "current"}


ABOUT = {
    "Build": "Every step reads files and writes files. A step runs again only if something that it reads has changed.",
    "Data": "The records that each step of the data stage has kept or, where the name ends in .rejected, dropped.",
    "Settings": "Every setting and its value now. What you change is saved in config.yaml, which overrides the preset.",
    "Results": "What the last finished build has measured. Right answers are those to questions that no model was"
    " trained on.",
    "Compare": "This build beside another one.",
}
"""The tabs, and what they show."""


def clock(seconds: float) -> str:
    """Write a time of the day."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def show_top(given: Options) -> str:
    """Show what this page is about."""
    try:
        preset = given.editor.preset or read_mapping(given.editor.path).get("preset", USUAL)
    except InputError:
        preset = "?"
    return part_of("top", preset=inert(preset), may_edit=given.may_edit)


def show_about(tab: str) -> str:
    """Say what a tab shows."""
    return part_of("about", text=ABOUT[tab])


def said(text: object, kind: str = "problem") -> str:
    """Show what went wrong or, of the kind `good`, well."""
    return part_of("said", text=inert(text), kind=kind)


def page_of_rows(rows: Sequence[T], number: int) -> tuple[Sequence[T], int, int]:
    """Return (the rows of a page, its number, the number of pages). A number beyond the last is the last."""
    pages = max(1, -(-len(rows) // ROWS))
    number = min(max(1, number), pages)
    return rows[(number - 1) * ROWS : number * ROWS], number, pages


def show_build(watch: Watch) -> str:
    """Show how far a build is, what runs, and what failed."""
    seen: Seen = watch.seen
    return part_of(
        "build",
        seen=seen,
        share=seen.done() / max(1, len(seen.rows)),
        running=[(row, watch.share(row)) for row in seen.having(RUNS)],
        failed=seen.having(FAILED, STOPPED),
        clock=clock,
    )


def show_steps(rows: Sequence[Row], state: str, text: str, number: int) -> str:
    """Show a page of steps in a state, or in any, whose name holds a text."""
    order = {name: place for place, name in enumerate(STATES)}
    rows = sorted(rows, key=lambda row: order.get(row.state, len(order)))  # what is left to do comes first
    chosen = [row for row in rows if (not state or row.state == state) and text.strip().lower() in row.name.lower()]
    shown, number, pages = page_of_rows(chosen, number)
    return part_of("steps", rows=shown, matching=len(chosen), page=number, pages=pages, classes=CLASSES)


def show_log(given: Options, step: str) -> str:
    """Show the end of the log of a step."""
    row = next((row for row in given.watch.seen.rows if row.name == step), None)
    return part_of("log", step=row.name if row else "", text=tail(given.root, row.log) if row else "")


def files_of(given: Options, step: str | None) -> tuple[list[Path], list[str]]:
    """List the files of records that a step has written, and the groups that are in them."""
    try:
        files = records.files_of(step, given.root) if step else []
        return files, records.groups(records.stamp_of(files))
    except (InputError, OSError):  # a build replaces them at this moment
        return [], []


def read_records(files: list[Path], text: str, group: str, number: int, size: int) -> tuple[list[records.Shown], str]:
    """Read a page of records. Returns what is on it, and the page."""
    if not files:
        return [], said("Choose a step. If there is none, build first, with `make`.", "muted")
    try:
        page = records.page(files, text, group, number, size)
    except InputError as error:
        return [], said(error)
    dropped = all(path.name.endswith(".rejected.jsonl") for path in files)
    return page.records, part_of("records", page=page, dropped=dropped)


def appeal(given: Options, ids: list[str]) -> str:
    """Let records pass that the filters dropped, if the page may edit. Say what came of it."""
    if not given.may_edit:
        return said("To appeal, start the studio with `make studio WITH=--edit`.", "muted")
    if not ids:
        return ""
    try:
        given.editor.save(given.editor.appeal(ids))
    except InputError as error:
        return said(error)
    given.watch.again.set()
    return said(
        f"Noted under filter.appeals in config.yaml: {', '.join(ids)}. The next build lets them pass; the tab Build"
        " shows what will run.",
        "good",
    )


@dataclass
class Looked:
    """Which config.yaml a person has in view, in one browser."""

    digest: str = ""


def read_settings(given: Options, looked: Looked) -> tuple[Sequence[Known], str]:
    """Read all settings, and note of which config.yaml they are. Returns them, and what is wrong with it."""
    try:
        looked.digest = digest(given.editor.text())
        return given.editor.known(), ""
    except InputError as error:
        return [], said(error)


def judge(given: Options, looked: Looked, chosen: Known | None, text: str, save: bool) -> str:
    """Say whether a setting may have a value and, if the page may edit, save it.

    What somebody else has changed since the person looked is not written over: the person is told, and may save again.
    """
    if not given.may_edit:
        return said("To change settings, start the studio with `make studio WITH=--edit`.", "muted")
    if not chosen or (text == chosen.value and not save):
        return ""
    try:
        draft = given.editor.change(chosen.key, text)
        if not save:
            return said(f"{chosen.key} may be {text}. It counts once it is saved.", "good")
        seen, looked.digest = looked.digest, draft.before
        given.editor.save(draft, seen)
    except InputError as error:
        return said(error)
    looked.digest = digest(draft.text)
    given.watch.again.set()
    return said(f"Saved: {chosen.key} is {text} now. The tab Build shows what will run because of it.", "good")


def show_settings(known: Sequence[Known], text: str, number: int) -> str:
    """Show a page of the settings that have to do with a text."""
    wanted = text.strip().lower()
    chosen = [one for one in known if wanted in f"{one.key} {one.about} {one.comment}".lower()]
    shown, number, pages = page_of_rows(chosen, number)
    return part_of("settings", rows=shown, matching=len(chosen), page=number, pages=pages)


def setting_now(given: Options, key: str | None) -> Known | None:
    """Return a setting as it is now; None if there is none of that name, or the configuration is broken."""
    try:
        return next((one for one in given.editor.known() if one.key == key), None)
    except InputError:
        return None


def show_setting(given: Options, key: str) -> str:
    """Show what helps to choose the value of a setting, and what it is now."""
    try:
        return part_of("setting", one=next(one for one in given.editor.known() if one.key == key))
    except InputError as error:
        return said(error)


def show_results(given: Options) -> str:
    """Show plots and tables of what was measured."""
    try:
        figures = results.figures_of(given.root)
        stages = figures.get("stages") or []
        return part_of(
            "results",
            plots=[(title, markupsafe.Markup(svg)) for title, svg in results.plots_of(given.root)],  # noqa: S704
            stages=stages,
            domains=[name for name in (stages[0]["exact_match"] if stages else {}) if "/" not in name],
            ledger=figures["ledger"],
            system=figures.get("system"),
        )
    except InputError as error:
        return said(error)
    except (KeyError, TypeError, AttributeError, OSError, UndefinedError) as error:
        return said(f"the results here are of another version, or a build is writing them: {error!r}")


def show_comparison(given: Options, name: str) -> str:
    """Show this build beside another one."""
    problems: list[str] = []
    lines: Any = []
    settings: Any = []
    folder = given.beside[name]
    try:
        lines = results.compare(results.figures_of(given.root), results.figures_of(folder))
    except InputError as error:
        problems.append(inert(error))
    except (KeyError, TypeError, AttributeError, UndefinedError) as error:
        problems.append(f"the figures of one of them are of another version: {error!r}")
    try:
        settings = results.differing(results.settings_of(given.root, given.editor.preset), results.settings_of(folder))
    except InputError as error:
        problems.append(inert(error))
    return part_of("compare", problems=problems, lines=lines, settings=settings, other=name)
