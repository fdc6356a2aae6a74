"""The scheduler: it looks a trace up before each job, and believes no job that its trace does not bear out."""

import threading
from collections.abc import Iterable
from typing import Any

from snakemake.exceptions import WorkflowError, print_exception
from snakemake.logging import logger
from snakemake.scheduling.job_scheduler import JobScheduler

from traced.lock import is_busy, wait_until_free
from traced.remote import UnreachableError
from traced.tracer import Tracer


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
