"""Run a converter of llama.cpp that also accepts tokenizers trained here: `SCRIPT MODEL [ARGUMENTS]`.

The converter recognises a tokenizer by a hash of what it makes of a text. That hash depends on the merges, so it is
unknown for a tokenizer that was trained here. But such a tokenizer splits texts with Qwen2's pattern. If tokenizer.json
has exactly this pattern, the converter treats the tokenizer as Qwen2's. Of a tokenizer whose vocabulary was cut,
tokenizer_config.json says how it was recognised before. It recognises any other one by itself, or not.
"""

import runpy
import sys
from pathlib import Path
from typing import Any

from ingot.converting.llama_cpp_tools import SOURCES, SPLITTING, own_pattern
from ingot.inference.light_imports import import_light
from ingot.io.records import read_json
from ingot.text.chat import SPLIT_PATTERN


def teach(model: Path) -> None:
    """Tell the converter how the tokenizer in the folder `model` splits texts, if it cannot know."""
    config = model / "tokenizer_config.json"
    splitting = read_json(config).get(SPLITTING) if config.exists() else None
    if own_pattern(model) == SPLIT_PATTERN:
        splitting = "qwen2"
    if not splitting:
        return
    from conversion import base
    from conversion.llama import LlamaModel

    def set_vocab(self: Any) -> None:
        self._set_vocab_gpt2()
        self.gguf_writer.add_vocab_size(self.hparams["vocab_size"])

    base.TextModel.get_vocab_base_pre = lambda self, tokenizer: splitting
    LlamaModel.set_vocab = set_vocab


def main() -> None:
    """Teach the converter and run it, in this process."""
    import_light()
    script, model = sys.argv[1], Path(sys.argv[2])
    sys.path[:0] = [str(SOURCES), str(SOURCES / "gguf-py")]
    if script == "convert_hf_to_gguf.py":
        teach(model)
    sys.argv = [script, *sys.argv[2:]]
    runpy.run_path(str(SOURCES / script), run_name="__main__")


if __name__ == "__main__":
    main()
