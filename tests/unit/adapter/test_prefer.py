"""Training on pairs for real, on a model of two layers: right answers become likelier than the wrong ones."""

import pytest

from helpers.settings import TRAINING, changed
from ingot.errors import InputError
from ingot.io.records import read_json, write_records
from ingot.measuring.failures import failure
from ingot.settings.adapter import Prefer, RoundLimits
from ingot.training.preference import pairs_of, tune_on_pairs, without_special_tokens
from ingot.training.sft import fine_tune
from workflow_scripts.adapter.prefer import prefer

pytestmark = pytest.mark.graph

PAIRED = changed(TRAINING, max_steps=8, evaluate_every=4, warmup=1, learning_rate=0.005, explosion=100.0)


def settings(loss="dpo", **changes):
    values = {
        "loss": loss,
        "beta": 0.1,
        "most_asked": 100,
        "least_pairs": 4,
        "limits": RoundLimits(max_p_value=1, max_forgetting=100),
        "training": PAIRED,
    }
    return Prefer.model_validate(values | changes)


@pytest.fixture
def failures(record):
    return [failure(record(f"What is {i} + 1?", str(i + 1)), "wrong", "no idea", "adapter") for i in range(40)]


@pytest.fixture(scope="module")
def before(checkpoint, tmp_path_factory):
    """An adapter after a few steps."""
    from helpers.records import make_record

    folder = tmp_path_factory.mktemp("before")
    records = [make_record(f"What is {i} + 1?", str(i + 1)) for i in range(20)]
    few = changed(TRAINING, max_steps=2, evaluate_every=2)
    paths = {"work": folder / "work", "curves": folder / "curves"}
    fine_tune(checkpoint, records, records[:4], folder / "adapter", few, **paths, seed=0, threads=1)
    return folder / "adapter"


def log_odds(folders, failures):
    """How much likelier the right answers are than the wrong ones, on average, in nats."""
    import torch

    from ingot.inference.checkpoint import load

    model, _ = load(folders)
    tokenizer = without_special_tokens(folders[0])

    def likelihood(prompt, answer):
        ids = [tokenizer(text, return_tensors="pt")["input_ids"] for text in (prompt, prompt + answer)]
        with torch.no_grad():
            scores = model(ids[1]).logits.log_softmax(-1)[0, :-1].gather(1, ids[1][0, 1:, None])
        return float(scores[ids[0].shape[1] - 1 :].sum())

    pairs = pairs_of(tokenizer, failures, 64)
    return sum(likelihood(p["prompt"], p["chosen"]) - likelihood(p["prompt"], p["rejected"]) for p in pairs) / len(
        pairs
    )


@pytest.mark.parametrize("loss", ["dpo", "kto", "orpo"])
def test_right_answers_become_likelier_than_wrong_ones(loss, checkpoint, before, failures, tmp_path):
    paths = {"work": tmp_path / "work", "curves": tmp_path / "curves"}
    adapter = tmp_path / "adapter"
    report = tune_on_pairs(checkpoint, before, failures, adapter, settings(loss), **paths, seed=0, threads=1)
    assert report["steps"] == 8 and report["records"] == 36
    assert sorted(path.name for path in adapter.glob("*.safetensors")) == ["adapter_model.safetensors"]
    assert not (adapter / "ref").exists()
    assert log_odds([checkpoint, adapter], failures) > log_odds([checkpoint, before], failures) + 0.5


@pytest.mark.parametrize("loss", ["dpo", *(pytest.param(loss, marks=pytest.mark.slow) for loss in ("kto", "orpo"))])
def test_a_killed_training_goes_on_with_its_own_weights(loss, checkpoint, before, failures, tmp_path):
    """Of eight steps, four and then the rest: the same weights as eight at once."""
    from safetensors.torch import load_file

    def train(name, steps, work):
        training = changed(PAIRED, max_steps=steps, evaluate_every=4, schedule="constant", warmup=0, dropout=0.0)
        paths = {"work": tmp_path / work, "curves": tmp_path / "curves"}
        wanted = settings(loss, training=training)
        tune_on_pairs(checkpoint, before, failures, tmp_path / name, wanted, **paths, seed=0, threads=1)
        return load_file(tmp_path / name / "adapter_model.safetensors")

    whole = train("whole", 8, "one")
    train("half", 4, "two")
    resumed = train("resumed", 8, "two")
    untrained = load_file(before / "adapter_model.safetensors")
    for name, weights in whole.items():
        moved = (weights - untrained[name]).abs().max()
        assert (weights - resumed[name]).abs().max() < 0.2 * moved or moved < 1e-6, name


def test_pairs_are_the_tokens_of_training(checkpoint, failures):
    from ingot.text import chat

    tokenizer = without_special_tokens(checkpoint)
    pair = pairs_of(tokenizer, failures[:1], 64)[0]
    record = failures[0]
    ids = chat.encode(tokenizer, record["instruction"], record["response"]).ids
    assert tokenizer(pair["prompt"] + pair["chosen"])["input_ids"] == ids
    with pytest.raises(InputError, match=r"none of the 1 pairs fits into `prefer.training.length` = 8"):
        pairs_of(tokenizer, failures[:1], 8)


@pytest.fixture
def step(checkpoint, before, record, tmp_path):
    write_records(tmp_path / "valid.jsonl", [record(f"What is {i} + 2?", str(i + 2)) for i in range(30)])

    def run(failures, **changes):
        write_records(tmp_path / "failures.jsonl", failures)
        outputs = (tmp_path / "preferred", tmp_path / "report.json")
        prefer(
            checkpoint, before, [tmp_path / "failures.jsonl"], tmp_path / "valid.jsonl", *outputs,
            settings=settings(**changes), turn=1, difficulties=["easy"], batch=8, longest=4, work=tmp_path / "work",
            curves=str(tmp_path / "curves"), seed=0, threads=1,
        )  # fmt: skip
        return read_json(outputs[1]), (outputs[0] / "adapter_model.safetensors").read_bytes()

    return run


def test_what_does_not_help_is_not_kept(step, before, failures):
    report, weights = step(failures, limits=RoundLimits(max_p_value=0.05, max_forgetting=1))
    assert report["pairs"] == 40 and report["training"]["steps"] == 8
    assert report["kept"] is False, "an untrained model of two layers answers nothing right, before or after"
    assert weights == (before / "adapter_model.safetensors").read_bytes()


def test_too_few_pairs_train_nothing_and_a_cut_answer_is_no_pair(step, before, failures):
    cut = [{**row, "failure": {**row["failure"], "kind": "unended"}} for row in failures]
    report, weights = step(failures[:3] + cut)
    assert report == {"pairs": 3, "loss": "dpo", "kept": False, "stopped": "fewer than 4 pairs"}
    assert weights == (before / "adapter_model.safetensors").read_bytes()
