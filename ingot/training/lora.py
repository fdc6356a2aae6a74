"""What low-rank adapters need to know of a model: which modules to adapt, and whether training them makes sense."""

from collections.abc import Iterable
from typing import Any

from ingot.errors import InputError
from ingot.settings.training import LoraTraining

# Linear layers of the attention and feed-forward blocks, by `model_type` of the configuration.
LLAMA_LIKE = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
TARGET_MODULES = {
    "llama": LLAMA_LIKE,
    "mistral": LLAMA_LIKE,
    "qwen2": LLAMA_LIKE,
    "qwen3": LLAMA_LIKE,
    "gpt2": ["c_attn", "c_proj", "c_fc"],
    "bert": ["query", "key", "value", "dense"],
    "roberta": ["query", "key", "value", "dense"],
    "distilbert": ["q_lin", "k_lin", "v_lin"],
    "deberta": ["in_proj"],
    "deberta-v2": ["query_proj", "key_proj", "value_proj"],
    "t5": ["q", "k", "v", "o"],
}


def matrix_modules(model: Any) -> dict[str, tuple[int, int, bool]]:
    """Return {last part of the name: (inputs, outputs, stored transposed)} of the layers that LoRA can adapt.

    GPT-2's Conv1D keeps its weight as (inputs, outputs), torch's Linear as (outputs, inputs).
    """
    found = {}
    for name, module in model.named_modules():
        last = name.rpartition(".")[2]
        if type(module).__name__ == "Conv1D":
            inputs, outputs = module.weight.shape
            found[last] = (inputs, outputs, True)
        elif hasattr(module, "in_features") and hasattr(module, "out_features"):
            found[last] = (module.in_features, module.out_features, False)
    return found


def target_modules(model: Any, wanted: list[str] | None) -> list[str]:
    """Return the modules to adapt: `wanted`, or the usual ones of the architecture.

    Raises InputError, listing the modules that exist, for an unknown architecture or for names that it lacks.
    """
    existing = sorted(matrix_modules(model))
    kind = model.config.model_type
    targets = wanted or TARGET_MODULES.get(kind)
    if targets is None:
        raise InputError(
            f"no default target modules for architecture {kind!r}; set `target_modules` to some of: {existing}"
        )
    if unknown := [name for name in targets if name not in existing]:
        raise InputError(f"target modules {unknown} do not exist in a {kind!r} model; it has: {existing}")
    return targets


def lora_config(model: Any, settings: LoraTraining) -> Any:
    """Return peft's LoraConfig for a model; settings: rank, alpha, dropout, target_modules (or null)."""
    from peft import LoraConfig

    targets = target_modules(model, settings.target_modules)
    modules = matrix_modules(model)
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=targets,
        fan_in_fan_out=all(modules[name][2] for name in targets),
        bias="none",
        task_type="CAUSAL_LM",
    )


def keep_in_float32(model: Any) -> None:
    """Put the LoRA weights back to float32: trl casts them to bfloat16 on a quantised base, too coarse to train in."""
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.float()


def check_trainable(model: Any, share: tuple[float, float]) -> dict[str, Any]:
    """Return the counts of trainable and all parameters, after checking that they can be trained as they stand.

    Raises InputError with a diagnosis for no trainable weights, a share outside `share` (least, most), trainable
    weights that are not float32, or trainable weights on several devices.
    """
    import torch

    trainable = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    if not trainable:
        raise InputError("nothing to train: no parameter requires a gradient; check `target_modules`")
    wrong = [name for name, parameter in trainable if parameter.dtype != torch.float32]
    if wrong:
        raise InputError(
            f"{len(wrong)} trainable weights are not float32 (first: {wrong[0]}): half precision loses small updates"
        )
    devices = {str(parameter.device) for _, parameter in trainable}
    if len(devices) > 1:
        raise InputError(f"trainable weights lie on several devices: {sorted(devices)}")
    count = sum(p.numel() for _, p in trainable)
    total = sum(original_size(p) for p in model.parameters())
    least, most = share
    if not least <= count / total <= most:
        raise InputError(
            f"{count:,} of {total:,} weights ({count / total:.2%}) would be trained, outside `trainable_share`"
            f" ({least:.2%} to {most:.2%}); change `rank` or `target_modules`, or the range if this is meant"
        )
    return {"trainable": count, "parameters": total, "share": round(count / total, 5)}


def original_size(parameter: Any) -> int:
    """Return how many weights a parameter stands for; a 4-bit one packs two into each byte."""
    state = getattr(parameter, "quant_state", None)
    return int(state.shape.numel()) if state is not None else int(parameter.numel())


def check_optimizer(parameters: Iterable[Any], optimizer: Any) -> None:
    """Raise InputError unless the optimizer holds exactly the trainable parameters, so that none stands still."""
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    wanted = {id(p) for p in parameters if p.requires_grad}
    if held != wanted:
        raise InputError(
            f"the optimizer holds {len(held)} parameters where {len(wanted)} are trainable; some would not learn"
        )
