"""Where Snakemake asks the layer. Its graph decides by content, and its scheduler looks a trace up before each job.

This replaces four things of Snakemake: which jobs must run (`DAG.update_needrun`), which of them may start now
(`JobScheduler.job_selector`), what happens to a job that is ready (`run`), and what happens to one that has ended
(`_proceed`). It is written for the Snakemake that pyproject.toml names, and `install` refuses any other.
"""

import fcntl
import hashlib
import logging
import os
import sys
import threading
import time
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import snakemake.workflow
from snakemake.dag import DAG
from snakemake.exceptions import MissingInputException, WorkflowError, print_exception
from snakemake.jobs import Reason
from snakemake.logging import logger
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake_interface_executor_plugins.settings import ExecMode

from traced.digest import Content
from traced.dvc_files import COMMAND, Pipeline
from traced.lock import is_busy, wait_until_free
from traced.plan import Plan, Planned, Verdict
from traced.remote import DamagedError, UnreachableError
from traced.step import Step, Trace, forget_arguments, params
from traced.store import DamagedLockError, Entry, key_of, outs_of
from traced.workspace import DVC, Workspace, same, scratch_of

__all__ = ["install", "params", "prefix", "runner"]

SNAKEMAKE = "9.27."
MARK = ": THE STEP"


def shell_digest(command: str) -> str:
    """Return a digest of a rule's shell command, whichever Python this machine has."""
    return hashlib.sha256(command.replace(f"{sys.executable} ", "").encode()).hexdigest()[:12]


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


def step_of(job: Any) -> Step:
    """Return the step of a job. WorkflowError if its rule has no trace."""
    trace = job.params.get("trace")
    if trace is None:
        raise WorkflowError(
            f"rule {job.rule.name}: without the param `trace` nothing remembers what it read; see the README of traced",
            rule=job.rule,
        )
    return Step.of(job.rule.name, trace)


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


class Tracer:
    """What graph and scheduler of one workflow share."""

    def __init__(self, workflow: Any, settings_files: list[Path], plots: list[dict[str, Any]], refresh: str) -> None:
        self.workflow = workflow
        self.pipeline = Pipeline(settings_files, plots, refresh)
        self.workspace = Workspace()
        self.steps: dict[Any, Step] = {}
        self.plan: Plan | None = None
        self.expected: dict[Any, Entry] = {}
        """What each job that was handed on should read."""
        self.lost: list[Exception] = []
        """Why no job could be made for files that a rule writes and that are there."""
        self.claim: Any = None

    @property
    def is_main(self) -> bool:
        """Whether this process schedules, rather than being a job on a node."""
        return bool(self.workflow.exec_mode == ExecMode.DEFAULT) and not self.workflow.touch

    @property
    def is_build(self) -> bool:
        """Whether jobs will run. They do not in a dry run, nor for `--summary` and the like."""
        return self.workflow._executor_plugin is not None and not self.workflow.dryrun

    def claim_folder(self) -> None:
        """Keep other runs out of this folder while this one lives, and remove the locks that a killed run has left.

        Snakemake's own locks are files. They outlive their owner, and the first of two runs to end removes those of
        both. This lock ends with its process.
        """
        if self.claim:
            return
        path = DVC / "tmp/traced/live"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.claim = open(path, "a+")  # noqa: SIM115  (held as long as the process lives)
        except OSError as error:
            raise WorkflowError(f"{path}: {error.strerror}; a build needs a folder that it may write to") from None
        try:
            fcntl.flock(self.claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.claim.seek(0)
            raise WorkflowError(f"another Snakemake is at work in this folder: {self.claim.read()}") from None
        except OSError:
            logger.warning(
                "traced: this file system has no locks: see to it yourself that only one Snakemake runs here"
            )
            return
        self.claim.truncate(0)
        self.claim.write(f"process {os.getpid()} on {os.uname().nodename} since {time.strftime('%F %T')}")
        self.claim.flush()
        for left in (Path(self.workflow.persistence.path) / "locks").glob("*.lock"):
            left.unlink()

    def was_made(self, file: Any, jobs: Iterable[Any]) -> bool:
        """Tell whether a file is the work of a step, rather than a source whose name a rule with wildcards fits."""
        if any(not job.rule.has_wildcards() for job in jobs) or self.workflow.persistence.rule(file):
            return True
        return any(out["path"] == file for entry in self.workspace.store.locked.values() for out in entry["outs"])

    def jobs_of(self, dag: DAG) -> list[Any]:
        """List the jobs that write something, parents first."""
        return [job for level in dag.toposorted() for job in sorted(level, key=str) if not job.rule.norun]

    def steps_of(self, dag: DAG) -> list[Step]:
        """List the steps of a graph, parents first."""
        for job in self.jobs_of(dag):
            if job not in self.steps:
                self.steps[job] = step_of(job)
        return [self.steps[job] for job in self.jobs_of(dag)]

    def targets_of(self, dag: DAG) -> list[Step]:
        """List the steps whose outs were asked for, either by name or by a rule like `all`."""
        wanted = set(dag.targetjobs)
        for job in dag.jobs:
            if job.rule.norun:
                wanted.update(dag.dependencies[job])
        return [self.steps[job] for job in self.jobs_of(dag) if job in wanted]

    def make_plan(self, dag: DAG) -> Plan:
        """Judge every job of the graph."""
        steps = self.steps_of(dag)
        forced = {
            step
            for job, step in self.steps.items()
            if (job not in dag.omitforce and job.rule in dag.forcerules) or not dag.forcefiles.isdisjoint(job.output)
        }
        try:
            busy = {step for step in steps if is_busy(step)} if self.is_build else ()
            self.plan = Plan(self.workspace, steps, self.targets_of(dag), forced, busy)
        except FileNotFoundError as error:
            raise WorkflowError(str(error)) from None
        return self.plan

    def restore(self, entry: Entry, name: str) -> None:
        """Put the outs of a trace on disk, and say what was kept aside."""
        for kept in self.workspace.restore(entry):
            logger.warning(f"traced: {name}: an output was edited by hand: your version is kept as {kept}")

    def restore_all(self) -> bool:
        """Restore what the plan wants restored, before anything runs. False if the remote lacks what it promised."""
        assert self.plan is not None
        for planned in self.plan.with_verdict(Verdict.RESTORE):
            assert planned.entry is not None
            try:
                self.restore(planned.entry, planned.step.name)
            except DamagedError as error:
                logger.warning(f"traced: {planned.step.name}: {error}")
                return False
            except (OSError, UnreachableError) as error:
                raise WorkflowError(f"{planned.step.name}: cannot be restored: {error}") from None
            logger.info(f"traced: {planned.step.name}: restored")
        return True

    def cut_off(self, job: Any) -> bool:
        """Tell whether a job that is ready need not run, because its trace is known. If so, put its outs in place.

        Otherwise note what the job should read, and keep what somebody has put in the place of its outs.
        """
        step = self.steps[job]
        contents = self.workspace.digests.of_all(step.deps)
        self.expected[job] = expected = self.workspace.entry_of(step, contents)
        disk = self.workspace.digests.of_all(step.outs)
        assert self.plan is not None
        if step not in self.plan.forced:
            for entry in self.workspace.lookup(key_of(expected)):
                if self.workspace.available(entry):
                    try:
                        self.restore(entry, step.name)
                    except DamagedError as error:
                        logger.warning(f"traced: {step.name}: {error}")
                        continue
                    logger.info(f"traced: {step.name}: its inputs are as before, so it need not run")
                    return True
        for kept in self.workspace.set_aside(disk):
            logger.warning(f"traced: {step.name}: unknown content in the place of an output is kept as {kept}")
        return False

    def accept(self, job: Any) -> dict[str, Content | None]:
        """Return what the outs of a job hold that has ended. WorkflowError if its trace is not the expected one."""
        key = key_of(self.expected[job])
        patience = time.monotonic() + self.workflow.execution_settings.latency_wait
        while not (entries := self.workspace.store.lookup(key)) and time.monotonic() < patience:
            time.sleep(0.2)  # a shared file system may show a file of another node late
        if not entries:
            raise WorkflowError(
                f"{self.steps[job].name}: the job did not run with what it was planned with: an input, the code or the"
                " configuration was edited meanwhile. Its result is not used; run again",
                rule=job.rule,
            )
        disk = self.workspace.digests.of_all(self.steps[job].outs)
        if not any(all(same(disk[path], content) for path, content in outs_of(entry).items()) for entry in entries):
            raise WorkflowError(f"{self.steps[job].name}: an output was changed after the job had ended", rule=job.rule)
        return disk

    def clean(self) -> None:
        """Remove what killed runs have left of steps whose traces and bytes are stored by now, and old arguments."""
        forget_arguments()
        for step, planned in self.plan.of.items() if self.plan else ():
            if not planned.entry or not scratch_of(step).exists() or is_busy(step):
                continue
            if self.workspace.available(planned.entry):
                self.workspace.clean(step)

    def finish(self) -> None:
        """Write dvc.yaml, params.json and dvc.lock with what this run knows."""
        if os.environ.get("DVC_STAGE"):
            return  # `dvc repro` writes its lock itself
        settings = self.workflow.config_settings
        if settings.config or settings.configfiles:
            logger.info("traced: dvc.lock is not written: --config and --configfile are no part of the project")
            return
        dag_settings = self.workflow.dag_settings
        whole = not (dag_settings.targets or dag_settings.until or dag_settings.omit_from or dag_settings.allowed_rules)
        self.workspace = Workspace()
        self.clean()
        if message := self.pipeline.write(Plan(self.workspace, self.steps_of(self.workflow.dag)), whole):
            logger.info(f"traced: {message}")


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


class TracedScheduler(JobScheduler):  # type: ignore[misc]
    """A scheduler that hands on only jobs that no trace knows."""

    @property
    def tracer(self) -> Tracer | None:
        """The tracer, if this process has to ask one."""
        tracer: Tracer | None = getattr(self.workflow, "tracer", None)
        return tracer if tracer and tracer.is_main and not self.dryrun else None

    def job_selector(self, jobs: Iterable[Any]) -> Any:
        """Choose the jobs that start now. One that waits for cores or memory is not overtaken by less important ones.

        Without that, a training that needs all cores would wait for as long as there is something to do on one of them.
        """
        for job in jobs:
            self.validate_job(job)
        reserved: dict[str, int] = {}  # {what a job waits for: the priority of the most important that does}
        for job in jobs if self.running else ():
            for name in self.lacking(job):
                reserved[name] = max(job.priority, reserved.get(name, job.priority))
        overtaking = {
            job
            for job in jobs
            if any(job.scheduler_resources.get(name, 0) and job.priority < least for name, least in reserved.items())
        }
        return super().job_selector(set(jobs) - overtaking)

    def lacking(self, job: Any) -> list[str]:
        """List of what there is too little for a job now: cores, memory, or what else it asks for."""
        needed = job.scheduler_resources
        return [name for name, free in self.resources.items() if name != "_job_count" and needed.get(name, 0) > free]

    def run(self, jobs: Iterable[Any], executor: Any = None) -> None:
        """Finish the jobs whose trace is known. Hand the others on."""
        remaining = []
        for job in jobs:
            if self.tracer and job in self.tracer.steps and is_busy(self.tracer.steps[job]):
                # If the job were handed on now, Snakemake would remove its outs under the process that writes them.
                logger.info(
                    f"traced: {self.tracer.steps[job].name}: a job of an earlier run is still busy, waiting for it"
                )
                threading.Thread(target=self.run_when_free, args=(job, executor), daemon=True).start()
                continue
            try:
                known = self.tracer and not job.is_group() and not job.rule.norun and self.tracer.cut_off(job)
            except (OSError, UnreachableError, WorkflowError) as error:
                print_exception(WorkflowError(f"{job.rule.name}: {error}"), self.workflow.linemaps)
                self.error_callback(job)
                continue
            if known:
                super()._proceed(job)
            else:
                remaining.append(job)
        if remaining:
            super().run(remaining, executor)

    def run_when_free(self, job: Any, executor: Any) -> None:
        """Run a job once nobody else is at work on its step. Its trace may be known by then."""
        assert self.tracer is not None
        wait_until_free(self.tracer.steps[job])
        self.run([job], executor)

    def _proceed(self, job: Any) -> None:
        """Take a job for done only if its trace is there and is the expected one."""
        if self.tracer and job in self.tracer.expected:
            try:
                self.tracer.accept(job)
            except (WorkflowError, OSError) as error:
                print_exception(error, self.workflow.linemaps)
                self.error_callback(job)
                return
        super()._proceed(job)

    def _finish_jobs(self) -> None:
        """Remember the digests of outs. Snakemake sets their times anew when it takes a job for done."""
        tracer = self.tracer
        ended = [job for job in self._tofinish if tracer and job in tracer.expected]
        paths = [path for job in ended if tracer for path in tracer.steps[job].outs]
        known = [tracer.workspace.digests.examine_path(path) for path in paths] if tracer else []
        super()._finish_jobs()
        for seen in known:
            if tracer and seen and seen.remembered:
                tracer.workspace.digests.touched(seen)

    def schedule(self) -> bool:
        """Run the jobs. In the end, also after a failure, write down what is current."""
        try:
            return bool(super().schedule())
        finally:
            if self.tracer:
                self.tracer.finish()


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
            trace.shell = shell_digest(rule.shellcmd)
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
