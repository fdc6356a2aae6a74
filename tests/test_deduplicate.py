import itertools
import random

from deduplicate import banding, deduplicate, similar_pairs
from lib.records import read_json, read_records, write_records
from lib.text import jaccard, shingles

SETTINGS = {"shingle": 3, "permutations": 128, "threshold": 0.8, "recall": 0.99}


def run(tmp_path, records):
    out = [tmp_path / name for name in ("kept.jsonl", "rejected.jsonl", "report.json")]
    write_records(tmp_path / "in.jsonl", records)
    deduplicate(tmp_path / "in.jsonl", *out, **SETTINGS)
    return list(read_records(out[0])), list(read_records(out[1])), read_json(out[2])


def corpus(record, seed=0):
    """Forty texts of 30 words, each with a copy, a copy with one word more, and a copy with ten words changed."""
    r = random.Random(seed)
    words = [f"w{i}" for i in range(300)]
    found = []
    for _ in range(40):
        text = r.choices(words, k=30)
        found += [record(" ".join(t), "a") for t in (text, text, [*text, "more"], r.choices(words, k=10) + text[10:])]
    return found


def test_banding_reaches_the_recall_and_no_less_selective_choice_would():
    bands, rows = banding(128, 0.8, 0.99)
    assert 1 - (1 - 0.8**rows) ** bands >= 0.99
    assert 1 - (1 - 0.8 ** (rows + 1)) ** (128 // (rows + 1)) < 0.99


def test_exact_and_near_copies_go_and_different_texts_stay(tmp_path, record):
    kept, _, report = run(tmp_path, corpus(record))
    assert len(kept) == 80
    assert report["reasons"] == {"exact_duplicate": 40, "near_duplicate": 40}


def test_no_two_kept_records_are_alike_and_every_dropped_one_is_like_a_kept_one(tmp_path, record):
    kept, rejected, _ = run(tmp_path, corpus(record))
    grams = {r["id"]: shingles(f"{r['instruction']} {r['response']}", 3) for r in kept}
    assert all(jaccard(a, b) < 0.8 for a, b in itertools.combinations(grams.values(), 2))
    for r in rejected:
        if r["reason"] == "near_duplicate":
            own = shingles(f"{r['record']['instruction']} {r['record']['response']}", 3)
            assert jaccard(own, grams[r["evidence"][:16]]) >= 0.8


def test_what_is_kept_does_not_depend_on_the_order(tmp_path, record):
    records = corpus(record)
    first = {r["id"] for r in run(tmp_path, records)[0]}
    random.Random(1).shuffle(records)
    assert {r["id"] for r in run(tmp_path, records)[0]} == first


def test_the_better_one_is_kept(tmp_path, record):
    text = " ".join(f"w{i}" for i in range(30))
    worse, better = record(text, "a", quality_score=3), record(f"{text} more", "a", quality_score=9)
    assert run(tmp_path, [worse, better])[0] == [better]


def test_likeness_does_not_chain(record):
    """a ~ b and b ~ c, but not a ~ c: c stays, since the record that it resembles is not kept."""
    words = [f"w{i}" for i in range(60)]
    chain = [record(" ".join(words[i : i + 40]), "a") for i in (0, 4, 8)]
    ordered = sorted(chain, key=lambda r: r["id"])
    pairs = list(similar_pairs(chain, 3, 128, 0.8, 0.999))
    kept = [r for r, original, _ in pairs if original is None]
    assert ordered[0] in kept
    for left, right in itertools.combinations(kept, 2):
        assert jaccard(shingles(left["instruction"], 3), shingles(right["instruction"], 3)) < 0.9


def test_all_records_identical_leaves_one(tmp_path, record):
    kept, _, report = run(tmp_path, [record("same question", "a")] * 100)
    assert len(kept) == 1
    assert report["rejected"] == 99
