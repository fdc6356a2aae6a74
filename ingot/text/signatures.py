"""Store signatures as columns of a safetensors file. The step `sign` writes a file per part, `deduplicate` joins them.

A column has one value per record: `id` (the id as a number), `line` (hash of the line), `exact_high` and `exact_low`
(hash of the normal form), `quality`, `length` (characters of the answer), `tokens`, `count` (distinct shingles) and
`label` (place in the list of labels). `start` says where each line begins in the file, and where the last one ends.
`keys` is [bands, records]. Keys are read band by band, so that they need not fit into memory.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

Column = NDArray[Any]


def save(path: Path, columns: dict[str, Column], labels: list[dict[str, Any]], shingles: dict[str, Any]) -> None:
    """Write the columns of a part, its labels, and the settings of its shingles."""
    columns = {name: np.ascontiguousarray(column) for name, column in columns.items()}
    # One entry: safetensors writes several entries in any order, and the same records must give the same bytes.
    save_file(columns, path, metadata={"about": json.dumps({"labels": labels, "shingles": shingles})})


class Signatures:
    """Joins the columns of all parts, in the order of `paths`."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.files: list[Any] = [safe_open(path, "numpy") for path in paths]
        self.about = [json.loads(file.metadata()["about"]) for file in self.files]
        self.shingles: dict[str, Any] = self.about[0]["shingles"]
        self.counts = [file.get_slice("id").get_shape()[0] for file in self.files]
        self.bands = self.files[0].get_slice("keys").get_shape()[0]

    def __len__(self) -> int:
        """Return the number of records."""
        return sum(self.counts)

    def column(self, name: str) -> Column:
        """Read a column of all parts, [records]."""
        return np.concatenate([file.get_tensor(name) for file in self.files])

    def keys(self, band: int) -> NDArray[np.uint64]:
        """Read the keys of one band, [records]."""
        filled = (file for file, count in zip(self.files, self.counts, strict=True) if count)
        keys = [file.get_slice("keys")[band] for file in filled]
        return np.concatenate(keys) if keys else np.zeros(0, np.uint64)

    def places(self) -> tuple[Column, Column, Column]:
        """Tell of each record its part, and where its line begins and ends there, in bytes. Each is [records]."""
        starts = [file.get_tensor("start") for file in self.files]
        part = np.repeat(np.arange(len(self.files), dtype=np.int32), self.counts)
        return part, np.concatenate([s[:-1] for s in starts]), np.concatenate([s[1:] for s in starts])

    def labels(self) -> tuple[list[dict[str, Any]], Column]:
        """List the labels of all parts, and tell of each record the place of its label among them [records]."""
        numbers: dict[str, int] = {}
        codes = []
        for file, about in zip(self.files, self.about, strict=True):
            labels_of_part = [json.dumps(label, sort_keys=True) for label in about["labels"]]
            places = np.array([numbers.setdefault(label, len(numbers)) for label in labels_of_part] or [0], np.int64)
            codes.append(places[file.get_tensor("label")])
        return [json.loads(label) for label in numbers], np.concatenate(codes)
