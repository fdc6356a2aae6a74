"""Check that the shape of the base allows what the settings ask for, before anything long starts."""

import sys
from collections import Counter
from pathlib import Path

from ingot.converting.llama_cpp_tools import SOURCES, convert_model
from ingot.converting.probe import probe
from ingot.converting.shape import fallbacks, problems, shape_of, unknown_to_llama_cpp
from ingot.errors import InputError
from ingot.io.records import read_json, write_json
from ingot.settings.gguf import Quant
from ingot.text.vocabulary import kept_ids


def cutting_problems(base: Path, most: int) -> list[str]:
    """Say why the vocabulary of a base cannot be cut to so many tokens; [] if it can."""
    if not (base / "tokenizer.json").exists() or (base / "tokenizer.model").exists():
        return ["cut_vocabulary: a SentencePiece vocabulary cannot be cut; set it to null"]
    try:
        kept_ids(read_json(base / "tokenizer.json"), Counter(), most)
    except InputError as error:
        return [f"cut_vocabulary: {error}"]
    return []


def check_base(
    base: Path,
    verdict: Path,
    work: Path,
    *,
    chain: list[str],
    group: str | int,
    pruned: dict[str, str],
    context: int,
    types: list[Quant],
    most_tokens: int | None,
    probe_tokenizer: bool,
) -> None:
    """Write the shape of the base, and say what must be known about it. InputError lists what it rules out.

    With `probe_tokenizer`, llama.cpp gets the vocabulary of the base and must read texts as its tokenizer does.
    """
    config = base / "config.json"
    try:
        shape = shape_of(read_json(config))
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise InputError(
            f"{config}: its shape is not said as known architectures say it ({type(error).__name__}: {error})"
        ) from None
    found = problems(shape, chain, types, group, pruned, context)
    if most_tokens:
        found += cutting_problems(base, most_tokens)
    if types and (line := unknown_to_llama_cpp(shape.architecture, SOURCES)):
        found.append(line)
    if found:
        raise InputError(f"{config}: this base does not allow what the settings ask for:\n  " + "\n  ".join(found))
    if types and probe_tokenizer:
        vocabulary = work / "vocabulary.gguf"
        convert_model(base, vocabulary, "base", "--vocab-only")
        probe(vocabulary, base, "--vocabulary")
    notes = fallbacks(shape, types)
    sys.stderr.writelines(f"{note}\n" for note in notes)
    # Nothing of the settings is in the verdict: it is an input of what comes after, and stays as it is.
    write_json(verdict, {"architecture": shape.architecture, "inputs": shape.inputs})
