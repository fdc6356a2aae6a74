"""Small random models of the architectures that people bring, each with a tokenizer of its kind, through the chain."""

import itertools

import pytest

from helpers.records import make_record
from helpers.settings import MEASURE, TRAINING, changed
from ingot.errors import InputError
from ingot.io.records import read_json, write_json, write_records
from ingot.settings.adapter import Adapt, Merge
from ingot.settings.compress import Prune
from ingot.settings.gguf import Importance
from ingot.settings.training import Calibration
from workflow_scripts.adapter.adapt import adapt
from workflow_scripts.adapter.merge import merge
from workflow_scripts.base.check_base import check_base
from workflow_scripts.base.fetch import fetch
from workflow_scripts.compress.prune import prune
from workflow_scripts.compress.quantize_awq import quantize_awq
from workflow_scripts.gguf.convert import convert
from workflow_scripts.gguf.importance import importance
from workflow_scripts.gguf.quantize import quantize
from workflow_scripts.measure.measure import measure
from workflow_scripts.measure.measure_gguf import measure_gguf

pytestmark = [pytest.mark.graph, pytest.mark.slow]

# 192 is no multiple of 128 or 256, as SmolLM2's 576 is none.
WIDTHS = {
    "hidden_size": 192,
    "intermediate_size": 320,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "max_position_embeddings": 256,
}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 128,
}
GEMMA = {"head_dim": 64, "query_pre_attn_scalar": 64, "sliding_window": 64}
GPT2 = {"n_embd": 192, "n_layer": 2, "n_head": 3, "n_positions": 256}
# {name: (class of the configuration, its values, kind of the tokenizer)}
ARCHITECTURES = {
    "llama3": ("LlamaConfig", {**WIDTHS, "tie_word_embeddings": False, "rope_parameters": LLAMA3_ROPE}, "bytes"),
    "smollm": ("LlamaConfig", {**WIDTHS, "tie_word_embeddings": True}, "bytes"),
    "qwen2": ("Qwen2Config", {**WIDTHS, "tie_word_embeddings": True}, "bytes"),
    "qwen3": ("Qwen3Config", {**WIDTHS, "head_dim": 128, "tie_word_embeddings": True}, "bytes"),
    "mistral": ("MistralConfig", {**WIDTHS, "sliding_window": 64}, "bytes"),
    "gemma2": ("Gemma2Config", {**WIDTHS, **GEMMA}, "pieces"),
    "gemma3": ("Gemma3TextConfig", {**WIDTHS, **GEMMA}, "bytes"),
    "phi3": ("Phi3Config", {**WIDTHS, "original_max_position_embeddings": 256}, "spaced pieces"),
    "gpt2": ("GPT2Config", GPT2, "no template"),
}
TURNS = (
    "{% for message in messages %}"
    "{{ '<start_of_turn>' + message['role'] + '\n' + message['content'] + '<end_of_turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
TURNS_OF_PHI = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)


@pytest.fixture(scope="module")
def texts():
    from ingot.world import tasks

    shares = {domain: {"easy": 1.0} for domain in tasks.DOMAINS}
    some = itertools.islice(tasks.tasks(0, shares, 0, 1, unique=False), 2000)
    return [f"{task.instruction}\n{task.response}" for task in some]


def train_pieces(texts, folder, **options):
    """A SentencePiece vocabulary with bytes to fall back on, which leaves texts as they are."""
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_prefix=str(folder / "tokenizer"), vocab_size=600, model_type="bpe",
        byte_fallback=True, split_digits=True, minloglevel=2, normalization_rule_name="identity",
        remove_extra_whitespaces=False, allow_whitespace_only_pieces=True, hard_vocab_limit=False, **options,
    )  # fmt: skip


def write_pieces(texts, folder):
    """A SentencePiece tokenizer in the files in which Gemma has it."""
    from transformers import GemmaTokenizer

    turns = ["<start_of_turn>", "<end_of_turn>"]
    train_pieces(
        texts, folder, pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>",
        add_dummy_prefix=False,
        user_defined_symbols=[*turns, "<mask>", "\n", *("\u2581" * n for n in range(2, 8))],
    )  # fmt: skip
    tokenizer = GemmaTokenizer.from_pretrained(folder, add_bos_token=False)
    tokenizer.add_special_tokens({"additional_special_tokens": turns})
    tokenizer.chat_template = TURNS
    tokenizer.save_pretrained(folder)
    return tokenizer


def write_spaced_pieces(texts, folder):
    """A SentencePiece tokenizer in the files in which Phi 3 has it.

    It puts a space before every text, and its special tokens swallow the blanks and line breaks after them.
    """
    from tokenizers import AddedToken, normalizers
    from transformers import LlamaTokenizer, TokenizersBackend

    train_pieces(texts, folder, unk_id=0, bos_id=1, eos_id=2, pad_id=-1, add_dummy_prefix=True)
    rules = LlamaTokenizer.from_pretrained(folder).backend_tokenizer
    rules.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    rules.pre_tokenizer = rules.post_processor = None
    end = AddedToken("<|endoftext|>", normalized=False)
    names = ("assistant", "system", "end", "user")
    turns = [AddedToken(f"<|{name}|>", normalized=False, rstrip=True) for name in names]
    rules.add_special_tokens([end, *turns])
    special = {"bos_token": "<s>", "unk_token": "<unk>", "eos_token": end, "pad_token": end}
    tokenizer = TokenizersBackend(tokenizer_object=rules, **special)
    tokenizer.chat_template = TURNS_OF_PHI
    tokenizer.save_pretrained(folder)
    flags = ("content", "lstrip", "rstrip", "normalized", "single_word", "special")
    added = {
        place: {flag: getattr(token, flag) for flag in flags} for place, token in tokenizer.added_tokens_decoder.items()
    }
    config = read_json(folder / "tokenizer_config.json")
    theirs = {"tokenizer_class": "LlamaTokenizer", "legacy": False, "add_bos_token": False}
    write_json(folder / "tokenizer_config.json", {**config, **theirs, "added_tokens_decoder": added})
    return tokenizer


@pytest.fixture
def model(request, texts, tmp_path):
    """A folder as it would come from somewhere else: bfloat16, in several shards, with real special tokens."""
    import torch
    import transformers

    from workflow_scripts.base.train_tokenizer import learn

    class_name, values, kind = ARCHITECTURES[request.param]
    folder = tmp_path / "source"
    folder.mkdir()
    if kind == "pieces":
        tokenizer = write_pieces(texts, folder)
    elif kind == "spaced pieces":
        tokenizer = write_spaced_pieces(texts, folder)
    else:
        tokenizer = learn(iter(texts), 512)
        tokenizer.add_special_tokens({"additional_special_tokens": ["<|endoftext|>"]})
        if kind == "no template":
            tokenizer.chat_template = None
        tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    config = getattr(transformers, class_name)(**values, **ids, vocab_size=len(tokenizer), initializer_range=0.06)
    network = transformers.AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
    network.save_pretrained(folder, max_shard_size="300KB")
    assert len(list(folder.glob("*.safetensors"))) > 1
    return request.param, folder, "alpaca" if kind == "no template" else None


@pytest.mark.parametrize("model", ARCHITECTURES, indirect=True)
def test_it_goes_through_the_chain(model, tmp_path):
    source_name, source, template = model
    train, few, base = tmp_path / "train.jsonl", tmp_path / "few.jsonl", tmp_path / "base"
    records = [make_record(f"What is {i} + 1?", str(i + 1)) for i in range(64)]
    write_records(train, records)
    write_records(few, records[:8])
    fetch(
        [source], base, tmp_path / "fetch.json", kind="local", model=str(source), revision=None, template=template,
        dtype="bfloat16",
    )  # fmt: skip
    compressed = source_name != "gpt2"
    chain = ["adapt", "merge", *(["prune", "quantize_awq"] if compressed else [])]
    types = ["F16", "Q4_K_M", "IQ4_XS"]
    shape = {"group": "auto", "pruned": {"prune": "2:4"} if compressed else {}, "context": 256, "types": types}
    shape |= {"most_tokens": None, "probe_tokenizer": True}
    check_base(base, tmp_path / "verdict.json", tmp_path, chain=chain, **shape)
    if not compressed:
        with pytest.raises(InputError, match="cannot treat a gpt2"):
            check_base(base, tmp_path / "verdict.json", tmp_path, chain=[*chain, "prune"], **shape)
    for name, quantization in (("adapter4", {"type": "nf4", "double": True}), ("adapter", None)):
        training = changed(TRAINING, max_steps=2, evaluate_every=2, quantization=quantization)
        settings = Adapt(backend="trl", difficulties=["easy"], training=training)
        report = tmp_path / f"{name}.json"
        paths = {"work": tmp_path / f"work-{name}", "curves": str(tmp_path / "curves")}
        adapt(base, train, few, tmp_path / name, report, settings=settings, **paths, seed=0, threads=1)
        assert read_json(report)["steps"] == 2
    last = tmp_path / "merged"
    merge(base, tmp_path / "adapter", last, settings=Merge(dtype="float32"))
    calibration = Calibration(records=8, length=32)
    if compressed:
        none = {"attention": 0, "feed_forward": 0, "blocks": 0}
        pruning = Prune(method="sparsegpt", structure="2:4", ratios=none, calibration=calibration)
        prune(last, train, tmp_path / "pruned", tmp_path / "prune.json", tmp_path / "w", settings=pruning, threads=1)
        awq = {"scheme": "W4A16_ASYM", "group": "auto", "calibration": calibration, "dtype": "float32", "threads": 1}
        last = tmp_path / "scaled"
        quantize_awq(tmp_path / "pruned", train, tmp_path / "awq", last, tmp_path / "awq.json", tmp_path / "v", **awq)
        assert read_json(tmp_path / "awq.json")["group"] == 64
    convert(last, tmp_path / "F16.gguf", name="small")
    importance(last, train, tmp_path / "matrix", tmp_path / "u", settings=Importance(records=8, length=32), threads=1)

    def paths(of):
        return [tmp_path / f"{of}.{what}" for what in ("json", "safetensors", "jsonl")]

    told = {"settings": MEASURE, "open_too": False, "threads": 1}
    measure([last], base, few, few, *paths("last"), name="last", work=tmp_path / "asked", **told)
    for quant in types:
        file = tmp_path / f"{quant}.gguf"
        if quant != "F16":
            quantize(tmp_path / "F16.gguf", [tmp_path / "matrix"], [], file, quant=quant, threads=1)
        measure_gguf(file, base, few, few, *paths(quant), name=quant, context=256, work=tmp_path / quant, **told)
        assert read_json(paths(quant)[0])["token_mismatches"] == 0
    f16, checkpoint = (read_json(paths(of)[0])["perplexity"] for of in ("F16", "last"))
    assert f16 == pytest.approx(checkpoint, rel=0.02)
