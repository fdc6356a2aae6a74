"""Features of a prompt, from the prompt alone and cheap enough for every request: telling terms, and counts."""

import itertools
import math
from collections import Counter
from typing import Any

from ingot.errors import InputError
from ingot.routing.token_vectors import TokenVectors
from ingot.text.terms import terms

COUNTS = 8  # how many features `counts` gives
RARE = 3  # a term in fewer prompts than this is left out


def counts(prompt: str) -> list[float]:
    """Return cheap counts, each scaled to about 0 to 1: length, words, digits, capitals, marks and the like."""
    size = max(1, len(prompt))
    found = prompt.split()
    return [
        min(size / 500, 1.0),
        min(len(found) / 100, 1.0),
        sum(c.isdigit() for c in prompt) / size,
        sum(c.isupper() for c in prompt) / size,
        sum(not c.isalnum() and not c.isspace() for c in prompt) / size,
        float("?" in prompt),
        float("\n" in prompt or "```" in prompt),
        min(sum(map(len, found)) / max(1, len(found)) / 10, 1.0),
    ]


def room_for_terms(size: int, embedding: TokenVectors | None) -> int:
    """Return how many of `size` features are left beside embedding and counts; InputError if none are."""
    room = size - COUNTS - (embedding.width if embedding else 0)
    if room < 1:
        raise InputError(f"{size} `features` leave no room for terms beside the embedding; raise them")
    return room


class Features:
    """Turns prompts into vectors of `size` numbers: TF-IDF of learned terms, an embedding if there is one, `counts`."""

    def __init__(
        self, vocabulary: list[str], weights: list[float], size: int, embedding: TokenVectors | None = None
    ) -> None:
        """Take terms and their inverse document frequencies; `size` is the length of the vectors."""
        self.vocabulary, self.weights, self.size, self.embedding = vocabulary, weights, size, embedding
        self.place = {term: i for i, term in enumerate(vocabulary)}
        self.terms = room_for_terms(size, embedding)

    @classmethod
    def learn(
        cls, prompts: list[str], classes: list[str], size: int, embedding: TokenVectors | None = None
    ) -> "Features":
        """Learn the terms that tell the `classes` of the `prompts` apart best (chi squared)."""
        from scipy.sparse import csr_array
        from sklearn.feature_selection import chi2

        found = [set(terms(prompt)) for prompt in prompts]
        frequency = Counter(term for present in found for term in present)
        known = sorted(term for term, count in frequency.items() if count >= RARE)
        place = {term: i for i, term in enumerate(known)}
        columns = [[place[term] for term in sorted(present) if term in place] for present in found]
        begins = [0, *itertools.accumulate(map(len, columns))]
        flat = list(itertools.chain.from_iterable(columns))
        presence = csr_array(([1.0] * len(flat), flat, begins), shape=(len(prompts), len(known)))
        scores = dict(zip(known, chi2(presence, classes)[0] if known else (), strict=True))
        chosen = sorted(known, key=lambda term: (-scores[term], term))[: room_for_terms(size, embedding)]
        weights = [1 + math.log((1 + len(prompts)) / (1 + frequency[term])) for term in chosen]
        return cls(chosen, weights, size, embedding)

    def vector(self, prompt: str) -> list[float]:
        """Return the vector [size] of one prompt; its TF-IDF part has length 1, or 0 where no term is known."""
        values = [0.0] * self.size
        for term, count in Counter(terms(prompt)).items():
            if (i := self.place.get(term)) is not None:
                values[i] = (1 + math.log(count)) * self.weights[i]
        length = math.sqrt(sum(v * v for v in values)) or 1.0
        values = [v / length for v in values]
        values[self.terms :] = [*(self.embedding(prompt) if self.embedding else ()), *counts(prompt)]
        return values

    def matrix(self, prompts: list[str]) -> Any:
        """Return the vectors of prompts as float32 [n, size]."""
        import numpy as np

        return np.array([self.vector(prompt) for prompt in prompts], dtype=np.float32).reshape(-1, self.size)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` needs to make the same features, but for the embedding."""
        return {"vocabulary": self.vocabulary, "weights": self.weights, "size": self.size}

    @classmethod
    def from_json(cls, state: dict[str, Any], embedding: TokenVectors | None) -> "Features":
        """Make features from what `to_json` returned."""
        return cls(state["vocabulary"], state["weights"], state["size"], embedding)
