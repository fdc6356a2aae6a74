"""Take what was trained for the type of the preset into the chain: its checkpoint, its GGUF file and its report."""

import shutil
from pathlib import Path


def take_distilled(checkpoint: Path, gguf: Path, losses: Path, distilled: Path, quantized: Path, report: Path) -> None:
    """Give all three the names that the steps after them read."""
    shutil.copytree(checkpoint, distilled)
    shutil.copyfile(gguf, quantized)
    shutil.copyfile(losses, report)
