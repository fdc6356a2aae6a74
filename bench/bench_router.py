"""How well the router's features and layers tell, on real labels, which prompts a small model fails.

    python bench/bench_router.py FILE ... [--embedding FOLDER]

Each FILE (CSV or JSON Lines, packed or not) has a `prompt`, two columns that say whether a small and a large model
answered it right, the small one first, and perhaps a `subject`. Prompts of one subject are never on both sides of a
split. FOLDER has token vectors, such as those of the base that the router is for. Writes docs/bench-router.md.
"""

import argparse
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from ingot.io.formats import WHOLE, rows  # noqa: E402
from ingot.routing.token_vectors import TokenVectors  # noqa: E402
from ingot.settings.data import Read  # noqa: E402
from ingot.text.forms import unit_hash  # noqa: E402
from workflow_scripts.router.train_router import committees  # noqa: E402

FOLDS, QUALITY, SHARES, SEED = 5, 0.95, (0.2, 0.5), 0
Fitted = Callable[[list[str]], Any]


def read_labels(path: Path) -> tuple[list[str], Any, Any, list[str]]:
    """Return prompts, whether the small and the large model are right [n], and the subject of each prompt."""
    found = [row.value for row in rows(path, None, Read(row_bytes=1 << 22, unpacking=100), WHOLE)]
    models = [name for name, value in found[0].items() if str(value) in ("True", "False")][:2]
    small, large = (np.array([str(one[name]) == "True" for one in found]) for name in models)
    prompts = [one["prompt"] for one in found]
    # Without subjects, a prompt is one by itself.
    return prompts, small, large, [one.get("subject") or prompt for one, prompt in zip(found, prompts, strict=True)]


def ours(prompts: list[str], fails: Any, vectors: TokenVectors | None) -> Fitted:
    """Fit the router's committee, as train_router does; uncalibrated, since only the order counts here."""
    rows = [
        {"instruction": prompt, "domain": "", "right": {"base": not failed, "large": True}}
        for prompt, failed in zip(prompts, fails, strict=True)
    ]
    trained = committees(rows, ["large"], 128, vectors, SEED)
    return lambda asked: trained.decisions["large"].logits(trained.reader.read(asked))


def logistic(prompts: list[str], fails: Any) -> Fitted:
    """Fit a plain logistic regression on TF-IDF of words and pairs of them, as scikit-learn has them."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    fitted = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), min_df=3), LogisticRegression(max_iter=1000))
    fitted.fit(prompts, fails)
    return lambda asked: fitted.predict_proba(asked)[:, 1]


def at_random(prompts: list[str], fails: Any) -> Fitted:
    """Choose at random."""
    return lambda asked: np.array([unit_hash(f"random {prompt}") for prompt in asked])


OURS, RIVAL = "ingot", "logistic regression"


def tools(vectors: TokenVectors | None) -> dict[str, Callable[[list[str], Any], Fitted]]:
    """List what is compared."""
    return {
        OURS: lambda prompts, fails: ours(prompts, fails, vectors),
        RIVAL: logistic,
        "random": at_random,
    }


def scores_of(tool: Callable[[list[str], Any], Fitted], prompts: list[str], fails: Any, fold: Any) -> Any:
    """Return for every prompt the chance of failure, by a model that was fitted on other subjects."""
    scores = np.zeros(len(prompts))
    for i in range(FOLDS):
        train, test = np.flatnonzero(fold != i), np.flatnonzero(fold == i)
        fitted = tool([prompts[k] for k in train], fails[train])
        scores[test] = fitted([prompts[k] for k in test])
    return scores


def routed(scores: Any, small: Any, large: Any) -> Any:
    """Return the accuracy when the k prompts with the highest scores go to the large model, for k from 0 to all."""
    order = np.argsort(-scores, kind="stable")
    gains = (large[order].astype(int) - small[order].astype(int)).cumsum()
    return np.concatenate([[small.sum()], small.sum() + gains]) / len(small)


def figures(scores: Any, small: Any, large: Any) -> dict[str, float]:
    """Return AUC, accuracy at shares of large calls, and the share of calls saved at QUALITY of the large model."""
    from sklearn.metrics import roc_auc_score

    accuracy = routed(scores, small, large)
    enough = np.flatnonzero(accuracy >= QUALITY * large.mean())[0]
    found = {"auc": float(roc_auc_score(~small, scores)), "saved": float(1 - enough / len(small))}
    return found | {f"at_{share}": float(accuracy[round(share * len(small))]) for share in SHARES}


def interval(scores: Any, small: Any, large: Any) -> dict[str, tuple[float, float]]:
    """Return 95 % intervals of the figures, by bootstrap over prompts."""
    random = np.random.default_rng(SEED)
    drawn = []
    for _ in range(500):
        chosen = random.integers(0, len(small), len(small))
        drawn.append(figures(scores[chosen], small[chosen], large[chosen]))
    return {name: tuple(np.percentile([one[name] for one in drawn], [2.5, 97.5])) for name in drawn[0]}


def ahead(scores: dict[str, Any], small: Any, chosen: Any) -> tuple[float, float, float]:
    """Return how far our AUC is ahead of the rival's on the chosen prompts: (2.5 %, difference, 97.5 %), paired."""
    from sklearn.metrics import roc_auc_score

    fails, a, b = ~small[chosen], scores[OURS][chosen], scores[RIVAL][chosen]
    random = np.random.default_rng(SEED)
    drawn = []
    for _ in range(500):
        some = random.integers(0, len(fails), len(fails))
        drawn.append(roc_auc_score(fails[some], a[some]) - roc_auc_score(fails[some], b[some]))
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(roc_auc_score(fails, a) - roc_auc_score(fails, b)), float(high)


def cost_of_routing(prompts: list[str], fails: Any, vectors: TokenVectors | None) -> float:
    """Return the milliseconds that one prompt takes, features included."""
    fitted = ours(prompts[:1000], fails[:1000], vectors)
    fitted(prompts[:10])
    begin = time.perf_counter()
    for prompt in prompts[:500]:
        fitted([prompt])
    return 1000 * (time.perf_counter() - begin) / 500


def table_of(path: Path, vectors: TokenVectors | None) -> list[str]:
    """Return the lines of the page on one file."""
    prompts, small, large, subjects = read_labels(path)
    names = sorted(set(subjects), key=lambda name: unit_hash(f"fold {name}"))
    place = {name: i % FOLDS for i, name in enumerate(names)}
    fold = np.array([place[name] for name in subjects])
    milliseconds = cost_of_routing(prompts, (~small).astype(int), vectors)
    lines = [
        f"## {path.name.split('.')[0]}",
        "",
        f"{len(prompts):,} prompts, {len(names):,} subjects; the small model is right on {small.mean():.1%}, the large"
        f" one on {large.mean():.1%}; routing takes {milliseconds:.2f} ms a prompt.",
        "",
        "| | AUC | " + " | ".join(f"right, {share:.0%} of the calls large" for share in SHARES)
        + f" | calls saved at {QUALITY:.0%} of the large model |",
        "|---|---|" + "---|" * len(SHARES) + "---|",
    ]  # fmt: skip
    scores = {}
    for name, tool in tools(vectors).items():
        scores[name] = scores_of(tool, prompts, (~small).astype(int), fold)
        point, reach = figures(scores[name], small, large), interval(scores[name], small, large)
        cells = [f"{point['auc']:.3f} ({reach['auc'][0]:.3f} to {reach['auc'][1]:.3f})"]
        for key in (*(f"at_{share}" for share in SHARES), "saved"):
            cells.append(f"{point[key]:.1%} ({reach[key][0]:.1%} to {reach[key][1]:.1%})")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    # What the router looks at was chosen on half of the subjects.
    unseen = np.array([unit_hash(f"half {name}") >= 0.5 for name in subjects])
    for which, chosen in (("all", np.ones(len(small), dtype=bool)), ("that nothing was chosen on", unseen)):
        low, difference, high = ahead(scores, small, chosen)
        lines += ["", f"Ahead of {RIVAL} in AUC, subjects {which}: {difference:.3f} ({low:.3f} to {high:.3f})."]
        print(lines[-1], flush=True)
    return [*lines, ""]


def main() -> None:
    """Measure every file and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--embedding", type=Path)
    options = parser.parse_args()
    vectors = TokenVectors(options.embedding) if options.embedding else None
    text = [
        "# What the router learns from real labels",
        "",
        f"Written by `make bench-router LABELS=...` on {datetime.now(UTC):%Y-%m-%d}. Who answers which prompt right is"
        " known for a small and a large model; predicted is that the small one fails. Five folds, no subject on both"
        " sides of one; intervals are 95 %, by bootstrap over prompts.",
        "",
    ]
    for path in options.files:
        text += table_of(path, vectors)
    (ROOT / "docs/bench-router.md").write_text("\n".join(text))


if __name__ == "__main__":
    main()
