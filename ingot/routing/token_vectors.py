"""Embed a prompt as the mean of one vector per token, which is cheap enough for every request.

The vectors come from a folder of model2vec (Tulkens and van Dongen 2024, github.com/MinishLab/model2vec), or from the
input embeddings of any Hugging Face checkpoint.
"""

from pathlib import Path
from typing import Any

from ingot.errors import InputError

# Names of the table of vectors: in model2vec, in sentence-transformers' StaticEmbedding, and in checkpoints.
TABLES = ("embeddings", "embedding.weight", "model.embed_tokens.weight")
TOKENIZER, TABLE = "tokenizer.json", "token_vectors.safetensors"


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


class TokenVectors:
    """Turns a prompt into a vector [width] of length 1, or of zeros if the prompt has no token."""

    def __init__(self, tokenizer: Any, table: Any) -> None:
        """Take a `tokenizers.Tokenizer` and a vector [width] for each of its tokens."""
        self.tokenizer, self.table = tokenizer, table

    @property
    def width(self) -> int:
        """The number of numbers per vector."""
        return int(self.table.shape[1])

    @classmethod
    def reduced(cls, folder: Path, prompts: list[str], width: int) -> "TokenVectors":
        """Read vectors from a folder, and keep the `width` directions in which the means of `prompts` differ most.

        The directions are the principal components. The table is projected once, here, so a request computes with
        `width` numbers per token only.

        Raises InputError if the folder has no tokenizer, if vectors are missing, or if they have fewer numbers.
        """
        import numpy as np
        from tokenizers import Tokenizer

        if not (folder / TOKENIZER).exists():
            raise InputError(f"{folder}: there is no {TOKENIZER}; name another `embedding`, or null")
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        tokenizer.no_padding()  # so that a mean is over the prompt's own tokens, and over all of them
        tokenizer.no_truncation()
        unreduced = cls(tokenizer, read_table(folder))
        if len(unreduced.table) < tokenizer.get_vocab_size():
            raise InputError(f"{folder}: {len(unreduced.table)} vectors for {tokenizer.get_vocab_size()} tokens")
        if unreduced.width < width:
            raise InputError(f"{folder}: its vectors have {unreduced.width} numbers, `dimensions` asks for {width}")
        means = np.array([unreduced.mean(prompt) for prompt in prompts])
        center = means.mean(axis=0)
        _, _, components = np.linalg.svd(means - center, full_matrices=False)
        reduced = np.zeros((len(unreduced.table), width), dtype=np.float32)
        rank = min(width, len(components))
        reduced[:, :rank] = unreduced.table @ components[:rank].T - center @ components[:rank].T
        return cls(unreduced.tokenizer, reduced)

    def mean(self, prompt: str) -> Any:
        """Compute the mean vector [width] of a prompt's tokens."""
        ids = self.tokenizer.encode(prompt, add_special_tokens=False).ids
        return self.table[ids].mean(axis=0) if ids else self.table[:0].sum(axis=0)

    def __call__(self, prompt: str) -> list[float]:
        """Compute the mean vector [width] of a prompt's tokens, scaled to length 1."""
        import numpy as np

        mean = self.mean(prompt)
        return list((mean / (float(np.linalg.norm(mean)) or 1.0)).tolist())

    def save(self, folder: Path) -> None:
        """Write the tokenizer and the vectors to a folder."""
        from safetensors.numpy import save_file

        self.tokenizer.save(str(folder / TOKENIZER), pretty=False)
        save_file({"table": self.table}, folder / TABLE)

    @classmethod
    def load(cls, folder: Path) -> "TokenVectors | None":
        """Read what `save` wrote to a folder. None if it wrote nothing there."""
        if not (folder / TABLE).exists():
            return None
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        return cls(Tokenizer.from_file(str(folder / TOKENIZER)), load_file(folder / TABLE)["table"])
