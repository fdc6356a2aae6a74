"""Choose the next token of an answer: the likeliest, or a random one, in a grammar if there is one."""

import ctypes
from functools import lru_cache
from typing import Any

from ingot.errors import InputError
from ingot.serving.protocol import NoTokenError, Parameters, Token


class Grammar:
    """A grammar that follows an answer. It belongs to one answer."""

    def __init__(self, vocabulary: Any, text: str) -> None:
        """Compile a grammar in llama.cpp's notation. InputError if it cannot be compiled."""
        import llama_cpp

        self.api = llama_cpp
        self.pointer = llama_cpp.llama_sampler_init_grammar(vocabulary, text.encode(), b"root")
        if not self.pointer:
            raise InputError("llama.cpp cannot compile the grammar of this schema")

    def __del__(self) -> None:
        """Free its memory."""
        if getattr(self, "pointer", None):
            self.api.llama_sampler_free(self.pointer)

    def restrict(self, candidates: "Candidates") -> None:
        """Set the logits of all candidates that cannot follow to minus infinity."""
        self.api.llama_sampler_apply(self.pointer, ctypes.byref(candidates.array))

    def accept(self, token: int) -> None:
        """Go on behind a token. It must be one that `restrict` left: llama.cpp ends the process over any other."""
        self.api.llama_sampler_accept(self.pointer, token)


class Candidates:
    """Tokens with their logits, in the form in which llama.cpp's samplers take them."""

    def __init__(self, ids: Any, logits: Any) -> None:
        """Take ids and logits, both [tokens]."""
        import llama_cpp
        import numpy as np

        self.rows: Any = np.zeros(len(ids), dtype=[("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])
        self.rows["id"], self.rows["logit"] = ids, logits
        data = self.rows.ctypes.data_as(llama_cpp.llama_token_data_p)
        self.array = llama_cpp.llama_token_data_array(data=data, size=len(ids), selected=-1, sorted=False)


@lru_cache(maxsize=4)
def all_ids(width: int) -> Any:
    """Number the tokens of a vocabulary [width]."""
    import numpy as np

    return np.arange(width, dtype=np.int32)


def softmax(logits: Any) -> Any:
    """Compute probabilities from logits, both [tokens]."""
    import numpy as np

    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def nucleus(probabilities: Any, top_p: float) -> tuple[Any, Any]:
    """Keep the likeliest tokens that have `top_p` together (Holtzman et al. 2020): (ids, probabilities)."""
    import numpy as np

    few = 256
    while True:
        # Most of the probability lies on few tokens, and to sort all of them takes longer than the rest.
        ids = np.argpartition(probabilities, -few)[-few:] if few < len(probabilities) else all_ids(len(probabilities))
        ids = ids[np.argsort(probabilities[ids])[::-1]]
        sums = probabilities[ids].cumsum()
        if few >= len(probabilities) or sums[-1] >= top_p:
            break
        few *= 8
    kept = ids[: int(np.searchsorted(sums, top_p)) + 1]
    return kept, probabilities[kept] / probabilities[kept].sum()


class Sampler:
    """Chooses the tokens of one answer."""

    def __init__(self, vocabulary: Any, parameters: Parameters) -> None:
        """Take a vocabulary of llama.cpp. InputError if the grammar cannot be compiled."""
        import numpy as np

        self.parameters = parameters
        self.grammar = Grammar(vocabulary, parameters.grammar) if parameters.grammar else None
        self.random = np.random.default_rng(parameters.seed)

    def choose(self, logits: Any) -> Token:
        """Choose a token by its logits [vocabulary]. NoTokenError if the grammar leaves none."""
        chosen = self.draw(logits)
        if self.grammar and not self.fits(chosen):
            candidates = Candidates(all_ids(len(logits)), logits)
            self.grammar.restrict(candidates)
            restricted = candidates.rows["logit"]
            if not (restricted > -float("inf")).any():
                raise NoTokenError("no token goes on in the way that the schema asks for; ask without a schema")
            chosen = self.draw(restricted)
            if not self.fits(chosen):  # of probabilities that round to nothing
                chosen = int(restricted.argmax())
        if self.grammar:
            self.grammar.accept(chosen)
        return self.with_logprobs(chosen, logits) if self.parameters.logprobs is not None else Token(chosen)

    def draw(self, logits: Any) -> int:
        """Choose a token by its logits [vocabulary], whatever the grammar says."""
        if not self.parameters.temperature:
            return int(logits.argmax())
        import numpy as np

        # The likeliest has 0 before it is divided, so that no temperature is too small.
        probabilities = softmax((logits - logits.max()).astype(np.float64) / self.parameters.temperature)
        ids, chances = nucleus(probabilities, self.parameters.top_p)
        return int(ids[min(int(chances.cumsum().searchsorted(self.random.random())), len(ids) - 1)])

    def fits(self, token: int) -> bool:
        """Tell whether a token can follow in the grammar."""
        assert self.grammar
        alone = Candidates([token], [0.0])
        self.grammar.restrict(alone)
        return bool(alone.rows["logit"][0] > -float("inf"))

    def with_logprobs(self, chosen: int, logits: Any) -> Token:
        """Give a token its log-probability, in nats, and the likeliest tokens at this place."""
        import numpy as np

        wanted = self.parameters.logprobs or 0
        logprobs = logits - (logits.max() + np.log(np.exp(logits - logits.max()).sum()))
        best = np.argpartition(logprobs, -wanted)[-wanted:] if wanted else all_ids(0)
        best = best[np.argsort(logprobs[best])[::-1]]
        return Token(chosen, float(logprobs[chosen]), tuple((int(i), float(logprobs[i])) for i in best))
