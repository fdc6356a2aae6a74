"""Unpacking by hand."""

import os
import sys

import pytest

from ingot.io.container import pack_file
from ingot.tools import unpack


def test_unpack_checks_what_it_writes(tmp_path, monkeypatch, capsys):
    model = tmp_path / "model.gguf"
    model.write_bytes(os.urandom(1000))
    packed = tmp_path / "model.gguf.zst"
    pack_file(model, packed, 3, 1)
    monkeypatch.setattr(sys, "argv", ["unpack", str(packed), str(tmp_path / "again.gguf")])
    unpack.main()
    assert (tmp_path / "again.gguf").read_bytes() == model.read_bytes()
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(SystemExit, match=r"ingot: unpack: .*model\.gguf\.zst"):
        unpack.main()
