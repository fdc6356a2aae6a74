"""The state of a plain training on disk, so that one that was killed goes on and ends with the same weights."""

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingot.io.files import remove
from ingot.io.records import read_json, write_json
from ingot.io.tensors import Tensors, write_tensors

LEAST_SECONDS = 300.0
LARGEST_SHARE = 0.05
"""Share of the time that may go into saving: the state of a large model takes minutes."""
FACTS, DRAWN = "facts.json", "drawn.safetensors"
SEPARATOR = "/"


def leaves(tree: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield (path, value) of everything in nested dictionaries."""
    if isinstance(tree, dict):
        for key, branch in tree.items():
            yield from leaves(branch, f"{path}{SEPARATOR}{key}")
    else:
        yield path, tree


def tree_of(found: dict[str, Any]) -> dict[Any, Any]:
    """Make nested dictionaries of {path: value}. Keys that are numbers become numbers again."""
    tree: dict[Any, Any] = {}
    for path, value in found.items():
        *branches, last = (int(key) if key.isdigit() else key for key in path.split(SEPARATOR))
        branch = tree
        for key in branches:
            branch = branch.setdefault(key, {})
        branch[last] = value
    return tree


class TrainingState:
    """Weights, states of the optimizers, and what is drawn at random; in folders named after their step."""

    def __init__(self, work: Path, model: Any, optimizers: list[Any]) -> None:
        """Describe a training whose states are in the folder `work`."""
        self.work, self.model, self.optimizers = work, model, optimizers
        self.saved, self.took = time.monotonic(), 0.0

    def restore(self) -> dict[str, Any] | None:
        """Bring the training to where the newest state was saved. Return the facts saved there; None: there is none."""
        import torch
        from safetensors.torch import load_file

        folders = [path for path in self.work.glob("step-*") if (path / FACTS).exists()]
        if not folders:
            return None
        folder = max(folders, key=lambda path: int(path.name.removeprefix("step-")))
        kept, facts = Tensors(folder), read_json(folder / FACTS)
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(kept[f"model{SEPARATOR}{name}"])
        for i, optimizer in enumerate(self.optimizers):
            prefix = f"optimizer{SEPARATOR}{i}{SEPARATOR}"
            paths = [path for path in (*kept.shapes, *facts["numbers"]) if path.startswith(prefix)]
            values = {path: facts["numbers"][path] if path in facts["numbers"] else kept[path] for path in paths}
            state = tree_of({path.removeprefix(prefix): value for path, value in values.items()})
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        drawn = load_file(folder / DRAWN)
        for generator, name in self.generators():
            generator.set_state(drawn.pop(name))
        return {**facts, **drawn}

    def generators(self) -> list[tuple[Any, str]]:
        """List what draws at random, with names: torch's generator, and that of the GPU where the model is."""
        import torch

        found = [(torch.default_generator, "random")]
        if self.model.device.type == "cuda":
            found.append((torch.cuda.default_generators[self.model.device.index or 0], "random_on_gpu"))
        return found

    def save_now_and_then(self, step: int, order: Any, **facts: Any) -> None:
        """Save the state after a step, with `facts`, if the last one was saved long ago.

        A disk without the room for it stops no training: the earlier state stays.
        """
        started = time.monotonic()
        if started - self.saved > max(LEAST_SECONDS, self.took / LARGEST_SHARE):
            self.work.mkdir(parents=True, exist_ok=True)
            held = self.held()
            needed = sum(value.nbytes for value in held.values() if hasattr(value, "nbytes"))
            if needed < shutil.disk_usage(self.work).free:
                self.save(step, order, facts)
            else:
                sys.stderr.write(
                    f"the state was not saved at step {step}: it has {needed:,} bytes, more than are free\n"
                )
            self.saved = time.monotonic()
            self.took = self.saved - started

    def held(self) -> dict[str, Any]:
        """Return all tensors and numbers that the training goes on from, by path."""
        values = {f"model{SEPARATOR}{name}": parameter.data for name, parameter in self.model.named_parameters()}
        for i, optimizer in enumerate(self.optimizers):
            values |= leaves(optimizer.state_dict()["state"], f"optimizer{SEPARATOR}{i}")
        return values

    def save(self, step: int, order: Any, facts: dict[str, Any]) -> None:
        """Save the state, and forget the earlier ones."""
        import torch
        from safetensors.torch import save_file

        values = self.held()
        tensors = {path: value for path, value in values.items() if isinstance(value, torch.Tensor)}
        numbers = {path: value for path, value in values.items() if path not in tensors}
        earlier = list(self.work.glob("*step-*"))  # and what was not written whole
        folder = self.work / f".step-{step}"
        # Copies, because some states are shared, and a file cannot hold a tensor twice.
        kinds = {path: (list(tensor.shape), tensor.dtype) for path, tensor in tensors.items()}
        write_tensors(folder, kinds, lambda path: tensors[path].clone())
        save_file({"order": order, **{name: one.get_state() for one, name in self.generators()}}, folder / DRAWN)
        write_json(folder / FACTS, facts | {"step": step, "numbers": numbers})
        folder.rename(self.work / f"step-{step}")
        for path in earlier:
            remove(path)
