"""What ways to prune buy: each beside the dense model at equal bytes, from a search that has `frontier.prunings`.

    python bench/bench_pruning.py BUILD [--write]

BUILD is the folder of a clone in which `make frontier` ran. One of its prunings must be called `further`: that makes
next to nothing zero, so it is the dense model, trained as long as the others. `--write` puts table and plot into docs/.
"""

import argparse
import itertools
import json
import math
import os
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tabulate import tabulate

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ingot.pages.figures import CHECKPOINT, CONFIDENCE, GGUF, GUIDE, INK, RECORDS, SYSTEM, picture  # noqa: E402
from ingot.pages.plots import scale_bytes  # noqa: E402

PAGE, PICTURE = ROOT / "docs/bench-pruning.md", ROOT / "docs/pictures/bench-pruning.svg"
FURTHER = "further"
COLOURS = (GGUF, SYSTEM, CONFIDENCE, CHECKPOINT, RECORDS, INK)
HEAD = """# What pruning buys at equal bytes

Written by `python bench/bench_pruning.py BUILD --write` on {date}, after `make frontier` in BUILD on {cores} cores,
with this in `config.yaml`:

```yaml
{settings}
```

Every way to prune starts from the same model, {before}, which answers {share:.1%} of {of:,} validation prompts right
in 16 bits. `recover` trains each for as many steps. `further` is the rival: next to nothing becomes zero there, so it
is the dense model, trained as long as the others. The columns "dense" say what `further` would answer in as many bytes,
and how much better or worse the row is. That lies on the straight line between its two types around them, over the
logarithm of the bytes. They are empty where it has none around them.

![What each way to prune takes packed, and how much it answers](pictures/bench-pruning.svg)
"""
Row = dict[str, Any]


def source_of(row: Row) -> str:
    """Return the way in which a candidate was made."""
    return str(row["recipe"].rpartition("-")[0])


def at_equal(rows: Sequence[Row], key: str, size: int) -> float | None:
    """Return the share of right answers that dense rows would have in as many bytes; None outside of their sizes."""
    line = sorted((row[key], row["right"] / row["of"]) for row in rows)
    for (small, low), (large, high) in itertools.pairwise(line):
        if small <= size <= large:
            return float(low + (high - low) * math.log(size / small) / math.log(large / small))
    return None


def table_of(rows: Sequence[Row]) -> str:
    """Write the table of all candidates, way by way. Of one that was not asked it says why."""
    dense = [row for row in rows if source_of(row) == FURTHER and row["of"]]
    lines = []
    for row in rows:
        cells = [source_of(row), row["recipe"].rpartition("-")[2], f"{row['file_bytes']:,}", f"{row['memory_bytes']:,}"]
        if not row["of"]:
            lines.append([*cells, row["not_asked"], "", ""])
            continue
        share = row["right"] / row["of"]
        cells.append(f"{share:.1%} ({row['interval'][0]:.1%} to {row['interval'][1]:.1%})")
        for key in ("file_bytes", "memory_bytes"):
            rival = None if source_of(row) == FURTHER else at_equal(dense, key, row[key])
            cells.append("" if rival is None else f"{rival:.1%} ({100 * (share - rival):+.1f})")
        lines.append(cells)
    heads = [
        "way",
        "type",
        "packed, bytes",
        "in memory, bytes",
        "right",
        "dense, packed",
        "dense, in memory",
    ]
    align = ("left", "left", *["right"] * 5)
    return str(tabulate(lines, heads, tablefmt="github", colalign=align, disable_numparse=True))


def draw(rows: Sequence[Row]) -> Any:
    """Draw packed bytes against right answers, a line for each way."""

    def on(axes: Any) -> None:
        for source, colour in zip(dict.fromkeys(map(source_of, rows)), COLOURS, strict=False):
            mine = sorted((row for row in rows if source_of(row) == source), key=lambda row: row["file_bytes"])
            places = [row["file_bytes"] for row in mine]
            heights = [100 * row["right"] / row["of"] for row in mine]
            reach = [[h - 100 * r["interval"][0] for h, r in zip(heights, mine, strict=True)],
                     [100 * r["interval"][1] - h for h, r in zip(heights, mine, strict=True)]]  # fmt: skip
            style = "--" if source == FURTHER else "-"
            axes.errorbar(places, heights, reach, color=colour, alpha=0.25, linewidth=1, fmt="none")
            axes.plot(places, heights, f"o{style}", color=colour, label=source, markersize=4, linewidth=1)
        scale_bytes(axes, [row["file_bytes"] for row in rows])
        axes.set_xlabel("packed, log scale (further left is better)")
        axes.set_ylabel("right answers, % (higher is better)")
        axes.grid(color=GUIDE, alpha=0.2)
        axes.legend(fontsize=7, frameon=False, loc="lower right")

    return on


def main() -> None:
    """Print the table, or put page and picture into docs/."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    found = json.loads((options.build / "results/frontier/frontier.json").read_text(encoding="utf-8"))
    rows = sorted(found["candidates"], key=lambda row: (source_of(row), row["file_bytes"]))
    if FURTHER not in map(source_of, rows):
        raise SystemExit(f"{options.build}: the search has no pruning called `{FURTHER}` to compare others with")
    table = table_of(rows)
    print(table)
    if options.write:
        settings = re.sub("^#.*\n", "", (options.build / "config.yaml").read_text(encoding="utf-8"), flags=re.MULTILINE)
        before = found["before"]
        facts = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "cores": os.cpu_count(), "settings": settings.strip()}
        head = HEAD.format(**facts, before=before["model"], share=before["share"], of=before["of"])
        PAGE.write_text(f"{head}\n{table}\n", encoding="utf-8")
        PICTURE.write_text(
            picture(draw([row for row in rows if row["of"]]), "What pruning buys at equal bytes"), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
