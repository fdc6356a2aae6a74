"""The weights of a checkpoint, read and written tensor by tensor, so that a step need not hold a model in memory."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ingot.errors import InputError

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
SHARD_BYTES = 1_000_000_000
"""What is held in memory until it is written."""


class Tensors:
    """The tensors of a checkpoint. Each is read from its file when it is asked for."""

    def __init__(self, folder: Path) -> None:
        """Read what the folder has. InputError if a file is missing or damaged."""
        from safetensors import SafetensorError, safe_open

        index = folder / INDEX
        names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values() if index.exists() else [WHOLE]
        self.files: dict[str, Path] = {}
        self.shapes: dict[str, list[int]] = {}
        for path in (folder / name for name in dict.fromkeys(names)):
            try:
                with safe_open(path, "pt") as file:
                    self.files |= dict.fromkeys(file.keys(), path)
                    self.shapes |= {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
            except (SafetensorError, OSError) as error:
                raise InputError(f"{path}: not a whole file of tensors ({error})") from None

    def __getitem__(self, name: str) -> Any:
        """Read a tensor into memory."""
        from safetensors import safe_open

        # A file that stays open stays mapped, and what was read of it counts as memory.
        with safe_open(self.files[name], "pt") as file:
            return file.get_tensor(name).clone()


def write_tensors(folder: Path, kinds: dict[str, tuple[list[int], Any]], make: Callable[[str], Any]) -> None:
    """Write the weights of a checkpoint in files of at most SHARD_BYTES, or of one tensor.

    `kinds` are {name: (shape, dtype)}. `make` gives the tensor of a name, and may give it in another dtype. Each is
    asked for once, in the order of `kinds`.
    """
    import torch
    from huggingface_hub import split_state_dict_into_shards_factory
    from safetensors.torch import save_file

    split = split_state_dict_into_shards_factory(
        kinds,
        get_storage_size=lambda kind: torch.Size(kind[0]).numel() * kind[1].itemsize,
        filename_pattern="model{suffix}.safetensors",
        max_shard_size=SHARD_BYTES,
    )
    folder.mkdir(parents=True, exist_ok=True)
    for file, names in split.filename_to_tensors.items():
        tensors = {name: make(name).to(kinds[name][1]).contiguous() for name in names}
        save_file(tensors, folder / file, metadata={"format": "pt"})
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        (folder / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")
