"""Judge how hard a prompt is, whatever it is about: by a score per token, and by what can be counted in its text.

A modifier is needed where the base fails. Terms tell known domains apart, and say little about subjects that nobody
has seen. The base's own token vectors and plain counts say more there. Both parts are linear. So the vectors themselves
are needed only to learn: what stays of them is one score per token.
"""

import math
import re
from dataclasses import dataclass
from typing import Any

NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
SENTENCE = re.compile(r"(?<![.?!])[.?!]+(?:\s|$)")
TOKENS_SHRUNK, COUNTS_SHRUNK = 0.003, 0.01
"""How strongly the weights are held near 0: the inverse of the L2 penalty, for standardised inputs."""


def text_counts(prompt: str) -> list[float]:
    """Count lengths, numbers, marks and the like, each scaled to about 0 to 5."""
    size, words = max(1, len(prompt)), prompt.split()
    several, lower = max(1, len(words)), prompt.lower()
    sentences = max(1, len(SENTENCE.findall(prompt)))
    numbers = [float(number.replace(",", "")) for number in NUMBER.findall(prompt) if len(number) < 20]
    return [
        math.log1p(size),
        math.log1p(len(words)),
        math.log1p(sentences),
        min(several / sentences / 10, 5.0),
        min(sum(map(len, words)) / several / 5, 5.0),
        sum(len(word) > 8 for word in words) / several,
        len({word.lower() for word in words}) / several,
        sum(c.isdigit() for c in prompt) / size,
        sum(c.isupper() for c in prompt) / size,
        sum(not c.isalnum() and not c.isspace() for c in prompt) / size,
        sum(c in "+-*/=^<>%$" for c in prompt) / size,
        math.log1p(len(numbers)),
        math.log10(1 + max(numbers, default=0)) / 3,
        float(any("." in number for number in NUMBER.findall(prompt))),
        *(float(sign in prompt) for sign in ("%", "/", "$", "?", "(", '"', "```")),
        min(prompt.count("\n") / 5, 5.0),
        float(" not " in lower),
        float(" each " in lower),
        float(" if " in lower),
    ]


@dataclass
class Difficulty:
    """A logit that is linear in the mean score of a prompt's tokens and in its counts."""

    scores: Any
    """A score per token [vocabulary], or an empty array without token vectors."""
    weights: Any
    """A weight per count."""
    offset: float

    def logits(self, ids: list[list[int]], counts: Any) -> Any:
        """Compute logits [n] from token ids, n lists, and counts [n, counts]."""
        import numpy as np

        logits = counts @ self.weights + self.offset
        if len(self.scores):
            logits = logits + np.array([self.scores[one].mean() if one else 0.0 for one in ids])
        return logits


def linear(inputs: Any, truths: Any, shrunk: float) -> tuple[Any, float]:
    """Fit a logistic regression to inputs [n, width] and truths [n]: (weights [width], offset) of a logit.

    The logit has mean 0 and standard deviation 1 over the inputs, so that several can be added up.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    mean, scale = inputs.mean(axis=0), inputs.std(axis=0)
    scale[scale == 0] = 1.0
    fitted = LogisticRegression(C=shrunk, max_iter=300).fit((inputs - mean) / scale, truths)
    weights = fitted.coef_[0] / scale
    logits = inputs @ weights
    spread = float(np.std(logits)) or 1.0
    return (weights / spread).astype(np.float32), -float(logits.mean()) / spread


def learn(means: Any, table: Any, counts: Any, truths: Any) -> Difficulty:
    """Learn from mean token vectors [n, width], counts [n, counts] and truths [n] (0 or 1, both present).

    `table` [vocabulary, width] are the vectors. Without any, both are None.
    """
    import numpy as np

    weights, offset = linear(counts, truths, COUNTS_SHRUNK)
    if table is None:
        return Difficulty(np.zeros(0, dtype=np.float32), weights, offset)
    of_vectors, of_tokens = linear(means, truths, TOKENS_SHRUNK)
    return Difficulty((table @ of_vectors).astype(np.float32), weights, offset + of_tokens)
