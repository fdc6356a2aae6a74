"""Settings of compression: pruning, recovery, and 4-bit quantisation by AWQ."""

from typing import Literal

from ingot.settings.gguf import Quant
from ingot.settings.section import Section, Steps, setting
from ingot.settings.training import Calibration, FullTraining

Structure = Literal["2:4", "unstructured", "blocks"]


class Ratios(Section):
    """Share of zeros per part of the model, for the structure `unstructured`; of its blocks, for `blocks`."""

    attention: float = setting("Share of zeros in attention; 0 leaves it alone", default=0, ge=0, lt=1)
    feed_forward: float = setting("Share of zeros in feed-forward blocks; 0 leaves them alone", default=0, ge=0, lt=1)
    blocks: float = setting("Share of the blocks that are dropped", default=0, ge=0, lt=1)


class Prune(Section):
    """One-shot pruning: weights that matter least become zero, or whole blocks are dropped."""

    method: Literal["sparsegpt", "wanda"] = setting("How weights are chosen")
    structure: Structure = setting(
        "Where zeros may be: two of every four, or anywhere by `ratios`; `blocks`: those that matter least are dropped"
    )
    ratios: Ratios
    calibration: Calibration


class Gradual(Section):
    """A number of zeros that grows while the pruned model is trained: the smallest weights of each matrix go."""

    attention: float = setting("Share of zeros in attention at the end", ge=0, lt=1)
    feed_forward: float = setting("Share of zeros in feed-forward blocks at the end", ge=0, lt=1)
    until: Steps = setting("Step at which it is reached; below 1: a share of all steps", unit="steps")
    every: int = setting("Steps from one time to the next", unit="steps", ge=1)


class Recover(Section):
    """Training of the pruned model with its zeros held."""

    gradual: Gradual | None = setting("How the number of zeros grows in the training; null: it stays as it is")
    training: FullTraining


class Pruning(Section):
    """A way to prune that the search tries. What it does not say itself is as in `prune` and `recover`."""

    structure: Structure = setting("What `prune.structure` may be")
    ratios: Ratios = setting("Shares as `prune.ratios` has them, whatever those are", default=Ratios())
    gradual: Gradual | None = setting("What `recover.gradual` may be, whatever that is", default=None)


class DistilTraining(FullTraining):
    """Training of every weight through the rounding of a type."""

    refresh: int = setting(
        "Steps from one look at what rounding changes to the next; it takes long in types below 4 bits",
        unit="steps",
        ge=1,
    )


class Distil(Section):
    """Training through the rounding of a GGUF type: the model learns to answer like its parent in few bits."""

    type: Quant = setting("Type, or mix of types, that the weights are rounded to; must be in `gguf.types`")
    training: DistilTraining


class QuantizeAwq(Section):
    """Activation-aware 4-bit quantisation (AWQ)."""

    backend: Literal["llmcompressor", "autoawq"] = setting("Library that quantises")
    scheme: Literal["W4A16_ASYM", "W4A16"] = setting("4-bit weights in groups, with or without a zero point")
    group: Literal["auto", 32, 64, 128] = setting(
        "Weights that share a scale; `auto`: the largest of these that divides every width of the model"
    )
    calibration: Calibration
