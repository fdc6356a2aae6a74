"""What graph and scheduler of one workflow share: its steps, what is planned for them, and what was handed on."""

import fcntl
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from snakemake.dag import DAG
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake_interface_executor_plugins.settings import ExecMode

from traced.digest import Content
from traced.dvc_files import Pipeline
from traced.files import NOTES
from traced.lock import is_busy
from traced.plan import Plan, Verdict
from traced.remote import DamagedError, UnreachableError
from traced.step import Step, forget_arguments
from traced.store import Entry, key_of, outs_of
from traced.workspace import Workspace, same, scratch_of


def step_of(job: Any) -> Step:
    """Return the step of a job. WorkflowError if its rule has no trace."""
    trace = job.params.get("trace")
    if trace is None:
        raise WorkflowError(
            f"rule {job.rule.name}: without the param `trace` nothing remembers what it read; see the README of traced",
            rule=job.rule,
        )
    return Step.of(job.rule.name, trace)


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
        path = NOTES / "live"
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
        except OSError as error:
            raise WorkflowError(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from None
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
