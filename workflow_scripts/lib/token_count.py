"""The number of tokens of a text, by the model's own tokenizer, without tokenising the same words again and again."""

import re
from typing import Any

# Before a space and a letter that follow something else than space, every tokenizer that is in use begins a new token:
# byte-level BPE splits there before it merges, SentencePiece by default learns no token across words.
BETWEEN_WORDS = re.compile(r"(?<=\S)(?= [A-Za-z])")
REMEMBERED = 500_000  # pieces; a few tens of MB
AUDITED = 50  # one text of so many is also tokenised as a whole


class TokenCounter:
    """Counts tokens piece by piece, and remembers the pieces; as a whole from the first text on where that differs.

    Args:
        tokenizer: of the library tokenizers.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.known: dict[str, int] = {}
        self.piecewise = True
        self.counted = 0

    def whole(self, texts: list[str]) -> list[int]:
        """Return the numbers of tokens, each text tokenised as a whole."""
        return [len(one.ids) for one in self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def count(self, texts: list[str]) -> list[int]:
        """Return the number of tokens of each text, without those that mark its beginning and end."""
        if self.piecewise:
            counts = self.by_pieces(texts)
            audited = range(-self.counted % AUDITED, len(texts), AUDITED)
            self.counted += len(texts)
            self.piecewise = self.whole([texts[i] for i in audited]) == [counts[i] for i in audited]
            if self.piecewise:
                return counts
        return self.whole(texts)

    def by_pieces(self, texts: list[str]) -> list[int]:
        """Return the numbers of tokens as sums over pieces."""
        split = [BETWEEN_WORDS.split(text) for text in texts]
        new = list({piece for pieces in split for piece in pieces if piece not in self.known})
        if len(self.known) + len(new) > REMEMBERED:
            self.known.clear()
            new = list({piece for pieces in split for piece in pieces})
        self.known.update(zip(new, self.whole(new), strict=True))
        return [sum(map(self.known.__getitem__, pieces)) for pieces in split]
