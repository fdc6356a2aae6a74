"""Conversations and marks of wrong answers, as plain files in one folder."""

import json
import re
import secrets
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.io.files import write_whole

MARKS = "marks.jsonl"
LARGEST = 16 << 20
"""Bytes of the largest conversation that is imported."""
TITLE = 40
"""Signs of a title."""
ROLES = ("user", "assistant")


@dataclass
class Turn:
    """What one side said."""

    role: str
    text: str
    told: dict[str, Any] = field(default_factory=dict)
    """What the server said of an answer: its route, and why."""
    wrong: bool = False

    @property
    def is_answer(self) -> bool:
        """Whether the model said it."""
        return self.role == "assistant"


@dataclass
class Conversation:
    """Turns of a person and a model, from the first to the last."""

    name: str
    """What its file is called."""
    begun: float
    """When, in seconds since 1970."""
    turns: list[Turn] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Its first words."""
        words = " ".join(self.turns[0].text.split()) if self.turns else "new"
        return words if len(words) <= TITLE else f"{words[: TITLE - 1]}…"

    def messages(self) -> list[dict[str, str]]:
        """Return the turns as the API takes them."""
        return [{"role": turn.role, "content": turn.text} for turn in self.turns]

    def question_of(self, place: int) -> str:
        """Return the question that the turn at a place answers."""
        asked = [turn.text for turn in self.turns[:place] if not turn.is_answer]
        return asked[-1] if asked else ""


def read(text: str, name: str) -> Conversation:
    """Read a conversation as `Folder.save` wrote it. InputError if it is none."""
    try:
        row = json.loads(text)
        turns = [Turn(**turn) for turn in row["turns"]]
        sound = all(turn.role in ROLES and isinstance(turn.text, str) and isinstance(turn.told, dict) for turn in turns)
        begun = float(row["begun"])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        sound = False
    if not sound:
        raise InputError(f"{name}: this is no conversation that was exported here")
    return Conversation(name, begun, turns)


class Folder:
    """A folder of conversations, a JSON file each, and of marks, a line each."""

    def __init__(self, path: Path) -> None:
        """Make the folder if it is not there. Only its owner may look into it."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path

    def new(self) -> Conversation:
        """Begin a conversation. It is kept from its first turn on."""
        return Conversation(f"{time.strftime('%Y-%m-%d')}-{secrets.token_hex(4)}", time.time())

    def save(self, conversation: Conversation) -> None:
        """Write a conversation, whole or not at all."""
        write_whole(self.file(conversation.name), self.text(conversation))

    def text(self, conversation: Conversation) -> str:
        """Write a conversation as JSON."""
        row = {"begun": conversation.begun, "turns": [asdict(turn) for turn in conversation.turns]}
        return json.dumps(row, ensure_ascii=False, indent=1) + "\n"

    def file(self, name: str) -> Path:
        """Return where a conversation is. InputError if its name is none that was given here."""
        if not re.fullmatch(r"[\w-]{1,80}", name):
            raise InputError("there is no such conversation")
        return self.path / f"{name}.json"

    def open(self, name: str) -> Conversation:
        """Read a conversation. InputError if it is not there, or damaged."""
        try:
            text = self.file(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise InputError(f"{name}: this conversation is not there, or cannot be read") from None
        return read(text, name)

    def all(self) -> list[Conversation]:
        """List all conversations, the newest first. What cannot be read is left out."""
        found = []
        for path in self.path.glob("*.json"):
            try:
                found.append(self.open(path.stem))
            except InputError:
                continue
        return sorted(found, key=lambda one: -one.begun)

    def latest(self) -> Conversation:
        """Open the conversation that was the last to change; begin one if there is none."""
        named = {one.name: one for one in self.all()}
        newest = max(named, key=lambda name: self.file(name).stat().st_mtime, default="")
        return named.get(newest) or self.new()

    def receive(self, path: Path) -> Conversation:
        """Take in a conversation that was exported. InputError if it is none, or too large."""
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path.name}: more than {LARGEST >> 20} MiB; this is no conversation")
        try:
            received = read(path.read_text(encoding="utf-8"), path.name)
        except UnicodeDecodeError:
            raise InputError(f"{path.name}: this is no text in UTF-8") from None
        received.name = self.new().name
        self.save(received)
        return received

    def mark(self, conversation: Conversation, place: int, right: str) -> None:
        """Note that the answer at a place is wrong, and what would have been right, if somebody knows.

        Such a line is a record that `sources` can read. One without a right answer is dropped there, as incomplete.
        """
        turn = conversation.turns[place]
        turn.wrong = True
        self.save(conversation)
        row = {
            "instruction": conversation.question_of(place),
            **({"response": right} if right.strip() else {}),
            "wrong": turn.text,
            "route": turn.told.get("route", ""),
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        with (self.path / MARKS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
