"""What the tests share: the modules of the steps on the path, records, and one tiny untrained model."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow_scripts"))


def make_record(instruction, response, domain="code", difficulty="easy", **metadata):
    from lib.text import record_id

    return {
        "id": record_id(instruction, response),
        "instruction": instruction,
        "response": response,
        "metadata": {
            "domain": domain,
            "difficulty": difficulty,
            "teacher": None,
            "quality_score": None,
            "tokens": None,
            "source": "test",
            "checker": "text",
            **metadata,
        },
    }


@pytest.fixture
def root():
    return ROOT


@pytest.fixture
def record():
    return make_record


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory):
    """A tokenizer trained on the tiny world, as the tiny preset's is."""
    import itertools

    from lib import world
    from train_tokenizer import learn

    shares = {domain: {"easy": 1.0} for domain in world.DOMAINS}
    tasks = itertools.islice(world.tasks(0, shares, 0, 1, unique=False), 2000)
    return learn((f"{t.instruction}\n{t.response}" for t in tasks), 512)


@pytest.fixture(scope="session")
def checkpoint(tokenizer, tmp_path_factory):
    """A folder with an untrained two-layer Llama whose widths suit every GGUF type, and its tokenizer."""
    import torch

    from pretrain import new_model

    torch.manual_seed(0)
    shape = {"hidden": 256, "feed_forward": 256, "layers": 2, "heads": 4, "kv_heads": 2, "initializer_range": 0.06}
    folder = tmp_path_factory.mktemp("models") / "base"
    new_model(tokenizer, shape, 128).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
