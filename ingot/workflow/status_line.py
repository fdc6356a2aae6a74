"""One line that tells how far a build is, what runs now, and when it will end. The rest is in the logs."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TAIL = 4096
"""Bytes at the end of a log in which a progress bar is looked for."""
ENOUGH = 0.02
"""Share of the work after which what it took tells more than the plan."""
SHORT = 1.0
"""Seconds that a step counts if no plan says what it takes."""


@dataclass
class Running:
    """A job that runs."""

    title: str
    key: tuple[str, ...]
    log: Path | None
    began: float


def share_done(log: Path | None) -> float | None:
    """Return how far a job is by the last progress bar in its log, from 0 to 1; None if there is none."""
    try:
        with open(log or "", "rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - TAIL))
            found = re.findall(rb"(\d+)%\|", file.read())
    except OSError:
        return None
    return int(found[-1]) / 100 if found else None


def duration(seconds: float) -> str:
    """Write a time as people say it."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


class StatusLine:
    """What is known of a build that runs. A job is known by its rule and its wildcards."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Begin to count. `clock` returns seconds since 1970."""
        self.clock = clock
        self.began = clock()
        self.total = self.done = 0
        self.running: dict[int, Running] = {}
        self.failed: list[Running] = []
        self.planned: dict[tuple[str, ...], float] = {}
        """Seconds that the plan says, of every job that will run."""
        self.worked = 0.0
        """Planned seconds of the jobs that have ended."""

    def start(self, jobid: int, title: str, key: tuple[str, ...], log: Path | None) -> None:
        """Note that a job has begun."""
        self.running[jobid] = Running(title, key, log, self.clock())

    def end(self, jobid: int) -> None:
        """Note that a job has ended well."""
        if job := self.running.pop(jobid, None):
            self.done += 1
            self.worked += self.planned.get(job.key, SHORT)

    def fail(self, jobid: int) -> Running | None:
        """Note that a job has failed; return it. None if that is known."""
        job = self.running.pop(jobid, None)
        if job:
            self.failed.append(job)
        return job

    def remaining(self) -> float | None:
        """Return the seconds that are left; None as long as nobody can tell."""
        whole = sum(self.planned.values()) + SHORT * max(0, self.total - len(self.planned))
        if not self.planned or not whole:
            return None
        now = self.clock()
        worked = self.worked
        for job in self.running.values():
            planned = self.planned.get(job.key, SHORT)
            share = share_done(job.log)
            worked += planned * (min(0.95, (now - job.began) / max(planned, SHORT)) if share is None else share)
        left = max(0.0, whole - worked)
        return left * (now - self.began) / worked if worked > ENOUGH * whole else left

    def text(self, width: int) -> str:
        """Write the line, with at most `width` signs."""
        parts = [f"{self.done} of {self.total} steps" if self.total else "reading the build"]
        left = self.remaining()
        if left is not None:
            ends = time.strftime("%H:%M", time.localtime(self.clock() + left))
            parts.append(f"{duration(left)} left, until {ends}")
        if self.failed:
            parts.append(f"{len(self.failed)} failed")
        jobs = []
        for job in self.running.values():
            share = share_done(job.log)
            jobs.append(job.title if share is None else f"{job.title} {share:.0%}")
        whole = " | ".join([*parts, ", ".join(jobs)] if jobs else parts)
        return whole if len(whole) <= width else f"{whole[: max(0, width - 1)]}…"

    def summary(self) -> str:
        """Say what came of the build: what failed comes last, with the file to open."""
        took = duration(self.clock() - self.began)
        lines = [f"{self.done} of {self.total} steps done in {took}"] if self.total else []
        for job in self.failed:
            lines.append(f"FAILED: {job.title}" + (f"; see {job.log}" if job.log else ""))
        return "\n".join(lines)
