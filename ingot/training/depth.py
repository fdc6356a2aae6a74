"""Make a model less deep: drop the blocks that its predictions need least."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.inference.divergence import Divergence
from ingot.io.files import write_whole
from ingot.io.progress import progress
from ingot.io.records import read_json

PER_BLOCK = ("layer_types", "mlp_layer_types", "no_rope_layers")
"""What a configuration says of each block."""


def blocks_of(network: Any) -> tuple[Any, str]:
    """Find the blocks of a decoder: the module that has a list of them, and its name there. InputError without one."""
    import torch

    count = network.config.get_text_config().num_hidden_layers
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, torch.nn.ModuleList) and len(child) == count:
                return module, name
    raise InputError(f"prune.structure: a {network.config.model_type} has no list of blocks that can be dropped")


def per_block(config: Any) -> dict[str, list[Any]]:
    """Read what a configuration says of each block."""
    return {key: value for key in PER_BLOCK if (value := getattr(config, key, None))}


def drop_block(network: Any, place: int) -> None:
    """Take a block out of a model, and what its configuration says of that block."""
    import torch

    (module, name), config = blocks_of(network), network.config.get_text_config()
    kept = [i for i in range(config.num_hidden_layers) if i != place]
    setattr(module, name, torch.nn.ModuleList([getattr(module, name)[i] for i in kept]))
    for key, values in per_block(config).items():
        setattr(config, key, [values[i] for i in kept])
    config.num_hidden_layers = len(kept)


@contextmanager
def without(network: Any, place: int) -> Iterator[None]:
    """Take a block out of a model for a while."""
    (module, name), config = blocks_of(network), network.config.get_text_config()
    blocks, before = getattr(module, name), {**per_block(config), "num_hidden_layers": config.num_hidden_layers}
    drop_block(network, place)
    try:
        yield
    finally:
        setattr(module, name, blocks)
        for key, value in before.items():
            setattr(config, key, value)


class State:
    """What was dropped so far, and what each block that is left cost where it was tried. Kept in a file."""

    def __init__(self, file: Path) -> None:
        """Read what an earlier run has found."""
        self.file = file
        found = read_json(file) if file.exists() else {"dropped": [], "tried": {}}
        self.dropped: list[dict[str, Any]] = found["dropped"]
        self.tried: dict[str, float] = found["tried"]

    def keep(self) -> None:
        """Write the file, whole or not at all."""
        write_whole(self.file, json.dumps({"dropped": self.dropped, "tried": self.tried}))


def drop_blocks(network: Any, conversations: list[list[int]], count: int, work: Path) -> list[dict[str, Any]]:
    """Drop so many blocks, one after the other: each time the one without which predictions change least.

    Predictions are those along some conversations, which are ids of tokens. After each block all that are left are
    tried again, as two that matter little alone may matter together. Returns the blocks that were dropped, each with
    its `block`, counted from 0 as in the whole model, and the `kl` of all so far. A run that was killed goes on from
    what is in `work`.

    InputError if none would be dropped, or none left.
    """
    depth = network.config.get_text_config().num_hidden_layers
    if not 0 < count < depth:
        raise InputError(f"prune.ratios.blocks: {count} of {depth} blocks would be dropped; choose another share")
    divergence, state = Divergence(network, conversations), State(work / "blocks.json")
    left = list(range(depth))
    for one in state.dropped:
        drop_block(network, left.index(one["block"]))
        left.remove(one["block"])
    for _ in range(len(state.dropped), count):
        for place, block in progress(list(enumerate(left)), f"try to drop one of {len(left)}", "block"):
            if str(block) not in state.tried:
                with without(network, place):
                    state.tried[str(block)] = divergence.now()
                state.keep()
        least = min(left, key=lambda block: state.tried[str(block)])
        state.dropped.append({"block": least, "kl": round(state.tried[str(least)], 4)})
        state.tried = {}
        state.keep()
        drop_block(network, left.index(least))
        left.remove(least)
    return state.dropped
