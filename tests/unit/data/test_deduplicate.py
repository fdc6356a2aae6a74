import itertools
import random
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.curation import SIGN, deduplicate_files
from helpers.settings import changed
from helpers.workspaces import ROOT
from ingot.errors import InputError
from ingot.io.records import read_json, write_records
from ingot.text.forms import jaccard, shingles, text_of
from workflow_scripts.data.sign import sign


def grams_of(record, unit="words", length=3):
    return shingles(text_of(record), unit, length)


def corpus(record, seed=0, count=40):
    """Texts of 30 words, each with a copy, a copy with one word more, and a copy with ten words changed."""
    r = random.Random(seed)
    words = [f"w{i}" for i in range(300)]
    records = []
    for _ in range(count):
        text = r.choices(words, k=30)
        texts = (text, text, [*text, "more"], r.choices(words, k=10) + text[10:])
        records += [record(" ".join(words), "a") for words in texts]
    return records


def run(tmp_path, records, parts=1, **settings):
    """Deduplicate records that lie in so many parts."""
    paths = [tmp_path / f"{i}.jsonl" for i in range(parts)]
    for i, path in enumerate(paths):
        write_records(path, records[i::parts])
    return deduplicate_files(paths, tmp_path, **settings)


def test_exact_and_near_copies_go_and_different_texts_stay(tmp_path, record):
    kept, _, report = run(tmp_path, corpus(record))
    assert len(kept) == 80
    assert report["reasons"] == {"deduplicate": {"exact_duplicate": 40, "near_duplicate": 40}}
    assert report["clusters"] == {"3": 40}


@pytest.mark.parametrize(("unit", "length"), [("words", 1), ("words", 3), ("characters", 5)])
def test_no_two_kept_records_are_alike_and_every_dropped_one_is_like_a_kept_one(tmp_path, record, unit, length):
    """Against every pair: brute force."""
    records = [record(" ".join(random.Random(i).choices("abcdefgh", k=12)), "z") for i in range(800)] + corpus(record)
    kept, rejected, _ = run(tmp_path, records, shingles={"unit": unit, "length": length}, recall=0.9999)
    grams = {r["id"]: grams_of(r, unit, length) for r in kept}
    assert all(jaccard(a, b) < 0.8 for a, b in itertools.combinations(grams.values(), 2))
    assert sum(r["reason"] == "near_duplicate" for r in rejected) >= 40
    for r in rejected:
        likeness = jaccard(grams_of(r["record"], unit, length), grams[r["evidence"][:16]])
        assert likeness >= 0.8
        if r["reason"] == "near_duplicate":
            assert r["evidence"][17:] == f"(Jaccard {likeness:.3f})"


@pytest.mark.parametrize("parts", [1, 4, 64])
def test_what_is_kept_depends_on_neither_order_nor_parts(tmp_path, record, parts):
    records = corpus(record)
    (tmp_path / "first").mkdir()
    first = run(tmp_path / "first", records)
    random.Random(parts).shuffle(records)
    kept, rejected, _ = run(tmp_path, records, parts)
    assert (kept, rejected) == first[:2]


def test_copies_with_other_metadata_are_chosen_between_alike(tmp_path, record):
    copies = [record("the same question", "a", source=name) for name in "abc"]
    kept_sources = set()
    for i, order in enumerate(itertools.permutations(copies)):
        (tmp_path / str(i)).mkdir()
        kept, _, _ = run(tmp_path / str(i), list(order))
        kept_sources.add(kept[0]["metadata"]["source"])
    assert len(kept_sources) == 1


def test_the_better_one_is_kept_then_the_longer(tmp_path, record):
    text = " ".join(f"w{i}" for i in range(30))
    worse, better = record(text, "a", quality_score=3), record(f"{text} more", "a", quality_score=9)
    assert run(tmp_path, [worse, better])[0] == [better]
    short, long = record(text, "a b c"), record(text, "a b c d")
    assert run(tmp_path, [short, long])[0] == [long]


def test_likeness_does_not_chain(tmp_path, record):
    """a ~ b and b ~ c, but not a ~ c: c stays, since the record that it resembles is not kept."""
    words = [f"w{i}" for i in range(60)]
    chain = [record(" ".join(words[i : i + 40]), "a", quality_score=9 - i) for i in (0, 3, 6)]
    kept, rejected, _ = run(tmp_path, chain, recall=0.999)
    assert {r["id"] for r in kept} == {chain[0]["id"], chain[2]["id"]}
    assert rejected[0]["evidence"].startswith(chain[0]["id"])


def test_invisible_and_width_differences_make_no_difference(tmp_path, record):
    plain = record("Say hello to the whole world", "hello")
    dressed = record("Say\u200b HELLO to the\u00ad whole   \uff37orld", "hello")
    _, _, report = run(tmp_path, [plain, dressed])
    assert report["reasons"] == {"deduplicate": {"exact_duplicate": 1}}


@pytest.mark.parametrize("count", [1, 2, 1000])
def test_all_records_identical_leaves_one(tmp_path, record, count):
    kept, _, report = run(tmp_path, [record("same question", "a")] * count)
    assert (len(kept), report["rejected"]) == (1, count - 1)


def test_nothing_in_is_nothing_out(tmp_path):
    kept, _, report = run(tmp_path, [], parts=3)
    assert (kept, report["read"]) == ([], 0)


def test_a_mix_that_moves_too_far_stops_the_build(tmp_path, record):
    records = [record("the very same question", "a", "math")] * 50 + [record(f"question {i}", "a") for i in range(50)]
    said = r"(?s)domain math: 50.0% -> 2.0%, at most 2.0% is allowed.*raise `sign.threshold`"
    with pytest.raises(InputError, match=said):
        run(tmp_path, records, limits={"domain": 0.02})


@pytest.mark.graph
def test_a_corpus_of_near_copies_needs_little_memory(tmp_path, record):
    """60,000 records of one cluster: 36 MB of texts and as much of keys, of which one band at a time is in memory."""
    text = " ".join(f"word{i}" for i in range(60))
    write_records(tmp_path / "many.jsonl", (record(f"{text} {i}", "a") for i in range(60_000)))
    code = (
        f"import sys, resource; sys.path[:0] = [{str(ROOT / 'tests')!r}, {str(ROOT)!r}]\n"
        "from pathlib import Path; from helpers.curation import deduplicate_files\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "import ingot.text.minhash\n"
        "kept, rejected, report = deduplicate_files([folder / 'many.jsonl'], folder)\n"
        "print(report['kept'], report['pairs_compared'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["1", "59999"], done.stderr
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 3 << 20


UNDER_A_LIMIT = """
import resource, sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {scripts!r}]
from helpers.curation import SIGN, three
from ingot.settings.data import Deduplicate
from workflow_scripts.data.deduplicate import deduplicate

def run(names, folder):
    records, signed = ([Path(name + ending) for name in names] for ending in (".jsonl", ".safetensors"))
    deduplicate(records, signed, *three(folder, "deduplicated"), settings=Deduplicate(limits={{}}),
        shingles=SIGN.shingles, threshold=SIGN.threshold)

run(sys.argv[1:2], Path(sys.argv[1]).parent / "warm")  # loads the kernels
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
used = int(status["VmData"].split()[0]) << 10
resource.setrlimit(resource.RLIMIT_DATA, (used + {room}, used + {room}))
run(sys.argv[2:], Path(sys.argv[1]).parent / "limited")
"""


@pytest.mark.graph
def test_signatures_may_exceed_the_memory(tmp_path, record):
    """They stay on disk: only one band of them, and some columns, are in memory at a time."""
    room, parts, each = 32 << 20, 4, 15_000
    names = [str(tmp_path / str(i)) for i in range(-1, parts)]
    signing = changed(SIGN, permutations=1024)
    for i, name in enumerate(names):
        first = i * each
        texts = (
            f"number {n} of some {n * 7} things, and {n * 13} more" for n in range(first, first + (each if i else 9))
        )
        write_records(Path(f"{name}.jsonl"), (record(text, "yes") for text in texts))
        sign(Path(f"{name}.jsonl"), Path(f"{name}.safetensors"), settings=signing)
    assert sum(Path(f"{name}.safetensors").stat().st_size for name in names) > 1.2 * room
    code = UNDER_A_LIMIT.format(tests=str(ROOT / "tests"), scripts=str(ROOT / "workflow_scripts"), room=room)
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert read_json(tmp_path / "limited/deduplicated.json")["read"] == parts * each
