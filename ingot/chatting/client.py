"""Ask a server of a release, by OpenAI's client."""

from collections.abc import Iterator
from typing import Any

from ingot.errors import InputError

TOO_LONG = "context_length_exceeded"
"""How the API calls a conversation that leaves no room for an answer."""
LEFT_OUT, CUT = "left_out", "cut"
SECONDS = 30
"""How long a server may take to say whom one can ask: a page waits for that."""


class Client:
    """A server that answers."""

    def __init__(self, address: str, key: str) -> None:
        """Name a server by its address, which ends in /v1, and the key that it asks for."""
        from openai import OpenAI

        self.address = address
        self.openai = OpenAI(base_url=address, api_key=key or "none", max_retries=0)

    def routes(self) -> list[str]:
        """List what can be asked: `auto` comes first where there is a router. InputError if nobody answers."""
        from openai import OpenAIError

        try:
            return [model.id for model in self.openai.models.list(timeout=SECONDS)]
        except OpenAIError as error:
            raise InputError(f"{self.address}: {told(error)}") from None

    def answer(
        self, messages: list[dict[str, str]], route: str, left_out: int = 0
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield an answer as it grows: (all of its text so far, what the server said of the route).

        Of a conversation that is too long for the model, the first messages are left out, and `LEFT_OUT` tells how
        many, so that the next question need not find that out again: it names them. `CUT` tells that the model had no
        room to end. Raises InputError with what the server said, if it refuses or breaks off.
        """
        from openai import OpenAIError

        text = ""
        of_route = dict[str, Any]()
        create: Any = self.openai.chat.completions.create  # its types know every kind of message by a class
        while True:
            try:
                with create(model=route, messages=messages[left_out:], stream=True) as stream:
                    for chunk in stream:
                        of_route = (chunk.model_extra or {}).get("ingot") or of_route
                        of_route |= {LEFT_OUT: left_out} if left_out else {}
                        for choice in chunk.choices:
                            text += choice.delta.content or ""
                            of_route |= {CUT: True} if choice.finish_reason == "length" else {}
                        yield text, of_route
                return
            except OpenAIError as error:
                shorter = shortened(messages, left_out)
                if getattr(error, "code", None) != TOO_LONG or shorter == left_out:
                    raise InputError(told(error)) from None
                left_out = shorter


def shortened(messages: list[dict[str, str]], left_out: int) -> int:
    """Return how many messages to leave out instead of `left_out`, so that half of the text stays and begins anew.

    Half, because an answer needs room, too, and so do the next ones. The last question always stays.
    """
    sizes = [len(message["content"]) for message in messages]
    asked = [i for i, message in enumerate(messages) if message["role"] == "user" and i > left_out]
    halves = [i for i in asked if 2 * sum(sizes[i:]) <= sum(sizes[left_out:])]
    return (halves or asked[-1:] or [left_out])[0]


def told(error: Exception) -> str:
    """Return what a server said of an error, without the request around it."""
    body = getattr(error, "body", None)
    said = body.get("message") if isinstance(body, dict) else None
    return str(said or error)


def how_chosen(told: dict[str, Any]) -> str:
    """Say in some words who answered, and why."""
    if not told.get("route"):
        return ""
    reasons = {
        "named": "you chose it",
        "router": "the router chose it",
        "stays": "a change would cost more than it wins",
        "escalated": "the last answer was wrong, so another was asked",
        "confidence": "the base was unsure or sure enough",
        "only": "there is no other",
    }
    reason = str(told.get("reason", ""))  # a conversation that was imported may say anything
    why = reasons.get(reason, reason)
    chance = told.get("probability")
    sure = f" ({chance:.0%} sure of this choice)" if isinstance(chance, float) else ""
    left_out = told.get(LEFT_OUT)
    forgotten = f"; the first {left_out} messages no longer fit, and were left out" if left_out else ""
    ended = "; it is cut off, since there was no more room" if told.get(CUT) else ""
    return f"answered by {told['route']}: {why}{sure}{forgotten}{ended}"
