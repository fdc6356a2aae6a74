"""What is left out of an import is not there, and what was asked for works."""

import subprocess
import sys

import pytest

from helpers.workspaces import ROOT

pytestmark = pytest.mark.graph

CODE = """
import sys
from ingot.inference.light_imports import import_tokenizers_only
import_tokenizers_only()
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
assert not {"torch", "sklearn", "scipy"} & set(sys.modules)
import torch  # whoever needs it may still have it
print(torch.__name__, len(tokenizer("Sort: 3 1 2")["input_ids"]) > 3)
"""


def test_a_tokenizer_needs_no_torch_although_it_is_installed(checkpoint):
    done = subprocess.run(
        [sys.executable, "-c", CODE, checkpoint], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("torch True", "")
