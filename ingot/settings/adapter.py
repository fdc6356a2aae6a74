"""Settings of the adapter: its training, the targeted rounds on what it fails, and the merge into the base."""

from typing import Annotated, Literal

from pydantic import Field

from ingot.settings.base import Dtype
from ingot.settings.section import Distinct, Name, Section, Share, setting
from ingot.settings.training import LoraTraining
from ingot.settings.world import Difficulty

Temperature = Annotated[float, Field(gt=0, le=2)]
Answers = Annotated[int, Field(ge=1)]


class Adapt(Section):
    """A LoRA adapter on the base."""

    backend: Literal["trl", "unsloth"] = setting("Library that trains")
    difficulties: Annotated[list[Difficulty], Field(min_length=1)] = setting(
        "Difficulties of the records that the adapter, its rounds and the recovery learn"
    )
    training: LoraTraining


class Consistency(Section):
    """Which of the model's own answers are good enough to rehearse: those that most samples agree on."""

    samples: int = setting("Answers to a prompt of a domain with a temperature", unit="answers", ge=1, le=1000)
    majority: Share = setting("Share of the samples that must agree")
    temperatures: dict[str, Temperature] = setting("Sampling temperature of each domain that is sampled")
    diverse: dict[str, Answers] = setting(
        "Domains without one right answer: how many answers unlike each other are kept", unit="answers"
    )
    likeness: Share = setting("Share of common words (Jaccard) up to which two answers are unlike")


class Judged(Section):
    """Domains whose answers no checker can judge: the judge compares them with the references."""

    domains: Annotated[Distinct[Name], Field(min_length=1)] = setting(
        "Domains that the judge judges; a tie or a loss is a failure"
    )
    malformed: Share = setting("Largest share of answers without a usable judgement; with more the build stops")


class RoundLimits(Section):
    """What a round must show on validation prompts to be kept."""

    max_p_value: float = setting(
        "Largest p value of McNemar's exact test that a round changed nothing, shared by all rounds; 1: not asked for",
        gt=0,
        le=1,
    )
    max_forgetting: float = setting("What domains may fall, on average over all", unit="points", ge=0)


class Target(Section):
    """Targeted rounds: the model is asked training prompts, and trained on what it failed."""

    rounds: int = setting("Rounds at most", unit="rounds", ge=0, le=20)
    most_asked: int = setting("Training prompts that are asked in a round", unit="records", ge=1)
    consistency: Consistency
    judged: Judged | None = setting("Domains whose answers no checker can judge; null: none")
    rehearsal: float = setting("Consistent solutions that are learned per failure", ge=0, le=10)
    least_failures: int = setting("Failures that a round needs; with fewer it is left out", unit="records", ge=1)
    limits: RoundLimits
    training: LoraTraining


class Prefer(Section):
    """Training on pairs of a right and a wrong answer: the adapter's own failures against their references."""

    loss: Literal["dpo", "kto", "orpo"] = setting("What is learned from the pairs")
    beta: float = setting(
        "How closely it stays with the adapter before; for orpo, the weight of the pairs", gt=0, le=10
    )
    most_asked: int = setting("Training prompts that are asked", unit="records", ge=1)
    least_pairs: int = setting("Pairs that it needs; with fewer nothing is trained", unit="pairs", ge=1)
    limits: RoundLimits
    training: LoraTraining


class Merge(Section):
    """The adapter's weights, added to those of the base."""

    dtype: Dtype = setting("Number format of the dense checkpoints")
