import itertools

import numpy as np
import pytest

from ingot.errors import InputError
from ingot.io.records import read_json, read_records, write_records
from ingot.settings.modifiers import Cluster
from ingot.text.embedding import vectors
from workflow_scripts.modifiers.cluster import cluster, partition

TOPICS = (
    "sort the numbers {} {}",
    "call {} about the {}",
    "what is the capital of {} {}",
    "write a lambda {} for {}",
    "join {} and {} now",
)


@pytest.fixture
def failures(record):
    words = "ant bee cat dog elk fox gnu hen ibis jay".split()
    return [record(topic.format(a, b), "x") for topic in TOPICS for a, b in itertools.pairwise(words)]


def test_five_patterns_are_five_clusters(failures, tmp_path):
    write_records(tmp_path / "failures", failures)
    for name in ("a", "b"):
        cluster(
            tmp_path / "failures",
            [],
            tmp_path / name,
            tmp_path / f"{name}.json",
            domain="code",
            settings=Cluster(embedding="tfidf", dimensions=16, least=4, most=10),
            seed=0,
        )
    report = read_json(tmp_path / "a.json")
    assert report["clusters"] == 5
    assert sorted(report["silhouettes"]) == ["10", "4", "5", "6", "7", "8", "9"]
    labels = [row["cluster"] for row in read_records(tmp_path / "a")]
    assert all(len(set(labels[i * 9 : i * 9 + 9])) == 1 for i in range(5)), "a pattern is one cluster"
    assert sum(one["failures"] for one in report["found"]) == len(failures)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_few_or_equal_prompts_are_one_cluster():
    assert partition(np.ones((50, 4)), 4, 10, 0) == ([0] * 50, {})
    assert partition(np.eye(3), 4, 10, 0)[0] == [0, 0, 0]
    assert vectors(["the same"] * 3, None, 8, 0).shape[0] == 3


@pytest.mark.graph
def test_a_sentence_transformers_model_embeds_instead(tokenizer, tmp_path, failures):
    from sentence_transformers import SentenceTransformer, models
    from transformers import BertConfig, BertModel

    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=512, pad_token_id=tokenizer.pad_token_id, **shape)).save_pretrained(
        tmp_path / "bert"
    )
    tokenizer.save_pretrained(tmp_path / "bert")
    encoder = models.Transformer(str(tmp_path / "bert"))
    SentenceTransformer(modules=[encoder, models.Pooling(32)], device="cpu").save(str(tmp_path / "encoder"))
    found = vectors([record["instruction"] for record in failures], tmp_path / "encoder", 16, 0)
    assert found.shape == (len(failures), 32)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    with pytest.raises(InputError, match="not the folder of a sentence-transformers model"):
        vectors(["x"], tmp_path / "nothing", 16, 0)
