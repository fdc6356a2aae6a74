"""Tell compiled code what kind of sign a byte is, in tables of 256 entries. A byte that is not ASCII is of no kind."""

import string

import numpy as np
from numpy.typing import NDArray


def table(signs: str) -> NDArray[np.bool_]:
    """Make a table [256] that tells for every byte whether it is one of `signs`."""
    return np.isin(np.arange(256), list(signs.encode()))


SPACE, NEWLINE = 32, 10
CASE = 32  # add it to a capital to get the small letter
SPACES = table(string.whitespace + "\x1c\x1d\x1e\x1f")  # the same ones that str.split splits at
DIGITS = table(string.digits)
LETTERS = table(string.ascii_letters)
CAPITALS = table(string.ascii_uppercase)
VISIBLE = table(string.digits + string.ascii_letters + string.punctuation)
SIGNS = table(string.punctuation)
