"""What the tests share: the modules on the path, records, a tiny untrained model, one build of the micro preset."""

import os
import subprocess
import threading
import warnings
import zlib
from pathlib import Path

import pytest

# Workers of pytest-xdist share the cores: libraries that each take all of them wait for each other instead of working.
# Before numpy and torch are imported, which read it once.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Else each dvc would leave a report for its makers in /tmp.
os.environ.setdefault("DVC_NO_ANALYTICS", "1")

from helpers.records import make_record
from helpers.servers import make_release
from helpers.shared import made_once
from helpers.workspaces import ROOT, Workspace, clone_of, copy_project
from traced.hermetic import why_not


@pytest.fixture
def root():
    return ROOT


@pytest.fixture
def record():
    return make_record


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A folder that all workers of pytest-xdist share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def tokenizer():
    """A tokenizer trained on the tiny world, as the tiny preset's is."""
    import itertools

    from ingot.world import tasks
    from workflow_scripts.base.train_tokenizer import learn

    shares = {domain: {"easy": 1.0} for domain in tasks.DOMAINS}
    some = itertools.islice(tasks.tasks(0, shares, 0, 1, unique=False), 2000)
    return learn((f"{task.instruction}\n{task.response}" for task in some), 512)


@pytest.fixture(scope="session")
def checkpoint(shared, request):
    """A folder with an untrained two-layer Llama whose widths suit every GGUF type, and its tokenizer."""

    def make(folder):
        import torch

        from ingot.settings.base import Architecture
        from workflow_scripts.base.pretrain import new_model

        tokenizer = request.getfixturevalue("tokenizer")
        torch.manual_seed(0)
        shape = Architecture(hidden=256, feed_forward=256, layers=2, heads=4, kv_heads=2, initializer_range=0.06)
        new_model(tokenizer, shape, 4096).save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    return made_once(shared / "models/base", make)


@pytest.fixture(scope="session")
def f16(shared, checkpoint):
    """The checkpoint as a GGUF file of type F16."""
    from workflow_scripts.gguf.convert import convert

    return made_once(shared / "models/F16.gguf", lambda path: convert(checkpoint, path, name="tiny"))


@pytest.fixture(scope="session")
def modifiers(shared, checkpoint):
    """{name: LoRA as GGUF}: two with random weights, of the same shape, over the checkpoint."""

    def make(folder):
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM

        from ingot.converting.llama_cpp_tools import convert_lora

        for seed, name in enumerate(("code", "reasoning")):
            torch.manual_seed(seed)
            model = AutoModelForCausalLM.from_pretrained(checkpoint)
            wide = ["q_proj", "v_proj", "up_proj"]
            config = LoraConfig(r=8, lora_alpha=64, target_modules=wide, init_lora_weights=False)
            get_peft_model(model, config).save_pretrained(folder / name)
            convert_lora(folder / name, checkpoint, folder / f"{name}.gguf", "f16")

    folder = made_once(shared / "models/modifiers", make)
    return {path.stem: path for path in sorted(folder.glob("*.gguf"))}


@pytest.fixture(scope="session")
def served_release(shared, checkpoint, f16, modifiers):
    """The folder of a release of an untrained model, with two modifiers, a router and a detector."""
    return made_once(shared / "models/release", lambda folder: make_release(folder, f16, modifiers, checkpoint))


@pytest.fixture(scope="session")
def start(tmp_path_factory):
    """A repository with the files of this one as they are now, set to the micro preset."""
    folder = tmp_path_factory.mktemp("start") / "ingot"
    copy_project(folder)
    workspace = Workspace(folder)
    workspace.edit("config.yaml", "preset: tiny", "preset: tests/micro/preset.yaml")
    for name in ("dvc.yaml", "params.json", "dvc.lock"):  # of another preset, and perhaps of another build
        (folder / name).unlink(missing_ok=True)
    workspace.git("init", "-q", "-b", "main")
    workspace.git("add", "-A")
    workspace.git("commit", "-q", "-m", "start")
    return workspace


class MicroBuild:
    """The whole micro build, done once for all workers of pytest-xdist, with the state of DVC committed."""

    def __init__(self, start, folder):
        self.start, self.folder = start, folder

    def done(self):
        """Build it, or wait until another worker has; return its folder."""
        return Workspace(made_once(self.folder, self.build))

    def build(self, folder):
        workspace = clone_of(self.start.folder, folder)
        hindrance = why_not() if os.environ.get("INGOT_HERMETIC") else ""
        if hindrance:
            warnings.warn(f"INGOT_HERMETIC is set, and the micro build is a plain one: {hindrance}", stacklevel=1)
        if os.environ.get("INGOT_HERMETIC") and not hindrance:
            workspace.call("python", "-m", "traced.hermetic")
        else:
            workspace.snakemake()
        workspace.git("add", "-A")
        workspace.git("commit", "-q", "-m", "built")


@pytest.fixture(scope="session")
def micro_build(start, shared):
    return MicroBuild(start, shared / "built/ingot")


@pytest.fixture(scope="session", autouse=True)
def builds_meanwhile(request):
    """One worker lets the micro build begin at once, while tests run that do not need it."""
    if os.environ.get("PYTEST_XDIST_WORKER") != "gw0" or not any(map(needs_micro_build, request.session.items)):
        yield
        return
    build = request.getfixturevalue("micro_build")
    known = {"sources": request.getfixturevalue("start").sources(), "folder": str(build.folder)}
    request.config.cache.set("ingot/micro", known)
    build = threading.Thread(target=build.done)
    build.start()
    yield
    build.join()


def needs_micro_build(item):
    return "built_workspace" in getattr(item, "fixturenames", ())


def pytest_collection_modifyitems(items):
    """Put what needs the micro build last, and what only reads in it at the very end.

    pytest-xdist hands out neighbours together (`--dist load`). So the long stories are mixed with the short ones: else
    one worker would get them all, and the others would wait for it.
    """

    def place(item):
        if not needs_micro_build(item):
            return 0, 0
        if "built" not in item.fixturenames:
            return 1, zlib.crc32(item.nodeid.encode())
        return 2, 0

    items.sort(key=place)


@pytest.fixture(scope="session")
def built_workspace(micro_build, start, pytestconfig):
    """The folder of the micro build."""
    workspace = micro_build.done()
    known = {"sources": start.sources(), "folder": str(workspace.folder), "outs": workspace.outs()}
    pytestconfig.cache.set("ingot/micro", known)
    return workspace


@pytest.fixture
def micro_outs(start, request):
    """{path: digest} of all artifacts of a micro build of these sources: of another run, be it at work, or made now."""
    known = request.config.cache.get("ingot/micro", {})
    if known.get("sources") != start.sources():
        return request.getfixturevalue("built_workspace").outs()
    return known.get("outs") or MicroBuild(start, Path(known["folder"])).done().outs()


@pytest.fixture(scope="session")
def built(built_workspace):
    """The folder of the micro build."""
    return built_workspace.folder


@pytest.fixture
def workspace(built_workspace, tmp_path):
    """A copy of the build, to do with as the story wants; nothing runs in it just because it is a copy."""
    subprocess.run(["cp", "-a", built_workspace.folder, tmp_path / "ingot"], check=True)
    return Workspace(tmp_path / "ingot")
