"""Turn a prompt into features, cheaply enough for every request: telling terms, and counts."""

import itertools
import math
from collections import Counter
from typing import Any

from ingot.text.terms import terms

COUNTS = 8  # the number of features that `counts` computes
RARE = 3  # a term that is in fewer prompts than this is left out


def counts(prompt: str) -> list[float]:
    """Count length, words, digits, capitals, marks and the like [COUNTS], each scaled to about 0 to 1."""
    size = max(1, len(prompt))
    words = prompt.split()
    return [
        min(size / 500, 1.0),
        min(len(words) / 100, 1.0),
        sum(c.isdigit() for c in prompt) / size,
        sum(c.isupper() for c in prompt) / size,
        sum(not c.isalnum() and not c.isspace() for c in prompt) / size,
        float("?" in prompt),
        float("\n" in prompt or "```" in prompt),
        min(sum(map(len, words)) / max(1, len(words)) / 10, 1.0),
    ]


class Features:
    """Turns prompts into vectors of `size` numbers: TF-IDF of learned terms, and `counts`."""

    def __init__(self, vocabulary: list[str], weights: list[float], size: int) -> None:
        """Take terms and their inverse document frequencies. Vectors have `size` numbers."""
        self.vocabulary, self.weights, self.size = vocabulary, weights, size
        self.place = {term: i for i, term in enumerate(vocabulary)}

    @classmethod
    def learn(cls, prompts: list[str], classes: list[str], size: int) -> "Features":
        """Choose the terms that best tell the `classes` of the `prompts` apart (chi squared)."""
        from scipy.sparse import csr_array
        from sklearn.feature_selection import chi2

        terms_of_prompts = [set(terms(prompt)) for prompt in prompts]
        frequency = Counter(term for present in terms_of_prompts for term in present)
        frequent = sorted(term for term, count in frequency.items() if count >= RARE)
        place = {term: i for i, term in enumerate(frequent)}
        columns = [[place[term] for term in sorted(present) if term in place] for present in terms_of_prompts]
        row_starts = [0, *itertools.accumulate(map(len, columns))]
        flat = list(itertools.chain.from_iterable(columns))
        presence = csr_array(([1.0] * len(flat), flat, row_starts), shape=(len(prompts), len(frequent)))
        scores = dict(zip(frequent, chi2(presence, classes)[0] if frequent else (), strict=True))
        vocabulary = sorted(frequent, key=lambda term: (-scores[term], term))[: size - COUNTS]
        weights = [1 + math.log((1 + len(prompts)) / (1 + frequency[term])) for term in vocabulary]
        return cls(vocabulary, weights, size)

    def vector(self, prompt: str) -> list[float]:
        """Compute the vector [size] of a prompt. Its TF-IDF part has length 1, or 0 if the prompt has no known term."""
        values = [0.0] * self.size
        for term, count in Counter(terms(prompt)).items():
            if (i := self.place.get(term)) is not None:
                values[i] = (1 + math.log(count)) * self.weights[i]
        length = math.sqrt(sum(v * v for v in values)) or 1.0
        values = [v / length for v in values]
        values[self.size - COUNTS :] = counts(prompt)
        return values

    def matrix(self, prompts: list[str]) -> Any:
        """Compute the vectors of n prompts, as float32 [n, size]."""
        import numpy as np

        return np.array([self.vector(prompt) for prompt in prompts], dtype=np.float32).reshape(-1, self.size)

    def to_json(self) -> dict[str, Any]:
        """Return the arguments that make the same features again."""
        return {"vocabulary": self.vocabulary, "weights": self.weights, "size": self.size}
