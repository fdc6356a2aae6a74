"""Choose the route of a request: by name, by the router, or because the user says that the last answer was wrong.

Of an answered conversation, little is kept: its digest, the question that is being worked at, and the routes tried.
"""

import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ingot.routing import classifier
from ingot.routing.router import Router
from ingot.serving.protocol import BASE

AUTO = "auto"
REMEMBERED = 10_000
"""How many conversations are remembered."""
READ_PER_ANSWER = 1000
"""To read so many tokens again costs about as much as an answer: prompts are read some ten times faster than answers
are written, and an answer has some hundred tokens."""

LOOKED_AT = 4000
"""So many characters of a message are looked at to choose its route."""

Messages = list[dict[str, Any]]
Reason = Literal["named", "router", "stays", "escalated", "confidence", "only"]


@dataclass(frozen=True)
class Choice:
    """Which route answers, and why."""

    route: str
    reason: Reason
    probability: float | None = None
    """That the route is needed: of a modifier, that the base fails and it does not; of the base, that none is."""
    threshold: float | None = None
    runner_up: str | None = None
    runner_up_probability: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Write it as answers carry it."""
        rounded = {key: round(v, 4) if isinstance(v, float) else v for key, v in vars(self).items()}
        return {key: value for key, value in rounded.items() if value is not None}


@dataclass(frozen=True)
class Worth:
    """What a right answer is worth, and what answers cost, in the units of `router.worth` and `router.costs`."""

    right: float = 1.0
    base: float = 1.0
    modifier: float = 1.0


@dataclass(frozen=True)
class Past:
    """What is known of a conversation: the question that is being worked at, and the routes that answered it."""

    question: str
    tried: tuple[str, ...]
    asker: str = ""


@dataclass
class Memory:
    """Remembers conversations by digest, the last ones of them."""

    kept: "OrderedDict[str, Past]" = field(default_factory=OrderedDict)

    def find(self, messages: Messages, asker: str = "") -> Past | None:
        """Return what is known of a conversation that was answered here, without its last message."""
        digest = digest_of(messages[:-1], asker)
        if past := self.kept.get(digest):
            self.kept.move_to_end(digest)
        return past

    def keep(self, messages: Messages, past: Past) -> None:
        """Remember a conversation that ends with an answer."""
        self.kept[digest_of(messages, past.asker)] = past
        while len(self.kept) > REMEMBERED:
            self.kept.popitem(last=False)


def digest_of(messages: Messages, asker: str) -> str:
    """Return the digest of what was said, by whom, with whoever asks."""
    said = [
        [
            message["role"],
            str(message.get("content") or "").strip(),
            [[call["function"]["name"], call["function"]["arguments"]] for call in message.get("tool_calls") or ()],
        ]
        for message in messages
    ]
    return hashlib.sha256(json.dumps([asker, said]).encode()).hexdigest()


class Routes:
    """Chooses routes by the router and the detector of a release, if it has them."""

    def __init__(self, router: Path | None, detector: Path | None, worth: Worth) -> None:
        """Load them from their folders."""
        self.router = Router(router) if router else None
        self.worth = worth
        self.memory = Memory()
        self.detects: Any = None
        if detector:
            reader, decisions, settings = classifier.load(detector)
            self.detects = (reader, decisions["escalate"], float(settings["threshold"]))

    def complains(self, message: str) -> bool:
        """Tell whether a message says that the last answer was wrong."""
        if not self.detects:
            return False
        reader, decision, threshold = self.detects
        return bool(decision.probability(reader.read([message]))[0] >= threshold)

    def chances(self, question: str) -> dict[str, float]:
        """Compute for each route the probability that it is needed: that of the base is that no modifier is."""
        assert self.router
        needed = {name: float(p[0]) for name, p in self.router.probabilities([question]).items()}
        return {BASE: 1 - max(needed.values(), default=0.0), **needed}

    def choose(self, messages: Messages, tokens: int = 0, asker: str = "") -> tuple[Choice, Past]:
        """Choose a route for messages of `tokens` tokens, and say what to remember once it has answered."""
        question = last_question(messages)
        if not self.router:
            return Choice(BASE, "only"), Past(question, (BASE,), asker)
        past = self.memory.find(messages, asker)
        if past and self.complains(question):
            chances = self.chances(past.question)
            untried = {route: chance for route, chance in chances.items() if route not in past.tried}
            route = max(untried or chances, key=lambda route: chances[route])
            tried = (*past.tried, route) if untried else (route,)
            return self.choice(route, "escalated", chances), Past(past.question, tried, asker)
        chances = self.chances(question)
        route = self.by_threshold(chances)
        if past and past.tried[-1] != route and not self.worth_it(past.tried[-1], route, chances, tokens):
            return self.choice(past.tried[-1], "stays", chances), Past(past.question, (past.tried[-1],), asker)
        return self.choice(route, "router", chances), Past(question, (route,), asker)

    def by_threshold(self, chances: dict[str, float]) -> str:
        """Choose the likeliest modifier if its chance reaches the threshold, else the base."""
        assert self.router
        modifiers = {route: chance for route, chance in chances.items() if route != BASE}
        likeliest = max(modifiers, key=lambda route: modifiers[route], default=BASE)
        return likeliest if modifiers and modifiers[likeliest] >= self.router.threshold else BASE

    def worth_it(self, now: str, other: str, chances: dict[str, float], tokens: int) -> bool:
        """Tell whether another route wins more than it costs to read the conversation again there."""
        costs = {route: self.worth.base if route == BASE else self.worth.modifier for route in (now, other)}
        # The chance of a modifier is already that of what it wins over the base.
        wins = {route: 0.0 if route == BASE else chances[route] for route in (now, other)}
        gain = self.worth.right * (wins[other] - wins[now]) - (costs[other] - costs[now])
        return gain > self.worth.base * tokens / READ_PER_ANSWER

    def likeliest_modifier(self, messages: Messages) -> Choice:
        """Choose the likeliest modifier, whatever the threshold says: for the way by confidence."""
        chances = self.chances(last_question(messages))
        modifiers = [route for route in chances if route != BASE]
        return self.choice(max(modifiers, key=lambda route: chances[route]), "confidence", chances)

    def choice(self, route: str, reason: Reason, chances: dict[str, float]) -> Choice:
        """Describe a choice."""
        assert self.router
        others = sorted((other for other in chances if other != route), key=lambda other: -chances[other])
        made = Choice(route, reason, chances[route], self.router.threshold)
        return replace(made, runner_up=others[0], runner_up_probability=chances[others[0]]) if others else made


def last_question(messages: Messages) -> str:
    """Return the last message of the user, or the beginning of it if it is very long."""
    return next((str(m.get("content") or "") for m in reversed(messages) if m["role"] == "user"), "")[:LOOKED_AT]
