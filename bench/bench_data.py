"""How fast and exact the curation is, beside its rivals in the same run: `make bench-data` writes docs/bench-data.md.

    python bench/bench_data.py [REAL.jsonl.gz ...] [--records N ...] [--many N]

REAL are files of real texts in any shape that `read` knows; without them only made-up texts are used. Machines differ
and are noisy: only ratios, taken side by side, and counts mean something.
"""

import argparse
import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from bench.texts import SIMILARITIES, WORDS, made_up, real  # noqa: E402
from ingot.io.records import read_json, read_records  # noqa: E402
from ingot.settings.load import load  # noqa: E402
from ingot.text.forms import shingles  # noqa: E402
from ingot.workflow.build import plain  # noqa: E402

CORES = 2
PARTS = 2
THRESHOLD = 0.8
RIVALS = ("rensa", "datasketch", "text-dedup")
MANY = 400_000  # made-up texts for all tools
SETTINGS = load({"preset": "llama-3.1-8b"}, ROOT)
SIGN = {"shingles": {"unit": "words", "length": 3}, "permutations": 128, "threshold": THRESHOLD, "recall": 0.99}
Measured = dict[str, Any]


# ------------------------------------------------------------------------------------------------------------ the tools


def call(*command: str | Path, cwd: Path | None = None) -> float:
    """Run a command and return its peak memory in GB; RuntimeError with what it said if it fails."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TOKENIZERS_PARALLELISM": "false"}
    probe = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], stdout=2);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(done.returncode)"
    )
    words = [sys.executable, "-c", probe, *map(str, command)]
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[:4]}: {done.stderr[-3000:]}")
    return int(done.stdout.splitlines()[-1]) / (1 << 20)


def step(name: str, inputs: Measured, outputs: Measured, params: Measured) -> float:
    """Run a step of the data stage as its rule does; return its peak memory in GB."""
    spec = json.dumps({"input": inputs, "output": outputs, "params": plain(params)}, default=str)
    return call(sys.executable, "-m", "ingot.workflow.entry", f"workflow_scripts/data/{name}.py", spec)


def lossy(folder: Path, name: str, kept: str = "kept") -> Measured:
    """Return the outputs of a lossy step."""
    return {
        kept: folder / f"{name}.jsonl",
        "rejected": folder / f"{name}.rejected.jsonl",
        "report": folder / f"{name}.json",
    }


def side_by_side(tasks: Iterable[tuple[Any, ...]]) -> float:
    """Run steps, CORES at a time; return the largest memory of those that ran together."""
    with ThreadPoolExecutor(CORES) as pool:
        peaks = sorted(pool.map(lambda task: step(*task), tasks))
    return sum(peaks[-CORES:])


def read_parts(source: Path, folder: Path) -> float:
    """Read a source in parts."""
    labels = {"domain": "code", "difficulty": "medium", "source": "bench", "licence": None}
    params = {"settings": SETTINGS.read, "format": None, "shape": None, "sample": 1, "labels": labels}
    return side_by_side(
        (
            "read",
            {"source": source},
            lossy(folder / str(place), "records", "records"),
            {**params, "part": {"place": place, "of": PARTS}},
        )
        for place in range(PARTS)
    )


def join_parts(folder: Path, name: str) -> float:
    """Sign the parts and keep one record of every group of duplicates."""
    folders = [folder / str(part) for part in range(PARTS)]
    signing = side_by_side(
        ("sign", {"records": part / f"{name}.jsonl"}, {"signed": part / "signatures.safetensors"}, {"settings": SIGN})
        for part in folders
    )
    inputs = {
        "records": [part / f"{name}.jsonl" for part in folders],
        "signed": [part / "signatures.safetensors" for part in folders],
    }
    params = {"settings": {"limits": {}}, "shingles": SIGN["shingles"], "threshold": SIGN["threshold"]}
    return max(signing, step("deduplicate", inputs, lossy(folder, "deduplicated"), params))


def ours(source: Path, folder: Path) -> tuple[float, set[str], Measured]:
    """Return the memory, the kept texts and the report of our own steps, from the source to the kept file."""
    memory = max(read_parts(source, folder), join_parts(folder, "records"))
    kept = {one["instruction"] + one["response"] for one in read_records(folder / "deduplicated.jsonl")}
    return memory, kept, read_json(folder / "deduplicated.json")


def write_plain(source: Path, target: Path) -> Path:
    """Write the texts of a source as the rivals read them."""
    with open(target, "w") as file:
        for one in read_records(source):
            file.write(json.dumps({"id": one["id"], "text": f"{one['instruction']} {one['response']}"}) + "\n")
    return target


def rival(tool: str, source: Path, folder: Path) -> tuple[float, set[str]]:
    """Return the memory and the ids that another tool keeps."""
    folder.mkdir(parents=True)
    target = folder / "kept.jsonl"
    if tool != "text-dedup":
        memory = call(sys.executable, ROOT / "bench/near_duplicates.py", tool, source, target)
        return memory, {one["id"] for one in read_records(target)}
    options = ["--ngram", 3, "--min_length", 0, "--num_perm", 128, "--threshold", THRESHOLD, "--b", 21, "--r", 6]
    files = ["--path", "json", "--data_files", source, "--split", "train", "--output", folder / "out"]
    more = [
        "--column",
        "text",
        "--idx_column",
        "id",
        "--hash_func",
        "xxh3",
        "--num_proc",
        CORES,
        "--batch_size",
        10_000,
    ]
    command = [sys.executable, "-m", "text_dedup.minhash", *files, *options, *more, "--cache_dir", folder / "cache"]
    memory = call(*map(str, command), cwd=folder)
    import datasets

    return memory, set(datasets.load_from_disk(str(folder / "out"))["id"])


# ---------------------------------------------------------------------------------------------------------- measurement


def timed(action: Any) -> tuple[float, Any]:
    """Return how long an action took, and what it returned."""
    begin = time.perf_counter()
    found = action()
    return time.perf_counter() - begin, found


def near_pairs(grams: list[set[str]]) -> set[tuple[int, int]]:
    """Return all pairs at or above the threshold, of all pairs that there are."""
    from scipy.sparse import coo_array

    numbers: dict[str, int] = {}
    places = [(i, numbers.setdefault(gram, len(numbers))) for i, found in enumerate(grams) for gram in found]
    texts, columns = np.array(places).T
    has = coo_array((np.ones(len(places), np.int32), (texts, columns)), (len(grams), len(numbers))).tocsr()
    shared = (has @ has.T).tocoo()
    sizes = np.array([len(found) for found in grams])
    near = shared.data / (sizes[shared.row] + sizes[shared.col] - shared.data) >= THRESHOLD
    rows, others = shared.row[near].tolist(), shared.col[near].tolist()
    return {(a, b) for a, b in zip(rows, others, strict=True) if a < b}


def exactness(sample: list[Measured], kept: set[str]) -> tuple[float, float]:
    """Return (recall, precision) on all pairs of a sample, by brute force.

    Recall is the share of the pairs at or above the threshold of which not both are kept; precision the share of the
    dropped that are that near to a record that is kept.
    """
    near = near_pairs([shingles(f"{one['instruction']} {one['response']}", "words", 3) for one in sample])
    stays = [one["id"] in kept for one in sample]
    found_pairs = sum(not (stays[a] and stays[b]) for a, b in near)
    justified = {one for a, b in near for one, other in ((a, b), (b, a)) if stays[other]}
    dropped = [i for i, one in enumerate(stays) if not one]
    right = sum(i in justified for i in dropped)
    return found_pairs / max(1, len(near)), right / max(1, len(dropped))


def compare(source: Path, count: int, folder: Path) -> list[Measured]:
    """Run all tools on the same texts, which have been read into records before; and ours with the reading, too."""
    own = folder / "ours"
    reading, _ = timed(lambda: read_parts(source, own))
    seconds, memory = timed(lambda: join_parts(own, "records"))
    kept = read_json(own / "deduplicated.json")["kept"]
    found = [
        {"tool": "ingot", "seconds": seconds, "memory": memory, "kept": kept},
        {"tool": "ingot, from the raw source", "seconds": reading + seconds, "memory": memory, "kept": kept},
    ]
    texts = write_plain(source, folder / "plain.jsonl")
    for tool in RIVALS:
        seconds, (memory, ids) = timed(lambda tool=tool: rival(tool, texts, folder / tool))  # type: ignore[misc]
        found.append({"tool": tool, "seconds": seconds, "memory": memory, "kept": len(ids)})
    for row in found:
        row["rate"] = count / row["seconds"]
    return found


def check_sample(source: Path, folder: Path) -> list[Measured]:
    """Run all tools on 5,000 texts and compare each with brute force."""
    sample = list(itertools.islice(read_records(source), 5000))
    small = folder / "sample.jsonl"
    small.write_text("".join(json.dumps(one) + "\n" for one in sample))
    _, kept, _ = ours(small, folder / "ours")
    names = {one["instruction"] + one["response"]: one["id"] for one in sample}
    # Of identical texts one is kept, whichever.
    found = [("ingot", {names[text] for text in kept})]
    texts = write_plain(small, folder / "plain.jsonl")
    found += [(tool, rival(tool, texts, folder / tool)[1]) for tool in RIVALS]
    return [
        dict(zip(("tool", "recall", "precision"), (tool, *exactness(sample, ids)), strict=True)) for tool, ids in found
    ]


def large(count: int, folder: Path) -> Measured:
    """Run our own steps on many made-up texts; recall per similarity of the planted pairs."""
    folder.mkdir()
    pairs = made_up(count, folder / "source.jsonl")
    size = (folder / "source.jsonl").stat().st_size
    seconds, (memory, kept, report) = timed(lambda: ours(folder / "source.jsonl", folder))
    texts = {one["id"]: one["instruction"] + one["response"] for one in read_records(folder / "source.jsonl")}
    recall = {
        similarity: sum(not (texts[a] in kept and texts[b] in kept and texts[a] != texts[b]) for a, b in found)
        / max(1, len(found))
        for similarity, found in pairs.items()
    }
    shutil.rmtree(folder)
    return {
        "records": count, "bytes": size, "seconds": seconds, "memory": memory, "recall": recall,
        "compared": report["pairs_compared"],
    }  # fmt: skip


def whole(source: Path, count: int, folder: Path) -> Measured:
    """Time every step of the curation, the judge aside."""
    tokenizer = train_tokenizer(source, folder / "tokenizer")
    parts = [folder / str(part) for part in range(PARTS)]
    settings = plain(SETTINGS.filter) | {"length": {"least": 20, "most": 2048}}
    times: dict[str, float] = {}
    times["read"], _ = timed(lambda: read_parts(source, folder))
    times["filter"], _ = timed(
        lambda: side_by_side(
            (
                "filter",
                {"records": one / "records.jsonl", "tokenizer": tokenizer},
                lossy(one, "filtered"),
                {"settings": settings},
            )
            for one in parts
        )
    )
    times["sign, deduplicate"], _ = timed(lambda: join_parts(folder, "filtered"))
    benchmark = folder / "benchmark.jsonl"
    items = list(itertools.islice(read_records(folder / "0/records.jsonl"), 500))
    benchmark.write_text("".join(json.dumps(one) + "\n" for one in items))
    times["decontaminate"], _ = timed(
        lambda: step(
            "decontaminate",
            {"records": folder / "deduplicated.jsonl", "benchmarks": [benchmark]},
            lossy(folder, "clean"),
            {"settings": SETTINGS.decontaminate},
        )
    )
    mix = {"settings": {"most": None, "mix": {"domain": None, "difficulty": None}}, "weights": {}}
    times["balance"], _ = timed(
        lambda: step("balance", {"records": folder / "clean.jsonl"}, lossy(folder, "balanced"), mix)
    )
    outputs = {name: folder / f"{name}.jsonl" for name in ("train", "valid", "routing", "test")}
    times["split"], _ = timed(
        lambda: step(
            "split",
            {"records": folder / "balanced.jsonl"},
            {**outputs, "report": folder / "split.json"},
            {"settings": SETTINGS.split, "domains": []},
        )
    )
    return {"times": times, "records": count, "rate": count / sum(times.values())}


def train_tokenizer(source: Path, folder: Path) -> Path:
    """Train a tokenizer of 32,000 tokens, about as slow as a real one, on some of the texts."""
    from tokenizers import ByteLevelBPETokenizer

    texts = (one["instruction"] for one in itertools.islice(read_records(source), 5000))
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(texts, 32_000, show_progress=False)
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def floor(bytes_read: int, records: int) -> float:
    """Return the seconds that the least work takes on all cores: to read the bytes twice, and to compute the hashes."""
    from ingot.text import minhash

    path = Path(tempfile.gettempdir()) / "ingot-floor"
    path.write_bytes(b"x" * (256 << 20))
    reading, _ = timed(path.read_bytes)
    path.unlink()
    texts = [" ".join(f"w{i * j}" for j in range(WORDS)).encode() for i in range(5000)]
    factors, summands = minhash.permutations_of(128)
    joined = minhash.join(texts)
    minhash.sign(*joined, 1, 3, factors, summands, 21, 6)
    hashing, _ = timed(lambda: minhash.sign(*joined, 1, 3, factors, summands, 21, 6))
    return 2 * reading * bytes_read / (256 << 20) + hashing * records / 5000 / CORES


# ------------------------------------------------------------------------------------------------------------ the page


def page(results: Measured) -> str:
    """Return the results as Markdown."""
    import jinja2

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, autoescape=False)
    template = environment.from_string((ROOT / "bench/bench-data.md.jinja").read_text())
    return template.render(
        results=results,
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        cores=os.cpu_count(),
        cpu=cpu(),
        threshold=THRESHOLD,
        parts=PARTS,
        at_a_time=CORES,
        similarities=SIMILARITIES,
    )


def cpu() -> str:
    """Return the name of the processor."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor()


def main() -> None:
    """Measure everything and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("real", nargs="*", type=Path)
    parser.add_argument("--records", type=int, nargs="*", default=[500_000, 1_000_000, 2_000_000], help="ours alone")
    parser.add_argument("--many", type=int, default=MANY, help="made-up texts for all tools")
    given = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    results: Measured = {"comparisons": {}, "samples": {}, "large": [], "whole": {}}
    (ROOT / ".cache").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / ".cache") as name:
        folder = Path(name)
        made_up(1000, folder / "warm.jsonl")
        whole(folder / "warm.jsonl", 1000, folder / "warm")  # numba compiles once per machine
        results["start"], _ = timed(lambda: join_parts(folder / "warm", "records"))
        sources = {}
        if given.real:
            sources["real texts"] = (folder / "real.jsonl", real(given.real, folder / "real.jsonl"))
        made_up(given.many, folder / "made.jsonl")
        sources["made-up texts"] = (folder / "made.jsonl", given.many)
        for title, (path, count) in sources.items():
            place = folder / title.split()[0]
            place.mkdir()
            results["comparisons"][f"{count:,} {title}"] = compare(path, count, place)
            (place / "sample").mkdir()
            results["samples"][f"5,000 {title}"] = check_sample(path, place / "sample")
            (place / "whole").mkdir()
            results["whole"][title] = whole(path, count, place / "whole")
            results["whole"][title]["rivals"] = {
                row["tool"]: row["rate"] for row in results["comparisons"][f"{count:,} {title}"]
            }
            shutil.rmtree(place)
            print(json.dumps(results, indent=1), flush=True)
        for count in given.records:
            one = large(count, folder / "large")
            one["floor"] = floor(one["bytes"], count)
            results["large"].append(one)
            print(one, flush=True)
    (ROOT / "docs/bench-data.md").write_text(page(results))


if __name__ == "__main__":
    main()
