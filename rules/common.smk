"""What every rule file uses: the checked configuration, how a step is started and traced, the places of shared files."""

import json
import os
import sys
from shlex import quote

sys.path.insert(0, workflow.basedir)

from ingot.workflow import config as configuration
from ingot.workflow import preflight
from ingot.errors import InputError
from snakemake.exceptions import WorkflowError
from traced import engine
from traced.closure import closure
from traced.step import trace_of

ROOT = Path(workflow.basedir)
# Commands name it relatively, so that a folder that was moved, or another snakemake, does not change them.
HERE = os.path.relpath(ROOT)
try:
    config = configuration.load(config, ROOT)
except InputError as error:
    raise WorkflowError(str(error))

SETTINGS_FILES = [
    os.path.relpath(path)
    for path in (
        ROOT / "config.yaml",
        configuration.preset_path(config["preset"], ROOT),
    )
]
PRETRAINED = config["base"]["kind"] == "pretrain"
TOKENIZER = "results/tokenizer" if PRETRAINED else "results/base"
DOMAINS = config["modifiers"]["domains"]
ROUTES = ["base", *DOMAINS]
ROUNDS = config["target"]["rounds"]
QUANTS = config["gguf"]["types"]
SERVED = f"results/gguf/{config['gguf']['serve']}.gguf"
BENCHMARK = f"results/data/{'benchmark' if config['benchmarks'] else 'test'}.jsonl"
# The parts in which the sources are read and filtered side by side: {(source, part): settings}.
try:
    UNITS = configuration.units_of(config)
except InputError as error:
    raise WorkflowError(str(error))
PART = "results/data/parts/{source}/{part}"
CURATED = "scored" if config["score"] else "filtered"
SUITES = {suite["name"]: suite for suite in config["evaluate"]["suites"]}
try:
    TASKS = {
        name: os.path.relpath(configuration.task_file(suite["task"], ROOT))
        for name, suite in SUITES.items()
    }
except InputError as error:
    raise WorkflowError(str(error))
EVALUATED = config["evaluate"]["models"] if SUITES else []
# What must not be trained on.
HELD_OUT = [
    *([BENCHMARK] if config["benchmarks"] else []),
    *(f"results/suites/{suite}.jsonl" for suite in SUITES),
]
# Of the longest way through the graph: jobs with this priority go first, and the others fill the cores that are left.
LONG_WAY = 1
SHARED = {name: config[name] for name in ("seed", "threads")}


def code(environment, script, *others):
    """Return what runs a step: the lock of its environment, its script, and every module that they import.

    `others` are modules that the step starts in a process of their own.
    """
    first = [ROOT / f"envs/{environment}.lock", ROOT / f"workflow_scripts/{script}.py"]
    started = [ROOT / "ingot/workflow/entry.py", *(ROOT / name for name in others)]
    modules = closure([first[1], *started], ROOT)
    return [
        os.path.normpath(f"{HERE}/{path.relative_to(ROOT)}")
        for path in dict.fromkeys([*first, *modules])
    ]


def templates(*names):
    """Return the files that a page is made of."""
    return [
        os.path.normpath(f"{HERE}/ingot/pages/templates/{name}.html") for name in names
    ]


def step(**settings):
    """Return the `params` of a rule: what the step is called with, as one JSON text, and what its trace holds.

    The step gets every input, output and setting by name, but for the inputs named `gate`, which only make the job wait
    until its parent has passed, and `code`.
    """

    def spec(wildcards, input, output):
        def paths(named):
            return {
                name: str(value) if isinstance(value, str) else list(value)
                for name, value in named.items()
                if name not in ("gate", "code")
            }

        values = {
            name: value(wildcards) if callable(value) else value
            for name, value in settings.items()
        }
        return json.dumps(
            {
                "input": paths(input),
                "output": paths(output),
                "params": values,
            }
        )

    return {"spec": spec, "trace": trace_of(settings)}


def wildcard(name):
    """Return a setting of a step whose value is a wildcard of the job."""
    return lambda wildcards: getattr(wildcards, name)


def unit(key):
    """Return a setting of the part of a source that a job is about."""
    return lambda wildcards: UNITS[wildcards.source, wildcards.part][key]


def parts(name):
    """Return the file `name` of every part of the sources."""
    return [f"{PART}/{name}".format(source=source, part=part) for source, part in UNITS]


# The shell command of every step: build its environment if need be, run it, keep what it says in its log.
RUN = (
    f"python=$(python3 {quote(f'{HERE}/envs/build.py')} {{input.code[0]}})/bin/python; "
    + engine.prefix(quote(HERE))
    + f"env PYTHONPATH={quote(HERE)} PYTHONHASHSEED=0 HF_HUB_DISABLE_TELEMETRY=1 "
    "CUBLAS_WORKSPACE_CONFIG=:4096:8 "
    '"$python" -m ingot.workflow.entry {input.code[1]} {params.spec:q} 2>&1 | tee {log}'
)


def gpu():
    """Return the resources of a rule that uses a GPU where the preset has one."""
    wanted = config["resources"]
    partition = {"slurm_partition": wanted["partition"]} if wanted["partition"] else {}
    return {
        "gpu": wanted["gpu"],
        "mem_mb": wanted["memory_mb"],
        "runtime": wanted["minutes"],
        **partition,
    }


def adapter_after(turn):
    """Return the adapter after a targeted round; before the first one, that of `adapt`."""
    return f"results/rounds/{turn}/adapter" if turn else "results/adapter"


# model: (its parent, what has to be loaded, first to last)
CHECKPOINTS = {
    "base": (None, ["results/base"]),
    "adapter": ("base", ["results/base", "results/adapter"]),
    **(
        {"targeted": ("adapter", ["results/base", adapter_after(ROUNDS)])}
        if ROUNDS
        else {}
    ),
    "merged": ("targeted" if ROUNDS else "adapter", ["results/merged"]),
    "pruned": ("merged", ["results/pruned"]),
    "recovered": ("merged", ["results/recovered"]),
    "awq": ("recovered", ["results/awq"]),
}


def parent_of(model):
    """Return the parent of a model of the chain; F16 is compared with what AWQ started from, other types with F16."""
    if model in CHECKPOINTS:
        return CHECKPOINTS[model][0]
    return "recovered" if model == "F16" else "F16"


def limits_of(model):
    """Return the limits that the preset sets on the edge to a model; all GGUF types share theirs."""
    return config["gates"][model if model in CHECKPOINTS else "gguf"]


def measurement(model):
    """Return the figures, the predictions and the answers of a model."""
    endings = ("json", "safetensors", "answers.jsonl")
    return [f"results/measured/{model}.{ending}" for ending in endings]


def suite_files(key):
    """Return the input function of a file that a suite may name: a list of it, or of none."""
    return lambda wildcards: [
        path for name, path in SUITES[wildcards.suite].items() if name == key
    ]


def labels(questions):
    """Return who of base and modifiers answers what right: one file each, in this order."""
    return [f"results/router/labels/{questions}/{route}.jsonl" for route in ROUTES]


def model_of(wildcards):
    """Return the model that a job is about: a checkpoint or a GGUF type."""
    return wildcards.model if "model" in wildcards.keys() else wildcards.quant


def evaluation_of_ancestor(wildcards):
    """Return report and answers on the same suite of the nearest ancestor that is evaluated, or nothing."""
    ancestor = parent_of(model_of(wildcards))
    while ancestor and ancestor not in EVALUATED:
        ancestor = parent_of(ancestor)
    endings = ("json", "answers.jsonl") if ancestor else ()
    return [
        f"results/evaluated/{ancestor}/{wildcards.suite}.{ending}" for ending in endings
    ]


onstart:
    try:
        preflight.check(config, ROOT, here=workflow.local_exec)
        if not workflow.local_exec:  # once, here, and not by many jobs at once
            jobs = [
                job for job in workflow.dag.needrun_jobs() if not job.rule.norun
            ]
            preflight.build_environments({job.input.code[0] for job in jobs}, ROOT)
    except InputError as error:
        raise WorkflowError(str(error))
