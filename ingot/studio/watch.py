"""What a build is doing: one thread looks, and everybody who has the page open sees what it saw last."""

import os
import re
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ingot.errors import InputError
from ingot.studio.texts import placeless
from ingot.workflow.status_line import duration, share_done

EVERY = 1.0
"""Seconds between two looks at what runs."""
APART = 5.0
"""Least seconds between two questions why steps run: the whole graph is read for an answer."""
SHARE = 5.0
"""How many times longer than an answer takes the next question waits, at least."""
TAIL = 60
"""Lines of a log that are shown."""
BYTES = 65_536
"""Bytes at the end of a log that are read."""
RUNS, FAILED, STOPPED, CURRENT = "runs", "failed", "was stopped", "up to date"
PENDING = ("must run", "waits for its inputs")
LIVE = Path(".dvc/tmp/traced/live")


class Work(Protocol):
    """What the trace layer notes of a step that ran."""

    @property
    def began(self) -> float:
        """Seconds since 1970."""

    @property
    def ended(self) -> float | None:
        """None if it runs, or was killed."""

    @property
    def status(self) -> int | None:
        """The exit status."""


Works = Callable[[], Iterable[tuple[str, Work, bool]]]
"""Lists (step, what became of it, whether it runs)."""


@dataclass
class Row:
    """A step as the page shows it."""

    name: str
    rule: str
    log: str
    state: str
    because: list[str] = field(default_factory=list)
    took: float | None = None
    """Seconds of its last run here, which it is known to have ended."""
    since: float | None = None
    """When it began, if it runs; when it ended, if it failed."""
    planned: float | None = None
    """Seconds that the plan says."""


@dataclass
class Seen:
    """What the last look has shown."""

    rows: list[Row] = field(default_factory=list)
    building: bool = False
    """Whether a Snakemake schedules here."""
    problem: str = ""
    """Why there are no rows, or old ones."""
    at: float = 0.0

    def having(self, *states: str) -> list[Row]:
        """List the steps in these states."""
        return [row for row in self.rows if row.state in states]

    def done(self) -> int:
        """Count the steps that nothing is to be done about."""
        return len(self.rows) - len(self.having(*PENDING, RUNS, FAILED, STOPPED))

    def headline(self) -> str:
        """Say how far the build is."""
        if not self.rows:
            return "Reading the build …" if not self.problem else "The build cannot be read."
        parts = [f"{self.done():,} of {len(self.rows):,} steps are up to date"]
        if running := self.having(RUNS):
            parts.append(f"{len(running)} run{'s' if len(running) == 1 else ''} now")
        if failed := self.having(FAILED):
            parts.append(f"{len(failed)} failed")
        if stopped := self.having(STOPPED):
            parts.append(f"{len(stopped)} {'was' if len(stopped) == 1 else 'were'} stopped")
        left = [row for row in self.having(*PENDING, RUNS, FAILED, STOPPED) if row.planned is not None]
        if left:
            parts.append(f"{duration(sum(row.planned or 0 for row in left))} of work left, as estimated")
        return "; ".join(parts) + "."

    def verdict(self) -> str:
        """Say whether somebody builds."""
        if self.building:
            return "A build is running."
        left = self.having(*PENDING, FAILED, STOPPED)
        return "No build is running. " + ("To start one, type make in its folder." if left else "Everything is built.")


def is_alive(root: Path) -> bool:
    """Tell whether the Snakemake that claimed the folder last still lives. One on another machine counts as alive."""
    try:
        said = re.fullmatch(r"process (\d+) on (\S+) since .*", (root / LIVE).read_text().strip())
    except OSError:
        return False
    if not said:
        return False
    if said.group(2) != os.uname().nodename:
        return True
    try:
        os.kill(int(said.group(1)), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def row_of(told: dict[str, Any], work: Work | None, runs: bool, planned: float | None, root: Path) -> Row:
    """Put together what the graph and what the trace layer's notes say of a step."""
    because = [placeless(text, root) for text in told["because"]]
    row = Row(told["step"], told["rule"], told["log"], told["verdict"], because, planned=planned)
    if not work:
        return row
    pending = row.state in PENDING
    if runs:
        row.state, row.since = RUNS, work.began
    elif work.ended is None:
        row.state = STOPPED if pending else row.state
    elif work.status:
        row.state, row.since = (FAILED, work.ended) if pending else (row.state, None)
    else:
        row.took = work.ended - work.began
    return row


def tail(root: Path, log: str) -> str:
    """Return the end of a log, inert; what is not there is said."""
    try:
        with open(root / log, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - BYTES))
            text = placeless(file.read().decode("utf-8", errors="replace"), root)
    except OSError as error:
        return f"({error.strerror or 'there is no log yet'})"
    lines = [line.rpartition("\r")[2] for line in text.splitlines(keepends=False) if line.strip()]
    return "\n".join(line[:2000] for line in lines[-TAIL:]) or "(the log is empty)"


class Watch:
    """Looks at a build again and again."""

    def __init__(
        self,
        root: Path,
        works: Works,
        why: Callable[[], list[dict[str, Any]]],
        plan: Callable[[], dict[str, float]],
        given: Callable[[], Iterable[Path]],
    ) -> None:
        """Look at the build in `root`.

        Args:
            root: the folder of the project.
            works: lists what runs and ran.
            why: says of every step what it is up to; InputError if that is not known.
            plan: says how many seconds each step will take.
            given: lists the files that say what is built.
        """
        self.root, self.works, self.why, self.plan, self.given = root, works, why, plan, given
        self.seen = Seen()
        self.told: list[dict[str, Any]] = []
        self.seconds: dict[str, float] = {}
        self.asked, self.mark, self.took = float("-inf"), "", 0.0
        self.again = threading.Event()

    def start(self) -> None:
        """Look until this process ends."""
        threading.Thread(target=self.go_on, daemon=True).start()

    def go_on(self) -> None:
        """Look again and again."""
        while True:
            try:
                self.look()
            except OSError as error:  # a file that goes away while it is looked at; the next look tells
                self.seen = Seen(self.seen.rows, self.seen.building, placeless(error, self.root), time.time())
                self.again.set()
            time.sleep(EVERY)

    def look(self) -> None:
        """Look once. The graph is read again if something has ended, or was edited, or somebody asks for it."""
        works = {name: (work, runs) for name, work, runs in self.works()}
        stamps = []
        for path in self.given():
            with suppress(OSError):
                stamps.append((str(path), path.stat().st_mtime_ns))
        mark = repr([sorted((name, work.ended, runs) for name, (work, runs) in works.items()), stamps])
        problem = self.seen.problem
        wanted = mark != self.mark or self.again.is_set()
        apart = APART if self.again.is_set() else max(APART, SHARE * self.took)  # who asks need not wait
        if wanted and time.monotonic() > self.asked + apart:
            self.again.clear()
            began = time.monotonic()
            self.asked, self.mark = began, mark
            try:
                self.told, problem = self.why(), ""
                with suppress(InputError):  # a plan is good to have; the steps are what counts
                    self.seconds = self.plan()
            except InputError as error:
                problem = placeless(error, self.root)
            except Exception as error:  # whatever is wrong with a build, the page says it and goes on
                problem = placeless(error, self.root)
            self.asked = time.monotonic()
            self.took = self.asked - began
        none: tuple[Work | None, bool] = (None, False)
        rows = [
            row_of(told, *works.get(told["step"], none), self.seconds.get(told["step"]), self.root)
            for told in self.told
        ]
        self.seen = Seen(rows, is_alive(self.root), problem, time.time())

    def share(self, row: Row) -> float | None:
        """Tell how far a step that runs is, from 0 to 1: by its progress bar, else by the plan."""
        by_bar = share_done(self.root / row.log) if row.log else None
        if by_bar is not None or not row.planned or row.since is None:
            return by_bar
        return min(0.95, (time.time() - row.since) / row.planned)
