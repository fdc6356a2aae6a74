"""Requests that nobody thought of: schemathesis makes them up by the server's own schema."""

from collections import Counter

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from helpers.servers import KEY, serving

pytestmark = pytest.mark.graph
CASES = {"/v1/chat/completions": 600, "/v1/completions": 500}
FEW = 20
"""Cases for each path that takes next to nothing."""


@pytest.fixture(scope="module")
def server(served_release, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with serving(served_release, home, "--most-tokens", "4", "--parallel", "4") as running:
        yield running


def test_no_request_breaks_the_server_or_its_schema(server):
    headers = {"authorization": f"Bearer {KEY}"}
    url = server.url.removesuffix("/v1")
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", headers=headers)
    statuses = Counter()

    def ask(case):
        if case.meta.generation.mode == GenerationMode.POSITIVE and isinstance(case.body, dict):
            case.body["model"] = "auto"  # a made-up name gets no further
        response = case.call(headers=headers)
        statuses[response.status_code] += 1
        assert response.status_code < 500
        if response.status_code == 413:
            return  # schemathesis does not take this as a refusal
        # A schema cannot say all: that a message needs a content, or that a model must be there.
        case.validate_response(response, excluded_checks=[positive_data_acceptance])

    for described in schema.get_all_operations():
        operation = described.ok()
        manners = list(GenerationMode) if operation.body else [GenerationMode.POSITIVE]
        for manner in manners:
            once = settings(
                max_examples=CASES.get(operation.path, FEW) // len(manners),
                deadline=None,
                database=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            )
            once(given(case=operation.as_strategy(generation_mode=manner))(ask))()
    assert statuses.total() >= 1000
    assert statuses[200] > 100, statuses
    server.wait_until_idle()
