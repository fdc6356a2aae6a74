"""The release of a build, served: as good over HTTP as its gates measured, by every route."""

import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

from helpers.servers import KEY, Server, environment, serving
from helpers.workspaces import ROOT
from ingot.io.records import read_records
from ingot.text.checkers import is_right

pytestmark = pytest.mark.graph


@pytest.fixture(scope="module")
def release(built, tmp_path_factory):
    """A copy of the release, which is all that the server gets."""
    return shutil.copytree(built / "results/release", tmp_path_factory.mktemp("received") / "release")


@pytest.fixture(scope="module")
def server(release, tmp_path_factory):
    with serving(release, tmp_path_factory.mktemp("home")) as running:
        yield running


def answers_of(built, model):
    return list(read_records(built / f"results/answers/{model}/benchmark.jsonl"))


@pytest.mark.parametrize(("route", "model"), [("base", "IQ4_XS"), ("code", "modifier_code")])
def test_a_route_answers_as_well_as_its_gate_measured(server, built, route, model):
    right_there, right_here, equal = 0, 0, 0
    rows = answers_of(built, model)
    for row in rows:
        length = 1000 if row["stopped"] else None
        status, _, body = server.chat(route, row["instruction"], max_tokens=length or 64)
        answer = body["choices"][0]["message"]["content"].strip()
        assert status == 200
        right_there += bool(row["right"])
        right_here += bool(is_right(row["checker"], answer, row["response"]))
        equal += answer == row["answer"] or (not row["stopped"] and row["answer"].startswith(answer[:20]))
    assert right_here == right_there
    assert equal == len(rows)


def test_auto_takes_the_routes_that_were_measured(server, built):
    rows = list(read_records(built / "results/answers/system/benchmark.jsonl"))
    taken = [server.chat("auto", row["instruction"], max_tokens=1)[2]["ingot"]["route"] for row in rows]
    assert taken == [row["route"] for row in rows]


def test_make_serve_serves_the_release_of_the_build(workspace, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        ["make", "serve", f"PORT={port}"],
        cwd=workspace.folder,
        env=environment(tmp_path, INGOT_VENVS=str(ROOT / ".venvs")),
        start_new_session=True,
    )
    running = Server(process, [{"event": "ready", "address": f"http://127.0.0.1:{port}/v1"}])
    try:
        for _ in range(6000):  # the first time on a machine, the environment of the server is built
            try:
                assert running.call("/v1/models", key=KEY)[0] == 200
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.1)
        assert running.chat("auto", "Sort: 3 1 2")[0] == 200
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
