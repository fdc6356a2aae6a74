"""Static embedding: a prompt as the mean of one vector per token, cheap enough for every request.

As in model2vec (Tulkens and van Dongen 2024, github.com/MinishLab/model2vec), whose folders can be used, and so can any
Hugging Face checkpoint: its input embeddings.
"""

from pathlib import Path
from typing import Any

from ingot.errors import InputError

# What the table of vectors is called by model2vec, by sentence-transformers' StaticEmbedding, and in checkpoints.
TABLES = ("embeddings", "embedding.weight", "model.embed_tokens.weight")
TOKENIZER, TABLE = "tokenizer.json", "token_vectors.safetensors"


def read_table(folder: Path) -> Any:
    """Return the vectors [vocabulary, width] in a folder's safetensors files as float32; InputError without any."""
    import torch  # numpy knows no bfloat16
    from safetensors import safe_open

    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as tensors:
            for name in sorted(set(TABLES) & set(tensors.keys())):
                table = tensors.get_tensor(name).to(torch.float32)
                # model2vec: rows that tokens share, and a weight for each token
                if "mapping" in tensors.keys():  # noqa: SIM118 (no mapping, but safetensors' own)
                    table = table[tensors.get_tensor("mapping").long()]
                if "weights" in tensors.keys():  # noqa: SIM118
                    table = table * tensors.get_tensor("weights").to(torch.float32)[:, None]
                return table.numpy()
    raise InputError(
        f"{folder}: no safetensors file with one of {', '.join(TABLES)}; name another `embedding`, or null"
    )


class TokenVectors:
    """Turns a prompt into a vector of unit length [width], or of zeros where it has no token."""

    def __init__(self, tokenizer: Any, table: Any) -> None:
        """Take a `tokenizers.Tokenizer` and a vector [width] for each of its tokens."""
        self.tokenizer, self.table = tokenizer, table

    @property
    def width(self) -> int:
        """Numbers per vector."""
        return int(self.table.shape[1])

    @classmethod
    def reduced(cls, folder: Path, prompts: list[str], width: int) -> "TokenVectors":
        """Read vectors from a folder, and keep the `width` directions in which the means of `prompts` differ most.

        Directions are the principal components. They are laid into the table, so that a request pays for `width` only.
        """
        import numpy as np
        from tokenizers import Tokenizer

        if not (folder / TOKENIZER).exists():
            raise InputError(f"{folder}: there is no {TOKENIZER}; name another `embedding`, or null")
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        tokenizer.no_padding()  # a mean is of the prompt's own tokens, and of all of them
        tokenizer.no_truncation()
        whole = cls(tokenizer, read_table(folder))
        if len(whole.table) < tokenizer.get_vocab_size():
            raise InputError(f"{folder}: {len(whole.table)} vectors for {tokenizer.get_vocab_size()} tokens")
        if whole.width < width:
            raise InputError(f"{folder}: its vectors have {whole.width} numbers, `dimensions` asks for {width}")
        means = np.array([whole.mean(prompt) for prompt in prompts])
        center = means.mean(axis=0)
        _, _, components = np.linalg.svd(means - center, full_matrices=False)
        reduced = np.zeros((len(whole.table), width), dtype=np.float32)
        found = min(width, len(components))
        reduced[:, :found] = whole.table @ components[:found].T - center @ components[:found].T
        return cls(whole.tokenizer, reduced)

    def mean(self, prompt: str) -> Any:
        """Return the mean vector [width] of a prompt's tokens."""
        ids = self.tokenizer.encode(prompt, add_special_tokens=False).ids
        return self.table[ids].mean(axis=0) if ids else self.table[:0].sum(axis=0)

    def __call__(self, prompt: str) -> list[float]:
        """Return the mean vector [width] of a prompt's tokens, at unit length."""
        import numpy as np

        mean = self.mean(prompt)
        return list((mean / (float(np.linalg.norm(mean)) or 1.0)).tolist())

    def save(self, folder: Path) -> None:
        """Write tokenizer and vectors."""
        from safetensors.numpy import save_file

        self.tokenizer.save(str(folder / TOKENIZER), pretty=False)
        save_file({"table": self.table}, folder / TABLE)

    @classmethod
    def load(cls, folder: Path) -> "TokenVectors | None":
        """Read back what `save` wrote, or return None where it wrote nothing."""
        if not (folder / TABLE).exists():
            return None
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        return cls(Tokenizer.from_file(str(folder / TOKENIZER)), load_file(folder / TABLE)["table"])
