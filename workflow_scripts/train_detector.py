"""Train the escalation detector: does a message say that the last answer was no good?"""

from pathlib import Path

from lib import classifier
from lib.dissatisfaction import messages
from lib.features import Features
from lib.records import write_json


def train_detector(detector: Path, report: Path, *, examples: int, features: int, seed: int) -> None:
    """Write the detector and its accuracy and false-alarm rate on phrasings that it was not trained on."""
    import numpy as np

    train = messages(seed, examples, held_out=False)
    held_out = messages(seed + 1, examples, held_out=True)
    learned = Features.learn([text for text, _ in train], [str(label) for _, label in train], features)
    x, y = learned.matrix([text for text, _ in train]), np.array([label for _, label in train])
    decision = classifier.train_decision(x, y, seed)
    truth = np.array([label for _, label in held_out])
    said = decision.probability(learned.matrix([text for text, _ in held_out])) >= 0.5
    classifier.save(detector, learned, {"escalate": decision}, threshold=0.5)
    write_json(
        report,
        {
            "parameters": decision.parameters,
            "bytes": sum(file.stat().st_size for file in detector.iterdir()),
            "held_out_messages": len(truth),
            "held_out_accuracy": round(float((said == truth).mean()), 4),
            "held_out_false_alarms": round(float(said[truth == 0].mean()), 4),
        },
    )
