"""Make a model less deep: drop the blocks that its predictions need least."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.inference.divergence import Divergence
from ingot.io.progress import progress
from ingot.io.records import read_json, write_json


def blocks_of(network: Any) -> tuple[Any, str]:
    """Find the blocks of a decoder: the module that has a list of them, and its name there. InputError without one."""
    import torch

    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, torch.nn.ModuleList) and len(child) == network.config.num_hidden_layers:
                return module, name
    raise InputError(f"prune.structure: a {network.config.model_type} has no list of blocks that can be dropped")


def drop_block(network: Any, place: int) -> None:
    """Take a block out of a model, and what its configuration says of that block."""
    import torch

    module, name = blocks_of(network)
    count = network.config.num_hidden_layers
    kept = [i for i in range(count) if i != place]
    setattr(module, name, torch.nn.ModuleList([getattr(module, name)[i] for i in kept]))
    for key, value in network.config.to_dict().items():
        if isinstance(value, list) and len(value) == count:  # a value for each block, such as its kind of attention
            setattr(network.config, key, [value[i] for i in kept])
    network.config.num_hidden_layers = count - 1


@contextmanager
def without(network: Any, place: int) -> Iterator[None]:
    """Take a block out of a model for a while."""
    module, name = blocks_of(network)
    blocks, config = getattr(module, name), network.config.to_dict()
    drop_block(network, place)
    try:
        yield
    finally:
        setattr(module, name, blocks)
        for key in ("num_hidden_layers", *(key for key, value in config.items() if isinstance(value, list))):
            setattr(network.config, key, config[key])


def drop_blocks(network: Any, conversations: list[list[int]], count: int, work: Path) -> list[dict[str, Any]]:
    """Drop so many blocks, one after the other: each time the one without which predictions change least.

    Predictions are those along some conversations, which are ids of tokens. After each block all that are left are
    tried again, as two that matter little alone may matter together. Returns the blocks that were dropped, each with
    its `block`, counted from 0 as in the whole model, and the `kl` of all so far. A run that was killed goes on from
    what is in `work`.

    InputError if nothing would be left.
    """
    depth = network.config.num_hidden_layers
    if count >= depth:
        raise InputError(f"prune.ratios.blocks: all {depth} blocks would be dropped")
    divergence = Divergence(network, conversations)
    left, so_far = list(range(depth)), work / "dropped.json"
    dropped: list[dict[str, Any]] = read_json(so_far) if so_far.exists() else []
    for one in dropped:
        drop_block(network, left.index(one["block"]))
        left.remove(one["block"])
    for _ in range(len(dropped), count):
        lost = {}
        for place, block in progress(list(enumerate(left)), f"try to drop one of {len(left)}", "block"):
            with without(network, place):
                lost[block] = divergence.now()
        least = min(left, key=lambda block: lost[block])
        drop_block(network, left.index(least))
        left.remove(least)
        dropped.append({"block": least, "kl": round(lost[least], 4)})
        work.mkdir(parents=True, exist_ok=True)
        write_json(work / "partial", dropped)
        (work / "partial").rename(so_far)
    return dropped
