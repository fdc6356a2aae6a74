"""Ask the base, or a modifier over it, and note who answers right: the router learns from that and is judged by it."""

from pathlib import Path

from ingot.inference.gguf_model import open_engine
from ingot.io.records import read_records, write_records
from ingot.measuring.answers import item_of, judged


def label(
    gguf: Path,
    checkpoint: Path,
    lora: list[Path],
    questions: Path,
    labels: Path,
    *,
    context: int,
    longest: int,
    threads: int,
) -> None:
    """Write per question its domain, the answer, whether it is right, and how sure the model was of it.

    `lora` is [] for the base alone, or its modifier. Everybody is asked everything: a modifier may also spoil what the
    base answers right.
    """
    engine = open_engine(gguf, checkpoint, context, threads, {path.parent.name: path for path in lora})
    for path in lora:
        engine.use(path.parent.name)
    items = [item_of(record) for record in read_records(questions)]
    answers = engine.ask([item.instruction for item in items], longest)
    write_records(
        labels,
        (
            {
                "prompt": item.instruction,
                "domain": item.domain,
                "answer": answer.text,
                "right": row["right"],
                "confidence": answer.confidence,
            }
            for item, answer, row in zip(items, answers, judged(items, answers), strict=True)
        ),
    )
