"""Say what a configuration builds. Every fact that several rule files need is here."""

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ingot.errors import InputError
from ingot.settings.compress import Prune, Pruning
from ingot.settings.everything import Settings
from ingot.settings.gguf import needs_importance
from ingot.settings.load import Given, load, preset_files
from ingot.settings.measure import Gate, Suite
from ingot.settings.section import Section
from ingot.workflow import chain
from ingot.workflow.chain import KINDS, Chain, Model
from ingot.workflow.parts import inert, parts_of

TEST = "results/data/test.jsonl"
GGUF = "gguf"
"""The key in `gates` for the limits of all GGUF types."""

Questions = Literal["benchmark", "routing", "training"]


def task_file(suite: Suite, root: Path) -> Path:
    """Find the task file of a suite, which names a file of suites/ or a path. Raises InputError if there is no file."""
    path = Path(suite.task) if suite.task.endswith((".yaml", ".yml")) else root / "suites" / f"{suite.task}.yaml"
    if not path.exists():
        names = sorted(file.stem for file in (root / "suites").glob("*.yaml"))
        raise InputError(
            f"ask_suite.suites: there is no task {suite.task!r}; use one of {names}, or the path of a task file"
        )
    return path


class Build:
    """A configuration, and everything that it builds."""

    def __init__(self, settings: Settings) -> None:
        """Take valid settings."""
        self.settings = settings
        self.chain = Chain(settings.chain, settings.target.rounds)
        self.parts = parts_of(settings.sources)
        self.suites = {suite.name: suite for suite in settings.ask_suite.suites}

    @property
    def has_data(self) -> bool:
        """Whether there is a data stage."""
        return bool(self.settings.sources)

    @property
    def has_model(self) -> bool:
        """Whether there is a model. If not, there is only a tokenizer for the data."""
        return self.settings.base.kind != "tokenizer"

    @property
    def pretrained(self) -> bool:
        """Whether the base is pretrained here."""
        return self.settings.base.kind == "pretrain"

    @property
    def gguf_of_base(self) -> str:
        """The GGUF file that the base is made of; "" for a base of another kind."""
        base = self.settings.base
        return f"results/received/{inert(Path(base.package.file).name)}" if base.package else base.model or ""

    @property
    def base_gate(self) -> list[str]:
        """The file of the gate that a brought base must pass: its shape must allow what the settings ask for."""
        return ["results/gates/base/verdict.json"] if self.has_model and not self.pretrained else []

    @property
    def received(self) -> str:
        """The folder of a brought base as it came, with its whole vocabulary."""
        return "results/received/base" if self.settings.cut_vocabulary else "results/base"

    @property
    def tokenizer_of_data(self) -> str:
        """The folder of the tokenizer that the data stage counts tokens with: it is there before the data are."""
        return self.received if self.has_model and not self.pretrained else "results/tokenizer"

    @property
    def tokenizer(self) -> str:
        """The folder of the tokenizer that training uses."""
        return "results/base" if self.has_model and not self.pretrained else "results/tokenizer"

    @property
    def benchmark(self) -> str:
        """The file of the questions that models are measured by; "" if there are none."""
        if self.settings.benchmarks:
            return "results/data/benchmark.jsonl"
        return TEST if self.has_data else ""

    @property
    def asked(self) -> str:
        """The file of the questions of the benchmark that every model is asked; "" if there are none."""
        return "results/data/asked.jsonl" if self.benchmark and self.settings.measure.most else self.benchmark

    @property
    def routing(self) -> str:
        """The file of the prompts that the base and every modifier are asked for the router."""
        router = self.settings.router
        return "results/data/asked_routing.jsonl" if router and router.most else "results/data/routing.jsonl"

    @property
    def held_out_texts(self) -> str:
        """The file of the conversations along which models are compared token by token; "" if there are none."""
        return TEST if self.has_data else self.benchmark

    @property
    def held_out(self) -> list[str]:
        """The files of questions that no model may be trained on."""
        benchmark = [self.benchmark] if self.settings.benchmarks else []
        return [*benchmark, *(f"results/suites/{suite}.jsonl" for suite in self.suites)]

    @property
    def types(self) -> list[str]:
        """The GGUF types that are built."""
        return list(self.settings.gguf.types) if self.settings.gguf and self.has_model else []

    @property
    def served(self) -> str:
        """The GGUF type that is served; "" if there are no GGUF files."""
        return self.settings.gguf.serve if self.settings.gguf and self.has_model else ""

    @property
    def has_importance(self) -> bool:
        """Whether an importance matrix guides the GGUF types."""
        return bool(self.types and self.settings.importance and self.has_data)

    @property
    def candidates(self) -> list[tuple[str, str]]:
        """What `make frontier` tries: (model of the chain, GGUF type). None without data, or without GGUF files.

        `distil` stands for the model before compression, trained for its type, and the name of a pruning for that model
        pruned so. Types that llama.cpp makes only with an importance matrix are left out if there is none.
        """
        frontier = self.settings.frontier
        if not (frontier and self.types and self.has_data):
            return []
        trained = dict.fromkeys(frontier.distilled)
        both = [self.chain.uncompressed]
        if "distil" in self.chain:  # what it gives is rounded already
            trained[self.settings.distil.type] = None
        else:
            both.append(next(reversed(self.chain.models)))
        sources = frontier.sources or list(dict.fromkeys(both))
        pairs = [(source, quant) for source in (*sources, *frontier.prunings) for quant in frontier.types]
        pairs += [("distil", quant) for quant in trained]
        return [(source, quant) for source, quant in pairs if self.has_importance or not needs_importance(quant)]

    @property
    def prunings(self) -> dict[str, Pruning]:
        """The ways to prune that `make frontier` tries, by their names."""
        return dict(self.settings.frontier.prunings) if self.settings.frontier and self.candidates else {}

    def prune_as(self, pruning: str) -> Prune:
        """Return the settings of `prune` for one of these ways."""
        one = self.prunings[pruning]
        return self.settings.prune.model_copy(update={"structure": one.structure, "ratios": one.ratios})

    def weights_of(self, source: str) -> str:
        """Return the folder with the weights of a model that GGUF files are made from."""
        return f"results/types/{source}/recovered" if source in self.prunings else self.chain.weights_of(source)

    @property
    def domains(self) -> list[str]:
        """The domains that get a modifier."""
        modifiers = self.settings.modifiers
        return list(modifiers.domains) if modifiers and self.types and self.has_data else []

    @property
    def has_router(self) -> bool:
        """Whether there is a router."""
        return bool(self.settings.router and self.domains)

    @property
    def has_detector(self) -> bool:
        """Whether there is a detector. It needs a router, because only a router can act on what it detects."""
        return bool(self.settings.detector and self.has_router)

    @cached_property
    def models(self) -> dict[str, Model]:
        """Every model by name, parents first: the checkpoints of the chain, then the GGUF types."""
        models = dict(self.chain.models) if self.has_model else {}
        for quant in self.types:
            parent = self.chain.same_as_f16 if quant == "F16" else "F16"
            models[quant] = Model(quant, parent, (f"results/gguf/{quant}.gguf",), GGUF)
        return models

    @property
    def measured(self) -> list[Model]:
        """The models that are measured: all of them, or none if there is nothing to ask."""
        return list(self.models.values()) if self.benchmark else []

    @property
    def gated(self) -> list[str]:
        """The names of the models that must pass a gate."""
        return [model.name for model in self.measured if model.gate and model.parent]

    @property
    def asked_suites(self) -> list[str]:
        """The names of the models that are asked the suites."""
        return list(self.settings.ask_suite.models) if self.suites else []

    @property
    def judged_domains(self) -> list[str]:
        """The domains whose answers a judge judges in targeted rounds and for `prefer`."""
        judged = self.settings.target.judged
        return list(judged.domains) if judged and ("target" in self.chain or "prefer" in self.chain) else []

    @property
    def open_too(self) -> bool:
        """Whether models are asked the open questions of the benchmark, too: if a judge reads the answers."""
        return bool(self.settings.judge_open or self.settings.compare)

    def limits_of(self, model: str) -> Gate:
        """Return the limits that a model must keep against its parent."""
        return self.settings.gates.get(self.models[model].gate, Gate())

    def gates_before(self, step: str) -> list[str]:
        """List the files of the gates that must be open before a step begins."""
        models = [model for model in self.chain.gates_before(step) if model in self.gated]
        return [*self.base_gate, *(f"results/gates/{model}.json" for model in models)]

    def gates_up_to(self, model: str) -> list[str]:
        """List the files of the gates of the base, of a model, and of those between them in the chain."""
        names = list(self.chain.models)
        upto = names[: names.index(model) + 1]
        return [*self.base_gate, *(f"results/gates/{name}.json" for name in upto if name in self.gated)]

    def nearest_ancestor_asked(self, model: str) -> str | None:
        """Find the nearest ancestor of a model that is asked the suites, too. None if there is none."""
        ancestor = self.models[model].parent
        while ancestor and ancestor not in self.asked_suites:
            ancestor = self.models[ancestor].parent
        return ancestor

    @property
    def pruned_how(self) -> str:
        """Say how the step `prune` makes a model smaller."""
        prune = self.settings.prune
        return prune.structure if prune.structure == "blocks" else f"{prune.method}, {prune.structure}"

    def environment_and_script(self, step: str) -> tuple[str, str]:
        """Return the environment and the script of a step of the chain. Its setting `backend`, if any, chooses them."""
        kind = KINDS[step]
        backend = getattr(getattr(self.settings, step), "backend", "")
        return kind.backends.get(backend, (kind.environment, step))

    def stages(self) -> list[dict[str, Any]]:
        """List the lines of the rounds table, in order.

        A line has the `name` of a model, the `trainings` (reports) since the line before, and the files or folders that
        the stage `adds` to the base. The last line is the system, the served type, or the end of the chain.
        """
        stages: list[dict[str, Any]] = [
            {"name": "base", "trainings": ["results/reports/base.json"], "adds": ["results/base"]}
        ]
        trainings: list[str] = []
        for kind in self.chain.kinds:
            trainings += self.chain.trainings(kind)
            if kind.milestone:
                # What trains the same adapter further adds nothing.
                adds = [] if kind.goes_on else [f"results/{kind.model}"]
                stages.append({"name": kind.model, "trainings": trainings, "adds": adds})
                trainings = []
        if self.has_router:
            taught = [f"results/reports/train_modifier_{domain}.json" for domain in self.domains]
            loras = [f"results/modifiers/{domain}/lora.gguf" for domain in self.domains]
            last = {"name": "system", "trainings": trainings + taught, "adds": [*loras, "results/router/model"]}
            return [*stages, last]
        end = self.served or next(reversed(self.chain.models))
        if end != stages[-1]["name"]:
            stages.append({"name": end, "trainings": trainings, "adds": []})
        return stages

    def artifacts(self) -> Iterator[tuple[str, str | None, str]]:
        """List the lines of the size ledger: (name, name of the parent, path)."""
        previous = None
        for model in self.chain.models.values():
            is_checkpoint = len(model.folders) == 1
            yield model.name, previous if is_checkpoint else None, model.folders[-1]
            previous = model.name if is_checkpoint else previous
        if not self.types:
            return
        of_f16 = self.chain.same_as_f16 if len(self.chain.models[self.chain.same_as_f16].folders) == 1 else "base"
        for quant in self.types:
            yield quant, of_f16 if quant == "F16" else "F16", f"results/gguf/{quant}.gguf"
        for quant in self.types:
            yield f"{quant}.zst", quant, f"results/packed/{quant}.gguf.zst"
        for domain in self.domains:
            yield f"modifier_{domain}", None, f"results/modifiers/{domain}/lora.gguf"
            yield f"modifier_{domain}.zst", f"modifier_{domain}", f"results/modifiers/{domain}/lora.gguf.zst"

    def trainings(self) -> dict[str, str]:
        """List the reports of all trainings up to the last checkpoint: {name of the training: path}."""
        reports = ["results/reports/base.json"] if self.pretrained else []
        reports += [path for kind in self.chain.kinds for path in self.chain.trainings(kind)]
        return {Path(path).stem: path for path in reports}

    def plots(self) -> list[dict[str, Any]]:
        """List what `dvc plots` shows: the losses of the trainings, and the sizes of the artifacts."""
        # What goes on with an adapter is left out: if nothing was trained, its report has no losses.
        going_on = [path for kind in self.chain.kinds if kind.goes_on for path in self.chain.trainings(kind)]
        trainings = [path for path in self.trainings().values() if path not in going_on]
        losses = {"loss": {"x": "step", "y": dict.fromkeys(trainings, "loss")}}
        sizes = {"template": "bar_horizontal", "x": "bytes", "y": {"results/release/ledger.json": "artifact"}}
        return [*([losses] if trainings else []), *([{"sizes": sizes}] if self.has_model else [])]

    def targets(self) -> list[str]:
        """List the files that a whole build ends with."""
        if self.has_model:
            return ["results/release/manifest.json", *(["results/plots/sizes-quality.svg"] if self.measured else [])]
        return ["results/curation.html", *(["results/gates/data/verdict.json"] if self.held_out else [])]


def plain(value: Any) -> Any:
    """Make a value ready for JSON. Sections of the settings become mappings, at any depth."""
    if isinstance(value, Section):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def problems(settings: Settings) -> list[str]:
    """List the mistakes in a configuration that only the whole of it shows: a broken chain, and unknown names."""
    lines = chain.problems(settings.chain, bool(settings.sources))
    keys = [*KINDS, GGUF]
    lines += [
        f"gates.{key}: there is no such step; there are {', '.join(keys)}" for key in settings.gates if key not in keys
    ]
    if lines:
        return lines
    valid_chain = Chain(settings.chain, settings.target.rounds)
    if settings.base.kind == "tokenizer":
        return without_model(settings)
    if "distil" in valid_chain and not settings.gguf:
        lines.append("chain: `distil` trains for a GGUF type, and `gguf` is null; set it, or leave `distil` out")
    if valid_chain.ends_with_adapter and settings.gguf:
        lines.append(
            f"chain: it ends with the adapter of `{valid_chain.kinds[-1].step}`, and GGUF files would be made without"
            " it; put `merge` at its end, or set `gguf: null` for the adapter alone"
        )
    models = [*valid_chain.models, *(settings.gguf.types if settings.gguf else [])]
    if settings.cut_vocabulary and settings.base.kind == "pretrain":
        lines.append(
            "cut_vocabulary: `train_tokenizer.vocabulary` says it for a base that is pretrained here; set null"
        )
    if settings.cut_vocabulary and not settings.sources:
        lines.append("cut_vocabulary: without `sources` nothing tells which tokens are needed; set it to null")
    named_models = {"ask_suite.models": settings.ask_suite.models if settings.ask_suite.suites else []}
    if settings.gguf:
        lines += type_problems(settings, valid_chain)
    if settings.compare:
        named_models["compare"] = [settings.compare.model, settings.compare.reference]
    for key, names in named_models.items():
        lines += [
            f"{key}: {name!r} is not built here; there are {', '.join(models)}" for name in names if name not in models
        ]
    return lines


def type_problems(settings: Settings, chain: Chain) -> list[str]:
    """List what GGUF files cannot be made of, and which types cannot be made."""
    assert settings.gguf
    whole = [name for name in chain.models if name not in chain.adapters]
    sources = settings.frontier.sources if settings.frontier else []
    lines = [
        f"frontier.sources: {name!r} is no checkpoint that is built here; there are {', '.join(whole)}"
        for name in sources
        if name not in whole
    ]
    lines += [
        f"frontier.prunings.{name}: models of chains are called so; choose another name"
        for name in (settings.frontier.prunings if settings.frontier else {})
        if name in ("base", "distil", *(kind.model for kind in KINDS.values()))
    ]
    if "distil" in chain and settings.distil.type not in settings.gguf.types:
        lines.append(f"distil.type: {settings.distil.type} is not in gguf.types; add it there")
    if settings.distil.training.optimizer == "adamw_8bit":
        lines.append("distil.training.optimizer: adamw_8bit holds weights in bfloat16, which rounding needs finer")
    blind = [quant for quant in settings.gguf.types if needs_importance(quant)]
    if blind and not (settings.importance and settings.sources):
        lines.append(
            f"gguf.types: {', '.join(blind)} can only be made with an importance matrix; set `importance` and"
            " `sources`, or take a larger type"
        )
    return lines


def without_model(settings: Settings) -> list[str]:
    """List the settings that need a model, for a configuration that has only a tokenizer."""
    lines = [] if settings.sources else ["sources: with only a tokenizer, there is nothing to do without data"]
    needs_model: dict[str, Any] = {"chain": settings.chain, "gguf": settings.gguf, "compare": settings.compare}
    needs_model["ask_suite.suites"] = settings.ask_suite.suites
    empty = {"chain": "[]", "ask_suite.suites": "[]"}
    return lines + [
        f"{key}: a base of kind 'tokenizer' is no model; set it to {empty.get(key, 'null')}"
        for key, value in needs_model.items()
        if value
    ]


def open_build(given: Given, root: Path) -> Build:
    """Read the configuration, check it, and return what it builds.

    `given` is what config.yaml and the command line say. Snakemake passes the word `null` of its command line as a
    text; here it becomes None.

    Raises InputError if the configuration is not valid. The message lists every mistake.
    """
    given_values = {key: None if value == "null" else value for key, value in given.items()}
    return Build(load(given_values, root, problems))


def settings_files(settings: Settings, root: Path) -> list[str]:
    """List the files that the configuration was read from, relative to the working directory."""
    return [os.path.relpath(path) for path in (root / "config.yaml", *preset_files(settings.preset, root))]
