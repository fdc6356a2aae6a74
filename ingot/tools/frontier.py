"""Print what the search for a smaller base found: `python -m ingot.tools.frontier`, after a build of its files.

With the word `check`, and a preset if it is not that of config.yaml, it says before if there is nothing to search.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tabulate import tabulate

from ingot.errors import InputError
from ingot.settings.load import read_mapping
from ingot.workflow.build import open_build

FOLDER = Path("results/frontier")


def line_of(row: dict[str, Any]) -> list[Any]:
    """Make the line of a candidate."""
    facts = [f"{row['file_bytes']:,}", f"{row['memory_bytes']:,}", f"{row['token_loss']['mean']:z.1f}"]
    if not row["of"]:
        return [row["recipe"], *facts, "", "", row["not_asked"]]
    against = row["against"]
    gain = f"{against['gain']:+.1f} ({against['gain_low']:+.1f} to {against['gain_high']:+.1f})"
    return [
        row["recipe"],
        *facts,
        f"{100 * row['right'] / row['of']:.1f} %",
        gain,
        "chosen" if row["chosen"] else "",
    ]


def advice(chosen: str, before: str, prunings: dict[str, Any]) -> str:
    """Say what to write into the configuration to release what was chosen."""
    source, _, quant = chosen.rpartition("-")
    further = ["prune", "recover"] if source in prunings else ["distil"] if source == "distil" else []
    start = before if further else source
    if start == "base":
        last = f"set `chain: [{', '.join(further)}]`"
    elif further:
        last = f"let `chain` end with the step that makes {start}, then {' and '.join(f'`{step}`' for step in further)}"
    else:
        last = f"let `chain` end with the step that makes {start}"
    settings, gates = [f"gguf: {{types: {'[F16]' if quant == 'F16' else f'[F16, {quant}]'}, serve: {quant}}}"], ["gguf"]
    if source == "distil":
        settings.append(f"distil: {{type: {quant}}}")
    if source in prunings:
        pruning = dict(prunings[source])
        gradual = {"gradual": pruning.pop("gradual")}
        settings += [f"prune: {json.dumps(pruning)}", f"recover: {json.dumps(gradual)}"]
    gates = [*further, *gates]
    return (
        f"To release it: {last}, and set {', '.join(f'`{one}`' for one in settings)}. What the budget allows,"
        f" {' and '.join(f'gates.{gate}' for gate in gates)} may have to allow, too."
    )


def check(preset: str) -> None:
    """Say what is missing if the configuration here has nothing to search among. InputError."""
    given = read_mapping(Path("config.yaml")) | ({"preset": preset} if preset else {})
    build = open_build(given, Path())
    if not build.candidates:
        needed = {"sources": build.has_data, "gguf": build.types, "frontier": build.settings.frontier}
        lacking = [f"`{name}`" for name, there in needed.items() if not there]
        why = f"{' and '.join(lacking)} must be set" if lacking else "its types need `importance`"
        raise InputError(f"there is nothing to search among: {why}")


def main() -> None:
    """Print all candidates, the choice, and how it held on the benchmark. The exit status is 1 if there is none."""
    if len(sys.argv) > 1:
        try:
            check(sys.argv[2] if len(sys.argv) > 2 else "")
        except InputError as error:
            raise SystemExit(f"ingot: frontier: {error}") from None
        return
    found = json.loads((FOLDER / "frontier.json").read_text(encoding="utf-8"))
    confirmed = json.loads((FOLDER / "confirmed.json").read_text(encoding="utf-8"))
    before = found["before"]
    heads = [
        "candidate",
        "packed, bytes",
        "in memory, bytes",
        "tokens lost",
        "right",
        f"against {before['model']}",
        "",
    ]
    print(tabulate(map(line_of, found["candidates"]), heads, disable_numparse=True, colalign=("left", *["right"] * 5)))
    print(
        f"\n{before['model']} in 16 bits: {before['memory_bytes']:,} bytes,"
        f" {before['right']} of {before['of']} validation prompts right."
        f" {found['looks']} candidates were asked; their intervals hold together in 95 % of cases."
    )
    if not found["chosen"]:
        print(f"Nothing was chosen: {found['problem']}.")
    else:
        against = confirmed["against"]
        print(
            f"{found['chosen']} was chosen. On the benchmark it gains {against['gain']:+.1f} points"
            f" ({against['gain_low']:+.1f} to {against['gain_high']:+.1f}) against {before['model']}"
            + ("." if confirmed["kept"] else ", which is more than the loss that the budget allows.")
        )
        print(advice(found["chosen"], before["model"], found["prunings"]))
    print(f"The plot is {FOLDER / 'frontier.svg'}.")
    wanted = any(value is not None for value in (found["budget"] or {}).values())
    if wanted and not confirmed["kept"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
