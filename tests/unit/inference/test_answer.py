"""Answers are noted as they end, so that a step that was killed does not ask for them again."""

import json

import pytest

from ingot.inference.checkpoint import Checkpoint
from ingot.text import chat

pytestmark = pytest.mark.graph

QUESTIONS = [f"What is {i} + {i * 7}? " + "Say it. " * (i % 3) for i in range(8)]


class Interrupted(Checkpoint):
    """A model whose process ends after a few answers."""

    most = 3

    def answered(self, prompts, limits, temperature):
        for count, found in enumerate(super().answered(prompts, limits, temperature)):
            if count == self.most:
                raise KeyboardInterrupt
            yield found


class Counting(Checkpoint):
    """A model that knows what it was asked."""

    def answered(self, prompts, limits, temperature):
        self.asked = list(prompts)
        return super().answered(prompts, limits, temperature)


def asked(model):
    prompts = [chat.prompt_text(model.tokenizer, question) for question in QUESTIONS]
    return model.complete(prompts, [6] * len(prompts))


def test_only_what_is_missing_is_asked_again(checkpoint, tmp_path):
    whole = asked(Checkpoint([checkpoint], 1))
    with pytest.raises(KeyboardInterrupt):
        asked(Interrupted([checkpoint], 1, tmp_path / "work"))
    with pytest.raises(KeyboardInterrupt):
        asked(Interrupted([checkpoint], 1, tmp_path / "work"))
    model = Counting([checkpoint], 1, tmp_path / "work")
    assert asked(model) == whole
    assert len(model.asked) == len(QUESTIONS) - 2 * Interrupted.most
    assert asked(Counting([checkpoint], 1, tmp_path / "work")) == whole


def test_a_line_that_was_being_written_counts_for_nothing(checkpoint, tmp_path):
    whole = asked(Checkpoint([checkpoint], 1, tmp_path / "work"))
    notes = tmp_path / "work/answers-1.jsonl"
    lines = notes.read_text().splitlines(keepends=True)
    notes.write_text("".join(lines[:4]) + lines[4][:-10])
    model = Counting([checkpoint], 1, tmp_path / "work")
    assert asked(model) == whole
    assert len(model.asked) == len(QUESTIONS) - 4
    assert sorted(json.loads(line)["place"] for line in notes.read_text().splitlines()) == list(range(len(QUESTIONS)))


def test_every_call_has_notes_of_its_own(checkpoint, tmp_path):
    model = Checkpoint([checkpoint], 4, tmp_path / "work")
    first, second = asked(model), model.complete([chat.prompt_text(model.tokenizer, "Hi")], [3])
    again = Counting([checkpoint], 4, tmp_path / "work")
    assert asked(again) == first
    assert again.complete([chat.prompt_text(again.tokenizer, "Hi")], [3]) == second
    assert again.asked == []


def test_samples_are_drawn_again_as_a_whole(checkpoint, tmp_path):
    """Else the random numbers of the first samples would be drawn a second time, for others."""
    import torch

    def sampled(work, kind=Checkpoint):
        torch.manual_seed(0)
        model = kind([checkpoint], 4, work)
        prompts = [chat.prompt_text(model.tokenizer, QUESTIONS[0])] * 8
        return model.complete(prompts, [6] * 8, temperature=1.5)

    whole = sampled(None)
    with pytest.raises(KeyboardInterrupt):
        sampled(tmp_path / "work", Interrupted)
    assert sampled(tmp_path / "work") == whole
    assert len({answer.text for answer in whole}) > 1


def test_what_was_asked_otherwise_is_asked_again(checkpoint, tmp_path):
    whole = asked(Checkpoint([checkpoint], 4, tmp_path / "work"))
    model = Counting([checkpoint], 4, tmp_path / "work")
    prompts = [chat.prompt_text(model.tokenizer, question) for question in [*QUESTIONS[:5], "Another?", *QUESTIONS[6:]]]
    found = model.complete(prompts, [6] * 5 + [6, 5, 6])
    assert len(model.asked) == 2
    assert found[:5] == whole[:5]
    assert found[7] == whole[7]
