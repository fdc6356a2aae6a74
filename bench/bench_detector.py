"""How often the escalation detector is right: on phrasings that it never saw, and on messages of real people.

    python bench/bench_detector.py FOLDER

FOLDER has dialogues (`dialogues_*.json`) of the Schema-Guided Dialogue dataset (Rastogi et al. 2020, arXiv:1909.05855;
CC BY-SA 4.0): what people said to an assistant, turn by turn, with what they meant by it. It comes with no package.
Messages that refuse something or ask for something else are left out. Nobody complains in the others, so each alarm is
a false one. The first message of a dialogue answers nothing, and is left out, too. Writes docs/bench-detector.md.
"""

import argparse
import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from ingot.measuring.significance import proportion  # noqa: E402
from ingot.routing import classifier  # noqa: E402
from ingot.settings.router import Detector  # noqa: E402
from ingot.world.dissatisfaction import messages  # noqa: E402
from workflow_scripts.router.train_detector import THRESHOLD, train_detector  # noqa: E402

AGAINST = {"NEGATE", "REQUEST_ALTS"}
TOGETHER = 2000


def ordinary_messages(folder: Path) -> list[str]:
    """List what people say after the first answer when they mean nothing against it."""
    found = []
    for path in sorted(folder.glob("dialogues_*.json")):
        for dialogue in json.loads(path.read_text(encoding="utf-8")):
            turns = [turn for turn in dialogue["turns"] if turn["speaker"] == "USER"][1:]
            for turn in turns:
                acts = {action["act"] for frame in turn["frames"] for action in frame["actions"]}
                if not acts & AGAINST:
                    found.append(turn["utterance"])
    return found


def share(part: int, whole: int) -> str:
    """Write a share with its interval."""
    found = proportion(part, whole)
    return f"{found['share']:.1%} ({found['low']:.1%} to {found['high']:.1%}, n = {whole:,})"


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    settings = Detector(**yaml.safe_load((ROOT / "presets/defaults.yaml").read_text())["detector"])
    with tempfile.TemporaryDirectory() as name:
        trained = Path(name) / "detector"
        train_detector(trained, Path(name) / "report.json", settings=settings, seed=0)
        held_out: dict[str, Any] = json.loads((Path(name) / "report.json").read_text())["held_out"]
        size = sum(file.stat().st_size for file in trained.iterdir())
        reader, decisions, _ = classifier.load(trained)
    detector, texts = decisions["escalate"], ordinary_messages(folder)
    if not texts:
        raise SystemExit(f"{folder}: there are no dialogues_*.json in it")
    alarms = sum(
        int((detector.probability(reader.read(texts[i : i + TOGETHER])) >= THRESHOLD).sum())
        for i in range(0, len(texts), TOGETHER)
    )
    short = [text for text, _ in messages(1, 500, "families")]
    begin = time.perf_counter()
    for text in short:
        detector.probability(reader.read([text]))
    milliseconds = 1000 * (time.perf_counter() - begin) / len(short)
    rows = []
    for side, what in (("sentences", "new sentences of known families"), ("families", "families never seen")):
        one = held_out[side]
        half = one["messages"] // 2
        right, false = round(one["accuracy"] * one["messages"]), round(one["false_alarms"] * half)
        rows.append(f"| {what} | {share(right, one['messages'])} | {share(false, half)} |")
    rows.append(f"| real people, who complain about nothing | | {share(alarms, len(texts))} |")
    page = [
        "# How often the escalation detector is right",
        "",
        f"Written by `python bench/bench_detector.py FOLDER` on {datetime.now(UTC):%Y-%m-%d}. The detector is that of"
        f" presets/defaults.yaml: {size:,} bytes, {milliseconds:.2f} ms a message.",
        "",
        "| messages | right, 95 % interval | false alarms |",
        "|---|---|---|",
        *rows,
        "",
        "The first two rows are made (ingot/world/dissatisfaction.py); a family is a grammar of phrasings, and every"
        f" fourth is learned by nobody. The last row is what people wrote to an assistant, in {folder.name}/ of the"
        " Schema-Guided Dialogue dataset.",
        "",
    ]
    (ROOT / "docs/bench-detector.md").write_text("\n".join(page))
    print("\n".join(page))


if __name__ == "__main__":
    main()
