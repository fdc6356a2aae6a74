"""Plans: from configurations alone, corrected by what ran here, and refused where the arithmetic forbids."""

import json
import re
import subprocess

import pytest

from helpers.workspaces import ENVIRONMENT, ROOT, clone_of
from ingot.errors import InputError
from ingot.planning.estimates import ESTIMATES, estimate
from ingot.planning.experience import Experience, Needs
from ingot.planning.plan import advice, budget_reasons, config_of, gguf_bytes, lines_of, reasons_against, situation_of
from ingot.quantities import bytes_of
from ingot.workflow.build import open_build
from ingot.workflow.chain import KINDS

GIB = 1 << 30
SHIPPED = sorted(path.stem for path in ROOT.glob("presets/*.yaml") if path.stem != "defaults")
WORLD = {"name": "world", "generator": "alpaca", "domain": "math"}


def situation(preset, **given):
    build = open_build({"preset": preset, **given}, ROOT)
    config = config_of(build, ROOT)
    return situation_of(build, config, dict.fromkeys(build.types, 10**9))


DEFAULT_MB = 1000  # of profiles/slurm


@pytest.mark.parametrize("preset", SHIPPED)
def test_every_preset_has_a_shape(preset):
    build = open_build({"preset": preset, "sources": [WORLD]}, ROOT)
    made = situation_of(build, config_of(build, ROOT), {})
    assert made.weights.parameters > 3_000_000
    assert made.records > 1000


def test_a_base_without_a_shape_is_an_error_that_says_where_to_put_it():
    base = {"kind": "hub", "model": "who/knows", "revision": "0" * 40, "licence": "x"}
    with pytest.raises(InputError, match=r"put its config.json at .*presets/shapes/who--knows.json"):
        situation("llama-3.2-1b", base=base)


def test_ways_to_prune_are_planned_as_what_they_are():
    gradual = {"attention": 0, "feed_forward": 0.5, "until": 0.5, "every": 10}
    prunings = {
        "half": {"structure": "2:4"},
        "slow": {"structure": "unstructured", "gradual": gradual},
        "shallow": {"structure": "blocks", "ratios": {"blocks": 0.25}},
    }
    made = situation("llama-3.2-1b", sources=[WORLD], frontier={"prunings": prunings})
    half, slow, shallow = (ESTIMATES["prune_candidate"](made, (name,)) for name in prunings)
    assert half == slow == ESTIMATES["prune"](made, ())
    assert shallow.operations > 2 * half.operations, "every block is tried"
    recoveries = [ESTIMATES["recover_candidate"](made, (name,)) for name in prunings]
    assert recoveries[0] == recoveries[2] == ESTIMATES["recover"](made, ())
    assert recoveries[1].gpu_memory_bytes > recoveries[0].gpu_memory_bytes
    assert "frontier.prunings" in advice("recover_candidate") and "frontier.prunings" in advice("prune_candidate")


@pytest.mark.parametrize("preset", SHIPPED)
def test_every_step_of_every_preset_fits_the_machine_that_it_names(preset):
    made = situation(preset, sources=[WORLD])
    left_out = {*KINDS} - {*made.build.settings.chain} | ({"pretrain"} if not made.build.pretrained else set())
    left_out |= {"prune_candidate", "recover_candidate"}  # no preset has `frontier.prunings`: see below
    steps = [(f"x:{rule}", rule, (made.build.served,)) for rule in sorted(set(ESTIMATES) - left_out)]
    assert reasons_against(made, lines_of(made, steps, Experience(ROOT / "none.json")), 10**15, here=False) == []


def test_recover_of_eight_billion_weights_in_float32_does_not_fit_one_gpu():
    training = {"batch": 16, "accumulation": 1, "optimizer": "muon"}
    made = situation("llama-3.1-8b", recover={"training": training})
    lines = lines_of(made, [("x:recover", "recover", ())], Experience(ROOT / "none.json"))
    assert 110 * GIB < lines[0].needs.gpu_memory_bytes < 180 * GIB
    (reason,) = (r for r in reasons_against(made, lines, 10**15, here=False) if "recover" in r)
    assert "`optimizer: adamw_8bit`" in reason


def test_steps_that_hold_no_model_are_small():
    made = estimate(situation("llama-3.1-8b"), "gate", ())
    assert made.memory_bytes < GIB


def declared():
    """{rule: the MB of memory that it declares, None for that of the preset}."""
    found, like = {}, {}
    for path in ROOT.glob("rules/*.smk"):
        for block in re.split(r"^ *(?=rule |use rule )", path.read_text(), flags=re.MULTILINE):
            if name := re.match(r"(?:use rule (\w+) as|rule) (\w+)", block):
                told = re.search(r"\bmem_mb=(\d+),", block)
                of_preset = "**gpu()" in block or "=LARGE" in block
                if name[1] and "resources:" not in block:
                    like[name[2]] = name[1]
                found[name[2]] = None if of_preset else int(told[1]) if told else DEFAULT_MB
    return found | {rule: found[other] for rule, other in like.items()}


@pytest.mark.parametrize("preset", SHIPPED)
def test_no_rule_takes_more_memory_than_it_declares(preset):
    made, most = situation(preset, sources=[WORLD]), declared()
    for rule in set(ESTIMATES) & set(most) - {"prune_candidate", "recover_candidate", "distil"}:
        if most[rule] is not None:
            assert estimate(made, rule, (made.build.served,)).memory_bytes <= 1e6 * most[rule], rule


def test_every_rule_that_holds_a_model_is_estimated():
    held = {rule for rule, most in declared().items() if most is None}
    # These read weights one by one, ask a model that the settings name, or are estimated by what they learn.
    small = {"ledger", "cluster", "teach", "train_router", "compare", "check_base", "fetch_tokenizer"}
    assert held - small - set(ESTIMATES) == set()
    assert len(held) > 15


def test_the_disk_must_hold_what_is_written():
    made = situation("tiny")
    lines = lines_of(made, [("x:pretrain", "pretrain", ())], Experience(ROOT / "none.json"))
    assert any(reason.startswith("disk:") for reason in reasons_against(made, lines, 1000, here=False))
    assert not reasons_against(made, lines, 10**12, here=True)


@pytest.mark.parametrize(("text", "count"), [("60MB", 60_000_000), ("1.5GB", 1_500_000_000), ("2KiB", 2048)])
def test_sizes_are_read(text, count):
    assert bytes_of(text) == count


def test_a_budget_that_cannot_be_met_is_answered_with_the_arithmetic():
    build = open_build({"preset": "llama-3.1-8b", "budget": {"file": "520MB"}}, ROOT)
    config = config_of(build, ROOT)
    sizes = gguf_bytes(config, [*build.types, "Q3_K_S", "IQ1_S"], ROOT)
    (reason,) = budget_reasons(build, 0.93 * sizes[build.served], sizes, 8_030_261_248)
    assert "520MB are wanted" in reason
    assert "even IQ1_S, the smallest" in reason
    roomy = open_build({"preset": "llama-3.1-8b", "budget": {"file": "20GB"}}, ROOT)
    assert budget_reasons(roomy, 0.93 * sizes[build.served], sizes, 8_030_261_248) == []
    tight = open_build({"preset": "llama-3.1-8b", "budget": {"memory": "4GB"}}, ROOT)
    assert "Q3_K_S would fit" in budget_reasons(tight, 1, sizes, 8_030_261_248)[0]


RAW = Needs(1000, 2000, 0, 10)


def test_what_ran_here_corrects_what_is_said(tmp_path):
    known = Experience(tmp_path / "e.json")
    measured = {"file_bytes": 1100, "memory_bytes": 1000, "seconds": 30}
    known.note_measured("p:a-1", "a", RAW, measured, ended=5)
    assert known.corrected("p:a-1", "a", RAW) == Needs(1100, 1000, 0, 30)
    assert known.corrected("p:a-2", "a", RAW).seconds == pytest.approx(30), "another step of the rule"
    other = known.corrected("q:b", "b", RAW)
    assert other.seconds == pytest.approx(30), "the machine is three times slower than thought"
    assert (other.file_bytes, other.memory_bytes) == (1000, 2000)


def test_a_plan_knows_its_own_error(tmp_path):
    known = Experience(tmp_path / "e.json")
    known.note_said("p:a", "a", RAW, RAW, now=1)
    known.save()
    known = Experience(tmp_path / "e.json")
    known.note_measured("p:a", "a", RAW, {"file_bytes": 1000, "memory_bytes": 1600, "seconds": 8}, ended=2)
    assert known.errors() == {"file_bytes": (0, 1), "memory_bytes": (0.25, 1), "seconds": (0.25, 1)}
    known.note_measured("p:a", "a", RAW, {"file_bytes": 1000, "memory_bytes": 1600, "seconds": 8}, ended=2)
    assert known.errors()["seconds"] == (0.25, 1), "the same run is counted once"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 1}', '{"a": {"rule": "x"}}'])
def test_a_damaged_memory_counts_as_none(tmp_path, content):
    path = tmp_path / "e.json"
    path.write_text(content)
    assert Experience(path).steps == {}


@pytest.mark.graph
def test_make_plan_needs_no_network_and_no_weights(start, tmp_path):
    folder = clone_of(start.folder, tmp_path / "ingot").folder
    command = ["make", "plan", "PRESET=llama-3.1-8b", "PROFILE=profiles/slurm", "FORMAT=json"]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    made = json.loads(done.stdout)
    assert {"step", "file_bytes", "memory_bytes", "gpu_memory_bytes", "seconds", "cost"} == set(made["steps"][0])
    assert all(reason.startswith("disk:") for reason in made["reasons"]), "it fits the machine that the preset names"
    assert made["feasible"] == (not made["reasons"]) == (not done.returncode)
    assert not (folder / "results").exists()
