"""Common: the checked configuration, and the functions that start and trace a step. Every rule file uses them."""

import json
import os
import sys
from shlex import quote

sys.path.insert(0, workflow.basedir)

from ingot.errors import InputError
from ingot.workflow import preflight
from ingot.workflow.build import open_build, plain, settings_files
from ingot.workflow.machine import shared
from ingot.workflow.parts import inert
from snakemake.exceptions import WorkflowError
from traced import engine
from traced.closure import closure
from traced.step import Trace, argument

ROOT = Path(workflow.basedir)
# Commands use this relative path. So they stay the same if the folder moves, or if another Snakemake starts them.
HERE = os.path.relpath(ROOT)
try:
    BUILD = open_build(config, ROOT)
except InputError as error:
    raise WorkflowError(str(error))
SETTINGS, CHAIN = BUILD.settings, BUILD.chain
# The priority of jobs on the longest way through the graph. They go first, and others fill the cores that are left.
LONG_WAY = 1
SHARED = {"seed": SETTINGS.seed, "threads": SETTINGS.threads}
LARGE = SETTINGS.resources.memory_mb
# On this machine, jobs share its memory and its GPUs. A cluster knows what its nodes have.
if workflow.is_main_process and workflow.global_resources["_nodes"].value is None:
    for _name, _count in shared(SETTINGS).items():
        if _name not in workflow.global_resources:  # --resources may say something else
            workflow.register_resource(_name, _count)
# These modules run in processes of their own.
CONVERTER = "ingot/converting/convert_own_tokenizer.py"
PROBE = "ingot/converting/probe.py"


def here(path):
    """Write a path of the project in the form that commands use."""
    return os.path.normpath(f"{HERE}/{path}")


def literal(path):
    """Give a file another name if Snakemake would take a part of its name for a wildcard, such as {this}."""
    if "{" not in path:
        return path
    link = Path(f"results/sources/{inert(path)}")
    if not link.is_symlink() or link.resolve() != Path(path).resolve():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(path, link.parent))
    return str(link)


def code(environment, script, *others):
    """List the files that run a step: the lock of its environment, its script, and every module that it imports.

    `others` are modules that the step starts in a process of their own. The modules of the settings are left out: the
    values that a step gets from them are in its trace.
    """
    lock = ROOT / f"envs/{environment}.lock"
    main = ROOT / f"workflow_scripts/{script}.py"
    started = [ROOT / "ingot/workflow/entry.py", *(ROOT / name for name in others)]
    modules = closure([main, *started], ROOT, without=ROOT / "ingot/settings")
    files = dict.fromkeys([lock, main, *modules])
    return [here(path.relative_to(ROOT)) for path in files]


def chain_code(theme, step):
    """List the files that run a step of the chain. Its setting `backend` may choose another script."""
    environment, script = BUILD.environment_and_script(step)
    return code(environment, f"{theme}/{script}")


def page(environment, script, *templates):
    """List the files that run a step that writes a page: its code, and the templates of the page."""
    files = [here(f"ingot/pages/templates/{name}") for name in templates]
    return code(environment, script) + files


# The settings' classes only check values, and the values are in the trace.
UNWATCHED = [here("ingot/settings")]
# Where the answers of endpoints are kept. They are found by the bytes of the request, so they are no input.
REMEMBERED = ".cache/answers"


def step(network=False, kept_here=(), **values):
    """Make the `params` of a rule: the arguments of its step, as one JSON text, and what goes into its trace.

    `network` says that the step needs the network, and `kept_here` names the outputs that no remote gets.

    The step gets every input, output and value by name, except for the inputs `gate` and `code`. `gate` only makes the
    job wait until the models before have passed. A value may be a function of the wildcards.
    """

    def as_plain(value):
        if callable(value):
            return lambda wildcards: plain(value(wildcards))
        return plain(value)

    values = {name: as_plain(value) for name, value in values.items()}

    def spec(wildcards, input, output, resources):
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
        told = {"input": paths(input), "output": paths(output), "params": params}
        gpu = {"gpu": resources.gpu} if getattr(resources, "gpu", 0) else {}
        return argument(json.dumps({**told, **gpu}))

    unwatched = [*UNWATCHED, *([REMEMBERED] if network else [])]
    return {"spec": spec, "trace": Trace(values, network, unwatched, kept_here)}


def wildcard(name):
    """Make a value of a step that is a wildcard of the job."""
    return lambda wildcards: getattr(wildcards, name)


# The shell command of every step. It builds the environment if it is missing, runs the step, and writes its log.
RUN = (
    f"python=$(python3 {quote(f'{HERE}/envs/build.py')} {{input.code[0]}})/bin/python; "
    + engine.runner(quote(HERE))
    + f"env PYTHONPATH={quote(HERE)} PYTHONHASHSEED=0 HF_HUB_DISABLE_TELEMETRY=1 "
    "CUBLAS_WORKSPACE_CONFIG=:4096:8 "
    '"$python" -m ingot.workflow.entry {input.code[1]} {params.spec:q} 2>&1 | tee {log:q}'
)


def gpu():
    """Return the resources of a rule that uses a GPU if the preset has one."""
    resources = SETTINGS.resources
    partition = {"slurm_partition": resources.partition} if resources.partition else {}
    return {
        "gpu": resources.gpu,
        "mem_mb": resources.memory_mb,
        "runtime": resources.minutes,
        **partition,
    }


def plan_beside():
    """Let the line of a terminal know what the jobs of this build will take."""
    from ingot.planning.remaining import plan_beside

    jobs = [job for job in workflow.dag.needrun_jobs() if not job.rule.norun]
    steps = [
        (job.rule.name, tuple((job.wildcards_dict or {}).values())) for job in jobs
    ]
    plan_beside(BUILD, ROOT, steps)


onstart:
    if os.environ.get("INGOT_LINE"):
        plan_beside()
    jobs = [job for job in workflow.dag.needrun_jobs() if not job.rule.norun]
    promised = {
        setting: max((job.resources.get(name, 0) for job in jobs), default=0)
        for setting, name in (("memory_mb", "mem_mb"), ("gpu", "gpu"))
    }
    try:
        preflight.check(SETTINGS, ROOT, workflow.local_exec, promised)
        # On a cluster, build the environments here. Else many jobs would try to build them at the same time.
        if not workflow.local_exec:
            preflight.build_environments({job.input.code[0] for job in jobs}, ROOT)
    except InputError as error:
        raise WorkflowError(str(error))
