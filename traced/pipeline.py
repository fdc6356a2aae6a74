"""Write dvc.yaml and params.json of the graph that the Snakefile here makes of its configuration.

    python -m traced.pipeline [--check]

With --check, write nothing and say whether they are up to date. A build writes them too, and dvc.lock.
"""

import os
import sys
from pathlib import Path

from traced.dvc_files import COMMAND, PIPELINE_FILE, write_if_new
from traced.graph import open_graph


def main() -> None:
    """Write or check dvc.yaml and params.json of the Snakefile here."""
    with open_graph() as (tracer, steps, _):
        texts = tracer.pipeline.texts(steps)
    old = [name for name, text in texts.items() if not Path(name).exists() or Path(name).read_bytes() != text]
    if old and "--check" in sys.argv[1:]:
        raise SystemExit(f"{' and '.join(old)}: out of date; `{COMMAND}` mends it")
    graph_changed = PIPELINE_FILE in old and Path(PIPELINE_FILE).exists()
    for name, text in texts.items():
        write_if_new(Path(name), text)
    if graph_changed and "DVC_STAGE" in os.environ:
        raise SystemExit("the graph itself has changed, and dvc.yaml was written anew: start `dvc repro` again")


if __name__ == "__main__":
    main()
