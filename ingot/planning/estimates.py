"""Estimate what each step takes, from the configuration and the shape of the model alone.

Operations are counted as usual (Kaplan et al. 2020, arXiv:2001.08361): two for each weight and token forwards, four
backwards. What one machine makes of them is learned in `experience`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ingot.inference.divergence import LIKELIEST
from ingot.io.tensors import SHARD_BYTES
from ingot.planning.weights import BYTES, Weights
from ingot.quantities import blocks_dropped, steps_of
from ingot.settings.compress import Gradual, Prune
from ingot.settings.training import Calibration, FullTraining, LoraTraining
from ingot.training.lora import quantization_of
from ingot.workflow.build import Build

Wildcards = tuple[str, ...]
MB = 1_000_000
TORCH, TRAINER, CUDA, LLAMA_CPP, PLAIN = 480 * MB, 780 * MB, 1200 * MB, 380 * MB, 60 * MB
"""Memory of a process that has imported torch, TRL, torch with a GPU, llama.cpp with a tokenizer, or little."""
NF4 = 0.55
"""Bytes of a weight in 4 bits, with its share of the scales."""
PER_TOKEN = 24
"""Numbers per token and width that a block with gates keeps for its gradients. Without gates they are 17
(Korthikanti et al. 2022, arXiv:2205.05198)."""
WITH_LORA = {"cpu": 51, "gpu": 65}
"""The same beside LoRA matrices, which take their inputs in float32. Measured: docs/plan.md."""
STATES = {"adamw": 16, "muon": 14, "adamw_8bit": 6}
"""Bytes of a weight that is trained, with its gradient and the moments of its optimizer."""
LOGITS = 5
"""How often the logits are held: as they are, in float32, as a softmax, and their gradients."""
ANSWER_BYTES = 700
"""A row of the answers."""
NEWTON_SCHULZ = 15
"""Products of a matrix with a square one that a step of Muon takes: three for each of its five iterations."""


@dataclass(frozen=True)
class Estimate:
    """What a step writes, holds and computes."""

    file_bytes: float = 20_000
    memory_bytes: float = PLAIN
    gpu_memory_bytes: float = 0
    operations: float = 0
    """Multiplications and additions."""
    record_bytes: float = 0
    """Records that it goes through."""
    seconds: float = 1
    """What it takes however little there is to do: to start, and to import."""
    threads: int | None = None
    """Threads that it uses; None: those of a training."""


@dataclass(frozen=True)
class Situation:
    """What the estimates go by."""

    build: Build
    weights: Weights
    gguf_bytes: dict[str, int]
    """{type: bytes of the GGUF file without its tokenizer}."""
    source_bytes: float
    """Bytes of all sources."""
    records: float
    """Training records."""
    record_tokens: float
    """Tokens of a record, with its answer and the template."""
    questions: float
    """Questions that every model is asked."""

    @property
    def on_gpu(self) -> bool:
        """Whether models are computed on a GPU."""
        return self.build.settings.resources.gpu > 0

    def checkpoint(self, dtype: str) -> float:
        """Return the bytes of a folder with the whole model."""
        return self.weights.parameters * BYTES[dtype] + self.weights.tokenizer_bytes

    def on_device(
        self, model: float, more: float = 0, process: float = TORCH, staged: float = 0, **others: Any
    ) -> Estimate:
        """Describe a step that holds a model of so many bytes, and more beside it, where models are computed.

        `staged` bytes are in the machine's memory although there is a GPU.
        """
        held = model + more
        if not self.on_gpu:
            return Estimate(memory_bytes=process + held, seconds=8, **others)
        # What is read of a file is mapped, and counts as memory.
        staged += self.checkpoint("bfloat16")
        return Estimate(memory_bytes=CUDA + staged, gpu_memory_bytes=700 * MB + held, seconds=25, **others)


def activations(weights: Weights, checkpointing: bool, width: int, per_block: int) -> float:
    """Return the bytes that a training keeps of a token for its gradients, without logits.

    A block keeps `per_block` numbers of `width` bytes for each of the model's width. With `checkpointing`, one block
    does so at a time, and of the others their inputs are kept in float32.
    """
    blocks = width * per_block + 4 * weights.layers if checkpointing else width * per_block * weights.layers
    return float(weights.hidden * blocks)


def lora(s: Situation, settings: LoraTraining, records: float) -> Estimate:
    """Estimate the training of a LoRA adapter."""
    weights, width = s.weights, 2 if s.on_gpu else 4
    length = settings.length if settings.packing else min(settings.length, s.record_tokens)
    rows = records * s.record_tokens / settings.length if settings.packing else records
    a_step = settings.batch * settings.accumulation
    steps = min(settings.epochs * rows / a_step, settings.max_steps or float("inf"))
    trained = weights.lora(settings.rank, settings.target_modules)
    # What is not in 4 bits is in float32, as the tables of embeddings are.
    saved = weights.in_blocks * (4 - NF4) if quantization_of(settings, s.on_gpu) else 0
    frozen = 4 * weights.parameters - saved
    # A batch is as long as its longest row.
    longest = settings.length if settings.packing else min(settings.length, 2.5 * s.record_tokens)
    # TRL makes the logits of a batch in small parts.
    kept = activations(weights, settings.gradient_checkpointing, width, WITH_LORA["gpu" if s.on_gpu else "cpu"])
    more = settings.batch * longest * kept + 16 * trained
    operations = 4 * (weights.computed + trained) * steps * a_step * length
    watched = s.records * s.build.settings.split.shares.valid
    watched = min(settings.evaluate_on or watched, watched) * s.record_tokens
    operations += 2 * weights.computed * watched * steps / steps_of(settings.evaluate_every, math.ceil(steps))
    made = 4 * trained + weights.tokenizer_bytes
    return s.on_device(frozen, more, process=TRAINER, operations=operations, file_bytes=made)


def full(s: Situation, settings: FullTraining, dtype: str, more: float = 0) -> Estimate:
    """Estimate the training of all weights, with `more` bytes in memory."""
    weights, tokens = s.weights, settings.batch * settings.accumulation * settings.length
    width = 2 if settings.optimizer == "adamw_8bit" else 4
    kept = activations(weights, s.on_gpu, width, PER_TOKEN) + weights.vocabulary * LOGITS * width
    more += settings.batch * settings.length * kept
    if settings.optimizer == "adamw_8bit":
        more += 16 * weights.vocabulary * weights.hidden  # the largest tensor while it is float32
    shapes = weights.matrices.values()
    muon = weights.layers * sum(2 * NEWTON_SCHULZ * min(shape) ** 2 * max(shape) for shape in shapes)
    a_step = 6 * weights.computed * tokens + (muon if settings.optimizer == "muon" else 0)
    return s.on_device(
        STATES[settings.optimizer] * weights.parameters,
        more,
        staged=0 if settings.optimizer == "adamw_8bit" else s.checkpoint("float32"),
        operations=settings.steps * a_step,
        file_bytes=s.checkpoint(dtype),
    )


def looked_at(s: Situation, settings: Calibration) -> float:
    """Return the operations of a step that looks at some conversations."""
    return 2 * s.weights.computed * settings.records * min(settings.length, s.record_tokens)


def looked_at_once(s: Situation, settings: Calibration) -> float:
    """Return the bytes of the logits of one conversation, which it makes on a GPU in float32 and once more."""
    return 8 * min(settings.length, s.record_tokens) * s.weights.vocabulary if s.on_gpu else 0


def type_among(s: Situation, wildcards: Wildcards) -> str:
    """Find the GGUF type among the wildcards of a job; "" if there is none whose size is known."""
    return next((one for one in wildcards if one in s.gguf_bytes), "")


def asked(s: Situation, questions: float) -> float:
    """Return the operations of asking so many questions."""
    return 2 * s.weights.computed * questions * s.record_tokens


def predictions(s: Situation) -> float:
    """Return the bytes of the predictions of the held-out tokens, in half precision."""
    return s.build.settings.measure.fidelity_tokens * s.weights.vocabulary * 2


def ask_checkpoint(s: Situation, questions: float, file_bytes: float) -> Estimate:
    """Estimate asking a checkpoint."""
    batch, width = s.build.settings.measure.batch, 2 if s.on_gpu else 4
    # Keys and values are copied whenever rows come and go. The longest questions come first.
    more = 2 * width * s.weights.kept_of(round(batch * 2.5 * s.record_tokens)) + 3 * predictions(s)
    operations = asked(s, questions)
    return s.on_device(s.weights.parameters * width, more, operations=operations, file_bytes=file_bytes, threads=1)


def ask_gguf(s: Situation, quant: str, questions: float, file_bytes: float) -> Estimate:
    """Estimate asking a GGUF file."""
    model = s.gguf_bytes.get(quant, 0)
    held = model + s.weights.kept_of(16 * s.build.settings.context) * 2
    # llama.cpp is compiled for processors: envs/build.py.
    return Estimate(file_bytes, LLAMA_CPP + held, operations=asked(s, questions), seconds=6, threads=1)


def of_records(factor: float, a_part: bool = False) -> Callable[[Situation, Wildcards], Estimate]:
    """Make the estimate of a step that goes through all records, or a part of them, and writes so much of them."""

    def estimate(s: Situation, _: Wildcards) -> Estimate:
        size = s.source_bytes / (max(1, len(s.build.parts)) if a_part else 1)
        return Estimate(size * factor, 220 * MB + 0.5 * size, record_bytes=size, seconds=2)

    return estimate


def fixed(memory_bytes: float, seconds: float) -> Callable[[Situation, Wildcards], Estimate]:
    """Make the estimate of a step that always takes the same."""
    return lambda *_: Estimate(memory_bytes=memory_bytes, seconds=seconds)


def pretrain(s: Situation, _: Wildcards) -> Estimate:
    """Estimate the base that is made here."""
    training = s.build.settings.pretrain.training
    return full(s, training, "bfloat16" if training.optimizer == "adamw_8bit" else "float32")


def fetch(s: Situation, _: Wildcards) -> Estimate:
    """Estimate a base that is fetched."""
    made = s.checkpoint(s.build.settings.base.dtype)
    return Estimate(made, TORCH + 4 * s.weights.parameters, seconds=10, record_bytes=s.weights.parameters / 4)


def read_gguf(s: Situation, wildcards: Wildcards) -> Estimate:
    """Estimate a base that is read from a GGUF file: its weights in float32, and as they are written."""
    one = fetch(s, wildcards)
    return replace(one, memory_bytes=one.memory_bytes + one.file_bytes)


def cut_vocabulary(s: Situation, _: Wildcards) -> Estimate:
    """Estimate cutting the vocabulary: two models are compared on some held-out records."""
    width = BYTES[s.build.settings.base.dtype]
    operations = 2 * 2 * s.weights.computed * min(200, 0.05 * s.records) * s.record_tokens
    logits = 8 * s.record_tokens * s.weights.vocabulary
    made = s.checkpoint(s.build.settings.base.dtype)
    return s.on_device(width * s.weights.parameters, logits, operations=operations, file_bytes=made)


def adapt(s: Situation, _: Wildcards) -> Estimate:
    """Estimate the adapter."""
    return lora(s, s.build.settings.adapt.training, s.records)


def target(s: Situation, _: Wildcards) -> Estimate:
    """Estimate a targeted round."""
    return lora(s, s.build.settings.target.training, s.records / 4)


def prefer(s: Situation, _: Wildcards) -> Estimate:
    """Estimate the training on pairs. A row is a question with a right and a wrong answer, asked of two models."""
    settings, pairs = s.build.settings.prefer, min(s.build.settings.prefer.most_asked, s.records) / 2
    training = settings.training.model_copy(update={"batch": 2 * settings.training.batch})
    one = lora(s, training, 2 * pairs)
    # ORPO makes all logits of a batch at once.
    tokens = training.batch * min(training.length, 2.5 * s.record_tokens) if settings.loss == "orpo" else 0
    logits = tokens * s.weights.vocabulary * LOGITS * (2 if s.on_gpu else 4)
    where = "gpu_memory_bytes" if s.on_gpu else "memory_bytes"
    return replace(one, operations=1.5 * one.operations, **{where: getattr(one, where) + logits})


def train_modifier(s: Situation, _: Wildcards) -> Estimate:
    """Estimate a modifier."""
    modifiers = s.build.settings.modifiers
    assert modifiers
    return lora(s, modifiers.training, modifiers.collect_failures.most_asked)


def merge(s: Situation, _: Wildcards) -> Estimate:
    """Estimate merging."""
    dtype, training = s.build.settings.merge.dtype, s.build.settings.adapt.training
    made, table = s.checkpoint(dtype), s.weights.vocabulary * s.weights.hidden * BYTES[dtype]
    # A file at a time, or the table of embeddings and its copy; a matrix and its update in float32; the adapter.
    held = min(made, max(SHARD_BYTES, 2 * table)) + 8 * s.weights.largest
    held += 4 * s.weights.lora(training.rank, training.target_modules)
    return Estimate(made, TORCH + held, seconds=6, record_bytes=made / 100)


def prune(s: Situation, _: Wildcards) -> Estimate:
    """Estimate pruning."""
    return pruned_as(s, s.build.settings.prune)


def prune_candidate(s: Situation, wildcards: Wildcards) -> Estimate:
    """Estimate pruning in one of the ways that a search tries."""
    return pruned_as(s, s.build.prune_as(wildcards[0]))


def pruned_as(s: Situation, settings: Prune) -> Estimate:
    """Estimate pruning by these settings."""
    dtype, calibration = s.build.settings.merge.dtype, settings.calibration
    made, operations = s.checkpoint(dtype), looked_at(s, calibration)
    if dropped := blocks_dropped(settings.ratios.blocks, s.weights.layers):
        width = BYTES[dtype] if s.on_gpu else 4
        tokens = calibration.records * min(calibration.length, s.record_tokens)
        kept = 8 * tokens * min(LIKELIEST, s.weights.vocabulary)
        looks = dropped * s.weights.layers
        return s.on_device(width * s.weights.parameters, kept, operations=looks * operations, file_bytes=made)
    held, more = 4 * s.weights.parameters, looked_at_once(s, calibration)
    if s.on_gpu:  # a block, and the Hessian matrix of its widest input with what is made of it, in float32
        held = 2 * s.weights.in_blocks // s.weights.layers + 16 * s.weights.widest**2
    return s.on_device(held, more, process=TORCH + made, staged=made, operations=2 * operations, file_bytes=made)


def recover(s: Situation, _: Wildcards) -> Estimate:
    """Estimate the training after pruning."""
    return recovered(s, s.build.settings.recover.gradual)


def recover_candidate(s: Situation, wildcards: Wildcards) -> Estimate:
    """Estimate the training after one of the ways to prune that a search tries."""
    return recovered(s, s.build.prunings[wildcards[0]].gradual)


def recovered(s: Situation, gradual: Gradual | None) -> Estimate:
    """Estimate the training after pruning, with zeros whose number grows or not."""
    # Which weights are kept takes a byte for each weight of the blocks. The smallest of a matrix are found by sorting.
    held = s.weights.in_blocks + (20 * s.weights.largest if gradual else 0)
    return full(s, s.build.settings.recover.training, s.build.settings.merge.dtype, held)


def quantize_awq(s: Situation, _: Wildcards) -> Estimate:
    """Estimate AWQ: the packed checkpoint, and the scaled one that GGUF files are made from."""
    settings, weights = s.build.settings, s.weights
    group = 128 if settings.quantize_awq.group == "auto" else int(settings.quantize_awq.group)
    packed = weights.in_blocks * (0.5 + 2.5 / group) + (weights.parameters - weights.in_blocks) * 2
    made = packed + 2 * weights.tokenizer_bytes + s.checkpoint(settings.merge.dtype)
    # Each group of layers is tried with twenty scales.
    operations = 20 * looked_at(s, settings.quantize_awq.calibration)
    whole, more = 4 * weights.parameters, looked_at_once(s, settings.quantize_awq.calibration)
    copied = s.checkpoint(settings.merge.dtype)
    process = TORCH + 2 * copied
    # A GPU holds a block and its copy, and the output.
    held = 8 * weights.in_blocks / weights.layers + 4 * weights.vocabulary * weights.hidden if s.on_gpu else whole
    return s.on_device(held, more, process, whole, operations=operations, file_bytes=made)


def distil(s: Situation, wildcards: Wildcards) -> Estimate:
    """Estimate the training for a type. The parent computes, too, and what rounding changes is kept."""
    training = s.build.settings.distil.training
    logits = training.batch * training.length * s.weights.vocabulary * 4 * LOGITS
    one = full(s, training, s.build.settings.merge.dtype, 12 * s.weights.parameters + logits)
    rounding = training.steps / training.refresh * 2000 * s.weights.parameters
    made = one.file_bytes + quantize(s, wildcards).file_bytes
    return replace(one, operations=4 / 3 * one.operations + rounding, file_bytes=made)


def convert(s: Situation, _: Wildcards) -> Estimate:
    """Estimate the 16-bit GGUF file."""
    made = s.gguf_bytes.get("F16", 2 * s.weights.parameters) + 0.4 * s.weights.tokenizer_bytes
    return Estimate(made, LLAMA_CPP + 2 * made, seconds=8, record_bytes=made / 10)


def quantize(s: Situation, wildcards: Wildcards) -> Estimate:
    """Estimate a GGUF file of another type."""
    made = s.gguf_bytes.get(type_among(s, wildcards), s.weights.parameters) + 0.4 * s.weights.tokenizer_bytes
    return Estimate(made, PLAIN + 2 * s.weights.parameters, seconds=1, operations=200 * s.weights.parameters)


def importance(s: Situation, _: Wildcards) -> Estimate:
    """Estimate the importance matrix."""
    settings = s.build.settings.importance
    assert settings
    inputs = s.weights.layers * sum(columns for _, columns in s.weights.matrices.values())
    return s.on_device(
        BYTES[s.build.settings.merge.dtype] * s.weights.parameters,
        0,
        operations=looked_at(s, settings),
        file_bytes=4 * inputs,
    )


def sensitivity(s: Situation, _: Wildcards) -> Estimate:
    """Estimate what each matrix loses: all conversations are read once for each, and the parent's logits are kept."""
    settings = s.build.settings.sensitivity
    matrices = s.weights.layers * len(s.weights.matrices) + 1
    tokens = settings.records * min(settings.length, s.record_tokens)
    operations = 2 * s.weights.computed * tokens * matrices + 10_000 * s.weights.parameters
    width = BYTES[s.build.settings.merge.dtype] if s.on_gpu else 4
    kept = 8 * tokens * min(LIKELIEST, s.weights.vocabulary)
    return s.on_device(width * s.weights.parameters, kept, operations=operations)


def measure(s: Situation, _: Wildcards) -> Estimate:
    """Estimate measuring a checkpoint."""
    return ask_checkpoint(s, s.questions, predictions(s) + s.questions * ANSWER_BYTES)


def measure_gguf(s: Situation, wildcards: Wildcards) -> Estimate:
    """Estimate measuring a GGUF file. The model before compression has 16 bits."""
    return ask_gguf(s, type_among(s, wildcards) or "F16", s.questions, predictions(s) + s.questions * ANSWER_BYTES)


def versus_parent(s: Situation, _: Wildcards) -> Estimate:
    """Estimate comparing two models token by token."""
    return Estimate(memory_bytes=PLAIN + 2 * predictions(s), record_bytes=predictions(s) / 100)


def ask_some(s: Situation, _: Wildcards) -> Estimate:
    """Estimate asking a checkpoint training prompts, some of them several times."""
    most = min(s.build.settings.target.most_asked, s.records)
    return ask_checkpoint(s, most, most * ANSWER_BYTES)


def ask_for_pairs(s: Situation, _: Wildcards) -> Estimate:
    """Estimate asking the adapter for wrong answers."""
    most = min(s.build.settings.prefer.most_asked, s.records)
    return ask_checkpoint(s, most, most * ANSWER_BYTES)


def ask_suite(s: Situation, wildcards: Wildcards) -> Estimate:
    """Estimate asking a suite of the field: as many questions as a model is measured by."""
    quant = type_among(s, wildcards)
    size = s.questions * ANSWER_BYTES
    return ask_gguf(s, quant, s.questions, size) if quant else ask_checkpoint(s, s.questions, size)


def ask_served(s: Situation, _: Wildcards) -> Estimate:
    """Estimate asking the served model, with or without a modifier."""
    settings = s.build.settings
    most = settings.modifiers.collect_failures.most_asked if settings.modifiers else s.questions
    return ask_gguf(s, s.build.served, most, most * ANSWER_BYTES)


def convert_modifier(s: Situation, _: Wildcards) -> Estimate:
    """Estimate a modifier as a GGUF file, which is tried on some questions."""
    modifiers = s.build.settings.modifiers
    assert modifiers
    made = s.weights.lora(modifiers.training.rank, modifiers.training.target_modules)
    return ask_gguf(s, s.build.served, 200, made)


def pack(s: Situation, wildcards: Wildcards) -> Estimate:
    """Estimate a packed file."""
    content = quantize(s, wildcards).file_bytes
    return Estimate(0.93 * content, PLAIN + content, record_bytes=content, seconds=1)


def screen_candidate(s: Situation, wildcards: Wildcards) -> Estimate:
    """Estimate comparing a candidate token by token, and packing it once."""
    one = ask_gguf(s, type_among(s, wildcards), 0, 1000)
    operations = 2 * s.weights.computed * s.build.settings.measure.fidelity_tokens
    held = one.memory_bytes + 3 * predictions(s)
    return replace(one, memory_bytes=held, operations=operations, record_bytes=pack(s, wildcards).record_bytes)


def ask_candidate(s: Situation, wildcards: Wildcards) -> Estimate:
    """Estimate asking a candidate the validation prompts."""
    frontier = s.build.settings.frontier
    assert frontier
    domains = len({source.domain for source in s.build.settings.sources})
    most = min(frontier.questions * domains, s.records * s.build.settings.split.shares.valid)
    return ask_gguf(s, type_among(s, wildcards), most, most * ANSWER_BYTES)


def time_candidates(s: Situation, _: Wildcards) -> Estimate:
    """Estimate timing the candidates, of which those of 16 bits are the largest."""
    return ask_gguf(s, "F16", 12 * len(s.build.candidates), 1000)


def release(s: Situation, _: Wildcards) -> Estimate:
    """Estimate the release, whose files are links."""
    return Estimate(memory_bytes=PLAIN, file_bytes=s.weights.tokenizer_bytes)


ESTIMATES: dict[str, Callable[[Situation, Wildcards], Estimate]] = {
    "generate": of_records(1),
    "train_detector": fixed(310 * MB, 9),
    "train_router": fixed(240 * MB, 14),
    "train_tokenizer": of_records(0.02),
    "read": of_records(1.3, a_part=True),
    "filter": of_records(1.3, a_part=True),
    "score": of_records(1, a_part=True),
    "sign": of_records(0.4, a_part=True),
    "deduplicate": of_records(1.1),
    "decontaminate": of_records(1.1),
    "balance": of_records(1.1),
    "split": of_records(1.1),
    "report_curation": of_records(0.01),
    "gate_data": of_records(0),
    "pretrain": pretrain,
    "fetch": fetch,
    "read_gguf": read_gguf,
    "cut_vocabulary": cut_vocabulary,
    "adapt": adapt,
    "target": target,
    "prefer": prefer,
    "train_modifier": train_modifier,
    "merge": merge,
    "prune": prune,
    "recover": recover,
    "quantize_awq": quantize_awq,
    "convert": convert,
    "quantize": quantize,
    "importance": importance,
    "sensitivity": sensitivity,
    "pack": pack,
    "measure": measure,
    "measure_gguf": measure_gguf,
    "versus_parent": versus_parent,
    "ask_checkpoint": ask_some,
    "ask_checkpoint_of_preferences": ask_for_pairs,
    "ask_suite": ask_suite,
    "ask_suite_gguf": ask_suite,
    "ask_gguf": ask_served,
    "ask_served": ask_served,
    "ask_modifier": ask_served,
    "convert_modifier": convert_modifier,
    "distil": distil,
    "convert_model": convert,
    "importance_of_model": importance,
    "sensitivity_of_model": sensitivity,
    "quantize_model": quantize,
    "measure_before": measure_gguf,
    "prune_candidate": prune_candidate,
    "recover_candidate": recover_candidate,
    "screen_candidate": screen_candidate,
    "ask_candidate": ask_candidate,
    "time_candidates": time_candidates,
    "confirm_candidate": measure_gguf,
    "release": release,
}
"""What is not here holds no model, unless its settings name one of their own, and no records."""


def estimate(s: Situation, rule: str, wildcards: Wildcards) -> Estimate:
    """Estimate a step."""
    return ESTIMATES[rule](s, wildcards) if rule in ESTIMATES else Estimate()
