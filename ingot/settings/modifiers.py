"""Settings of the modifiers: per domain, a LoRA for what the served model still gets wrong."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator

from ingot.settings.judge import Endpoint
from ingot.settings.section import PROBLEM, Distinct, Name, Section, Share, problem, setting
from ingot.settings.training import LoraTraining

LoraType = Literal["Q4_0", "Q5_0", "Q8_0", "F16", "F32"]


class CollectFailures(Section):
    """What the served model gets wrong, found by asking it training prompts."""

    most_asked: int = setting("Training prompts of a domain that it is asked", unit="records", ge=1)
    least_failures: int = setting(
        "Failures that a modifier needs; with fewer the build stops and says so", unit="records", ge=1
    )


class Cluster(Section):
    """Patterns among the failures, so that rare ones are taught, too."""

    embedding: str = setting("What prompts are compared by: `tfidf`, or the folder of a sentence-transformers model")
    dimensions: int = setting("Dimensions that TF-IDF is brought down to", ge=2, le=1000)
    least: int = setting("Smallest number of clusters to try", unit="clusters", ge=2, le=100)
    most: int = setting("Largest number of clusters to try", unit="clusters", ge=2, le=100)


class Teacher(Section):
    """What every tier of teachers says."""

    name: Name = setting("Its name in the report")
    share: Share = setting("Share of the failures that it may be asked at most")


class KnownAnswers(Teacher):
    """A tier that knows the answers that the records came with."""

    reference: Literal[True] = setting("Marks this kind of tier")

    @field_validator("reference", mode="before")
    @classmethod
    def only_true(cls, value: Any) -> Any:
        """Refuse a 1, which Python takes for true."""
        if value is not True:
            raise problem("only `true` is allowed; leave the key out for another kind of tier")
        return value


class LocalTeacher(Teacher):
    """A tier that is a model in a local folder."""

    checkpoint: str = setting("Folder of the model", min_length=1)
    samples: int = setting("Answers to each prompt; the first right one is learned", unit="answers", ge=1)
    temperature: float = setting("Sampling temperature; 0 answers greedily", ge=0, le=2)


class PaidTeacher(Teacher, Endpoint):
    """A tier behind an endpoint with the interface of OpenAI's chat completions."""

    longest: int = setting("Longest answer", unit="tokens", ge=1)


def kind_of_tier(value: Any) -> str | None:
    """Name the class of a tier by the key that only its kind has."""
    if isinstance(value, Teacher):
        return type(value).__name__
    kinds = {"reference": "KnownAnswers", "checkpoint": "LocalTeacher", "endpoint": "PaidTeacher"}
    named = [kind for key, kind in kinds.items() if isinstance(value, dict) and key in value]
    return named[0] if named else None


Tier = Annotated[
    Annotated[KnownAnswers, Tag("KnownAnswers")]
    | Annotated[LocalTeacher, Tag("LocalTeacher")]
    | Annotated[PaidTeacher, Tag("PaidTeacher")],
    Discriminator(
        kind_of_tier,
        custom_error_type=PROBLEM,
        custom_error_message="a tier says one of `reference: true` (the answers that the records came with),"
        " `checkpoint` (a model in a folder) and `endpoint` (a model behind an address; null: OpenAI's)",
    ),
]


class Teach(Section):
    """Who knows the right answers to the failures, and how much of it is learned."""

    most: int | None = setting(
        "Failures to teach, taken from the clusters in turn; null: all of them", unit="records", ge=1
    )
    rehearsal: float = setting("Records it got right that are learned per taught failure", ge=0, le=10)
    tiers: Annotated[list[Tier], Field(min_length=1)] = setting(
        "Teachers, cheapest first; each is asked what those before it did not get right"
    )


class Convert(Section):
    """Number format of a modifier's GGUF LoRA."""

    types: Annotated[Distinct[LoraType], Field(min_length=1)] = setting(
        "Types to try; the smallest that keeps `max_loss` is taken"
    )
    ranks: Distinct[Annotated[int, Field(ge=1)]] = setting(
        "Ranks below its own that it is cut to, and tried in; empty: none", unit="ranks"
    )
    most_bytes: int | None = setting("Largest file; null: no limit", unit="bytes", ge=1)
    max_loss: float = setting(
        "What it may lose against F32 on the validation prompts of its domain", unit="points", ge=0
    )


class Modifiers(Section):
    """Per domain, a LoRA for what the served model still gets wrong; null: none."""

    domains: Annotated[Distinct[Name], Field(min_length=1)] = setting("Domains that get a modifier")
    collect_failures: CollectFailures
    cluster: Cluster
    teach: Teach
    training: LoraTraining
    threads: int = setting("Threads of each training", unit="threads", ge=1, le=1024)
    convert: Convert
