"""Do the step `quantize_awq` with AutoAWQ. AutoAWQ is no longer maintained; use it to repeat earlier models."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ingot.io.records import read_records, sample, write_json
from ingot.settings.training import Calibration
from ingot.text import chat
from ingot.text.tokenizer_files import copy_tokenizer
from ingot.training.oneshot import group_of

SCHEMES = {"W4A16_ASYM": True, "W4A16": False}  # {scheme: whether it has a zero point}


@contextmanager
def copies_on_cpu() -> Iterator[None]:
    """Make `tensor.cpu()` return a copy even on a CPU.

    AutoAWQ tries scales on a layer, and restores it from `weight.cpu()` after each trial. Without a GPU, this is the
    weight itself and not a copy. So the scale of every trial would stay in it.
    """
    import torch

    original = torch.Tensor.cpu
    torch.Tensor.cpu = lambda self, *args, **named: original(self, *args, **named).clone()  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.Tensor.cpu = original  # type: ignore[method-assign]


def quantize_autoawq(
    model: Path,
    train: Path,
    packed: Path,
    scaled: Path,
    report: Path,
    *,
    scheme: str,
    group: str | int,
    calibration: Calibration,
    dtype: str,
    threads: int,
) -> None:
    """Write the packed 4-bit checkpoint, and the scaled weights that were rounded to it as an ordinary checkpoint."""
    import torch
    from awq import AutoAWQForCausalLM
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(model)
    records = sample(list(read_records(train)), calibration.records)
    texts = [chat.prompt_text(tokenizer, r["instruction"]) + r["response"] + tokenizer.eos_token for r in records]
    network = AutoAWQForCausalLM.from_pretrained(str(model), device_map={"": "cpu"}, use_cache=False)
    size = group_of(network.model, group)
    settings: dict[str, Any] = {"zero_point": SCHEMES[scheme], "q_group_size": size, "w_bit": 4, "version": "GEMM"}
    with copies_on_cpu():
        network.quantize(
            tokenizer,
            quant_config=settings,
            calib_data=texts,
            max_calib_seq_len=calibration.length,
            apply_clip=False,  # clipping changes the weights, but `scaled` must compute the same as the model
            export_compatible=True,
        )
    plain = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    weights = {k: v for k, v in network.model.state_dict().items() if k in plain.state_dict()}
    plain.load_state_dict(weights, strict=False)
    plain.tie_weights()
    plain.to(getattr(torch, dtype)).save_pretrained(scaled)
    network.pack()
    network.save_quantized(str(packed))
    for folder in (scaled, packed):
        copy_tokenizer(model, folder)
    write_json(report, {"backend": "autoawq", "group": size, "records": len(texts)})
