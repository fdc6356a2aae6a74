import pytest

from ingot.io.records import read_json, write_records
from ingot.settings.base import Pretrain, TrainTokenizer
from ingot.text.chat import SPLIT_PATTERN
from ingot.training.fit import learning_rate, optimizers
from workflow_scripts.base.pretrain import pretrain
from workflow_scripts.base.train_tokenizer import train_tokenizer

SETTINGS = Pretrain(
    shape={"hidden": 64, "feed_forward": 64, "layers": 1, "heads": 2, "kv_heads": 1, "initializer_range": 0.06},
    training={
        "steps": 30,
        "batch": 4,
        "accumulation": 1,
        "length": 64,
        "learning_rate": 0.01,
        "weight_decay": 0.1,
        "warmup": 5,
        "optimizer": "muon",
    },
)
TOKENIZER = {"settings": TrainTokenizer(vocabulary=300), "context": 128}


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.jsonl"
    write_records(path, ({"instruction": f"Say {i}", "response": f"{i} {i}"} for i in range(200)))
    return path


def test_it_learns_and_two_runs_give_the_same_bytes(corpus, tmp_path):
    train_tokenizer(corpus, tmp_path / "tok", **TOKENIZER)
    for name in ("a", "b"):
        pretrain(
            corpus,
            tmp_path / "tok",
            tmp_path / name,
            tmp_path / f"{name}.json",
            settings=SETTINGS,
            context=128,
            work=tmp_path / "work",
            seed=0,
            threads=1,
        )
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "b")]
    assert files[0] == files[1]
    losses = [row["loss"] for row in read_json(tmp_path / "a.json")["losses"]]
    assert losses[-1] < losses[0] / 2


def test_the_tokenizer_has_a_pad_token_of_its_own_and_loses_nothing(corpus, tmp_path):
    from transformers import AutoTokenizer

    train_tokenizer(corpus, tmp_path / "tok", **TOKENIZER)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "tok")
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert len(tokenizer) <= 300
    text = "naïve 数 🙂\n\tx = 12"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_the_split_pattern_is_in_the_file_that_the_converter_reads(corpus, tmp_path):
    from ingot.converting.llama_cpp_tools import own_pattern

    train_tokenizer(corpus, tmp_path / "tok", **TOKENIZER)
    assert own_pattern(tmp_path / "tok") == SPLIT_PATTERN


def test_the_rate_warms_up_and_falls():
    rates = [learning_rate(step, 100, 1.0, 10) for step in range(100)]
    assert rates[0] == pytest.approx(0.1, rel=0.01)
    assert max(rates) == pytest.approx(rates[9], rel=0.03)
    assert rates[-1] == pytest.approx(0.05, rel=0.01)


@pytest.mark.parametrize("kind", ["muon", "adamw", "adamw_8bit"])
def test_every_weight_is_in_one_optimizer(checkpoint, kind):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    settings = SETTINGS.training.model_copy(update={"optimizer": kind})
    held = [p for trainer in optimizers(model, settings) for group in trainer.param_groups for p in group["params"]]
    assert sorted(map(id, held)) == sorted(map(id, model.parameters()))
