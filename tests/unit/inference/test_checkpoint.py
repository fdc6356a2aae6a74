"""A checkpoint in memory: what makes it faster changes no answer."""

from types import SimpleNamespace

import pytest

from ingot.inference import checkpoint as module
from ingot.inference.batch import Batch, keeps_columns, shared_keys
from ingot.inference.checkpoint import Checkpoint
from ingot.text import chat

QUESTIONS = ["Sort: 3 1 2", "What is 1 + 2? Ann asks.", "Write a lambda f.", "Portugal: name its capital. " * 5]


LONGEST = 24


@pytest.fixture
def ask(checkpoint):
    """Ask so many questions at a time; return the token ids of prompts and answers, and whether they ended."""

    def ask(batch, temperature=0.0):
        model = Checkpoint([checkpoint], batch)
        prompts = [chat.prompt_text(model.tokenizer, question) for question in QUESTIONS]
        answers = model.complete(prompts, [LONGEST] * len(prompts), temperature)
        return model, prompts, answers

    return ask


def test_answers_are_those_that_transformers_generates(ask):
    import torch

    model, prompts, answers = ask(1)  # alone in its batch, so that no padding changes the last digits
    for prompt, answer in zip(prompts, answers, strict=True):
        ids = model.tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
        with torch.no_grad():
            whole = model.model.generate(**ids, max_new_tokens=LONGEST, do_sample=False)
        written = whole[0, ids["input_ids"].shape[1] :]
        assert answer.text == model.tokenizer.decode(written, skip_special_tokens=True).strip()
        assert answer.stopped == (model.tokenizer.eos_token_id in written.tolist())


@pytest.mark.parametrize("batch", [2, 3, 32])
def test_every_token_of_a_batch_is_the_likeliest_after_its_own_text(checkpoint, batch, monkeypatch):
    """Rows come and go, and are padded to the longest: none may see the padding, or another row."""
    model = Checkpoint([checkpoint], batch)
    prompts = [chat.prompt_text(model.tokenizer, f"{question} {i}") for i in range(3) for question in QUESTIONS]
    added, kept = [], []
    monkeypatch.setattr(Batch, "add", counted(Batch.add, added))
    monkeypatch.setattr(Batch, "keep", counted(Batch.keep, kept))
    decode, decoded = model.tokenizer.decode, []
    monkeypatch.setattr(model.tokenizer, "decode", lambda ids, **named: decoded.append(ids) or decode(ids, **named))
    limits = [LONGEST - i for i in range(len(prompts))]
    for place, answer in model.answered(prompts, limits, 0.0):
        ids, said = model.tokenizer(prompts[place], add_special_tokens=False)["input_ids"], decoded[-1]
        assert len(said) == limits[place] or (answer.stopped and len(said) < limits[place])
        logits = model.logits([*ids, *said])[len(ids) - 1 :]
        for i, token in enumerate(said):
            assert logits[i][token] >= logits[i].max() - 1e-3, (prompts[place], said, i)
    assert len(decoded) == len(prompts)
    assert len(added) > 1
    assert kept


def test_a_model_with_a_state_of_another_kind_answers_by_generate(ask, monkeypatch):
    answers = ask(1)[2]
    monkeypatch.setattr(module, "keeps_columns", lambda model: False)
    assert ask(1)[2] == answers


@pytest.mark.parametrize(
    ("kind", "keeps"),
    [("Llama", True), ("GPT2", True), ("Gemma3Text", True), ("Mistral", True), ("Qwen3Next", False), ("Mamba", False)],
)
def test_what_a_model_remembers_is_known_from_its_shape(kind, keeps):
    import transformers

    config = getattr(transformers, f"{kind}Config")()
    assert keeps_columns(SimpleNamespace(config=config)) == keeps


def test_a_row_that_has_ended_goes_to_no_position_that_the_model_lacks():
    """GPT-2 has a table of positions. A row of a full context that waits to leave its batch must stay in it."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(vocab_size=50, n_positions=12, n_embd=16, n_layer=2, n_head=2)
    batch = Batch(GPT2LMHeadModel(config).eval(), 0.0)
    batch.add([list(range(12)), [1, 2]])
    written = [batch.step() for _ in range(4)]
    batch.keep([1])
    assert len(written[0]) == 2 and len(batch) == 1


def counted(function, calls):
    def call(*arguments):
        calls.append(arguments)
        return function(*arguments)

    return call


def test_samples_are_drawn_by_the_seed(ask):
    import torch

    def texts(temperature):
        torch.manual_seed(0)
        return [answer.text for answer in ask(3, temperature)[2]]

    assert texts(1.5) == texts(1.5) != texts(0.0)


def test_shared_keys_give_the_same_bits(checkpoint, monkeypatch):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.integrations import sdpa_attention

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    padded = tokenizer(QUESTIONS, return_tensors="pt", padding=True)

    network = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)

    def logits():
        with torch.no_grad():
            return network(**padded).logits

    monkeypatch.setattr(sdpa_attention, "use_gqa_in_sdpa", lambda *_: False)
    copied = logits()
    with shared_keys(network):
        assert sdpa_attention.use_gqa_in_sdpa()
        assert torch.equal(copied, logits())
    assert not sdpa_attention.use_gqa_in_sdpa(), "a training that follows computes as before"
