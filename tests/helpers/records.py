"""Records and labels as the steps write them."""

from ingot.io.records import write_records
from ingot.text.forms import record_id


def make_record(instruction, response, domain="code", difficulty="easy", **metadata):
    return {
        "id": record_id(instruction, response),
        "instruction": instruction,
        "response": response,
        "metadata": {
            "domain": domain,
            "difficulty": difficulty,
            "teacher": None,
            "quality_score": None,
            "tokens": None,
            "source": "test",
            "checker": "text",
            **metadata,
        },
    }


def write_answers(folder, rows):
    """Write rows with `right` per route as answers, a file for each route; return the files."""
    folder.mkdir(exist_ok=True)
    for route in rows[0]["right"]:
        answers = ({"answer": "", "id": "", **row, "right": row["right"][route]} for row in rows)
        write_records(folder / f"{route}.jsonl", answers)
    return [folder / f"{route}.jsonl" for route in rows[0]["right"]]
