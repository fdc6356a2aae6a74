"""What kind of sign a byte is, as tables of 256 for compiled code; beyond ASCII, none of these."""

import string

import numpy as np
from numpy.typing import NDArray


def table(signs: str) -> NDArray[np.bool_]:
    """Return for every byte whether it is one of `signs`."""
    return np.isin(np.arange(256), list(signs.encode()))


SPACE, NEWLINE = 32, 10
CASE = 32  # from a capital to its small letter
SPACES = table(string.whitespace + "\x1c\x1d\x1e\x1f")  # those of str.split
DIGITS = table(string.digits)
LETTERS = table(string.ascii_letters)
CAPITALS = table(string.ascii_uppercase)
VISIBLE = table(string.digits + string.ascii_letters + string.punctuation)
SIGNS = table(string.punctuation)
