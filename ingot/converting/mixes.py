"""Choose a GGUF type for each tensor: the mix that changes the predictions least at so many bits a weight.

What a file loses is about the sum of what each tensor loses alone, and what a tensor loses is proportional to its
rounding error (Malinovskii et al. 2024, arXiv:2411.17525). So one measurement for each tensor tells all its types.
"""

from typing import Any

from ingot.converting import ggml
from ingot.converting.gguf_types import tensor_type
from ingot.errors import InputError

TYPES = (
    "Q1_0", "IQ1_S", "TQ1_0", "IQ1_M", "TQ2_0", "IQ2_XXS", "IQ2_XS", "IQ2_S", "Q2_K", "IQ3_XXS", "IQ3_S", "Q3_K",
    "IQ4_XS", "MXFP4", "IQ4_NL", "Q4_0", "Q4_K", "Q4_1", "Q5_0", "Q5_K", "Q5_1", "Q6_K", "Q8_0",
)  # fmt: skip
"""The types of tensors that llama.cpp makes and CPUs compute with, smallest first."""

Costs = dict[str, dict[str, dict[str, float]]]
"""{tensor: {type: {"bytes": its bytes, "kl": what the predictions change if only it is rounded, in nats}}}."""


def types_for(columns: int, has_importance: bool) -> dict[str, int]:
    """List the types that rows of this width can be stored in: {name: ggml's number}."""
    kinds = {name: tensor_type(name) for name in TYPES}
    return {
        name: kind
        for name, kind in kinds.items()
        if columns % ggml.traits(kind).block == 0 and (has_importance or not ggml.needs_importance(kind))
    }


def fewest_bits(columns: int, has_importance: bool) -> float:
    """Return the bits a weight of the smallest type for rows of this width; 16 if there is none."""
    return min((ggml.bits(kind) for kind in types_for(columns, has_importance).values()), default=16.0)


def most_frequent(mix: dict[str, str], costs: Costs) -> str:
    """Return the type that most bytes of a mix are in."""
    total: dict[str, float] = {}
    for tensor, quant in mix.items():
        total[quant] = total.get(quant, 0) + costs[tensor][quant]["bytes"]
    return max(sorted(total), key=total.__getitem__)


def best_mix(costs: Costs, most: float) -> dict[str, str]:
    """Choose a type for each tensor, so that all take at most `most` bytes and lose least together.

    This is the knapsack problem with a choice from each group. It is solved exactly, by HiGHS. If the smallest types
    take more than `most`, these are chosen.
    """
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    choices = [(tensor, quant) for tensor, types in costs.items() for quant in types]
    taken = np.array([costs[tensor][quant]["bytes"] for tensor, quant in choices])
    lost = np.array([costs[tensor][quant]["kl"] for tensor, quant in choices])
    smallest = {
        tensor: min(types, key=lambda quant: (types[quant]["bytes"], types[quant]["kl"]))
        for tensor, types in costs.items()
    }
    least = sum(costs[tensor][quant]["bytes"] for tensor, quant in smallest.items())
    if least >= most:
        return smallest
    places = {tensor: place for place, tensor in enumerate(costs)}
    group = csr_array((np.ones(len(choices)), ([places[tensor] for tensor, _ in choices], range(len(choices)))))
    found: Any = milp(
        lost / (lost.max() or 1.0),
        integrality=np.ones(len(choices)),
        bounds=Bounds(0, 1),
        constraints=[LinearConstraint(group, 1, 1), LinearConstraint(taken[None] / most, ub=1)],
        options={"mip_rel_gap": 0},
    )
    if found.x is None:
        raise InputError(f"no mix of at most {most:,.0f} bytes was found: {found.message}")
    return {tensor: quant for (tensor, quant), share in zip(choices, found.x, strict=True) if share > 0.5}
