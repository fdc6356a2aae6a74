"""All settings: what a preset, and config.yaml laid over it, must make up."""

from ingot.settings.adapter import Adapt, Merge, Prefer, Target
from ingot.settings.base import Base, CutVocabulary, Pretrain, TrainTokenizer
from ingot.settings.compress import Distil, Prune, QuantizeAwq, Recover
from ingot.settings.data import Balance, Decontaminate, Deduplicate, Read, Sign, Source, Split
from ingot.settings.filters import Filter
from ingot.settings.frontier import Budget, Frontier
from ingot.settings.gguf import Gguf, Importance, Pack, Sensitivity
from ingot.settings.judge import Judge, Score
from ingot.settings.measure import AskSuite, Compare, Gate, GateSystem, JudgeOpen, Measure
from ingot.settings.modifiers import Modifiers
from ingot.settings.resources import Resources
from ingot.settings.router import Detector, Router
from ingot.settings.section import Distinct, Section, setting
from ingot.settings.world import Generate


class Settings(Section):
    """Everything that can be set, in the order of the flow."""

    preset: str = setting("Name of a file in presets/, or path of a YAML file")
    seed: int = setting("Seed of everything random", ge=0, le=2_147_483_647)
    threads: int = setting("Threads of a training job", unit="threads", ge=1, le=1024)
    context: int = setting("Longest conversation of the served model", unit="tokens", ge=64, le=1_048_576)
    chain: Distinct[str] = setting("Steps that lead from the base to the last checkpoint, in order")
    generate: Generate
    sources: list[Source] = setting("Where the records come from; empty: no data stage")
    benchmarks: list[str] = setting(
        "Files of items with question, answer and checker, in the formats and shapes of sources; empty: models are"
        " measured on the test split"
    )
    read: Read
    filter: Filter
    judge: Judge
    score: Score | None
    sign: Sign
    deduplicate: Deduplicate
    decontaminate: Decontaminate
    balance: Balance
    split: Split
    base: Base
    train_tokenizer: TrainTokenizer
    pretrain: Pretrain
    cut_vocabulary: CutVocabulary | None
    adapt: Adapt
    target: Target
    prefer: Prefer
    merge: Merge
    prune: Prune
    recover: Recover
    quantize_awq: QuantizeAwq
    distil: Distil
    importance: Importance | None
    sensitivity: Sensitivity
    gguf: Gguf | None
    pack: Pack
    budget: Budget | None
    frontier: Frontier | None
    modifiers: Modifiers | None
    router: Router | None
    detector: Detector | None
    measure: Measure
    ask_suite: AskSuite
    compare: Compare | None
    judge_open: JudgeOpen | None
    gates: dict[str, Gate] = setting("Limits on the result of each step, by the name of the step")
    gate_system: GateSystem
    resources: Resources
