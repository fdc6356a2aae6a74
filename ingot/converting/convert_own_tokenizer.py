"""Run a converter of llama.cpp, teaching it the tokenizers that this project trains: `SCRIPT MODEL [ARGUMENTS]`.

The converter knows pre-tokenizers by a hash of what they do to a text, which depends on the merges too, so that of a
tokenizer trained here is unknown to it. Ours splits with Qwen2's pattern: where tokenizer.json says exactly that, the
converter is told so; any other tokenizer is left to the converter's own list.
"""

import runpy
import sys
from pathlib import Path
from typing import Any

from ingot.converting.llama_cpp_tools import SOURCES, own_pattern
from ingot.text.chat import SPLIT_PATTERN


def teach(model: Path) -> None:
    """Make the converter take the tokenizer in `model` for Qwen2's where its split pattern is the same."""
    if own_pattern(model) != SPLIT_PATTERN:
        return
    from conversion import base
    from conversion.llama import LlamaModel

    def set_vocab(self: Any) -> None:
        self._set_vocab_gpt2()
        self.gguf_writer.add_vocab_size(self.hparams["vocab_size"])

    base.TextModel.get_vocab_base_pre = lambda self, tokenizer: "qwen2"
    LlamaModel.set_vocab = set_vocab


def main() -> None:
    """Teach the converter and run it in this process."""
    script, model = sys.argv[1], Path(sys.argv[2])
    sys.path[:0] = [str(SOURCES), str(SOURCES / "gguf-py")]
    if script == "convert_hf_to_gguf.py":
        teach(model)
    sys.argv = [script, *sys.argv[2:]]
    runpy.run_path(str(SOURCES / script), run_name="__main__")


if __name__ == "__main__":
    main()
