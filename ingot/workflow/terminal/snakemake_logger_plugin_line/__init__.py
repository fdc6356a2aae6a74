"""Snakemake's logger plugin `line`: one line about a build that runs, in the place of pages of messages.

Snakemake finds it by its name if this folder is on the path, and nothing else is in this folder. Warnings, errors, and
what the trace layer says of the whole build are printed above the line. Without a terminal all is as ever.
"""

import logging
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from ingot.workflow import remaining
from ingot.workflow.status_line import StatusLine

EVERY = 1.0
"""Seconds between two versions of the line."""
CLEAR = "\r\033[K"
SHOWN = 12
"""Lines of the log of a job that failed."""
# Snakemake says these beside what the line says of a job that failed.
ABOUT_A_FAILURE = (
    "RuleException",
    "Shutting down",
    "Exiting because a job execution failed",
    "WorkflowError:\nAt least one job did not complete",
)


class LogHandler(LogHandlerBase):  # type: ignore[misc]
    """Shows what Snakemake tells."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        """Begin with an empty line."""
        given = self.common_settings
        self.plain = ColorizingTextHandler(
            nocolor=given.nocolor,
            formatter=DefaultFormatter(given.quiet, show_failed_logs=False),
            filter=DefaultFilter(given.quiet, given.debug_dag, given.verbose, given.dryrun, given.printshellcmds),
        )
        self.line = StatusLine()
        self.shows = sys.stderr.isatty() and not given.dryrun
        self.guard = threading.RLock()
        self.ended = threading.Event()
        self.began = False

    def emit(self, record: logging.LogRecord) -> None:
        """Take what Snakemake tells into the line, or print it above."""
        if not self.shows:
            if self.plain.filter(record):
                self.plain.emit(record)
            return
        with self.guard:
            told = self.note(record)
            if told:
                self.write(told)

    def note(self, record: logging.LogRecord) -> str:
        """Note an event; return what is worth a line of its own."""
        event, given = getattr(record, "event", None), record.__dict__
        if event == LogEvent.JOB_INFO:
            self.start(given)
        elif event == LogEvent.JOB_FINISHED:
            self.line.end(given["job_id"])
        elif event == LogEvent.PROGRESS:
            self.line.total = given["total"]
        elif event == LogEvent.RUN_INFO:
            self.line.total = given.get("stats", {}).get("total", 0)
        elif event == LogEvent.JOB_ERROR:
            job = self.line.fail(given["jobid"])
            return f"failed: {job.title}\n{last_lines(job.log)}" if job else ""
        elif event in (None, LogEvent.ERROR) and is_worth_it(record.getMessage(), record.levelno):
            return str(self.plain.format(record))
        return ""

    def start(self, given: dict[str, Any]) -> None:
        """Note that a job begins. With the first one, the line begins."""
        title = given["rule_msg"] or given["rule_name"]
        key = (given["rule_name"], *(given["wildcards"] or {}).values())
        log = Path(str(given["log"][0]).split(" ")[0]) if given["log"] else None
        self.line.start(given["jobid"], title, key, log)
        if not self.began:
            self.began = True
            threading.Thread(target=self.refresh, daemon=True).start()

    def refresh(self) -> None:
        """Write the line anew, again and again, until the build ends."""
        while not self.ended.wait(EVERY):
            with self.guard:
                self.line.planned = remaining.SECONDS
                self.write("")

    def write(self, above: str) -> None:
        """Print a text above the line, and the line."""
        text = f"{CLEAR}{above}\n" if above else CLEAR
        if self.began and not self.ended.is_set():
            text += self.line.text(shutil.get_terminal_size().columns - 1)
        sys.stderr.write(text)
        sys.stderr.flush()

    def close(self) -> None:
        """Say what came of the build."""
        with self.guard:
            if self.began and not self.ended.is_set():
                self.ended.set()
                self.write(self.line.summary())
        super().close()


def is_worth_it(message: str, level: int) -> bool:
    """Tell whether a message is about the whole build, and not about one of a hundred steps."""
    if level >= logging.WARNING:
        return not message.startswith(ABOUT_A_FAILURE)
    if message.startswith("traced:"):
        return not message.endswith(("restored", "need not run"))
    return message.startswith("Nothing to be done")


def last_lines(log: Path | None) -> str:
    """Return the end of a log without its progress bars, moved in by two spaces."""
    try:
        lines = (log or Path()).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    told = [line for line in lines if line.strip() and "%|" not in line]
    return "\n".join(f"  {line}" for line in told[-SHOWN:])
