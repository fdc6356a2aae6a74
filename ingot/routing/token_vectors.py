"""Read a prompt as the mean of one vector per token, which is cheap enough for every request.

The vectors come from a folder of model2vec (Tulkens and van Dongen 2024, github.com/MinishLab/model2vec), or from the
input embeddings of any Hugging Face checkpoint.
"""

from pathlib import Path
from typing import Any

from ingot.errors import InputError

# Names of the table of vectors: in model2vec, in sentence-transformers' StaticEmbedding, and in checkpoints.
TABLES = ("embeddings", "embedding.weight", "model.embed_tokens.weight")
TOKENIZER = "tokenizer.json"


def read_table(folder: Path) -> Any:
    """Read vectors [vocabulary, width] from the safetensors files of a folder, as float32.

    Raises InputError if there are none.
    """
    import torch  # numpy knows no bfloat16
    from safetensors import safe_open

    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as tensors:
            for name in sorted(set(TABLES) & set(tensors.keys())):
                table = tensors.get_tensor(name).to(torch.float32)
                # In model2vec, tokens may share a row, and each token may have a weight.
                if "mapping" in tensors.keys():  # noqa: SIM118  (safetensors' own object needs .keys())
                    table = table[tensors.get_tensor("mapping").long()]
                if "weights" in tensors.keys():  # noqa: SIM118
                    table = table * tensors.get_tensor("weights").to(torch.float32)[:, None]
                return table.numpy()
    raise InputError(
        f"{folder}: no safetensors file with one of {', '.join(TABLES)}; name another `embedding`, or null"
    )


def read_tokenizer(folder: Path) -> Any:
    """Read a `tokenizers.Tokenizer` from a folder. It neither cuts prompts nor fills them up.

    Raises InputError if there is none.
    """
    from tokenizers import Tokenizer

    if not (folder / TOKENIZER).exists():
        raise InputError(f"{folder}: there is no {TOKENIZER}; name another `embedding`, or null")
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    tokenizer.no_padding()  # so that a mean is over the prompt's own tokens, and over all of them
    tokenizer.no_truncation()
    return tokenizer


class TokenVectors:
    """A tokenizer, and a vector [width] for each of its tokens."""

    def __init__(self, folder: Path) -> None:
        """Read them from a folder. InputError if one of them is missing, or if vectors are."""
        self.tokenizer, self.table = read_tokenizer(folder), read_table(folder)
        if len(self.table) < self.tokenizer.get_vocab_size():
            raise InputError(f"{folder}: {len(self.table)} vectors for {self.tokenizer.get_vocab_size()} tokens")

    def means(self, ids: list[list[int]]) -> Any:
        """Compute the mean vectors [n, width] of the tokens of n prompts; zeros for a prompt without any."""
        import numpy as np

        return np.array([self.table[one].mean(axis=0) if one else 0 * self.table[0] for one in ids])
