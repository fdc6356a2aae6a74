import random

import pytest
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from ingot.text import minhash
from ingot.text.token_count import TokenCounter

LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SIGNS = [
    "a",
    "word",
    "The",
    "caf\u00e9",
    "\u4f60\u597d",
    "42",
    "3.14",
    "don't",
    ",",
    "...",
    "```",
    "_",
    "(x",
    "\n",
    "\n\n",
    "  ",
    " ",
]
TEXTS = ["".join(random.Random(i).choices(SIGNS, k=60)) for i in range(300)] + ["", " ", "one", " two words "]


def counted(counter, texts):
    return counter.count(texts, *minhash.join([text.encode() for text in texts]))


def trained(pre_tokenizer):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=800, initial_alphabet=alphabet, show_progress=False)
    )
    return tokenizer


LIKE_LLAMA_3 = pre_tokenizers.Sequence(
    [
        pre_tokenizers.Split(Regex(LLAMA_3), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
)


@pytest.mark.parametrize(
    "like", [pre_tokenizers.ByteLevel(add_prefix_space=False), LIKE_LLAMA_3], ids=["gpt2", "llama3"]
)
def test_pieces_have_as_many_tokens_as_the_whole(like):
    counter = TokenCounter(trained(like))
    assert counted(counter, TEXTS) == counter.whole(TEXTS)
    assert counter.piecewise


def test_the_tokenizer_of_the_tiny_preset_is_counted_by_pieces(tokenizer):
    texts = [f"What is {i} + {i}? Ann asks.\nIt is {2 * i}." for i in range(200)]
    counter = TokenCounter(tokenizer.backend_tokenizer)
    assert counted(counter, texts) == [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
    assert counter.piecewise


def test_a_tokenizer_whose_tokens_cross_words_is_noticed_and_counts_as_a_whole():
    tokenizer = Tokenizer(models.BPE())
    texts = ["to be or not to be, that is the question " * 3] * 100
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=300, show_progress=False))
    counter = TokenCounter(tokenizer)
    assert counted(counter, texts) == counter.whole(texts)
    assert not counter.piecewise
