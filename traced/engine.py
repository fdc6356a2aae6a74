"""Where Snakemake asks the layer. Its graph decides by content, and its scheduler looks a trace up before each job.

This replaces four things of Snakemake: which jobs must run (`DAG.update_needrun`), which of them may start now
(`JobScheduler.job_selector`), what happens to a job that is ready (`run`), and what happens to one that has ended
(`_proceed`). It is written for the Snakemake that pyproject.toml names, and `install` refuses any other.
"""

import gc
import hashlib
import logging
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from string import Formatter
from typing import Any

import snakemake.workflow
from snakemake.dag import DAG
from snakemake.exceptions import MissingInputException, WorkflowError
from snakemake.jobs import Reason
from snakemake.logging import logger

from traced.dvc_files import COMMAND
from traced.plan import Planned, Verdict
from traced.scheduler import TracedScheduler
from traced.step import Trace, params
from traced.store import DamagedLockError
from traced.tracer import Tracer

# The objects of a graph stay. Looking through them for garbage, again and again, takes an eighth of a check. Whoever
# imports this is a Snakefile, before its rules.
gc.freeze()
gc.set_threshold(100_000, 50, 100)

__all__ = ["install", "params", "prefix", "runner"]

SNAKEMAKE = "9.27."
MARK = ": THE STEP"
OF_JOB = {
    *("input", "output", "params", "wildcards", "log", "threads", "resources", "benchmark", "bench_iteration"),
    *("rule", "rulename", "name", "jobid"),
}
"""What a shell command may name of its job."""
PLAIN = (str, int, float, type(None), Path, list, tuple, dict)


def shell_digest(command: str, names: Mapping[str, Any], basedir: str) -> str:
    """Return a digest of a rule's shell command, whichever Python this machine has, and wherever the Snakefile is.

    What the Snakefile puts into it, such as {EPOCHS} or {config[epochs]}, counts by the value that it has among the
    Snakefile's `names`. What belongs to a job counts elsewhere in the trace, or not at all: docs/traced.md.
    """
    text = command
    with suppress(LookupError, AttributeError, TypeError, ValueError):  # Snakemake will say what is wrong with it
        for _, field, _, _ in Formatter().parse(command):
            if field and re.split(r"[.\[]", field)[0] not in OF_JOB:
                value = Formatter().get_field(field, (), names)[0]
                if isinstance(value, set | frozenset):
                    value = sorted(map(str, value))
                if isinstance(value, PLAIN):  # others have no text that is the same in every process
                    text += f"\n{field}: {value}".replace(basedir, "")
    return hashlib.sha256(text.replace(f"{sys.executable} ", "").encode()).hexdigest()[:12]


def runner(root: str = "") -> str:
    """Return what stands before the one command of a step.

    What the shell does before it or after it, such as `| tee log`, is no part of the step. `root` is the folder of a
    copy of `traced`, as commands name it. Without it, `traced` is installed.
    """
    module = f"{root}/traced/runner.py" if root else "-P -m traced.runner"
    return f"{sys.executable} {module} {{rule}} {{params.trace:q}} -- "


def prefix(root: str = "") -> str:
    """Return what a shell command begins with. All that follows is the step: several commands, or a pipeline, too.

    bash has the whole text in a variable. So what follows the mark is given to the runner as one command, and the shell
    ends before it gets there itself.
    """
    rest = f"${{{{BASH_EXECUTION_STRING#*{MARK}$'\\n'}}}}"
    return f'{runner(root)}bash -euo pipefail -c "{rest}"; exit $?\n{MARK}\n'


class Because(Reason):  # type: ignore[misc]
    """Why a job runs, in the words of its trace."""

    def __init__(self, planned: Planned) -> None:
        super().__init__()
        self.forced = any(change.what == "forced" for change in planned.changes)
        self.nooutput = True  # makes it count as a reason
        self.text = "; ".join(planned.because())

    def __str__(self) -> str:
        """Return the reason."""
        return self.text

    def get_names(self) -> Iterable[str]:
        """Yield the kinds of reasons, for the summary of a dry run."""
        yield "decided by content"


class TracedDAG(DAG):  # type: ignore[misc]
    """A graph whose jobs run if content says so."""

    @property
    def tracer(self) -> Tracer | None:
        """The tracer, if this workflow has one."""
        return getattr(self.workflow, "tracer", None)

    async def check_incomplete(self) -> None:
        """Ignore Snakemake's marks of incomplete files. A file is complete if a trace knows its content."""
        if self.tracer is None:
            await super().check_incomplete()

    async def update(self, jobs: Any, file: Any = None, *others: Any, **options: Any) -> Any:
        """Find the job that writes a file. Keep in mind why if there is none, and Snakemake would not say so.

        Snakemake takes a file that is there for an input that nobody makes if one of its own inputs is missing. A
        source that was removed or renamed would then go unnoticed, and so would all edits before this file.
        """
        try:
            return await super().update(jobs, file, *others, **options)
        except (MissingInputException, WorkflowError) as error:
            scheduling = self.tracer if self.tracer and self.tracer.is_main else None
            if scheduling and file is not None and await file.exists() and scheduling.was_made(file, jobs):
                scheduling.lost.append(error)
            raise

    async def update_needrun(self, create_inventory: bool = False) -> None:
        """Decide which jobs need to run."""
        if self.tracer is None or self.workflow.touch:
            await super().update_needrun(create_inventory)
            return
        if self.tracer.lost:
            raise self.tracer.lost[0]
        needed = await self.needed_jobs()
        self._needrun.clear()
        self._checkpoint_jobs.clear()
        self._n_until_ready.clear()
        self._ready_jobs.clear()
        self._needrun.update(needed)
        for job in needed:
            self._n_until_ready[job] = sum(1 for parent in self.dependencies[job] if parent in needed)
            if job.is_checkpoint:
                self._checkpoint_jobs.add(job)
        self._len = len(self._finished | self._needrun)

    async def needed_jobs(self) -> set[Any]:
        """Return the jobs that must run, or wait for what others write. On a node, that is the job that was sent."""
        assert self.tracer is not None
        if not self.tracer.is_main:
            for job in self.targetjobs:
                self._reason[job].forced = True
            return set(self.targetjobs)
        if self.tracer.is_build:
            self.tracer.claim_folder()
        plan = self.tracer.make_plan(self)
        needed = set()
        for job, step in self.tracer.steps.items():
            if plan.of[step].verdict in (Verdict.RUN, Verdict.WAIT) and not self.finished(job):
                needed.add(job)
                self._reason[job] = Because(plan.of[step])
        for job in self.jobs:
            if job.rule.norun and not self.finished(job) and needed.intersection(self.dependencies[job]):
                needed.add(job)
                self._reason[job].updated_input_run.update(job.input)
        return needed

    async def postprocess(
        self,
        update_needrun: bool = True,
        update_incomplete_input_expand_jobs: bool = True,
        check_initial: bool = False,
    ) -> None:
        """Say what will be done, before the first job. Then restore what can be restored, unless this is a dry run."""
        tracer = self.tracer
        if check_initial and tracer and tracer.is_main and tracer.plan:
            logger.info(f"traced: {tracer.plan.summary()}")
            if self.workflow.dryrun:
                for planned in tracer.plan.with_verdict(Verdict.RESTORE):
                    logger.info(f"traced: {planned.step.name}: would be restored")
            else:
                while not tracer.restore_all():  # what is damaged is known now, and will be made again
                    await self.update_needrun()
                if not self._needrun:
                    tracer.finish()
        await super().postprocess(update_needrun, update_incomplete_input_expand_jobs, check_initial)


def install(
    workflow: Any,
    settings_files: Iterable[Path] = (),
    plots: Iterable[dict[str, Any]] = (),
    refresh: str = COMMAND,
) -> None:
    """Let content decide for a workflow. Its Snakefile calls this once.

    Args:
        workflow: Snakemake's workflow.
        settings_files: the files that the configuration was read from, which `dvc status` watches.
        plots: entries for `plots:` of dvc.yaml, such as {"results/report.json": {"x": "step", "y": "loss"}}.
        refresh: the command that a person is told to write dvc.yaml by.
    """
    if not version("snakemake").startswith(SNAKEMAKE):
        raise WorkflowError(f"traced is written for Snakemake {SNAKEMAKE}x, this is {version('snakemake')}")
    logging.getLogger("traced").addHandler(Forward())
    logging.getLogger("traced").setLevel(logging.INFO)
    for rule in workflow.rules:
        trace = rule.params.get("trace")
        if isinstance(trace, Trace) and rule.shellcmd:
            trace.shell = shell_digest(rule.shellcmd, workflow.globals, str(workflow.basedir))
    try:
        workflow.tracer = Tracer(workflow, list(settings_files), list(plots), refresh)
    except DamagedLockError as error:
        raise WorkflowError(str(error)) from None
    snakemake.workflow.DAG = TracedDAG
    snakemake.workflow.JobScheduler = TracedScheduler


class Forward(logging.Handler):
    """Passes what the other modules say, which do not know Snakemake, on to its log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one message on."""
        logger.log(record.levelno, f"traced: {record.getMessage()}")
