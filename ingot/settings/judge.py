"""Settings of models behind an endpoint: the judge, what it may cost, and the quality scores that it gives."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator

from ingot.settings.section import Section, Share, problem, setting


def without_secrets(address: str) -> str:
    """Refuse an address that could hold a password or a key: settings are written to params.json and dvc.lock."""
    try:
        parts = urlsplit(address)
        plain = parts.scheme in ("http", "https") and bool(parts.hostname)
        secret = parts.username or parts.password or parts.query or parts.fragment
    except ValueError:
        plain, secret = False, None
    if secret:
        raise problem(
            "an address may not hold a user, a password, or anything after `?` or `#`, since it is written to files for"
            " others; put the key into the environment variable that `key_variable` names"
        )
    if not plain:
        raise problem("an address begins with http:// or https://, such as http://localhost:8000/v1")
    return address


Address = Annotated[str, AfterValidator(without_secrets)]
"""The address of an endpoint, without any secret."""


class Prices(Section):
    """What a million tokens cost; spending is counted by it."""

    input: float = setting("Price of what is asked", unit="USD per million tokens", ge=0)
    output: float = setting("Price of what is answered", unit="USD per million tokens", ge=0)


class Budget(Section):
    """What all runs together may spend at an endpoint; a step stops there, and goes on when it is raised."""

    tokens: int | None = setting("Tokens in and out; null: no limit", unit="tokens", ge=0)
    cost: float | None = setting("Cost by `prices`; null: no limit", unit="USD", ge=0)


class Endpoint(Section):
    """A model behind an endpoint with the interface of OpenAI's chat completions."""

    endpoint: Address | None = setting("Address, such as http://localhost:8000/v1; null: OpenAI's own")
    model: str = setting("Name of the model there", min_length=1)
    key_variable: str = setting(
        "Environment variable that holds the key; the key itself is written nowhere",
        pattern=r"^[A-Z][A-Z0-9_]*$",
        form="a name of capital letters, digits and _",
    )
    concurrency: int = setting("Requests at the same time", unit="requests", ge=1, le=1024)
    retries: int = setting(
        "Further attempts where the endpoint fails or the answer is malformed", unit="attempts", ge=0, le=100
    )
    timeout: float = setting("Longest wait for an answer", unit="seconds", gt=0)
    prices: Prices
    budget: Budget


class Judge(Endpoint):
    """The model that scores records and compares answers, by `score`, `compare`, `judge_open` or `target.judged`."""

    structured: Literal["json_schema", "json_object", "text"] = setting(
        "How the endpoint is told the form of an answer"
    )


class Score(Section):
    """Quality scores by the judge, from 0 to 10; null: no records are scored."""

    least: float = setting("Least score of a record that is kept", unit="points", ge=0, le=10)
    malformed: Share = setting("Largest share of records without a usable answer; with more the build stops")
