"""Settings of the tiny world."""

from typing import Annotated, Literal

from pydantic import Field

from ingot.settings.section import Count, Section, Share, setting

WorldDomain = Literal["code", "reasoning", "math", "automation", "knowledge", "instruction"]
Difficulty = Literal["easy", "medium", "hard"]
Plant = Literal[
    "exact_duplicate",
    "near_duplicate",
    "contamination",
    "language",
    "personal",
    "broken",
    "encoding",
    "secret",
    "refusal",
    "leftover",
]
Mixture = Annotated[dict[WorldDomain, dict[Difficulty, Share]], Field(min_length=1)]


class Counts(Section):
    """How much of the tiny world is made."""

    records: int = setting("Records in the sources, before flawed ones are added", unit="records", ge=1)
    benchmark: int = setting("Items of the benchmark", unit="records", ge=1)
    pretraining: int = setting("Conversations to pretrain the base on", unit="records", ge=1)


class Generate(Section):
    """The tiny world: small tasks with exact answers, made only where `sources`, `benchmarks` or the base use them."""

    counts: Counts
    mix: Mixture = setting("Share of each difficulty, per domain")
    plants: dict[Plant, Count] = setting("Flawed records that are added to the sources, per kind", unit="records")
