"""What every rule file uses: the checked configuration, how a step is started, and the places of shared files."""

import json
import os
import sys
from shlex import quote

sys.path.insert(0, f"{workflow.basedir}/workflow_scripts")

from lib import config as configuration
from lib import preflight
from lib.records import InputError
from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
# Commands name it relatively, so that a folder that was moved, or another snakemake, does not change them.
HERE = os.path.relpath(ROOT)
try:
    config = configuration.load(config, ROOT)
except InputError as error:
    raise WorkflowError(str(error))

PRETRAINED = config["base"]["kind"] == "pretrain"
TOKENIZER = "results/tokenizer" if PRETRAINED else "results/base"
DOMAINS = config["modifiers"]["domains"]
QUANTS = config["gguf"]["types"]
SERVED = f"results/gguf/{config['gguf']['serve']}.gguf"
BENCHMARK = f"results/data/{'benchmark' if config['benchmarks'] else 'test'}.jsonl"
SHARED = {name: config[name] for name in ("seed", "threads")}


def step(**settings):
    """Return the `params` of a rule: one JSON text that holds every input, output and setting of the job by name.

    An input named `gate` is left out: it only makes the job wait until its parent has passed.
    """

    def spec(wildcards, input, output):
        def paths(named):
            return {
                name: str(value) if isinstance(value, str) else list(value)
                for name, value in named.items()
                if name != "gate"
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

    # Snakemake compares only params that are no functions when it asks whether a job must run again.
    plain = {name: value for name, value in settings.items() if not callable(value)}
    return {"spec": spec, "settings": json.dumps(plain, sort_keys=True)}


def wildcard(name):
    """Return a setting of a step whose value is a wildcard of the job."""
    return lambda wildcards: getattr(wildcards, name)


def run(environment, script="{rule}"):
    """Return the shell command of a step: build its environment if need be, run it, and keep what it says in its log."""
    return (
        f"python=$(python3 {quote(f'{HERE}/envs/build.py')} {environment})/bin/python; "
        f"PYTHONPATH={quote(f'{HERE}/workflow_scripts')} PYTHONHASHSEED=0 HF_HUB_DISABLE_TELEMETRY=1 "
        f'CUBLAS_WORKSPACE_CONFIG=:4096:8 "$python" -m lib.entry {script} {{params.spec:q}} 2>&1 | tee {{log}}'
    )


def gpu():
    """Return the resources of a rule that uses a GPU where the preset has one."""
    wanted = config["resources"]
    return {
        "gpu": wanted["gpu"],
        "mem_mb": wanted["memory_mb"],
        "runtime": wanted["minutes"],
    }


# model: (its parent, what has to be loaded, first to last)
CHECKPOINTS = {
    "base": (None, ["results/base"]),
    "adapter": ("base", ["results/base", "results/adapter"]),
    "merged": ("adapter", ["results/merged"]),
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


def measurement_of_parent(wildcards):
    """Return the figures and the predictions of the parent, or nothing for the base."""
    parent = parent_of(
        wildcards.model if "model" in wildcards.keys() else wildcards.quant
    )
    return (
        [f"results/measured/{parent}.json", f"results/measured/{parent}.safetensors"]
        if parent
        else []
    )


onstart:
    try:
        preflight.check(config, ROOT, here=workflow.local_exec)
    except InputError as error:
        raise WorkflowError(str(error))
