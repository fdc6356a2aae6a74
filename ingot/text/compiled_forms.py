"""The normal forms of many texts in one compiled call, as bytes. They equal those of `ingot.text.forms.normalise`."""

import numpy as np
from numba import njit

from ingot.io.records import Record
from ingot.text.ascii import CAPITALS, CASE, SPACE, SPACES
from ingot.text.forms import normalise
from ingot.text.minhash import Bytes, Places, join


@njit(cache=True, nogil=True)
def squeeze_pairs(data: Bytes, starts: Places) -> tuple[Bytes, Places, Places]:
    """Return texts in lower case and with single spaces, two and two together with a space between; see `normal_pairs`.

    Of what is not ASCII, nothing is changed.
    """
    pairs = (len(starts) - 1) // 2
    found, begins, firsts = (
        np.empty(len(data) + pairs, np.uint8),
        np.zeros(pairs + 1, np.int64),
        np.empty(pairs, np.int64),
    )
    end = 0
    for pair in range(pairs):
        begin = end
        for text in (2 * pair, 2 * pair + 1):
            between = end > begin
            for place in range(starts[text], starts[text + 1]):
                byte = data[place]
                if SPACES[byte]:
                    between = end > begin
                    continue
                if between:
                    found[end] = SPACE
                    end += 1
                    between = False
                found[end] = byte + CASE if CAPITALS[byte] else byte
                end += 1
            if text == 2 * pair:
                firsts[pair] = end - begin
        begins[pair + 1] = end
    return found[:end], begins, firsts


def normal_pairs(records: list[Record]) -> tuple[Bytes, Places, Places]:
    """Return question and answer of records in normal form, a space between: what their shingles are taken from.

    Returns:
        All texts, one after the other; where each begins, and the end; and how many bytes of each are the question.
    """
    texts = (text for record in records for text in (record["instruction"], record["response"]))
    found: tuple[Bytes, Places, Places] = squeeze_pairs(
        *join([text.encode() if text.isascii() else normalise(text).encode() for text in texts])
    )
    return found
