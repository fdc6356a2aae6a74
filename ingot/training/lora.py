"""Choose the modules that a LoRA adapter changes, and check that it can be trained as it stands."""

from collections.abc import Iterable
from typing import Any

from ingot.errors import InputError
from ingot.settings.training import LoraTraining, Quantization

NF4 = Quantization(type="nf4", double=True)


def quantization_of(settings: LoraTraining, on_gpu: bool) -> Quantization | None:
    """Return how the base is held. On a CPU, 4 bits save memory and cost time; `auto` takes them on a GPU alone."""
    if settings.quantization == "auto":
        return NF4 if on_gpu else None
    return settings.quantization


def matrix_modules(model: Any) -> dict[str, tuple[int, int, bool]]:
    """Find the layers that LoRA can adapt: {last part of the name: (inputs, outputs, is it stored transposed)}.

    torch's Linear stores its weight as [outputs, inputs]. GPT-2's Conv1D stores it transposed, as [inputs, outputs].
    """
    modules = {}
    for name, module in model.named_modules():
        last_part = name.rpartition(".")[2]
        if type(module).__name__ == "Conv1D":
            inputs, outputs = module.weight.shape
            modules[last_part] = (inputs, outputs, True)
        elif hasattr(module, "in_features") and hasattr(module, "out_features"):
            modules[last_part] = (module.in_features, module.out_features, False)
    return modules


def target_modules(model: Any, wanted: list[str] | None) -> list[str]:
    """List the modules to adapt: `wanted`, or all linear layers of the blocks (Dettmers et al. 2023, QLoRA).

    Raises InputError if the model lacks a module. The message lists what it has.
    """
    modules = matrix_modules(model)
    head = model.get_output_embeddings()
    existing = [name for name in modules if getattr(model, name, None) is not head]
    if unknown := [name for name in wanted or [] if name not in modules]:
        raise InputError(
            f"target modules {unknown} do not exist in a {model.config.model_type!r} model; it has: {sorted(existing)}"
        )
    return wanted or existing


def lora_config(model: Any, settings: LoraTraining) -> Any:
    """Make peft's LoraConfig for a model from `rank`, `alpha`, `dropout` and `target_modules` of the settings."""
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
    """Cast the LoRA weights back to float32.

    On a quantised base, TRL casts them to bfloat16. That format is too coarse for the small updates of training.
    """
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.float()


def check_trainable(model: Any, share: tuple[float, float]) -> dict[str, Any]:
    """Check that a model can be trained as it stands, and count its trainable weights and all its weights.

    Raises InputError if no weight is trainable, if a trainable weight is not float32, if trainable weights lie on
    several devices, or if their share of all weights is outside `share`: (least, most), each from 0 to 1.
    """
    import torch

    trainable = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    if not trainable:
        raise InputError("nothing to train: no parameter requires a gradient; check `target_modules`")
    too_coarse = [name for name, parameter in trainable if parameter.dtype != torch.float32]
    if too_coarse:
        raise InputError(
            f"{len(too_coarse)} trainable weights are not float32 (the first is {too_coarse[0]}): half precision loses"
            " small updates"
        )
    devices = {str(parameter.device) for _, parameter in trainable}
    if len(devices) > 1:
        raise InputError(f"trainable weights lie on several devices: {sorted(devices)}")
    count = sum(p.numel() for _, p in trainable)
    total = sum(original_size(p) for p in model.parameters())
    least, most = share
    if not least <= count / total <= most:
        raise InputError(
            f"{count:,} of {total:,} weights ({count / total:.2%}) would be trained, which is outside `trainable_share`"
            f" ({least:.2%} to {most:.2%}); change `rank` or `target_modules`, or widen the range if you mean it"
        )
    return {"trainable": count, "parameters": total, "share": round(count / total, 5)}


def original_size(parameter: Any) -> int:
    """Count the weights that a parameter stands for. A 4-bit parameter packs two of them into each byte."""
    state = getattr(parameter, "quant_state", None)
    return int(state.shape.numel()) if state is not None else int(parameter.numel())


def check_optimizer(parameters: Iterable[Any], optimizer: Any) -> None:
    """Check that the optimizer holds exactly the trainable parameters. Others would not learn.

    Raises InputError if it does not.
    """
    in_optimizer = {id(p) for group in optimizer.param_groups for p in group["params"]}
    trainable = {id(p) for p in parameters if p.requires_grad}
    if in_optimizer != trainable:
        raise InputError(
            f"the optimizer holds {len(in_optimizer)} parameters, but {len(trainable)} are trainable; some would not"
            " learn"
        )
