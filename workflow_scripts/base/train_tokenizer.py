"""Train the tokenizer of a base that is pretrained here: byte-level BPE."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ingot.io.records import read_records
from ingot.settings.base import TrainTokenizer
from ingot.text import chat


def learn(texts: Iterable[str], vocabulary: int) -> Any:
    """Learn merges from texts; return a fast tokenizer of at most `vocabulary` tokens, with the chat template."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(chat.SPLIT_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(chat.SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token=chat.PAD, eos_token=chat.END, clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = chat.CHAT_TEMPLATE
    return tokenizer


def train_tokenizer(corpus: Path, tokenizer: Path, *, settings: TrainTokenizer, context: int) -> None:
    """Write a tokenizer that is trained on the questions and answers of a corpus, for contexts of `context` tokens."""
    texts = (f"{record['instruction']}\n{record['response']}" for record in read_records(corpus))
    trained = learn(texts, settings.vocabulary)
    trained.model_max_length = context
    trained.save_pretrained(tokenizer)
