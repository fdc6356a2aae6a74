"""Settings of the data stage: where records come from, and what happens to them, filters apart."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from ingot.settings.section import Commit, FileName, Name, Section, Share, problem, setting
from ingot.settings.world import Difficulty

KnownShape = Literal[
    "alpaca",
    "dolly",
    "openorca",
    "sharegpt",
    "messages",
    "question_answer",
    "prompt_completion",
    "self_instruct",
    "instruction_response",
    "prompt_response",
    "question_response",
    "input_target",
    "human_eval",
    "function_calls",
]
Checker = Literal["text", "phrase", "number", "choice", "json", "call", "python", "open"]
"""What compares an answer with its reference: see ingot.text.checkers."""
MixedBy = Literal["domain", "difficulty", "source"]


class HubFile(Section):
    """A file of a data set on the Hugging Face hub; nothing of it is run."""

    id: str = setting("Team and name of the data set", pattern=r"^[\w.-]+/[\w.-]+$", form="a name such as team/name")
    revision: Commit = setting("Commit of the data set")
    file: str = setting("Path of the file in the data set", min_length=1)


class Fields(Section):
    """The fields of a record, by the names that they have in the source."""

    instruction: str = setting("Field of the question")
    response: str = setting("Field of the answer")
    system: str | None = setting("Field of what goes before the question", default=None)
    input: str | None = setting("Field of what goes after the question", default=None)
    choices: str | list[str] | None = setting(
        "Field of the options, a list of texts; or the fields of the options, in order. They are written out with"
        " letters, and the answer, which may be a letter, a text or a number, becomes a letter",
        default=None,
    )
    first_choice: Literal[0, 1] | None = setting(
        "Number of the first option, where answers are numbers; null: they are not", default=None
    )


def kind_of_shape(value: Any) -> str:
    """Tell the two ways apart in which a source says how its records look."""
    return "Fields" if isinstance(value, dict | Fields) else "KnownShape"


Shape = Annotated[
    Annotated[KnownShape, Tag("KnownShape")] | Annotated[Fields, Tag("Fields")], Discriminator(kind_of_shape)
]


class Source(Section):
    """Where records come from: one of `path`, `hub` and `generator` says it."""

    name: FileName = setting("What the records say where they are from")
    path: str | None = setting(
        "A file, or a pattern such as raw/*.jsonl.gz; plain, gzip or zstd", default=None, min_length=1
    )
    hub: HubFile | None = setting("A file of a data set on the Hugging Face hub", default=None)
    generator: Literal["alpaca", "messages", "question"] | None = setting("A source of the tiny world", default=None)
    answers: str | None = setting(
        "File of the answers, where the records lack them: fields are joined by `id`; null: they have them",
        default=None,
        min_length=1,
    )
    format: Literal["jsonl", "json", "csv", "parquet"] | None = setting(
        "Format of the files; null: found by the name or the content", default=None
    )
    shape: Shape | None = setting(
        "How a record looks: the name of a known shape, or the names of its fields; null: found record by record",
        default=None,
    )
    parts: int = setting(
        "Parts of each file that are read and filtered side by side; the result does not depend on it",
        default=1,
        unit="parts",
        ge=1,
        le=4096,
    )
    sample: float = setting("Share of the records to take", default=1.0, gt=0, le=1)
    weight: float = setting(
        "How much likelier than those of weight 1 its records are taken where `balance` leaves some out",
        default=1.0,
        gt=0,
    )
    licence: str | None = setting("Licence of the records; null: not stated", default=None)
    domain: Name = setting("Domain of the records that do not say theirs")
    difficulty: Difficulty = setting("Difficulty of the records that do not say theirs", default="medium")
    checker: Checker | None = setting(
        "Checker of the answers of records that name none; null: implied by the answer", default=None
    )

    @model_validator(mode="after")
    def one_origin(self) -> "Source":
        """Refuse a source that is in several places, or in none."""
        origins = {"path": self.path, "hub": self.hub, "generator": self.generator}
        named = [f"`{name}`" for name, value in origins.items() if value is not None]
        if len(named) != 1:
            raise problem(
                "exactly one of `path`, `hub` and `generator` must say where the records come from; source"
                f" {self.name!r} says {' and '.join(named) or 'none of them'}"
            )
        return self


class Read(Section):
    """How much of a source file is taken in."""

    row_bytes: int = setting("Longest row; longer ones are rejected", unit="bytes", ge=1024)
    unpacking: int = setting(
        "How many times its own size a packed file of more than 64 MiB may unpack to; more is refused", ge=2
    )


class Shingles(Section):
    """The n-grams that two texts must share to be alike."""

    unit: Literal["words", "characters"] = setting("What the n-grams are made of")
    length: int = setting("Length of the n-grams, in that unit", ge=1, le=20)


class Sign(Section):
    """MinHash signatures, by which near duplicates are found."""

    shingles: Shingles
    permutations: int = setting("Hash functions of a signature", ge=16, le=1024)
    threshold: float = setting("Jaccard similarity from which two records are duplicates", gt=0, le=1)
    recall: float = setting("Probability that a pair right at the threshold is compared", ge=0.5, lt=1)


class Deduplicate(Section):
    """One record of every group of duplicates is kept."""

    limits: dict[MixedBy, Share] = setting("How far a share of the mix may move before the build stops, per field")


class Decontaminate(Section):
    """Records that repeat an item of a benchmark or suite are dropped."""

    shingle: int = setting("Length of the word n-grams", unit="words", ge=1, le=20)
    threshold: float = setting("Jaccard similarity or containment from which a record repeats an item", gt=0, le=1)


class Mix(Section):
    """Wanted shares of the records; null keeps the mix as it is."""

    domain: Annotated[dict[str, Share], Field(min_length=1)] | None = setting("Wanted share of each domain")
    difficulty: Annotated[dict[Difficulty, Share], Field(min_length=1)] | None = setting(
        "Wanted share of each difficulty"
    )


class Balance(Section):
    """A sample of the records, of the wanted mix and number."""

    most: int | None = setting("Records to take in all; null: as many as the mix allows", unit="records", ge=1)
    mix: Mix


class Shares(Section):
    """Shares of the records that are not trained on; the rest is."""

    valid: Share = setting("Share by which checkpoints and rounds are chosen")
    routing: Share = setting("Share that the router is trained on")
    test: Share = setting("Share that models are measured with")


class Split(Section):
    """Records are split by the hash of their prompt, so that a prompt is always on the same side."""

    offset: Annotated[float, Field(ge=0, lt=1)] = setting(
        "How far the sides are moved along the hashes, from 0 to 1, where they start again from 0"
    )
    shares: Shares
