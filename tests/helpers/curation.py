"""The curation steps, called one after the other on files, as their rules call them."""

import json
from pathlib import Path

from helpers.settings import changed
from ingot.curation.shapes import Labels
from ingot.io.formats import WHOLE
from ingot.io.records import read_json, read_records
from ingot.settings.data import Decontaminate, Deduplicate, Read, Sign
from ingot.settings.measure import Suite

ROOT = Path(__file__).resolve().parents[2]
LABELS = Labels(source="test", domain="code", difficulty="medium", licence=None)
READ = Read(row_bytes=1 << 20, unpacking=100)
SIGN = Sign(shingles={"unit": "words", "length": 3}, permutations=128, threshold=0.8, recall=0.99)
DECONTAMINATE = Decontaminate(shingle=3, threshold=0.8)


def three(folder, name):
    """The paths of what a lossy step writes: kept, rejected, report."""
    folder.mkdir(parents=True, exist_ok=True)
    return [folder / f"{name}.jsonl", folder / f"{name}.rejected.jsonl", folder / f"{name}.json"]


def results(paths):
    """What a lossy step has written; its counts must add up."""
    kept, rejected, report = list(read_records(paths[0])), list(read_records(paths[1])), read_json(paths[2])
    assert report["read"] == len(kept) + len(rejected) == report["kept"] + report["rejected"]
    assert report["rejected"] == sum(sum(counts.values()) for counts in report["reasons"].values())
    return kept, rejected, report


def read_file(path, folder, sample=1.0, part=WHOLE, shape=None, **settings):
    """Read a source, and return what `read` wrote."""
    from workflow_scripts.data.read import read

    paths = three(folder, "records")
    settings = changed(READ, **settings)
    read(
        path,
        [],
        *paths,
        settings=settings,
        format=None,
        shape=shape,
        sample=sample,
        labels=LABELS,
        part=part,
        region="US",
    )
    return results(paths)


def deduplicate_files(paths, folder, limits=None, **settings):
    """Sign files of records, join them, and return what `deduplicate` wrote."""
    from workflow_scripts.data.deduplicate import deduplicate
    from workflow_scripts.data.sign import sign

    signing = changed(SIGN, **settings)
    signed = [folder / f"{i}.safetensors" for i in range(len(paths))]
    for path, target in zip(paths, signed, strict=True):
        sign(path, target, settings=signing)
    out = three(folder, "deduplicated")
    deduplicate(
        paths,
        signed,
        *out,
        settings=Deduplicate(limits=limits or {}),
        shingles=signing.shingles,
        threshold=signing.threshold,
    )
    return results(out)


def write_rows(path, rows):
    """Write rows as JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read_items(folder, task, rows, answers=(), name="data.jsonl", examples=(), **settings):
    """Write the rows of a suite, read them, and return the items and the report of `read_suite`."""
    from workflow_scripts.data.read_suite import read_suite

    data = write_rows(folder / name, rows)
    questions, report = folder / "items.jsonl", folder / "items.json"
    suite = Suite(name="mine", task=task, data=str(data), **settings)
    inputs = (data, list(answers), list(examples), ROOT / f"suites/{task}.yaml")
    read_suite(*inputs, questions, report, settings=READ, suite=suite)
    return list(read_records(questions)), read_json(report)
