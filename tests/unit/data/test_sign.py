"""The compiled kernels against the plain definitions, and against datasketch."""

import random
import string

import numpy as np
import pytest

from ingot.text import minhash
from ingot.text.forms import jaccard, normalise, shingles

TEXTS = [
    "",
    "a",
    "Sort: 3 1 2",
    "The quick brown fox_1 jumps; over the lazy dog!",
    "caf\u00e9 au lait \u2014 \u4f60\u597d\u4e16\u754c \U0001f600 ok",
    "  spaces \t\n and\u200b hidden\u00ad signs  ",
    "repeat repeat repeat repeat repeat",
    "x" * 5000,
]


def counts_of(texts, unit, length):
    factors, summands = minhash.permutations_of(16)
    data = minhash.join([normalise(text).encode() for text in texts])
    return minhash.sign(*data, minhash.KINDS[unit], length, factors, summands, 4, 4)


@pytest.mark.parametrize("length", [1, 2, 3, 5])
@pytest.mark.parametrize("unit", ["words", "characters"])
def test_the_kernel_finds_as_many_shingles_as_there_are(unit, length):
    r = random.Random(0)
    alphabet = string.ascii_letters + string.digits + " .,_-\u00e9\u4f60\U0001f600"
    texts = TEXTS + ["".join(r.choices(alphabet, k=r.randint(0, 200))) for _ in range(300)]
    _, counts = counts_of(texts, unit, length)
    assert counts.tolist() == [len(shingles(text, unit, length)) for text in texts]


def test_texts_without_shingles_are_alike_to_nothing():
    keys, _ = counts_of(["", "", "a"], "words", 3)
    assert all(len(set(band)) == 3 for band in keys.tolist())


def test_signatures_are_the_same_however_texts_are_grouped():
    together, _ = counts_of(TEXTS[1:], "words", 2)
    alone = [counts_of([text], "words", 2)[0] for text in TEXTS[1:]]
    assert (np.concatenate(alone, axis=1) == together).all()


def test_banding_reaches_the_recall_and_no_less_selective_choice_would():
    bands, rows = minhash.banding(128, 0.8, 0.99)
    assert 1 - (1 - 0.8**rows) ** bands >= 0.99
    assert 1 - (1 - 0.8 ** (rows + 1)) ** (128 // (rows + 1)) < 0.99


def pairs_at(similarity, count, seed):
    """Pairs of texts of 100 words whose exact Jaccard similarity is as near as can be to the wanted one."""
    r = random.Random(seed)
    for _ in range(count):
        left = [f"w{r.randrange(10**6)}" for _ in range(100)]
        shared = round(200 * similarity / (1 + similarity))
        yield " ".join(left), " ".join([*left[:shared], *(f"v{r.randrange(10**6)}" for _ in range(100 - shared))])


@pytest.mark.parametrize("similarity", [0.5, 0.7, 0.8, 0.9])
def test_pairs_share_a_band_as_often_as_the_formula_says(similarity):
    bands, rows = 18, 7
    factors, summands = minhash.permutations_of(128)
    pairs = list(pairs_at(similarity, 1000, 1))
    exact = np.mean([jaccard(*(shingles(text, "words", 1) for text in pair)) for pair in pairs])
    sides = []
    for side in (0, 1):
        data = minhash.join([pair[side].encode() for pair in pairs])
        sides.append(minhash.sign(*data, minhash.KINDS["words"], 1, factors, summands, bands, rows)[0])
    found = (sides[0] == sides[1]).any(axis=0).mean()
    expected = 1 - (1 - exact**rows) ** bands
    assert abs(found - expected) < 4 * max(0.004, (expected * (1 - expected) / 1000) ** 0.5)


def test_datasketch_finds_the_same_pairs():
    """With the same banding, both propose nearly all pairs well above the threshold, and none far below."""
    from datasketch import MinHash, MinHashLSH

    bands, rows = minhash.banding(128, 0.8, 0.99)
    for similarity, least, most in ((0.95, 1.0, 1.0), (0.2, 0.0, 0.02)):
        pairs = list(pairs_at(similarity, 200, 2))
        index = MinHashLSH(num_perm=128, params=(bands, rows))
        sets = [[shingles(text, "words", 1) for text in pair] for pair in pairs]
        signatures = [[MinHash(128) for _ in pair] for pair in pairs]
        for signed, found in zip(signatures, sets, strict=True):
            for one, words in zip(signed, found, strict=True):
                one.update_batch([word.encode() for word in words])
        for i, (left, _) in enumerate(signatures):
            index.insert(i, left)
        theirs = np.mean([i in index.query(right) for i, (_, right) in enumerate(signatures)])
        factors, summands = minhash.permutations_of(128)
        keys = [
            minhash.sign(*minhash.join([p[side].encode() for p in pairs]), 1, 1, factors, summands, bands, rows)[0]
            for side in (0, 1)
        ]
        ours = (keys[0] == keys[1]).any(axis=0).mean()
        assert least <= theirs <= most
        assert least <= ours <= most


def test_the_same_records_give_the_same_bytes(tmp_path, record):
    """Asked of several processes: the order of an entry that is hashed may differ from one to the next."""
    import subprocess
    import sys

    from helpers.workspaces import ROOT
    from ingot.io.records import write_records

    write_records(tmp_path / "in.jsonl", [record(f"question {i}", "a", domain="ab"[i % 2]) for i in range(10)])
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT / 'tests')!r}, {str(ROOT)!r}]\n"
        "from pathlib import Path; from helpers.curation import SIGN\n"
        "from workflow_scripts.data.sign import sign\n"
        f"sign(Path({str(tmp_path / 'in.jsonl')!r}), Path(sys.argv[1]), settings=SIGN)\n"
    )
    written = set()
    for i in range(4):
        subprocess.run([sys.executable, "-c", code, tmp_path / str(i)], check=True, capture_output=True)
        written.add((tmp_path / str(i)).read_bytes())
    assert len(written) == 1
