"""What a one-shot step has compressed of a model, on disk, so that one that was killed goes on from there."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

COMPLETE = "complete"
"""A file beside the parts: no part is missing."""


class Parts:
    """What a modifier has compressed of a model: each part in a file of its own, in the folder `work`.

    A part is what llm-compressor's sequential pipeline calls a subgraph: mostly one block.
    """

    def __init__(self, work: Path, model: Any, before: "Parts | None" = None) -> None:
        """Put the parts that an earlier run has compressed into the model, if all those `before` are in it."""
        import torch
        from safetensors import safe_open

        self.work = work
        self.lost = False
        """Whether a part could not be kept. Those behind it are of no use then."""
        self.names = {module: name for name, module in model.named_modules()}
        self.parameters = [name for name, _ in model.named_parameters()]
        """What it has before anything is compressed. What quantising adds is worked out again."""
        self.finished: set[Any] = set()
        """The modules of the parts that are compressed."""
        self.count = 0
        while (before is None or before.is_complete) and (path := self.next()).exists():
            with safe_open(path, "pt") as file, torch.no_grad():
                for name in file.keys():  # noqa: SIM118
                    model.get_parameter(name).copy_(file.get_tensor(name))
                self.finished |= {model.get_submodule(name) for name in json.loads(file.metadata()["modules"])}
            self.count += 1

    @property
    def is_complete(self) -> bool:
        """Whether every part is kept."""
        return (self.work / COMPLETE).exists()

    def next(self) -> Path:
        """Return where the next part goes."""
        return self.work / f"part-{self.count:05}.safetensors"

    def keep(self, model: Any, modules: Iterable[Any]) -> None:
        """Write a part, whole or not at all, unless it is there. A disk without the room for it stops nothing."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        inside = self.names.keys() & set(modules)
        if self.lost or inside <= self.finished:
            return
        names = {self.names[module] for module in inside}
        mine = [name for name in self.parameters if name.rpartition(".")[0] in names]
        weights = {name: model.get_parameter(name).detach().cpu().clone() for name in mine}
        partial = self.work / "part.partial"
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            save_file(weights, partial, {"modules": json.dumps(sorted(names))})
            partial.rename(self.next())
            self.count += 1
        except (OSError, SafetensorError) as error:
            self.lost = True
            partial.unlink(missing_ok=True)
            sys.stderr.write(f"a compressed part was not kept ({error}): who kills this run loses all from it on\n")

    def end(self) -> None:
        """Note that all parts have been through."""
        if not self.lost:
            (self.work / COMPLETE).touch()


def going_on(modifier: type, parts: Parts) -> type:
    """Return one of llm-compressor's modifiers that keeps each part, and passes over those that are finished.

    What it sees nothing of, it leaves as it is. It is still called by its name, which stands in the recipe that
    llm-compressor writes beside a model.
    """

    class GoingOn(modifier):  # type: ignore[misc]
        def register_hook(self, target: Any, *arguments: Any, **named: Any) -> Any:
            return None if target in parts.finished else super().register_hook(target, *arguments, **named)

        def on_sequential_epoch_end(self, state: Any, event: Any, **named: Any) -> None:
            super().on_sequential_epoch_end(state, event, **named)
            parts.keep(state.model, named["modules"])

        def on_calibration_end(self, state: Any, event: Any, **named: Any) -> None:
            super().on_calibration_end(state, event, **named)
            parts.end()

    GoingOn.__name__ = GoingOn.__qualname__ = modifier.__name__
    return GoingOn
