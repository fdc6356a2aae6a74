"""Settings of steps for tests, small enough for seconds."""

from ingot.settings.adapter import Consistency
from ingot.settings.measure import Measure
from ingot.settings.router import Router
from ingot.settings.training import LoraTraining

TRAINING = LoraTraining(
    rank=4,
    alpha=8,
    dropout=0.0,
    target_modules=None,
    quantization={"type": "nf4", "double": True},
    epochs=50,
    max_steps=12,
    batch=2,
    accumulation=1,
    length=64,
    packing=True,
    group_by_length=False,
    learning_rate=0.005,
    schedule="cosine",
    warmup=2,
    weight_decay=0.01,
    clip=1.0,
    optimizer="adamw_8bit",
    gradient_checkpointing=False,
    evaluate_every=4,
    evaluate_on=None,
    patience=5,
    explosion=3.0,
    trainable_share=(0.001, 0.5),
)
CONSISTENCY = Consistency(
    samples=10,
    majority=0.6,
    temperatures={"reasoning": 0.1, "creativity": 0.7},
    diverse={"creativity": 3},
    likeness=0.5,
)
ROUTER = Router(features=128, embedding=None, most=None, threshold=0.8, costs={"base": 1, "modifier": 1.2}, worth=10)
MEASURE = Measure(longest=8, most=None, batch=16, fidelity_tokens=300)


def changed(settings, **changes):
    """Settings with some values changed, checked like any others."""
    return type(settings).model_validate(settings.model_dump() | changes)
