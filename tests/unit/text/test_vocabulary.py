"""A cut vocabulary: texts whose tokens stay are tokenised as before, all others are still spelled."""

import json
import random
from collections import Counter

import pytest
from tokenizers import Tokenizer

from ingot.errors import InputError
from ingot.text import vocabulary

pytestmark = pytest.mark.graph

TEXTS = ["Sort: 3 1 2", "What is 2 + 2?", "def add(a, b):\n    return a + b", "The answer is four."]
OTHERS = ["Straße, café, naïve", "数据 и данные", "🎉 👩\u200d👧", "\x00\x01\t\r\n  ", "qqq zzz jjj", ""]


@pytest.fixture(scope="module")
def spec(checkpoint):
    return json.loads((checkpoint / "tokenizer.json").read_text())


def read(spec):
    return Tokenizer.from_str(json.dumps(spec))


def counted(tokenizer):
    return Counter(i for text in TEXTS for i in tokenizer.encode(text).ids)


def test_texts_whose_tokens_stay_keep_them_and_others_come_back_whole(spec):
    whole = read(spec)
    ids = vocabulary.kept_ids(spec, counted(whole), 10_000)
    small = read(vocabulary.cut(spec, ids))
    assert 260 < small.get_vocab_size() == len(ids) < whole.get_vocab_size()
    for text in TEXTS:
        assert [ids[i] for i in small.encode(text).ids] == whole.encode(text).ids
    for text in OTHERS:
        assert small.decode(small.encode(text).ids, skip_special_tokens=False) == text
        assert len(small.encode(text).ids) >= len(whole.encode(text).ids)


def test_special_tokens_stay_special(spec):
    ids = vocabulary.kept_ids(spec, Counter(), 10_000)
    small, whole = read(vocabulary.cut(spec, ids)), read(spec)
    for token in spec["added_tokens"]:
        (new,) = small.encode(token["content"], add_special_tokens=False).ids
        assert ids[new] == token["id"] == whole.token_to_id(token["content"])


def test_the_most_frequent_stay_with_the_pieces_that_they_are_merged_from(spec):
    counts = counted(read(spec))
    (frequent, _), *_ = counts.most_common(1)
    room = len(vocabulary.kept_ids(spec, Counter(), 10_000))
    for most in range(room, room + 40):
        ids = vocabulary.kept_ids(spec, counts, most)
        assert room <= len(ids) <= most
        small = vocabulary.cut(spec, ids)
        assert {left + right for left, right in small["model"]["merges"]} <= set(small["model"]["vocab"])
    name = next(token for token, i in spec["model"]["vocab"].items() if i == frequent)
    assert name in small["model"]["vocab"]


def test_cutting_twice_is_cutting_once(spec):
    ids = vocabulary.kept_ids(spec, counted(read(spec)), 10_000)
    once = vocabulary.cut(spec, ids)
    again = vocabulary.kept_ids(once, counted(read(once)), 10_000)
    assert again == list(range(len(ids)))
    assert vocabulary.cut(once, again) == once


def test_any_text_comes_back_from_any_cut(spec):
    draw = random.Random(0)
    for _ in range(20):
        counts = Counter(dict.fromkeys(draw.sample(sorted(spec["model"]["vocab"].values()), 100), 1))
        small = read(vocabulary.cut(spec, vocabulary.kept_ids(spec, counts, draw.randint(300, 500))))
        text = "".join(chr(draw.choice([draw.randint(32, 126), draw.randint(128, 0xD7FF)])) for _ in range(30))
        assert small.decode(small.encode(text).ids, skip_special_tokens=False) == text


def test_what_cannot_be_cut_says_so(spec):
    with pytest.raises(InputError, match=r"100 tokens are too few: bytes and special tokens alone are 2\d\d"):
        vocabulary.kept_ids(spec, Counter(), 100)
    with pytest.raises(InputError, match="no byte-level BPE"):
        vocabulary.kept_ids({**spec, "model": {"type": "Unigram"}}, Counter(), 1000)
    with pytest.raises(InputError, match="ends with BertProcessing"):
        vocabulary.cut({**spec, "post_processor": {"type": "BertProcessing"}}, list(range(512)))


def test_the_tokens_that_a_post_processor_adds_are_numbered_anew(spec):
    name = spec["added_tokens"][-1]["content"]
    old = spec["added_tokens"][-1]["id"]
    adding = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": name, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {name: {"id": name, "ids": [old], "tokens": [name]}},
    }
    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
    given = {**spec, "post_processor": {"type": "Sequence", "processors": [byte_level, adding]}}
    ids = vocabulary.kept_ids(given, Counter(), 10_000)
    small = read(vocabulary.cut(given, ids))
    assert ids[small.encode("a").ids[0]] == old
