"""Settings of measuring: answers, suites of the field, comparison by a judge, and the gates."""

from typing import Annotated, Literal

from pydantic import Field

from ingot.settings.section import Distinct, FileName, Section, Share, setting

Longest = Annotated[int, Field(ge=1)] | Literal["auto"]


class Measure(Section):
    """Answers and predictions by which every model of the chain is compared with its parent."""

    longest: Longest = setting(
        "Longest answer; `auto`: half as long again as the longest reference of its domain and checker", unit="tokens"
    )
    most: int | None = setting("Questions of each domain that are asked at most; null: all", unit="questions", ge=1)
    batch: int = setting("Questions that are answered together", unit="questions", ge=1)
    fidelity_tokens: int = setting("Held-out tokens along which models are compared", unit="tokens", ge=1)


class Suite(Section):
    """Questions of the field, in a file of yours; they are kept out of the training data."""

    name: FileName = setting("Its name in the results")
    task: str = setting(
        "How it is asked and judged: a file of suites/ (gsm8k, human_eval, bbh, multiple_choice, function_calls),"
        " or the path of a task file of lm-evaluation-harness"
    )
    data: str = setting("File of its items: JSON Lines, JSON, CSV or Parquet, plain, gzip or zstd")
    answers: str | None = setting(
        "File with the accepted answers by `id`, where the items lack them; null: they have them", default=None
    )
    examples: str | None = setting(
        "File of items, like `data`, that are shown before every question and never asked; null: none", default=None
    )
    shots: int = setting("How many of `examples` are shown", default=5, unit="items", ge=1)
    most: int | None = setting("Items to ask at most; null: all", default=None, unit="items", ge=1)


class AskSuite(Section):
    """Suites of the field, asked by lm-evaluation-harness."""

    models: Distinct[str] = setting("Models that are asked; each is compared with its nearest ancestor among them")
    suites: list[Suite] = setting("Suites that are asked; empty: none")
    longest: int = setting("Longest answer", unit="tokens", ge=1)


class NextRound(Section):
    """Scores by which another round of training is advised; of two equal models each scores 0.5."""

    skip: Share = setting("Score from which it can be skipped, if the whole interval is there")
    required: Share = setting("Score below which it is required, if the whole interval is there")


class Compare(Section):
    """Answers of two models to the benchmark, compared in pairs by the judge; null: none are compared."""

    model: str = setting("Model whose answers are judged")
    reference: str = setting("Model whose answers they are compared with")
    malformed: Share = setting("Largest share of pairs without a usable judgement; with more the build stops")
    next_round: NextRound


class JudgeOpen(Section):
    """Open answers of every model, compared in pairs with its parent's by the judge; null: none are compared."""

    most: int = setting("Pairs of a model that are judged at most", unit="pairs", ge=1)
    malformed: Share = setting("Largest share of pairs without a usable judgement; with more the build stops")


class Gate(Section):
    """Limits on what a step makes of its parent. One that is left out, or null, is not asked for.

    A model that does not keep them stops the build.
    """

    max_perplexity_ratio: float | None = setting("Largest perplexity, over the parent's", default=None, gt=0)
    min_top1_agreement: float | None = setting(
        "Least share of tokens for which both models rank the same token first", default=None, ge=0, le=1
    )
    max_kl: float | None = setting("Largest mean KL divergence from the parent", default=None, unit="nats", ge=0)
    max_exact_match_loss: float | None = setting(
        "What exact match may lose against the parent", default=None, unit="points"
    )
    min_exact_match_gain: float | None = setting(
        "What exact match must win over the parent", default=None, unit="points"
    )
    max_open_loss: float | None = setting(
        "What the references of open questions may lose in likelihood against the parent, per token",
        default=None,
        unit="nats",
    )
    min_open_score: float | None = setting(
        "Least score of its open answers against the parent's, by `judge_open`; of two equal models each has 0.5",
        default=None,
        ge=0,
        le=1,
    )
    min_interval_gap: float | None = setting(
        "How far the low end of its 95 % interval must be above the high end of the parent's",
        default=None,
        unit="points",
    )
    max_p_value: float | None = setting(
        "Largest p value of McNemar's exact test that model and parent are equally good", default=None, gt=0, le=1
    )
    max_forgetting: float | None = setting(
        "What domains may fall against the parent, on average over all; those that rose count as 0",
        default=None,
        unit="points",
        ge=0,
    )
    max_unstopped: int | None = setting(
        "Answers that may fail to end by themselves", default=None, unit="answers", ge=0
    )
    max_more_unstopped: float | None = setting(
        "Answers that may fail to end by themselves beyond those of the parent, in points of the questions asked",
        default=None,
        unit="points",
    )
    max_token_mismatches: int | None = setting(
        "Conversations that may be tokenised otherwise than in training", default=None, unit="conversations", ge=0
    )

    @property
    def counts_right_answers(self) -> bool:
        """Whether a limit is on how many answers are right."""
        on_right = (self.max_exact_match_loss, self.min_exact_match_gain, self.min_interval_gap)
        return {*on_right, self.max_p_value, self.max_forgetting} != {None}

    @property
    def counts_open_answers(self) -> bool:
        """Whether a limit is on answers that no checker can check."""
        return {self.max_open_loss, self.min_open_score} != {None}


class GateSystem(Section):
    """Limits on modifiers, router and the whole; a system that does not keep them is not released. null: no limit."""

    min_modifier_gain: float | None = setting("What a modifier must win over the base in its domain", unit="points")
    min_right_decisions: Share | None = setting("Least share of right decisions of the router")
    max_calibration_error: Share | None = setting("Largest expected calibration error of the router")
    max_oracle_gap: float | None = setting("How far the system may stay below a perfect router", unit="points", ge=0)
    max_forgetting: float | None = setting(
        "What domains may fall from the served model to the system, on average over all", unit="points", ge=0
    )
    min_system_gain: float | None = setting("What the system must win over the adapter alone", unit="points")
    min_routing_gain: float | None = setting(
        "What the system must win over the best that needs no router: one and the same route for every question",
        unit="points",
    )
    max_p_value: float | None = setting(
        "Largest p value of McNemar's exact test for the gains of the modifiers, the router and the system, corrected"
        " for being several (Holm)",
        gt=0,
        le=1,
    )
    max_compressed_loss: float | None = setting("What the served type may lose against the merged model", unit="points")
    max_compressed_share: float | None = setting(
        "Largest share of the F16 file's bytes that the packed served type has", gt=0
    )
