"""Write conversions.jsonl, the made-up data of this example: `python write_records.py`, in this folder."""

import json
from pathlib import Path

UNITS = {
    ("kilometres", "metres"): 1000,
    ("metres", "centimetres"): 100,
    ("centimetres", "millimetres"): 10,
    ("kilograms", "grams"): 1000,
    ("tonnes", "kilograms"): 1000,
    ("litres", "millilitres"): 1000,
    ("hectolitres", "litres"): 100,
    ("euros", "cents"): 100,
}
QUESTIONS = ("How many {small} are {number} {large}?", "Convert {number} {large} to {small}.")
NUMBERS = range(2, 52)


def main() -> None:
    """Write a record per pair of units and number, in the shape of instruction and response."""
    with open(Path(__file__).parent / "conversions.jsonl", "w", encoding="utf-8") as file:
        for (large, small), factor in UNITS.items():
            for number in NUMBERS:
                question = QUESTIONS[number % 2].format(small=small, large=large, number=number)
                record = {"instruction": question, "response": f"{number * factor} {small}"}
                file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
