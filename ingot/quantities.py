"""What a setting comes to, in steps, blocks, bits and bytes.

Steps compute with it, so it is no part of ingot.settings: traces leave that out, since it only checks values.
"""

import math
import re

SIZE = re.compile(r"^([0-9]+(?:\.[0-9]+)?)(KB|MB|GB|KiB|MiB|GiB)$")
UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
MIX = re.compile("^MIX_([0-9])_([0-9]{2})$")


def steps_of(wanted: float, steps: int) -> int:
    """Return a number of steps that is given as such, or as a share of all `steps`. At least one."""
    return int(wanted) if wanted >= 1 else max(1, math.ceil(wanted * steps))


def blocks_dropped(share: float, blocks: int) -> int:
    """Return how many of so many blocks a share of them is."""
    return round(share * blocks)


def bits_of(quant: str) -> float:
    """Return the bits a weight of a mix such as MIX_2_25; 0.0 if it is a type of llama.cpp."""
    found = MIX.fullmatch(quant)
    return float(f"{found[1]}.{found[2]}") if found else 0.0


def bytes_of(size: str) -> int:
    """Return the bytes of a size such as 60MB."""
    found = SIZE.match(size)
    assert found  # the settings are checked
    number, unit = found.groups()
    return round(float(number) * UNITS[unit])
