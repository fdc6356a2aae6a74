"""Normalise many texts in one compiled call, to bytes. The result equals that of `ingot.text.forms.normalise`."""

import numpy as np
from numba import njit

from ingot.io.records import Record
from ingot.text.ascii import CAPITALS, CASE, SPACE, SPACES
from ingot.text.forms import normalise
from ingot.text.minhash import Bytes, Places, join


@njit(cache=True, nogil=True)
def squeeze_pairs(data: Bytes, starts: Places) -> tuple[Bytes, Places, Places]:
    """Bring texts to lower case and single spaces, and join each two of them with a space. See `normal_pairs`.

    Bytes that are not ASCII are not changed.
    """
    pairs = (len(starts) - 1) // 2
    joined, begins, first_lengths = (
        np.empty(len(data) + pairs, np.uint8),
        np.zeros(pairs + 1, np.int64),
        np.empty(pairs, np.int64),
    )
    end = 0
    for pair in range(pairs):
        begin = end
        for text in (2 * pair, 2 * pair + 1):
            space_is_due = end > begin
            for place in range(starts[text], starts[text + 1]):
                byte = data[place]
                if SPACES[byte]:
                    space_is_due = end > begin
                    continue
                if space_is_due:
                    joined[end] = SPACE
                    end += 1
                    space_is_due = False
                joined[end] = byte + CASE if CAPITALS[byte] else byte
                end += 1
            if text == 2 * pair:
                first_lengths[pair] = end - begin
        begins[pair + 1] = end
    return joined[:end], begins, first_lengths


def normal_pairs(records: list[Record]) -> tuple[Bytes, Places, Places]:
    """Join the question and the answer of each record in normal form. Shingles are taken from these texts.

    Returns:
        The bytes of all texts, one after the other; where each text begins and, last, where the last one ends
        [records + 1]; and how many bytes of each text are the question [records].
    """
    texts = (text for record in records for text in (record["instruction"], record["response"]))
    joined: tuple[Bytes, Places, Places] = squeeze_pairs(
        *join([text.encode() if text.isascii() else normalise(text).encode() for text in texts])
    )
    return joined
