import numpy as np
import pytest

from ingot.errors import InputError
from ingot.measuring.predictions import Prediction, likeness, predict
from ingot.text.chat import Encoded


def random_logits(rows, vocabulary, seed):
    return np.random.default_rng(seed).normal(size=(rows, vocabulary)).astype(np.float32)


def test_predictions_are_taken_along_the_answer_only():
    conversation = Encoded([5, 6, 7, 1, 2], prompt=3)
    logits = random_logits(5, 8, 0)
    found = predict(lambda ids: logits, iter([conversation]), 100)
    assert found.tokens.tolist() == [1, 2]
    expected = logits[2:4] - np.log(np.exp(logits[2:4]).sum(-1, keepdims=True))
    np.testing.assert_allclose(found.logprobs.astype(np.float32), expected, atol=0.01)


def test_perplexity_of_a_uniform_model_is_the_size_of_its_vocabulary():
    uniform = predict(lambda ids: np.zeros((len(ids), 16)), iter([Encoded([1, 2, 3], 1)]), 100)
    assert uniform.perplexity() == pytest.approx(16, rel=1e-3)


def test_likeness_of_a_model_to_itself_is_perfect():
    one = Prediction(np.array([1, 2], dtype=np.int32), np.log(np.full((2, 4), 0.25)).astype(np.float16))
    assert likeness(one, one) == {"top1_agreement": 1.0, "kl": 0.0, "perplexity_ratio": 1.0}


def test_divergence_agrees_with_its_definition():
    p, q = np.array([[0.7, 0.2, 0.1]]), np.array([[0.1, 0.3, 0.6]])
    tokens = np.array([0], dtype=np.int32)
    found = likeness(Prediction(tokens, np.log(q).astype(np.float16)), Prediction(tokens, np.log(p).astype(np.float16)))
    assert found["kl"] == pytest.approx(float((p * np.log(p / q)).sum()), abs=0.005)
    assert found["top1_agreement"] == 0.0
    assert found["perplexity_ratio"] == pytest.approx(7.0, rel=0.01)


def test_a_token_that_float16_cannot_hold_does_not_spoil_the_sum():
    tokens = np.array([0], dtype=np.int32)
    sure = Prediction(tokens, np.array([[0.0, -np.inf]], dtype=np.float16))
    assert likeness(sure, sure)["kl"] == 0.0


def test_models_that_read_other_tokens_are_not_compared():
    one, two = (Prediction(np.array([t], dtype=np.int32), np.zeros((1, 2), dtype=np.float16)) for t in (0, 1))
    with pytest.raises(RuntimeError, match="different tokens"):
        likeness(one, two)


def test_nothing_to_measure_on_is_said():
    with pytest.raises(InputError, match="raise the test share"):
        predict(lambda ids: None, iter([]), 10)


def test_predictions_survive_the_disk(tmp_path):
    one = Prediction(np.array([1], dtype=np.int32), random_logits(1, 4, 0).astype(np.float16))
    one.save(tmp_path / "p.safetensors")
    back = Prediction.load(tmp_path / "p.safetensors")
    assert (back.tokens == one.tokens).all()
    assert (back.logprobs == one.logprobs).all()
