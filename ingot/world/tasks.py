"""Draw tasks of the tiny world: six domains of small tasks, from which the default corpus is made."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from ingot.text.forms import unit_hash
from ingot.world.skills import SKILLS, Skill

DOMAINS = ("code", "reasoning", "math", "automation", "knowledge", "instruction")
DIFFICULTIES = ("easy", "medium", "hard")
ATTEMPTS = 10_000
"""Draws in a row without a new prompt after which a domain is taken to be exhausted."""
Mix = dict[str, dict[str, float]]
"""The shares of the difficulties, per domain."""


@dataclass(frozen=True)
class Task:
    """One question of the world, with its exact answer."""

    domain: str
    difficulty: str
    checker: str
    instruction: str
    response: str


def skills_of(domain: str, difficulty: str) -> list[Skill]:
    """List the skills of a domain that have wordings of a difficulty."""
    return [skill for skill in SKILLS if skill.domain == domain and difficulty in skill.wordings]


def draw(r: random.Random, domain: str, difficulty: str) -> Task:
    """Draw one task of a domain at a difficulty; IndexError if the domain has none."""
    skill = r.choice(skills_of(domain, difficulty))
    slots, response = skill.draw(r)
    instruction = r.choice(skill.wordings[difficulty]).format(**slots)
    return Task(domain, difficulty, skill.checker, instruction, response)


def has(domain: str, difficulty: str) -> bool:
    """Tell whether a domain has tasks of a difficulty."""
    return bool(skills_of(domain, difficulty))


def tasks(seed: int, mix: Mix, low: float, high: float, unique: bool = True) -> Iterator[Task]:
    """Draw tasks for ever, with prompts whose unit hash lies in [low, high).

    The domains of `mix` take turns, so that they stay balanced whatever share of their prompts the hash lets through.
    With `unique`, no prompt is drawn twice, and ValueError names a domain that has no more new prompts.
    """
    r = random.Random(seed)
    drawn: set[str] = set()
    while True:
        for domain, shares in mix.items():
            for _ in range(ATTEMPTS):
                difficulty = r.choices(list(shares), list(shares.values()))[0]
                task = draw(r, domain, difficulty)
                if low <= unit_hash(task.instruction) < high and not (unique and task.instruction in drawn):
                    break
            else:
                raise ValueError(f"domain {domain!r} has no more new prompts between hashes {low} and {high}")
            drawn.add(task.instruction)
            yield task
