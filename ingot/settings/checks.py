"""What cannot work together, though each setting alone is allowed. Sections that are null are skipped."""

from collections.abc import Iterator

from ingot.settings.compress import Gradual, Prune, Pruning
from ingot.settings.everything import Settings
from ingot.settings.training import LoraTraining

KTO_BATCH = 4  # with two, both may be answers to one question


def problems(settings: Settings) -> list[str]:
    """List every combination of settings that cannot work, in one line each."""
    return [
        *of_data(settings),
        *of_filters(settings),
        *of_base(settings),
        *of_trainings(settings),
        *of_gates(settings),
        *of_compression(settings),
        *of_modifiers(settings),
        *of_names(settings),
    ]


def of_data(settings: Settings) -> Iterator[str]:
    """Find shares that do not add up."""
    shares = settings.split.shares
    if shares.valid + shares.routing + shares.test >= 1:
        yield "split.shares: valid, routing and test together must be less than 1, or nothing is left to train on"
    if settings.split.offset and settings.base.kind == "pretrain":
        yield "split.offset: the base is pretrained on what would be held out; set it to 0"
    for field, wishes in (("domain", settings.balance.mix.domain), ("difficulty", settings.balance.mix.difficulty)):
        if wishes and abs(sum(wishes.values()) - 1) > 1e-6:
            yield f"balance.mix.{field}: the shares add up to {sum(wishes.values()):g}, and not to 1"


def of_filters(settings: Settings) -> Iterator[str]:
    """Find filters that no record could pass."""
    length, gibberish = settings.filter.length, settings.filter.gibberish
    if length.least > length.most:
        yield f"filter.length: `least` ({length.least}) is more than `most` ({length.most})"
    if gibberish.word_length[0] > gibberish.word_length[1]:
        yield "filter.gibberish.word_length: the least mean length is more than the largest"


def of_base(settings: Settings) -> Iterator[str]:
    """Find what a base of its kind needs and has not."""
    base, shape = settings.base, settings.pretrain.shape
    if base.kind == "pretrain":
        if shape.hidden % shape.heads:
            yield f"pretrain.shape: `hidden` ({shape.hidden}) must be a multiple of `heads` ({shape.heads})"
        if shape.heads % shape.kv_heads:
            yield f"pretrain.shape: `heads` ({shape.heads}) must be a multiple of `kv_heads` ({shape.kv_heads})"
        return
    needed = {
        "hub": "the id of a model on the hub, such as team/name",
        "local": "the folder of a model",
        "tokenizer": "the folder of a tokenizer",
        "gguf": "a GGUF file, or `base.package`",
    }
    if base.package and base.kind != "gguf":
        yield f"base.package: a base of kind {base.kind!r} is in no package; set it to null"
    if base.package and base.model:
        yield "base.model: the GGUF file is in `base.package`; set one of them to null"
    if not base.model and not base.package:
        yield f"base.model: a base of kind {base.kind!r} needs {needed[base.kind]}"
    if base.kind == "hub" and not base.revision:
        yield "base.revision: a hub model needs the revision (commit) that it is pinned to"


def of_trainings(settings: Settings) -> Iterator[str]:
    """Find trainings on more than the served model can take, and ranges that hold nothing."""
    of_step: dict[str, LoraTraining] = {
        step: getattr(settings, step).training for step in ("adapt", "target", "prefer")
    }
    trainings = {step: training for step, training in of_step.items() if step in settings.chain}
    if settings.modifiers:
        trainings["modifiers"] = settings.modifiers.training
    if "prefer" in settings.chain and settings.prefer.loss == "kto" and settings.prefer.training.batch < KTO_BATCH:
        yield f"prefer.training.batch: kto compares the answers of a batch with each other; {KTO_BATCH} is the least"
    for step, training in trainings.items():
        if training.length > settings.context:
            yield f"{step}.training.length: {training.length} is more than context ({settings.context})"
        if training.trainable_share[0] > training.trainable_share[1]:
            yield f"{step}.training.trainable_share: the least share is more than the largest"


def of_compression(settings: Settings) -> Iterator[str]:
    """Find ways to prune that cannot be, and a served type that is not made."""
    gguf, gradual, steps = settings.gguf, settings.recover.gradual, settings.recover.training.steps
    if "prune" in settings.chain:
        if "recover" not in settings.chain:
            gradual = None
        yield from of_pruning(settings.prune, "prune", gradual, "recover.gradual", steps)
    for name, one in (settings.frontier.prunings if settings.frontier else {}).items():
        key = f"frontier.prunings.{name}"
        yield from of_pruning(one, key, one.gradual, f"{key}.gradual", steps)
    if gguf and gguf.serve not in gguf.types:
        yield f"gguf.serve: {gguf.serve!r} is not among gguf.types: {', '.join(gguf.types)}"


def of_pruning(
    prune: Prune | Pruning, key: str, gradual: Gradual | None, key_of_gradual: str, steps: int
) -> Iterator[str]:
    """Find ratios that a structure cannot have, and zeros that cannot become more in `steps` steps of recovery."""
    structure, ratios = prune.structure, prune.ratios
    of_weights = ratios.attention or ratios.feed_forward
    if structure == "2:4" and of_weights:
        yield f"{key}.ratios: 2:4 is exactly one half everywhere; leave the ratios at 0, or use `unstructured`"
    if structure == "blocks" and (of_weights or not ratios.blocks):
        yield f"{key}.ratios: the structure `blocks` needs `blocks` above 0, and the other ratios at 0"
    grows = gradual and (gradual.attention or gradual.feed_forward)
    if structure == "unstructured" and not of_weights and not grows:
        yield f"{key}.ratios: nothing becomes zero; set one of them above 0, or one of {key_of_gradual}"
    if structure != "blocks" and ratios.blocks:
        yield f"{key}.ratios.blocks: only the structure `blocks` drops any; leave it at 0, or take that"
    if not gradual:
        return
    if structure != "unstructured":
        yield f"{key_of_gradual}: only if {key}.structure is `unstructured` may the number of zeros grow; set null"
    for part in ("attention", "feed_forward"):
        first, last = getattr(ratios, part), getattr(gradual, part)
        if last < first:
            yield f"{key_of_gradual}.{part}: {last:g} is less than {key}.ratios.{part} ({first:g}); zeros stay zeros"
    if gradual.until > steps:
        yield f"{key_of_gradual}.until: {gradual.until} is after the last step ({steps}) of recover.training"


def of_gates(settings: Settings) -> Iterator[str]:
    """Find limits on what nothing measures."""
    if settings.judge_open is None:
        for step, gate in settings.gates.items():
            if gate.min_open_score is not None:
                yield f"gates.{step}.min_open_score: nobody compares open answers; set `judge_open`, or take it out"


def of_modifiers(settings: Settings) -> Iterator[str]:
    """Find numbers of clusters that cannot be tried."""
    if settings.modifiers and settings.modifiers.cluster.least > settings.modifiers.cluster.most:
        cluster = settings.modifiers.cluster
        yield f"modifiers.cluster: `least` ({cluster.least}) is more than `most` ({cluster.most})"


def of_names(settings: Settings) -> Iterator[str]:
    """Find entries of a list that have the same name."""
    names = {
        "sources": [source.name for source in settings.sources],
        "ask_suite.suites": [suite.name for suite in settings.ask_suite.suites],
        "modifiers.teach.tiers": [tier.name for tier in settings.modifiers.teach.tiers] if settings.modifiers else [],
    }
    for key, given in names.items():
        for name in sorted({name for name in given if given.count(name) > 1}):
            yield f"{key}: two of them have the same name, {name!r}; they could not be told apart"
