"""What a machine lacks is found before the first job: by real files, real programs and a real server."""

import http.server
import json
import socket
import threading
from email.utils import formatdate

import pytest

from helpers.workspaces import ROOT
from ingot.errors import InputError
from ingot.tools import doctor
from ingot.workflow import machine
from ingot.workflow.build import open_build

JUDGED = {"most": 5, "malformed": 0.1}


def build_of(**given):
    return open_build({"preset": "tiny", **given}, ROOT)


@pytest.fixture
def server(monkeypatch):
    """A server that wants a key, and whose clock can be set."""

    class Handler(http.server.BaseHTTPRequestHandler):
        ahead = 0

        def do_GET(self):
            right = self.headers["authorization"] == "Bearer right" and self.path == "/v1/models"
            right |= self.path.startswith("/v1/api/models/team/open/")
            right |= self.path.startswith("/v1/api/models/team/gated/revision/")
            self.send_response_only(200 if right else 401)
            self.send_header("date", formatdate(machine.datetime.datetime.now().timestamp() + self.ahead, usegmt=True))
            self.end_headers()

        def log_message(self, *_):
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    monkeypatch.setenv("MY_KEY", "right")
    yield f"http://127.0.0.1:{running.server_port}/v1", Handler
    running.shutdown()


def program(folder, name, text):
    """Put a program where it is found first."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def with_gpu(tmp_path, monkeypatch):
    """Act as a machine whose driver knows one GPU of 24 GiB."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    program(
        tmp_path / "bin",
        "nvidia-smi",
        'case "$1" in --query*) echo "NVIDIA RTX, 24576";; *) echo "| CUDA Version: 11.8 |";; esac',
    )


def endpoint_of(address):
    return build_of(judge={"endpoint": address, "key_variable": "MY_KEY"}, judge_open=JUDGED).settings.judge


@pytest.mark.parametrize(
    ("key", "state", "todo"),
    [("right", "ok", ""), ("wrong", "fail", "correct MY_KEY"), ("", "fail", "set MY_KEY")],
)
def test_a_key_is_tried(server, monkeypatch, key, state, todo):
    monkeypatch.setenv("MY_KEY", key)
    found = machine.check_endpoint("judge", endpoint_of(server[0]))
    assert (found.state, found.todo) == (state, todo)
    assert key == "" or key not in found.found


def test_a_key_stays_secret_whatever_is_wrong_with_it(server, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-SECRET\rx")
    found = machine.check_endpoint("judge", endpoint_of(server[0]))
    assert found.state == "fail"
    assert "SECRET" not in str(found)


def test_a_key_goes_to_nobody_else(server, monkeypatch):
    """A server that sends us on gets no key sent on with us."""
    handler, seen = server[1], []

    def sent_on(self):
        seen.append((self.headers["host"], self.headers["authorization"]))
        self.send_response_only(302 if self.headers["host"].startswith("127.") else 200)
        self.send_header("location", f"http://localhost:{self.server.server_port}/other")
        self.end_headers()

    monkeypatch.setattr(handler, "do_GET", sent_on)
    machine.check_endpoint("judge", endpoint_of(server[0]))
    assert [key for _, key in seen] == ["Bearer right", None]


def test_what_speaks_no_http_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = threading.Thread(target=lambda: taken.accept()[0].sendall(b"SSH-2.0\r\n"))
        answer.start()
        found = machine.check_endpoint("judge", endpoint_of(f"http://127.0.0.1:{taken.getsockname()[1]}/v1"))
        answer.join()
    assert found.state == "fail"


def test_a_server_that_is_not_there_is_named():
    found = machine.check_endpoint("judge", endpoint_of("http://127.0.0.1:9/v1"))
    assert found.state == "fail"
    assert "http://127.0.0.1:9/v1" in found.found


def test_only_endpoints_that_the_build_asks_are_checked():
    def asked(build):
        checks = machine.all_checks(build, ROOT)
        return [check.args[0] for check in checks if getattr(check, "func", None) is machine.check_endpoint]

    assert asked(build_of()) == []
    assert asked(build_of(judge_open=JUDGED)) == ["judge"]


@pytest.mark.parametrize(("model", "state"), [("team/open", "ok"), ("team/gated", "fail"), ("team/none", "fail")])
def test_a_gated_model_is_listed_to_everybody_and_given_to_few(server, monkeypatch, model, state):
    monkeypatch.setenv("HF_ENDPOINT", server[0])
    base = {"kind": "hub", "model": model, "revision": "0" * 40}
    found = machine.check_hub(build_of(base=build_of().settings.base.model_dump() | base).settings)
    assert found.state == state
    if state == "fail":
        assert "`hf auth login`" in found.todo


@pytest.mark.parametrize(("ahead", "state"), [(0, "ok"), (-7200, "fail"), (7200, "fail")])
def test_a_clock_that_is_off_is_found(server, ahead, state):
    server[1].ahead = ahead
    assert machine.check_clock(ROOT, [server[0]]).state == state


def test_a_clock_before_the_last_commit_is_off(monkeypatch):
    monkeypatch.setattr(machine, "output_of", lambda *_: "99999999999")
    assert machine.check_clock(ROOT, []).state == "fail"


def test_a_gpu_that_is_promised_must_be_there(with_gpu):
    resources = build_of().settings.resources.model_dump()
    one, two = (build_of(resources=resources | {"gpu": n}).settings for n in (1, 2))
    assert machine.check_gpu(one) == machine.ok("gpu", "NVIDIA RTX (24.0 GiB)")
    assert machine.check_gpu(two).state == "fail"


def test_a_gpu_smaller_than_the_preset_is_made_for_is_named(with_gpu):
    resources = build_of().settings.resources.model_dump() | {"gpu": 1}
    large, small = (build_of(resources=resources | {"gpu_memory_mb": n}).settings for n in (80_000, 24_000))
    found = machine.check_gpu(large)
    assert (found.state, "`resources.gpu_memory_mb` to 25769" in found.todo) == ("fail", True)
    assert machine.check_gpu(small).state == "ok"


def test_jobs_share_what_the_machine_has_and_one_may_always_run(with_gpu, tmp_path, monkeypatch):
    resources = build_of().settings.resources.model_dump()
    whole = machine.memory()[0] // 1_000_000
    assert machine.shared(build_of().settings) == {"mem_mb": whole}
    asked = build_of(resources=resources | {"gpu": 2, "memory_mb": 10 * whole}).settings
    assert machine.shared(asked) == {"mem_mb": 10 * whole, "gpu": 2}
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    for name, value in (("max", 1_000_000_000), ("current", 400_000_000)):
        (tmp_path / f"memory.{name}").write_text(f"{value}\n")
    assert machine.memory() == (1_000_000_000, 600_000_000)
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.memory()[0] > 1_000_000_000


def test_a_gpu_that_tells_no_memory_is_one(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    program(tmp_path / "bin", "nvidia-smi", 'echo "NVIDIA GB10, [N/A]"')
    assert machine.gpus() == [{"name": "NVIDIA GB10", "memory": 0}]


@pytest.mark.parametrize(
    ("promised", "said"),
    [
        ({"gpu": 64}, r"gpu: .*a job is promised 64; use a cluster profile"),
        ({"memory_mb": 100_000_000}, r"memory: .*a job may take .*; or lower `resources.memory_mb`"),
    ],
)
def test_no_build_begins_where_a_job_would_find_less_than_it_is_promised(promised, said):
    settings = build_of(resources=build_of().settings.resources.model_dump() | promised).settings
    with pytest.raises(InputError, match=said):
        machine.check_before_build(settings, ROOT)


def test_no_build_begins_with_a_driver_that_torch_cannot_use(with_gpu, tmp_path, monkeypatch):
    monkeypatch.setenv("INGOT_VENVS", str(tmp_path / "venvs"))
    (tmp_path / "venvs/ml-1/bin").mkdir(parents=True)
    program(tmp_path / "venvs/ml-1/bin", "python", "echo 12.8 False")
    settings = build_of(resources=build_of().settings.resources.model_dump() | {"gpu": 1}).settings
    with pytest.raises(InputError, match="driver: .*update the driver"):
        machine.check_before_build(settings, ROOT)


def test_a_driver_too_old_for_torch_is_found(with_gpu, tmp_path, monkeypatch):
    monkeypatch.setenv("INGOT_VENVS", str(tmp_path / "venvs"))
    promised = build_of(resources=build_of().settings.resources.model_dump() | {"gpu": 1}).settings
    program_folder = tmp_path / "venvs/ml-1/bin"
    program_folder.mkdir(parents=True)
    for cuda, sees, state in (("12.8", "True", "fail"), ("11.8", "True", "ok"), ("11.8", "False", "fail")):
        program(program_folder, "python", f"echo {cuda} {sees}")
        assert machine.check_driver(promised, ROOT).state == state
        assert machine.check_driver(build_of().settings, ROOT).state == ("note" if state == "fail" else "ok")


def test_less_memory_or_cores_than_a_job_takes_is_said():
    resources = build_of().settings.resources.model_dump() | {"memory_mb": 100_000_000}
    settings = build_of(resources=resources, threads=1000).settings
    assert machine.check_memory(settings).state == "fail"
    assert machine.check_cores(settings).state == "note"
    assert machine.check_memory(build_of().settings).state == "ok"


def test_sources_and_benchmarks_must_be_there(tmp_path):
    (tmp_path / "here [1].jsonl").write_text("{}\n")
    there = {"name": "a", "path": str(tmp_path / "here [1].jsonl"), "domain": "code"}
    assert machine.check_files(build_of(sources=[there]).settings).state == "ok"
    found = machine.check_files(build_of(sources=[there | {"path": "none.jsonl"}], benchmarks=["gone.csv"]).settings)
    assert (found.state, found.found) == ("fail", "no such file: none.jsonl, gone.csv")


def test_locks_and_disk_of_this_folder(tmp_path):
    assert machine.check_locks(tmp_path).state == "ok"
    assert machine.check_reflinks(tmp_path).state in ("ok", "note")
    assert machine.check_disk(tmp_path).found.endswith("free")
    assert not list(tmp_path.iterdir())


def test_slurm_is_asked_if_the_profile_names_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.check_slurm("").state == "ok"
    assert machine.check_slurm("profiles/slurm").state == "fail"
    program(tmp_path, "sbatch", "exit 0")
    program(tmp_path, "sinfo", "echo 'debug* up 1'")
    assert machine.check_slurm("profiles/slurm") == machine.ok("slurm", "debug* up 1")
    program(tmp_path, "sinfo", "exit 1")
    assert machine.check_slurm("profiles/slurm").state == "fail"


def test_the_doctor_prints_what_to_do_and_json(capsys):
    status = doctor.main(["--preset", "llama-3.1-8b", "--profile", "profiles/slurm", "--json"])
    findings = json.loads(capsys.readouterr().out)
    assert status == any(one["state"] == "fail" for one in findings)
    assert {"python", "compiler", "disk", "slurm", "hub", "clock"} <= {one["check"] for one in findings}
    assert not {"gpu", "memory"} & {one["check"] for one in findings}, "jobs run elsewhere"
    assert all(one["todo"] for one in findings if one["state"] != "ok")
    status = doctor.main(["--preset", "tiny"])
    assert ("checks failed" if status else "Ready to build.") in capsys.readouterr().out
