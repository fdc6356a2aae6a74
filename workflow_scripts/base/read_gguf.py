"""Make a checkpoint of a GGUF file, and see that llama.cpp and the checkpoint agree."""

from pathlib import Path

from ingot.converting.from_gguf import network_of, read_fields, tokenizer_of
from ingot.converting.probe import probe
from ingot.converting.received import check_together, check_weights, set_special_tokens, settle_template
from ingot.io.records import write_json
from ingot.settings.base import Dtype


def read_gguf(gguf: Path, base: Path, report: Path, *, template: str | None, dtype: Dtype) -> None:
    """Write the checkpoint, with the tokenizer and the template of the file, and a report that says what it is."""
    import torch

    fields = read_fields(gguf)
    tokenizer = tokenizer_of(fields, gguf)
    settle_template(tokenizer, template, gguf)
    network = network_of(gguf, getattr(torch, dtype))
    check_weights(network, gguf)
    check_together(network, tokenizer, gguf)
    set_special_tokens(network, tokenizer)
    network.save_pretrained(base)
    tokenizer.save_pretrained(base)
    found = probe(gguf, base, "--answers")
    write_json(
        report,
        {
            "kind": "gguf",
            "model": str(fields.get("general.name", gguf.name)),
            "commit": None,
            "type": network.config.model_type,
            "parameters": network.num_parameters(),
            "alike": {"tokens": found["same"], "of": found["of"]},
        },
    )
