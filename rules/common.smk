"""What every rule file uses: the checked configuration, and how a step is started and traced."""

import json
import os
import sys
from shlex import quote

sys.path.insert(0, workflow.basedir)

from ingot.errors import InputError
from ingot.workflow import preflight
from ingot.workflow.build import open_build, plain, settings_files
from ingot.workflow.chain import KINDS
from snakemake.exceptions import WorkflowError
from traced import engine
from traced.closure import closure
from traced.step import trace_of

ROOT = Path(workflow.basedir)
# Commands name it relatively, so that a folder that was moved, or another snakemake, does not change them.
HERE = os.path.relpath(ROOT)
try:
    BUILD = open_build(config, ROOT)
except InputError as error:
    raise WorkflowError(str(error))
SETTINGS, CHAIN = BUILD.settings, BUILD.chain
# Jobs of the longest way through the graph go first, and the others fill the cores that are left.
LONG_WAY = 1
SHARED = {"seed": SETTINGS.seed, "threads": SETTINGS.threads}
LARGE = SETTINGS.resources.memory_mb


def here(path):
    """Return a path of the project as commands shall name it."""
    return os.path.normpath(f"{HERE}/{path}")


def code(environment, script, *others):
    """Return what runs a step: the lock of its environment, its script, and every module that they import.

    `others` are modules that the step starts in a process of their own. The models of the settings are left out: what
    a step is given of them is in its trace, as values.
    """
    first = [ROOT / f"envs/{environment}.lock", ROOT / f"workflow_scripts/{script}.py"]
    started = [ROOT / "ingot/workflow/entry.py", *(ROOT / name for name in others)]
    modules = closure([first[1], *started], ROOT, without=ROOT / "ingot/settings")
    return [here(path.relative_to(ROOT)) for path in dict.fromkeys([*first, *modules])]


def chain_code(theme, step):
    """Return what runs a step of the chain, by the table of kinds and its `backend`."""
    environment, script = BUILD.environment_and_script(step)
    return code(environment, f"{theme}/{script}")


def page(environment, script, *templates):
    """Return what runs a step that writes a page: its code, and the templates of the page."""
    files = [here(f"ingot/pages/templates/{name}") for name in templates]
    return code(environment, script) + files


def step(**values):
    """Return the `params` of a rule: what the step is called with, as one JSON text, and what its trace holds.

    The step gets every input, output and value by name, but for the inputs named `gate`, which only make the job wait
    until its parent has passed, and `code`. A value may be a function of the wildcards.
    """

    def given(value):
        if callable(value):
            return lambda wildcards: plain(value(wildcards))
        return plain(value)

    values = {name: given(value) for name, value in values.items()}

    def spec(wildcards, input, output):
        def paths(named):
            return {
                name: str(value) if isinstance(value, str) else list(value)
                for name, value in named.items()
                if name not in ("gate", "code")
            }

        params = {
            name: value(wildcards) if callable(value) else value
            for name, value in values.items()
        }
        return json.dumps(
            {"input": paths(input), "output": paths(output), "params": params}
        )

    return {"spec": spec, "trace": trace_of(values)}


def wildcard(name):
    """Return a value of a step that is a wildcard of the job."""
    return lambda wildcards: getattr(wildcards, name)


# The shell command of every step: build its environment if need be, run it, keep what it says in its log.
RUN = (
    f"python=$(python3 {quote(f'{HERE}/envs/build.py')} {{input.code[0]}})/bin/python; "
    + engine.prefix(quote(HERE))
    + f"env PYTHONPATH={quote(HERE)} PYTHONHASHSEED=0 HF_HUB_DISABLE_TELEMETRY=1 "
    "CUBLAS_WORKSPACE_CONFIG=:4096:8 "
    '"$python" -m ingot.workflow.entry {input.code[1]} {params.spec:q} 2>&1 | tee {log:q}'
)


def gpu():
    """Return the resources of a rule that uses a GPU where the preset has one."""
    wanted = SETTINGS.resources
    partition = {"slurm_partition": wanted.partition} if wanted.partition else {}
    return {
        "gpu": wanted.gpu,
        "mem_mb": wanted.memory_mb,
        "runtime": wanted.minutes,
        **partition,
    }


onstart:
    try:
        preflight.check(SETTINGS, ROOT, here=workflow.local_exec)
        if not workflow.local_exec:  # once, here, and not by many jobs at once
            jobs = [
                job for job in workflow.dag.needrun_jobs() if not job.rule.norun
            ]
            preflight.build_environments({job.input.code[0] for job in jobs}, ROOT)
    except InputError as error:
        raise WorkflowError(str(error))
