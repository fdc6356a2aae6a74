"""Weights in another order: nothing is lost, sparse ones come near their entropy, and damage is noticed."""

import json
import struct

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ingot.errors import InputError
from ingot.io import planes
from ingot.io.container import MAGIC, pack_file, read_header, unpack_file

KINDS = [kind + end for kind in planes.LAYOUTS for end in ("", planes.SPARSE)]


def fours(count, zero, bits, r):
    """Codes of weights of which the smaller two of every four are zero."""
    half = 1 << (bits - 1)
    codes = np.clip(np.round(r.normal(0, half / 3, (count, 4))), -half, half - 1).astype(np.int16)
    smaller = np.argsort(np.abs(codes) + r.random((count, 4)), 1)[:, :2]
    codes[np.arange(count)[:, None], smaller] = 0
    return ((codes + zero) & ((1 << bits) - 1)).astype(np.uint8)


def tensor(kind, blocks, seed=0):
    layout, r = planes.layout_of(kind), np.random.default_rng(seed)
    made = fours(blocks * layout.codes * 8 // layout.bits // 4, layout.zero, layout.bits, r)
    if layout.bits == 4:
        low, high = made.reshape(2, -1)
        made = low | high << 4
    scales = r.integers(0, 256, (blocks, layout.scales), dtype=np.uint8)
    return np.concatenate([scales, made.reshape(blocks, layout.codes)], 1).tobytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("blocks", [1, 2, 3, 500])
def test_nothing_is_lost(kind, blocks):
    data = tensor(kind, blocks)
    turned = planes.split(kind, data)
    assert len(turned) == planes.split_size(kind, len(data))
    assert planes.join(kind, turned, len(data)) == data
    assert planes.is_kind(kind, len(data))
    assert not planes.is_kind(kind, len(data) + 1)


@given(st.binary(min_size=136, max_size=136 * 3).filter(lambda data: len(data) % 136 == 0))
def test_any_bytes_come_back(data):
    assert planes.join("IQ4_XS", planes.split("IQ4_XS", data), len(data)) == data
    if planes.is_sparse("IQ4_XS", data):
        assert planes.join("IQ4_XS 2:4", planes.split("IQ4_XS 2:4", data), len(data)) == data


def test_more_zeros_than_two_are_sparse_and_fewer_are_not():
    layout = planes.LAYOUTS["Q8_0"]
    data = bytearray(layout.block)
    assert planes.is_sparse("Q8_0", data)
    data[layout.scales : layout.scales + 3] = b"\1\2\3"
    assert not planes.is_sparse("Q8_0", data)


def entropy(symbols):
    counts = np.bincount(symbols)
    shares = counts[counts > 0] / len(symbols)
    return float(-(shares * np.log2(shares)).sum()) * len(symbols) / 8


def test_a_sparse_tensor_comes_within_three_percent_of_its_entropy():
    """The entropy of which two of four are kept, of their codes, and of the scales."""
    kind, layout = "IQ4_XS 2:4", planes.LAYOUTS["IQ4_XS"]
    data = tensor(kind, 4000)
    turned = planes.split(kind, data)
    scales = 4000 * layout.scales
    codes = np.frombuffer(data, np.uint8).reshape(-1, layout.block)[:, layout.scales :]
    groups = planes.fours_of(codes, 4)
    patterns = planes.tables()["pattern_of"][planes.zeros_of(groups, layout.zero)]
    kept = np.frombuffer(turned[-len(groups) :], np.uint8)
    least = scales + entropy(patterns) + entropy(np.concatenate([kept & 15, kept >> 4]))
    packed = len(zstandard.compress(turned, 19))
    assert packed <= 1.03 * least
    assert packed < 0.95 * len(zstandard.compress(data, 19))


@pytest.fixture
def packed(tmp_path):
    sparse, dense = tensor("IQ4_XS", 3000), tensor("Q8_0", 40, seed=1)
    content = b"GGUF and what it says" + sparse + dense + b"the rest"
    (tmp_path / "model").write_bytes(content)
    segments = [("raw", 21), ("IQ4_XS 2:4", len(sparse)), ("Q8_0", len(dense)), ("raw", 8)]
    pack_file(tmp_path / "model", tmp_path / "model.zst", 19, 2, segments)
    return tmp_path / "model.zst"


def test_a_file_of_segments_comes_back_and_is_the_same_for_any_number_of_threads(packed, tmp_path):
    unpack_file(packed, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "model").read_bytes()
    again = tmp_path / "again.zst"
    pack_file(tmp_path / "model", again, 19, 1, read_header(packed).segments)
    assert again.read_bytes() == packed.read_bytes()


def test_damage_anywhere_is_refused_and_leaves_nothing(packed, tmp_path):
    whole = packed.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 150)):
        packed.write_bytes(whole[:place] + bytes([whole[place] ^ 0x5A]) + whole[place + 1 :])
        with pytest.raises(InputError, match=r"model\.zst: .*(\bbytes? \d|\d bytes|SHA-256)"):
            unpack_file(packed, tmp_path / "back")
    for end in range(0, len(whole), max(1, len(whole) // 50)):
        packed.write_bytes(whole[:end])
        with pytest.raises(InputError, match=r"model\.zst: .*(\bbytes? \d|\d bytes|SHA-256)"):
            unpack_file(packed, tmp_path / "back")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.zst"]


@pytest.mark.parametrize(
    "segments",
    [
        [["raw", 21]],
        [["IQ4_XS 2:4", 137]],
        [["Q9_9", 100]],
        [["raw", 10**18]],
        [["raw", -1], ["raw", 10**6]],
        [["raw", True]],
        [[["raw"], 21]],
        ["raw"],
        {"raw": 21},
        7,
    ],
)
def test_segments_that_cannot_be_are_refused(packed, tmp_path, segments):
    found = read_header(packed)
    header = json.dumps(found.promise | {"segments": segments}).encode()
    packed.write_bytes(struct.pack("<II", MAGIC, len(header)) + header + packed.read_bytes()[found.start :])
    with pytest.raises(InputError, match="not packed by Ingot"):
        unpack_file(packed, tmp_path / "back")


def test_other_segments_of_the_same_size_give_another_digest_or_fail(packed, tmp_path):
    found = read_header(packed)
    header = json.dumps(found.promise | {"segments": [["raw", found.bytes]]}).encode()
    packed.write_bytes(struct.pack("<II", MAGIC, len(header)) + header + packed.read_bytes()[found.start :])
    with pytest.raises(InputError, match=r"cut off|promised"):
        unpack_file(packed, tmp_path / "back")


def test_a_pattern_that_does_not_exist_is_named():
    data = tensor("IQ4_NL 2:4", 6)
    turned = bytearray(planes.split("IQ4_NL 2:4", data))
    turned[6 * 2] = 255
    with pytest.raises(InputError, match="a pattern of zeros is 255"):
        planes.join("IQ4_NL 2:4", bytes(turned), len(data))
