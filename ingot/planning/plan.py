"""Put a plan together: what the configuration says, what is known of its data, and what each step needs."""

import itertools
import json
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from ingot.errors import InputError
from ingot.planning.estimates import Situation, estimate
from ingot.planning.experience import Experience, Needs, needs_of
from ingot.planning.weights import weights_of
from ingot.quantities import blocks_dropped, bytes_of
from ingot.settings.data import Source
from ingot.settings.gguf import GgufType
from ingot.workflow.build import Build
from ingot.workflow.environments import python_of
from ingot.workflow.machine import check_gpu, gpus, memory, size
from ingot.workflow.parts import files_of

SHAPES = "presets/shapes"
OFFERED = get_args(GgufType)
"""The types that the settings offer."""
RECORD_BYTES, RECORD_TOKENS = 330, 32
"""A row of the tiny world, as it is read and as it is trained on."""
FEW_TOKENS = 200.0
"""Of a question, where there are no sources to tell."""
BYTES_PER_TOKEN = 4.0
"""Of English and code, with a vocabulary of tens of thousands."""
PACKED = {".gz": 3.5, ".zst": 4.0, ".parquet": 3.0}
"""About how many times larger a file is when it is read."""

Step = tuple[str, str, tuple[str, ...]]
"""Its name, its rule, and its wildcards."""


@dataclass(frozen=True)
class Line:
    """A step of a plan."""

    step: str
    rule: str
    needs: Needs
    cost: float

    @property
    def name(self) -> str:
        """Its name without that of the preset."""
        return self.step.partition(":")[2]


def config_of(build: Build, root: Path) -> dict[str, Any]:
    """Find the numbers of the model's shape. InputError if they are nowhere."""
    base = build.settings.base
    if build.pretrained:
        shape = build.settings.pretrain.shape
        return {
            "model_type": "llama",
            "hidden_size": shape.hidden,
            "intermediate_size": shape.feed_forward,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.kv_heads,
            "vocab_size": build.settings.train_tokenizer.vocabulary,
            "tie_word_embeddings": True,
            "max_position_embeddings": build.settings.context,
        }
    if not build.has_model:
        raise InputError("there is no model to plan for: base.kind is `tokenizer`; the data stage takes minutes")
    name = Path(base.package.file).stem if base.package else str(base.model).removesuffix(".gguf").replace("/", "--")
    places = [
        root / SHAPES / f"{name}.json",
        *([Path(str(base.model)) / "config.json"] if base.kind == "local" else []),
    ]
    cut = build.settings.cut_vocabulary
    for path in places:
        if path.is_file():
            try:
                config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
                if cut:
                    config["vocab_size"] = min(cut.most, config["vocab_size"])
                weights_of(config)
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(f"{path}: no shape that the plan knows ({error!r}); Llama's kind has one") from None
            return config
    raise InputError(f"the shape of the base is not known; put its config.json at {places[0]}")


def config_after(build: Build, config: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers of the shape of the last checkpoint, some of whose blocks may have been dropped."""
    ratio = build.settings.prune.ratios.blocks if "prune" in build.chain else 0
    layers = config.get("num_hidden_layers")
    return {**config, "num_hidden_layers": layers - blocks_dropped(ratio, layers)} if ratio and layers else config


def gguf_bytes(config: dict[str, Any], types: list[str], root: Path) -> dict[str, int]:
    """Ask llama.cpp how large the GGUF files will be, in its own environment. InputError if it fails."""
    if not types:
        return {}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(config, file)
        file.flush()
        command: list[str | Path] = [python_of("gguf", root), "-m", "ingot.planning.gguf_sizes", file.name, *types]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    if done.returncode:
        raise InputError(f"llama.cpp cannot tell the sizes of the GGUF files:\n{done.stderr[-500:]}")
    sizes: dict[str, int] = json.loads(done.stdout)
    return sizes


def source_bytes(source: Source) -> float:
    """Return about how many bytes a source has, once it is unpacked. A file of the hub counts once it is here."""
    files = map(Path, () if source.generator else files_of(source))
    whole = sum(path.stat().st_size * PACKED.get(path.suffix, 1.0) for path in files if path.is_file())
    return whole * (source.sample or 1.0)


def situation_of(build: Build, config: dict[str, Any], sizes: dict[str, int]) -> Situation:
    """Say what the estimates go by."""
    settings = build.settings
    of_files = sum(map(source_bytes, settings.sources))
    made = any(source.generator for source in settings.sources)
    of_world = settings.generate.counts.records * RECORD_BYTES if made else 0
    tokens = max(RECORD_TOKENS, settings.filter.length.least / 2) if made else 0.0
    if of_files:
        # A record is as long as the rows of the sources are on average.
        tokens = max(tokens, mean_row(settings.sources) / BYTES_PER_TOKEN)
    rows = of_files / max(1.0, tokens * BYTES_PER_TOKEN) + of_world / RECORD_BYTES
    shares = settings.split.shares
    held_out = rows * shares.test if not settings.benchmarks else settings.generate.counts.benchmark
    tokens = tokens or FEW_TOKENS
    domains = len({source.domain for source in settings.sources}) or 1
    most = settings.measure.most * domains if settings.measure.most else held_out
    return Situation(
        build=build,
        weights=weights_of(config),
        gguf_bytes=sizes,
        source_bytes=of_files + of_world,
        records=rows * (1 - shares.test - shares.valid - shares.routing) * 0.75,  # some are dropped
        record_tokens=tokens,
        questions=min(most, held_out),
    )


def mean_row(sources: Iterable[Source]) -> float:
    """Return the mean length in bytes of the first rows of sources that are lines of text."""
    lengths = []
    for source in sources:
        path = Path(files_of(source)[0]) if source.path else Path()
        if path.is_file() and path.suffix in (".jsonl", ".csv"):
            with path.open("rb") as file:
                lengths += [len(line) for line in itertools.islice(file, 200)]
    return sum(lengths) / len(lengths) if lengths else 500.0


def lines_of(situation: Situation, steps: Iterable[Step], experience: Experience) -> list[Line]:
    """Say what each step needs."""
    settings = situation.build.settings
    lines = []
    for name, rule, wildcards in steps:
        needs = raw_needs(situation, rule, wildcards)
        corrected = experience.corrected(name, rule, needs)
        hours = corrected.seconds / 3600 if corrected.gpu_memory_bytes else 0
        cost = hours * settings.resources.gpu * (settings.resources.gpu_price or 0)
        if rule == "score":
            cost += needs.file_bytes / BYTES_PER_TOKEN / 1e6 * settings.judge.prices.input
        lines.append(Line(name, rule, corrected, round(cost, 2)))
    return lines


def raw_needs(situation: Situation, rule: str, wildcards: tuple[str, ...]) -> Needs:
    """Say what a step needs before anything was learned."""
    on_gpu = situation.on_gpu
    return needs_of(estimate(situation, rule, wildcards), situation.build.settings.threads, on_gpu)


def reasons_against(situation: Situation, lines: list[Line], free_disk: int, here: bool) -> list[str]:
    """Say why the plan cannot be done, a line each, with what to do. Empty if it can.

    `here`: the jobs run on this machine.
    """
    resources = situation.build.settings.resources
    declared, reasons = resources.memory_mb * 1_000_000, []
    if here and declared > memory()[0]:
        reasons.append(
            f"memory: a job may take {size(declared)} by `resources.memory_mb`, and this machine has"
            f" {size(memory()[0])}; use a cluster profile or a smaller preset"
        )
    for line in lines:
        if line.needs.memory_bytes > declared:
            reasons.append(
                f"{line.name}: it needs {size(line.needs.memory_bytes)} of memory, more than the {size(declared)} of"
                f" `resources.memory_mb`; raise that, or {advice(line.rule)}"
            )
    of_gpu = max((gpu["memory"] for gpu in gpus()), default=0) if here else 0
    gpu_memory = resources.gpu_memory_mb * 1_000_000 if resources.gpu_memory_mb else of_gpu
    for line in lines:
        if line.needs.gpu_memory_bytes > gpu_memory > 0:  # of some GPUs it is not told
            reasons.append(
                f"{line.name}: it needs {size(line.needs.gpu_memory_bytes)} of a GPU that has {size(gpu_memory)};"
                f" {advice(line.rule)}"
            )
    if here and (finding := check_gpu(situation.build.settings)).state == "fail":
        reasons.append(f"gpu: {finding.found}; {finding.todo}")
    needed = sum(line.needs.file_bytes for line in lines)
    if needed > free_disk:
        reasons.append(f"disk: {size(needed)} will be written, and {size(free_disk)} are free; make room first")
    return reasons


def advice(rule: str) -> str:
    """Say what makes a step smaller."""
    if rule in ("adapt", "target", "prefer", "train_modifier"):
        return (
            "lower `batch` and raise `accumulation`, lower `length`, or set `quantization: {type: nf4, double: true}`"
        )
    if rule == "distil":
        return "lower `batch` and raise `accumulation`, or lower `length`"
    if rule in ("recover", "recover_candidate", "pretrain"):
        without = {
            "recover": ", or leave `prune` and `recover` out of the chain",
            "recover_candidate": ", or leave `frontier.prunings` empty",
        }.get(rule, "")
        return f"set `optimizer: adamw_8bit`, or lower `batch` and raise `accumulation`{without}"
    if rule == "prune_candidate":
        return "take a smaller base, or leave `frontier.prunings` empty"
    if rule in ("read", "filter", "score", "sign"):
        return "cut the source into more `parts`"
    return "lower `measure.batch`" if rule.startswith(("measure", "ask")) else "take a smaller base, or less data"


def budget_reasons(build: Build, packed: float, sizes: dict[str, int], parameters: int) -> list[str]:
    """Hold the released base against the budget; say the arithmetic, and the nearest that can be had."""
    budget, reasons = build.settings.budget, []
    if not budget or not build.served:
        return []
    if build.served not in sizes:
        raise InputError(f"gguf.serve: llama.cpp cannot make {build.served} of a model of this shape")
    # A packed file is about so much smaller.
    shares = {"file": packed / sizes[build.served], "memory": 1.0}
    for key, needed in (("file", packed), ("memory", sizes[build.served])):
        wanted = getattr(budget, key)
        if wanted and needed > bytes_of(wanted):
            most = bytes_of(wanted)
            bits = 8 * sizes[build.served] / parameters
            made = {quant: count * shares[key] for quant, count in sizes.items()}
            fitting = sorted((count, quant) for quant, count in made.items() if count <= most)
            least, smallest = min((count, quant) for quant, count in made.items())
            nearest = (
                f"{fitting[-1][1]} would fit, with {fitting[-1][0] / 1e6:,.0f} MB"
                if fitting
                else f"even {smallest}, the smallest, makes {least / 1e6:,.0f} MB of it; {wanted} hold about"
                f" {parameters * most / least / 1e6:,.0f} million weights of that type"
            )
            reasons.append(
                f"budget.{key}: {wanted} are wanted, and {build.served} makes {needed / 1e6:,.0f} MB of"
                f" {parameters / 1e6:,.0f} million weights ({bits:.2f} bits each); {nearest}"
            )
    return reasons
