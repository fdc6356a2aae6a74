"""A GGUF file as a checkpoint of transformers: weights dequantised, tokenizer and special tokens as the file says.

transformers reads the weights. It reads tokenizers of this kind wrongly (5.17 takes a byte-level BPE for one with byte
fallback, and another token for the end), so the tokenizer is made here, of what the file says.
"""

import math
from pathlib import Path
from typing import Any

from ingot.converting.received import checked_tokenizer, in_child, refused
from ingot.errors import InputError
from ingot.inference.gguf_model import check_gguf
from ingot.text.chat import SPLIT_PATTERN

# How texts are split before BPE, by the name that llama.cpp gives the way. `unicode_regex_split` in its
# llama-vocab.cpp has the patterns; those below are the same as tokenizers' own parts, or Qwen2's and Llama 3's.
QWEN2 = SPLIT_PATTERN
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
SPLITS = {
    "gpt-2": "words",
    "smollm": "digits and words",
    "starcoder": "digits and words",
    "refact": "digits and words",
    "command-r": "digits and words",
    "qwen2": QWEN2,
    "llama-bpe": LLAMA3,
    "llama3": LLAMA3,
    "smaug-bpe": LLAMA3,
}
READ_SECONDS = 300
ROPE_FACTORS = "rope_freqs.weight"
CONTROL, USER_DEFINED = 3, 4  # of llama.cpp's llama_token_type
IDS = {
    "bos_token": "tokenizer.ggml.bos_token_id",
    "eos_token": "tokenizer.ggml.eos_token_id",
    "unk_token": "tokenizer.ggml.unknown_token_id",
    "pad_token": "tokenizer.ggml.padding_token_id",
}


def read_fields(path: Path) -> dict[str, Any]:
    """Read everything that a GGUF file says besides its tensors. InputError if it says more than it can hold."""
    from gguf import GGUFReader

    def fields() -> dict[str, Any]:
        check_gguf(path)
        reader = GGUFReader(path)
        found = {field.name: field.contents() for field in reader.fields.values()}
        layers = found.get(f"{found['general.architecture']}.block_count", 0)
        if layers > len(reader.tensors):
            raise ValueError(f"{layers} blocks, and {len(reader.tensors)} tensors")
        return found

    found: dict[str, Any] = in_child(str(path), READ_SECONDS, fields)
    return found


def pre_tokenizer(name: str, path: Path) -> Any:
    """Make what splits texts before BPE. InputError if the way is not known here."""
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence, Split

    how = SPLITS.get(name)
    if how is None:
        known = ", ".join(sorted(SPLITS))
        raise InputError(f"{path}: its tokenizer splits texts as {name!r} does; known are {known}; take a checkpoint")
    if how == "words":
        return ByteLevel(add_prefix_space=False)
    if how == "digits and words":
        return Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])
    split = Split(Regex(how), behavior="isolated")
    return Sequence([split, ByteLevel(add_prefix_space=False, use_regex=False)])


def tokenizer_of(fields: dict[str, Any], path: Path) -> Any:
    """Make the tokenizer of a GGUF file, and check it. InputError if it cannot be made of what the file says."""
    with refused(f"{path}: its tokenizer"):
        return checked_tokenizer(new_tokenizer(fields, path), path)


def new_tokenizer(fields: dict[str, Any], path: Path) -> Any:
    """Make the tokenizer of a GGUF file, with its template if it has one. InputError if it is no byte-level BPE.

    Source: llama.cpp's docs and `gguf-py/gguf/constants.py` name the keys.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    kind = fields.get("tokenizer.ggml.model")
    if kind != "gpt2":
        raise InputError(
            f"{path}: its tokenizer is of the kind {kind!r}; only byte-level BPE ('gpt2') is read from GGUF"
        )
    tokens: list[str] = fields["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ", 1)) for merge in fields["tokenizer.ggml.merges"]]
    name = str(fields.get("tokenizer.ggml.pre", "default"))
    whole_words = name in ("llama-bpe", "llama3")  # a word that is a token is not merged together, as in Llama 3
    model = models.BPE({token: i for i, token in enumerate(tokens)}, merges, ignore_merges=whole_words)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizer(name, path)
    tokenizer.decoder = decoders.ByteLevel()
    for token, of_type in zip(tokens, fields["tokenizer.ggml.token_type"], strict=True):
        if of_type in (CONTROL, USER_DEFINED):
            tokenizer.add_tokens([AddedToken(token, special=of_type == CONTROL, normalized=False)])
    special = {key: tokens[fields[field]] for key, field in IDS.items() if field in fields}
    architecture = fields["general.architecture"]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        chat_template=fields.get("tokenizer.chat_template"),
        model_max_length=int(fields[f"{architecture}.context_length"]),
        clean_up_tokenization_spaces=False,
        **special,
    )


def network_of(path: Path, dtype: Any) -> Any:
    """Load the weights of a GGUF file, dequantised to `dtype`. InputError if transformers does not know how."""
    from transformers import AutoModelForCausalLM

    with refused(path):
        network = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=dtype)
    if hasattr(network.config, "quantization_config"):  # it is no longer quantised
        del network.config.quantization_config
    if scaling := rope_scaling(path, network.config):
        network.config.rope_parameters = scaling
    # transformers would not save what it has loaded from GGUF. So the weights move into a new network.
    plain = type(network)(network.config).to(dtype)
    plain.load_state_dict(network.state_dict(), assign=True)
    plain.tie_weights()
    return plain


def rope_scaling(path: Path, config: Any) -> dict[str, Any] | None:
    """Find out how a GGUF file of Llama 3.1 or later scales its rotary embeddings; None if it does not.

    The file has only what comes of it, a factor for each frequency, and transformers passes that over. Without it, the
    model would be another one in long texts. InputError if the factors do not come of Llama 3's rule.
    """
    from gguf import GGUFReader

    factors = next((tensor.data for tensor in GGUFReader(path).tensors if tensor.name == ROPE_FACTORS), None)
    if factors is None:
        return None
    theta = float((config.rope_parameters or {}).get("rope_theta", 0))
    for context in (1 << power for power in range(6, 21) if theta):
        told: dict[str, Any] = {"factor": float(max(factors)), "low_freq_factor": 1.0, "high_freq_factor": 4.0}
        told |= {"original_max_position_embeddings": context}
        if all(
            abs(a / b - 1) < 1e-3 for a, b in zip(factors, llama3_factors(len(factors), theta, **told), strict=True)
        ):
            return {"rope_type": "llama3", "rope_theta": theta, **told}
    raise InputError(f"{path}: its factors of rotary embeddings ({ROPE_FACTORS}) are not Llama 3's; take a checkpoint")


def llama3_factors(
    count: int,
    theta: float,
    factor: float,
    low_freq_factor: float,
    high_freq_factor: float,
    original_max_position_embeddings: int,
) -> list[float]:
    """Compute by what each of `count` frequencies is divided in Llama 3.1 (source: llama.cpp's conversion/llama.py)."""
    factors = []
    for place in range(count):
        turns = original_max_position_embeddings / (2 * math.pi * theta ** (place / count))
        smooth = (turns - low_freq_factor) / (high_freq_factor - low_freq_factor)
        between = 1 / ((1 - smooth) / factor + smooth) if 0 < smooth < 1 else 1.0
        factors.append(factor if smooth <= 0 else between)
    return factors
