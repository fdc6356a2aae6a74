import pytest

from ingot.errors import InputError
from ingot.io.records import read_json, write_json, write_records
from workflow_scripts.release.report_rounds import report_rounds

PROMPTS = [(f"q{i}", "code" if i % 2 else "math") for i in range(20)]


@pytest.fixture
def run(tmp_path):
    def answers(name, marks):
        rows = [{"instruction": q, "domain": d, "right": i in marks} for i, (q, d) in enumerate(PROMPTS)]
        write_records(tmp_path / name, rows)
        return tmp_path / name

    def run(last):
        reports = {
            "pretrain": {"tokens_seen": 100},
            "adapt": {"tokens": 20},
            "round": {"training": {"tokens": 7}},
            "none": {},
        }
        for name, report in reports.items():
            write_json(tmp_path / f"{name}.json", report)
        (tmp_path / "folder").mkdir(exist_ok=True)
        (tmp_path / "folder/model.safetensors").write_bytes(b"12345")
        (tmp_path / "lora.gguf").write_bytes(b"123")
        report_rounds(
            [answers("base", {0, 1}), answers("targeted", {*range(12)}), last],
            [tmp_path / f"{name}.json" for name in ("pretrain", "adapt", "round", "none")],
            [tmp_path / "folder", tmp_path / "lora.gguf"],
            tmp_path / "rounds.json",
            tmp_path / "rounds.md",
            names=["base", "targeted", "system"],
            trainings_per_stage=[1, 3, 0],
            artifacts_per_stage=[1, 0, 1],
        )
        return read_json(tmp_path / "rounds.json"), (tmp_path / "rounds.md").read_text()

    return run


def system_answers(prompts):
    for i, (prompt, domain) in enumerate(prompts):
        yield {"instruction": prompt, "domain": domain, "route": "code", "right": i != 1}


def test_every_stage_is_tested_against_the_one_before_and_its_costs_are_counted(run, tmp_path):
    write_records(tmp_path / "system", system_answers(PROMPTS))
    stages, text = run(tmp_path / "system")
    assert [one["costs"] for one in stages] == [
        {"tokens": 100, "bytes": 5},
        {"tokens": 27, "bytes": 0},
        {"tokens": 0, "bytes": 3},
    ]
    assert stages[0]["versus_before"] is None
    assert stages[1]["versus_before"]["won"] == 10
    assert stages[2]["versus_before"]["lost"] == 1
    assert stages[2]["versus_before"]["forgetting"] == 0  # code lost one and won four
    assert [line.split("|")[1].strip() for line in text.splitlines()] == ["stage", "---", "base", "targeted", "system"]
    assert "60.0% (39% to 78%)" in text


def test_stages_that_were_asked_other_questions_are_not_compared(run, tmp_path):
    write_records(tmp_path / "system", system_answers(PROMPTS[::-1]))
    with pytest.raises(InputError, match="system was not asked the same questions"):
        run(tmp_path / "system")
