"""Settings that several trainings and one-shot steps share."""

from typing import Annotated, Literal

from pydantic import Field

from ingot.settings.section import Pair, Section, Share, Steps, setting


class Calibration(Section):
    """Training conversations that a one-shot step looks at."""

    records: int = setting("Conversations that are looked at", unit="records", ge=1, le=100_000)
    length: int = setting("Length to which longer conversations are cut", unit="tokens", ge=8, le=131_072)


class FullTraining(Section):
    """Training of every weight."""

    steps: int = setting("Optimizer steps", unit="steps", ge=1, le=10_000_000)
    batch: int = setting("Packed rows that are computed together", unit="rows", ge=1, le=65_536)
    accumulation: int = setting("Batches per optimizer step", unit="batches", ge=1, le=65_536)
    length: int = setting("Length of a packed row", unit="tokens", ge=16, le=131_072)
    learning_rate: float = setting("Highest learning rate", gt=0, le=1)
    weight_decay: float = setting("Decay of the weights in matrices", ge=0, le=1)
    warmup: Steps = setting("Length of the linear warm-up; below 1: a share of all steps", unit="steps")
    optimizer: Literal["muon", "adamw", "adamw_8bit"] = setting(
        "Optimizer of the matrices; `adamw_8bit`: of all weights, which are bfloat16 then"
    )


class Quantization(Section):
    """How the frozen base is held in memory while an adapter is trained on it."""

    type: Literal["nf4", "fp4"] = setting("4-bit number format")
    double: bool = setting("Whether the scales are quantised, too")


class LoraTraining(Section):
    """Training of a LoRA adapter."""

    rank: int = setting("Rank of the adapter", ge=1, le=1024)
    alpha: float = setting("The adapter's update is scaled by alpha / rank", gt=0, le=4096)
    dropout: float = setting("Share of its inputs that the adapter does not see in a step", ge=0, le=0.9)
    target_modules: Annotated[list[str], Field(min_length=1)] | None = setting(
        "Names of the layers to adapt; null: the usual ones of the architecture"
    )
    quantization: Quantization | Literal["auto"] | None = setting(
        "4-bit base (QLoRA); null: full precision (LoRA); `auto`: nf4 on a GPU, full precision on a CPU"
    )
    epochs: float = setting("Passes over the data", unit="epochs", gt=0, le=1000)
    max_steps: int | None = setting("Steps after which it stops before its epochs; null: no limit", unit="steps", ge=1)
    batch: int = setting("Rows per step and device", unit="rows", ge=1, le=65_536)
    accumulation: int = setting("Batches per optimizer step", unit="batches", ge=1, le=65_536)
    length: int = setting("Longest conversation, and length of a packed row", unit="tokens", ge=16, le=131_072)
    packing: bool = setting("Whether several conversations share a row")
    group_by_length: bool = setting("Whether rows that are not packed share a batch with others of similar length")
    learning_rate: float = setting("Highest learning rate", gt=0, le=1)
    schedule: Literal["cosine", "linear", "constant", "constant_with_warmup"] = setting("Course of the learning rate")
    warmup: Literal[0] | Steps = setting("Length of the linear warm-up; below 1: a share of all steps", unit="steps")
    weight_decay: float = setting("Decay of the adapter's weights", ge=0, le=1)
    clip: float = setting("Largest norm of the gradient; larger ones are scaled down", gt=0)
    optimizer: Literal["adamw_8bit", "paged_adamw_8bit", "adamw_torch", "adamw_torch_fused"] = setting("Optimizer")
    gradient_checkpointing: bool = setting("Whether activations are computed again instead of kept in memory")
    evaluate_every: Steps = setting(
        "From one validation and checkpoint to the next; below 1: a share of all steps", unit="steps"
    )
    evaluate_on: int | None = setting("Most records that a validation reads; null: all", unit="records", ge=1)
    patience: int = setting("Validations without a better loss after which it stops", unit="validations", ge=1)
    explosion: float = setting("How many times the first loss is too much: the training stops", gt=1)
    trainable_share: Pair[Share] = setting("Least and largest share of all weights that may be trained")
