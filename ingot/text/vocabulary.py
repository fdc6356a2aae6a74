"""Cut a tokenizer to the tokens that some texts need. Every other text still becomes tokens: more of them.

A byte-level BPE tokenizer can spell any text in its 256 bytes. So those stay, and the special tokens, and what the
texts use, with the pieces that its merges go through. Merges that lead to other tokens are left out. A text whose
tokens all stay is merged as before; of the others, words fall into smaller pieces.
"""

import copy
from collections import Counter
from typing import Any

from ingot.errors import InputError

Spec = dict[str, Any]
"""What tokenizer.json holds."""


def byte_tokens(spec: Spec) -> list[str]:
    """List the tokens of single bytes. Some models lack those of bytes that no text has. InputError for other kinds."""
    from tokenizers.pre_tokenizers import ByteLevel

    model = spec["model"]
    if model.get("type") != "BPE" or "ByteLevel" not in str(spec.get("decoder")):
        raise InputError("the tokenizer is no byte-level BPE, the only kind whose vocabulary can be cut")
    return sorted(byte for byte in ByteLevel.alphabet() if byte in model["vocab"])


def pairs_of(spec: Spec) -> list[tuple[str, str]]:
    """List the merges of a tokenizer. Older files write each as one text."""
    return [tuple(pair.split(" ") if isinstance(pair, str) else pair) for pair in spec["model"]["merges"]]


def kept_ids(spec: Spec, counts: Counter[int], most: int) -> list[int]:
    """Choose the tokens to keep, at most so many: those of bytes, special ones, and the most frequent by `counts`.

    With each token come the pieces that it is merged from. Returns their ids, in order. InputError if `most` is too
    few.
    """
    alphabet = byte_tokens(spec)
    vocabulary: dict[str, int] = spec["model"]["vocab"]
    name_of = {i: token for token, i in vocabulary.items()}
    parts: dict[str, tuple[str, str]] = {}
    for left, right in pairs_of(spec):
        parts.setdefault(left + right, (left, right))
    always = {vocabulary[byte] for byte in alphabet} | {token["id"] for token in spec["added_tokens"]}
    kept = always | {vocabulary[token] for token in [spec["model"].get("unk_token")] if token in vocabulary}
    if len(kept) > most:
        raise InputError(f"{most:,} tokens are too few: bytes and special tokens alone are {len(kept):,}")
    for i, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0])):
        needed: set[int] = set()
        to_see = [name_of[i]] if i in name_of else []
        while to_see:
            token = to_see.pop()
            if vocabulary[token] not in kept and vocabulary[token] not in needed:
                needed.add(vocabulary[token])
                to_see += parts.get(token, ())
        if len(kept) + len(needed) <= most:
            kept |= needed
    return sorted(kept)


def cut(spec: Spec, ids: list[int]) -> Spec:
    """Make the tokenizer that has only the tokens `ids`, numbered anew in their order."""
    new = {old: place for place, old in enumerate(ids)}
    whole = copy.deepcopy(spec)
    vocabulary = {token: new[i] for token, i in spec["model"]["vocab"].items() if i in new}
    whole["model"]["vocab"] = vocabulary
    whole["model"]["merges"] = [
        [left, right]
        for left, right in pairs_of(spec)
        if left in vocabulary and right in vocabulary and left + right in vocabulary
    ]
    for token in whole["added_tokens"]:
        token["id"] = new[token["id"]]
    renumber(whole.get("post_processor"), new)
    return whole


def renumber(processor: Any, new: dict[int, int]) -> None:
    """Give the special tokens that a post-processor adds their new ids. InputError for a kind that is not known."""
    kind = (processor or {}).get("type")
    if kind == "Sequence":
        for one in processor["processors"]:
            renumber(one, new)
    elif kind == "TemplateProcessing":
        for special in processor["special_tokens"].values():
            special["ids"] = [new[i] for i in special["ids"]]
    elif kind not in (None, "ByteLevel"):
        raise InputError(f"the tokenizer ends with {kind}, whose tokens cannot be numbered anew")
