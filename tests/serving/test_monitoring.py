"""The dashboard and the alerts, asked of a real Prometheus that watches a real server."""

import importlib.util
import json
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request

import pytest
import yaml

from helpers.servers import KEY, WORDS, serving
from helpers.workspaces import ROOT

pytestmark = pytest.mark.graph
MONITORING = ROOT / "monitoring"
needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="there is no prometheus: apt install prometheus",
)


def dashboard():
    spec = importlib.util.spec_from_file_location("dashboard", MONITORING / "dashboard.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def queries():
    """All queries of the written dashboard."""
    panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def test_the_dashboard_is_the_one_that_the_code_writes():
    assert dashboard().TARGET.read_text() == dashboard().written(), "run `make monitoring`"


def test_every_panel_has_a_unit_and_says_what_is_better():
    for panel in json.loads((MONITORING / "dashboard.json").read_text())["panels"]:
        assert panel["title"] and panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]


@needs_prometheus
def test_promtool_finds_nothing_wrong():
    subprocess.run(["promtool", "check", "rules", MONITORING / "alerts.yml"], check=True, capture_output=True)
    configuration = ["promtool", "check", "config", "--syntax-only", MONITORING / "prometheus.yml"]
    subprocess.run(configuration, check=True, capture_output=True)


@pytest.fixture(scope="module")
def prometheus(served_release, tmp_path_factory):
    """The address of a Prometheus that has watched a server while it was asked."""
    folder = tmp_path_factory.mktemp("prometheus")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "key").write_text(KEY)
    with serving(served_release, folder / "home") as server:
        configuration = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
        scrape = configuration["scrape_configs"][0]
        scrape |= {"scrape_interval": "1s", "scrape_timeout": "1s"}
        scrape["authorization"]["credentials_file"] = str(folder / "key")
        scrape["static_configs"] = [{"targets": [f"127.0.0.1:{server.port}"]}]
        configuration["rule_files"] = [str(MONITORING / "alerts.yml")]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
        command = ["prometheus", *options, f"--web.listen-address=127.0.0.1:{port}"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        url = f"http://127.0.0.1:{port}/api/v1"
        try:
            for i in range(8):
                server.chat("auto", WORDS["code"] if i % 2 else "name a city", temperature=1)
                time.sleep(1)
            yield url
        finally:
            process.kill()
            process.wait()


def ask(url, query):
    with urllib.request.urlopen(f"{url}/query?{urllib.parse.urlencode({'query': query})}") as response:
        return json.loads(response.read())["data"]["result"]


@needs_prometheus
def test_every_query_of_the_dashboard_has_figures(prometheus):
    empty = [query for query in queries() if not ask(prometheus, query)]
    assert empty == []


@needs_prometheus
def test_every_alert_is_known_and_none_is_raised(prometheus):
    with urllib.request.urlopen(f"{prometheus}/rules") as response:
        rules = json.loads(response.read())["data"]["groups"][0]["rules"]
    assert len(rules) == len(yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"])
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
    assert ask(prometheus, 'up{job="ingot"}')[0]["value"][1] == "1"
    assert not any(rule["state"] == "firing" for rule in rules)
