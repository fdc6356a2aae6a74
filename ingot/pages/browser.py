"""Choose what the browser of records shows of each record."""

from ingot.curation.accounting import MIXED_BY
from ingot.io.records import Record


def brief(record: Record) -> Record:
    """Choose what the browser shows of a kept record."""
    metadata = record["metadata"]
    labels = [str(metadata[name]) for name in MIXED_BY]
    if metadata["quality_score"] is not None:
        labels.append(f"score {metadata['quality_score']:g}")
    return {
        "id": record["id"],
        "group": "kept",
        "about": " · ".join([*labels, f"{metadata['tokens']} tokens"]),
        "instruction": record["instruction"],
        "response": record["response"],
    }


def brief_rejection(rejected: Record) -> Record:
    """Choose what the browser shows of a rejected record, or of a row that is not a record."""
    record = rejected["record"]
    place = f"{record['file']}:{record['row']}" if "file" in record else record["metadata"]["source"]
    return {
        "id": rejected["id"] or "",
        "group": rejected["filter"],
        "about": " · ".join(filter(None, [rejected["reason"], rejected["evidence"], place])),
        "instruction": record.get("instruction", ""),
        "response": record.get("response", ""),
    }
