"""Work out the chain: the steps between the base and the last checkpoint, in the order of the preset.

`KINDS` is the only table of the steps that a chain may have. Gates, ledger, rounds table, names of models, plots and
the checks of a configuration follow from it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Form(StrEnum):
    """What a step takes or gives. Messages use these words."""

    CHECKPOINT = "a checkpoint"
    ADAPTER = "an adapter"
    PRUNED = "a pruned checkpoint"
    SCALED = "a checkpoint that AWQ has scaled"
    ROUNDED = "a checkpoint that was rounded to a GGUF type"


DENSE = (Form.CHECKPOINT,)
WEIGHTS = (Form.CHECKPOINT, Form.PRUNED)


@dataclass(frozen=True)
class Kind:
    """A kind of step.

    Its rule, script, function, settings section and gate are called `step`. It builds the folder results/`model`, and
    reports call the result `model`.
    """

    step: str
    model: str
    takes: tuple[Form, ...]
    gives: Form
    environment: str = "ml"
    backends: dict[str, tuple[str, str]] = field(default_factory=dict)
    """{value of its setting `backend`: (environment, script)}, for values that need another one."""
    reads_data: bool = True
    """Whether it reads the training data. If so, a build without `sources` cannot have it."""
    gated: bool = True
    """Whether its result is compared with its parent, and must keep the limits in `gates`."""
    repairs: str = ""
    """The step whose loss it wins back. Its result is compared with the model that this step started from."""
    loses: bool = False
    """Whether it trades quality for size. Compression is judged by the last model before the first such step."""
    waits: bool = True
    """Whether it begins only when the gates of all models before it are open."""
    trains: bool = False
    """Whether its report has losses, for the plots, and tokens, for the rounds table."""
    milestone: bool = False
    """Whether the rounds table has a line for it."""
    goes_on: bool = False
    """Whether it trains the adapter before it further, and keeps the result only if that is better."""
    hands_on: str = ""
    """The folder in results/ that the next step reads, if that is not the model that is measured."""


KINDS = {
    kind.step: kind
    for kind in (
        Kind(
            "adapt",
            "adapter",
            takes=DENSE,
            gives=Form.ADAPTER,
            backends={"unsloth": ("unsloth", "adapt")},
            trains=True,
            milestone=True,
        ),
        Kind(
            "target",
            "targeted",
            takes=(Form.ADAPTER,),
            gives=Form.ADAPTER,
            waits=False,
            trains=True,
            milestone=True,
            goes_on=True,
        ),
        Kind(
            "prefer",
            "preferred",
            takes=(Form.ADAPTER,),
            gives=Form.ADAPTER,
            waits=False,
            trains=True,
            milestone=True,
            goes_on=True,
        ),
        Kind("merge", "merged", takes=(Form.ADAPTER,), gives=Form.CHECKPOINT, reads_data=False, waits=False),
        Kind("prune", "pruned", takes=DENSE, gives=Form.PRUNED, loses=True),
        Kind(
            "recover",
            "recovered",
            takes=(Form.PRUNED,),
            gives=Form.PRUNED,
            repairs="prune",
            loses=True,
            waits=False,
            trains=True,
        ),
        Kind(
            "quantize_awq",
            "awq",
            takes=WEIGHTS,
            gives=Form.SCALED,
            backends={"autoawq": ("autoawq", "quantize_autoawq")},
            loses=True,
            hands_on="scaled",
        ),
        Kind(
            "distil",
            "distilled",
            takes=DENSE,
            gives=Form.ROUNDED,
            environment="gguf",
            loses=True,
            trains=True,
        ),
    )
}
"""A new kind of step needs a line here, a rule, a script, a settings section and a gate: see CONTRIBUTING.md."""


@dataclass(frozen=True)
class Model:
    """A model that the build makes and measures."""

    name: str
    parent: str | None
    """The name of the model that it is compared with."""
    folders: tuple[str, ...]
    """What must be loaded, in this order: a checkpoint, or a checkpoint and an adapter."""
    gate: str
    """The key of its limits in `gates`; "" if it has no gate."""


def problems(steps: Sequence[str], has_data: bool) -> list[str]:
    """List what cannot work about the steps of a chain, one line per mistake."""
    if unknown := [step for step in steps if step not in KINDS]:
        return [f"chain: there is no step {', '.join(map(repr, unknown))}; there are {', '.join(KINDS)}"]
    lines = []
    form, before = Form.CHECKPOINT, "the base"
    for step in steps:
        kind = KINDS[step]
        if form not in kind.takes:
            needed = " or ".join(kind.takes)
            lines.append(f"chain: `{step}` needs {needed}, but {before} gives {form}; {way_to(kind, form)}")
        if kind.reads_data and not has_data:
            lines.append(f"chain: `{step}` learns from training data; name `sources`, or leave it out")
        form, before = kind.gives, f"`{step}`"
    return lines


def way_to(kind: Kind, form: Form) -> str:
    """Say what to do if a step cannot take a form: which step to put before it, if one leads there."""
    makers = [maker.step for maker in KINDS.values() if maker.gives in kind.takes and form in maker.takes]
    return f"put {' or '.join(f'`{step}`' for step in makers)} before it" if makers else "put it earlier in the chain"


class Chain:
    """The steps of a valid chain, and the models that they build one after the other."""

    def __init__(self, steps: Sequence[str], rounds: int) -> None:
        """Follow `steps` from the base. `target` has so many `rounds`; with 0 rounds it is left out."""
        self.kinds = [KINDS[step] for step in steps if step != "target" or rounds]
        self.rounds = rounds if "target" in self else 0
        self.models = {"base": Model("base", None, ("results/base",), "")}
        self.inputs: dict[str, str] = {}
        last_model = "base"
        checkpoint = next_input = "results/base"
        for kind in self.kinds:
            self.inputs[kind.step] = next_input
            folder = f"results/{kind.model}" if kind.step != "target" else self.adapter_after(rounds)
            parent = self.before(kind.repairs) if kind.repairs in self else last_model
            folders = (checkpoint, folder) if kind.gives is Form.ADAPTER else (folder,)
            self.models[kind.model] = Model(kind.model, parent, folders, kind.step if kind.gated else "")
            last_model, next_input = kind.model, f"results/{kind.hands_on}" if kind.hands_on else folder
            checkpoint = checkpoint if kind.gives is Form.ADAPTER else next_input
        self.last_checkpoint = checkpoint
        """The folder that GGUF files and modifiers are made from."""

    def __contains__(self, step: str) -> bool:
        """Tell whether a step is in the chain."""
        return any(kind.step == step for kind in self.kinds)

    @property
    def adapters(self) -> list[str]:
        """The names of the models that are adapters. An adapter runs only over the base."""
        return [kind.model for kind in self.kinds if kind.gives is Form.ADAPTER]

    @property
    def ends_with_adapter(self) -> bool:
        """Whether the last step gives an adapter. GGUF files cannot be made from one."""
        return bool(self.kinds) and self.kinds[-1].gives is Form.ADAPTER

    def before(self, step: str) -> str:
        """Return the name of the model that a step of the chain starts from."""
        names = ["base", *(kind.model for kind in self.kinds)]
        return names[[kind.step for kind in self.kinds].index(step)]

    def adapter_after(self, turn: int) -> str:
        """Return the folder of the adapter after a targeted round. Round 0 stands for the adapter before the rounds."""
        return f"results/rounds/{turn}/adapter" if turn else self.inputs.get("target", "results/adapter")

    def last_where(self, test: Callable[[Kind], bool]) -> str:
        """Follow the chain from the base as long as kinds pass a test. Return the name of the last model reached."""
        names = ["base"]
        for kind in self.kinds:
            if not test(kind):
                break
            names.append(kind.model)
        return names[-1]

    @property
    def uncompressed(self) -> str:
        """The model that compression starts from. Compression is judged by it."""
        return self.last_where(lambda kind: not kind.loses)

    @property
    def same_as_f16(self) -> str:
        """The last model that computes the same as the 16-bit GGUF file. AWQ's rounded weights are not in that file."""
        return self.last_where(lambda kind: not kind.hands_on)

    def gates_before(self, step: str) -> list[str]:
        """List the models whose gates must be open before a step begins.

        What comes after the chain waits for the models that GGUF files are made from. The release waits for all.
        """
        if step in self and not KINDS[step].waits:
            return []
        last = self.before(step) if step in self else self.same_as_f16
        models = list(self.models.values())
        return [model.name for model in models[: list(self.models).index(last) + 1] if model.gate]

    def weights_of(self, model: str) -> str:
        """Return the folder with the weights of a checkpoint, which the next step reads."""
        handed_on = {kind.model: kind.hands_on for kind in self.kinds if kind.hands_on}
        return f"results/{handed_on.get(model, model)}"

    def trainings(self, kind: Kind) -> list[str]:
        """List the reports of the trainings that a kind of step does."""
        if not kind.trains:
            return []
        names = [f"target_{turn}" for turn in range(1, self.rounds + 1)] if kind.step == "target" else [kind.step]
        return [f"results/reports/{name}.json" for name in names]
