import pytest

from ingot.errors import InputError
from ingot.inference.device import PROMISED, device


def test_a_job_that_is_promised_a_gpu_computes_on_no_cpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert device() == "cpu"
    monkeypatch.setenv(PROMISED, "1")
    with pytest.raises(InputError, match="is promised a GPU by `resources.gpu`, and torch sees none"):
        device()
