"""Train the escalation detector. It tells whether a message complains about the last answer."""

from pathlib import Path

from ingot.io.records import write_json
from ingot.routing import classifier
from ingot.routing.classifier import Reader
from ingot.routing.features import Features
from ingot.settings.router import Detector
from ingot.world.dissatisfaction import messages

THRESHOLD = 0.5


def train_detector(detector: Path, report: Path, *, settings: Detector, seed: int) -> None:
    """Write the detector, and a report of how well it does on messages that it was not trained on.

    It is tested on new sentences of families of phrasings that it knows, and on whole families that it does not know.
    """
    import numpy as np

    train = messages(seed, settings.examples, "train")
    learned = Features.learn([text for text, _ in train], [str(label) for _, label in train], settings.features)
    reader, y = Reader(learned), np.array([label for _, label in train])
    decision = classifier.train_decision(learned.matrix([text for text, _ in train]), y, seed)
    classifier.save(detector, learned, {"escalate": decision}, threshold=THRESHOLD)
    held_out = {}
    for side in ("sentences", "families"):
        tested = messages(seed + 1, settings.examples, side)
        truth = np.array([label for _, label in tested])
        detected = decision.probability(reader.read([text for text, _ in tested])) >= THRESHOLD
        held_out[side] = {
            "messages": len(truth),
            "accuracy": round(float((detected == truth).mean()), 4),
            "false_alarms": round(float(detected[truth == 0].mean()), 4),
            "missed": round(float((~detected)[truth == 1].mean()), 4),
        }
    write_json(
        report,
        {
            "parameters": decision.parameters,
            "bytes": sum(file.stat().st_size for file in detector.iterdir()),
            "held_out": held_out,
        },
    )
