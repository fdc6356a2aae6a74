"""The curation steps, called one after the other on files, as their rules call them."""

from ingot.io.records import read_json, read_records

SHINGLES = {"unit": "words", "length": 3}
BANDS = {"permutations": 128, "threshold": 0.8, "recall": 0.99}
DEFAULTS = {"domain": "code", "difficulty": "medium", "source": "test", "licence": None}
READ = {
    "format": None,
    "shape": None,
    "defaults": DEFAULTS,
    "sample": 1,
    "shard": 0,
    "shards": 1,
    "row_bytes": 1 << 20,
    "unpacking": 100,
}


def three(folder, name):
    """The paths of what a lossy step writes: kept, rejected, report."""
    folder.mkdir(parents=True, exist_ok=True)
    return [folder / f"{name}.jsonl", folder / f"{name}.rejected.jsonl", folder / f"{name}.json"]


def results(paths):
    """What a lossy step has written; its counts must add up."""
    kept, rejected, report = list(read_records(paths[0])), list(read_records(paths[1])), read_json(paths[2])
    assert report["read"] == len(kept) + len(rejected) == report["kept"] + report["rejected"]
    assert report["rejected"] == sum(sum(found.values()) for found in report["reasons"].values())
    return kept, rejected, report


def read_file(path, folder, **settings):
    from workflow_scripts.data.read import read

    paths = three(folder, "records")
    read(path, *paths, **READ | settings)
    return results(paths)


def deduplicate_files(paths, folder, limits=None, shingles=SHINGLES, **settings):
    """Sign files of records, join them, and return what `deduplicate` wrote."""
    from workflow_scripts.data.deduplicate import deduplicate
    from workflow_scripts.data.sign import sign

    bands = BANDS | settings
    signed = [folder / f"{i}.safetensors" for i in range(len(paths))]
    for path, target in zip(paths, signed, strict=True):
        sign(path, target, shingles=shingles, **bands)
    out = three(folder, "deduplicated")
    deduplicate(paths, signed, *out, shingles=shingles, threshold=bands["threshold"], limits=limits or {})
    return results(out)
