"""What `make frontier` tells to write into the configuration, for what it has chosen."""

import re
from pathlib import Path

import pytest
import yaml

from ingot.settings.load import load
from ingot.tools.frontier import advice

ROOT = Path(__file__).resolve().parents[3]
NONE = {"attention": 0, "feed_forward": 0, "blocks": 0}
GRADUAL = {"attention": 0, "feed_forward": 0.5, "until": 0.5, "every": 10}
PRUNINGS = {
    "half": {"structure": "2:4", "ratios": NONE, "gradual": None},
    "slow": {"structure": "unstructured", "ratios": NONE, "gradual": GRADUAL},
}


@pytest.mark.parametrize("chosen", ["merged-IQ4_XS", "distil-IQ2_XXS", "half-Q8_0", "slow-IQ4_XS"])
def test_what_is_advised_is_a_configuration_that_builds_what_was_chosen(chosen, monkeypatch):
    source, quant = chosen.split("-")
    said = advice(chosen, "merged", PRUNINGS)
    told = {}
    for line in re.findall(r"`(\w+: .*?)`[,.]", said):
        told |= yaml.safe_load(line)
    assert told["gguf"] == {"types": ["F16", quant], "serve": quant}
    further = {"merged": [], "distil": ["distil"]}.get(source, ["prune", "recover"])
    assert re.findall("then `(.*)`, and set", said) == (
        [" and ".join(further).replace(" and ", "` and `")] if further else []
    )
    # Whatever was set before, it is that way to prune.
    settings = load(told | {"chain": ["adapt", "merge", *further]}, ROOT)
    if source in PRUNINGS:
        assert settings.prune.structure == PRUNINGS[source]["structure"]
        assert told["recover"] == {"gradual": PRUNINGS[source]["gradual"]}
    assert all(f"gates.{gate}" in said for gate in (*further, "gguf"))


def test_a_chain_without_a_step_before_is_written_out():
    assert "set `chain: [prune, recover]`" in advice("half-Q8_0", "base", PRUNINGS)
    assert "set `chain: []`" in advice("base-Q8_0", "base", PRUNINGS)
