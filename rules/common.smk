"""What every rule file uses: the checked configuration, how a step is started, and the places of shared files."""

import json
import sys

sys.path.insert(0, f"{workflow.basedir}/workflow_scripts")

from lib import config as configuration
from lib import preflight
from lib.records import InputError
from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
try:
    config = configuration.load(config, ROOT)
except InputError as error:
    raise WorkflowError(str(error))

PRETRAINED = config["base"]["kind"] == "pretrain"
TOKENIZER = "results/tokenizer" if PRETRAINED else "results/base"
DOMAINS = config["modifiers"]["domains"]
QUANTS = config["gguf"]["types"]
SERVED = f"results/gguf/{config['gguf']['serve']}.gguf"
BENCHMARKS = config["benchmarks"] or ["results/data/test.jsonl"]
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

    return {"spec": spec}


def wildcard(name):
    """Return a setting of a step whose value is a wildcard of the job."""
    return lambda wildcards: getattr(wildcards, name)


def run(environment, script="{rule}"):
    """Return the shell command of a step: build its environment if need be, run it, and keep what it says in its log."""
    return (
        f"python=$({sys.executable} {ROOT}/envs/build.py {environment})/bin/python; "
        f"PYTHONPATH={ROOT}/workflow_scripts PYTHONHASHSEED=0 HF_HUB_DISABLE_TELEMETRY=1 "
        f"$python -m lib.entry {script} {{params.spec:q}} 2>&1 | tee {{log}}"
    )


def gpu():
    """Return the resources of a rule that uses a GPU where the preset has one."""
    wanted = config["resources"]
    return {
        "gpu": wanted["gpu"],
        "mem_mb": wanted["memory_mb"],
        "runtime": wanted["minutes"],
    }


onstart:
    try:
        preflight.check(config, ROOT, here=workflow.local_exec)
    except InputError as error:
        raise WorkflowError(str(error))
