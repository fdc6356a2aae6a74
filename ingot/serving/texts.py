"""Turn messages into token ids and tokens into text, so that no text of a user ever becomes a control token."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ingot.text.calls import call_prompt
from ingot.text.chat import DATE

# Characters for private use: one of them marks the tokens in texts that only look like control tokens.
MARKS = [chr(code) for code in range(0xE000, 0xE100)]


class Texts:
    """Writes prompts in the chat template of a model, and reads its answers."""

    def __init__(self, folder: Path) -> None:
        """Load tokenizer and template from a folder."""
        from transformers import AutoTokenizer

        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        self.ids: Any = self.tokenizer.backend_tokenizer
        added = {str(token): i for i, token in self.tokenizer.added_tokens_decoder.items()}
        # Some tokenizers add runs of spaces, which control nothing.
        self.control = {token: i for token, i in added.items() if len(token) > 1 and not token.isspace()}
        self.plain = without(self.ids, set(self.control))
        longest_first = sorted(map(re.escape, self.control), key=len, reverse=True)
        self.pattern = re.compile("|".join(longest_first) or r"(?!)")
        self.knows_tools = "tools" in str(self.tokenizer.chat_template)

    def plain_ids(self, text: str) -> list[int]:
        """Tokenise a text, without control tokens."""
        return list(self.plain.encode(text, add_special_tokens=False).ids)

    def ids_of(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None = None) -> list[int]:
        """Write messages in the chat template, up to where the answer begins, and tokenise that.

        What looks like a control token in a message, such as `<|im_end|>`, is tokenised as the text that it is.

        Raises ValueError if the template refuses the messages.
        """
        given = {"messages": messages, "tools": tools}
        if not any(map(self.pattern.search, all_texts(given))):
            return list(self.ids.encode(self.rendered(messages, tools), add_special_tokens=False).ids)
        texts = "".join(all_texts(given))
        mark = next((mark for mark in MARKS if mark not in texts), None)
        if mark is None:
            raise ValueError("a message has too many characters for private use")
        marked = self.marked(given, mark)
        rendered = self.rendered(marked["messages"], marked["tools"])
        ids: list[int] = []
        end = 0
        for found in self.pattern.finditer(rendered):
            ids += self.plain_ids(rendered[end : found.start()].replace(mark, ""))
            ids.append(self.control[found.group()])
            end = found.end()
        return ids + self.plain_ids(rendered[end:].replace(mark, ""))

    def marked(self, value: Any, mark: str) -> Any:
        """Put a mark into every control token in the texts of a JSON value, so that it is none any more."""
        if isinstance(value, dict):
            return {self.marked(key, mark): self.marked(inner, mark) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.marked(inner, mark) for inner in value]
        if not isinstance(value, str):
            return value
        while self.pattern.search(value):  # one token may be in another
            value = self.pattern.sub(lambda found: found.group()[0] + mark + found.group()[1:], value)
        return value

    def rendered(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None) -> str:
        """Write messages in the chat template. A template that knows no tools gets them in the last user message."""
        from jinja2 import TemplateError

        if not self.knows_tools:
            messages = [with_calls_as_text(message) for message in messages]
        if tools and not self.knows_tools:
            messages, tools = with_functions(messages, [tool["function"] for tool in tools]), None
        try:
            text = self.tokenizer.apply_chat_template(
                messages, tools=tools, tokenize=False, add_generation_prompt=True, date_string=DATE
            )
        except (TemplateError, TypeError, LookupError) as error:
            raise ValueError(f"the chat template of this model refuses these messages: {error}") from None
        return str(text)

    def writer(self, stops: Sequence[str]) -> "Writer":
        """Begin the text of an answer that ends before any of the texts `stops`."""
        return Writer(self.ids, stops)

    def token_text(self, token: int) -> str:
        """Write a token alone, for log-probabilities. A part of a letter becomes U+FFFD."""
        return str(self.ids.decode([token], skip_special_tokens=False))


def without(tokenizer: Any, tokens: set[str]) -> Any:
    """Make a `tokenizers.Tokenizer` for which some added tokens are texts like any other."""
    from tokenizers import Tokenizer

    state = json.loads(tokenizer.to_str())
    state["added_tokens"] = [one for one in state["added_tokens"] if one["content"] not in tokens]
    return Tokenizer.from_str(json.dumps(state))


def with_functions(messages: list[dict[str, Any]], functions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write functions into the last message of the user, as in training."""
    last = max((i for i, message in enumerate(messages) if message["role"] == "user"), default=None)
    if last is None:
        raise ValueError("`tools` need a message of the user")
    asked = {**messages[last], "content": call_prompt(functions, messages[last]["content"])}
    return [*messages[:last], asked, *messages[last + 1 :]]


def with_calls_as_text(message: dict[str, Any]) -> dict[str, Any]:
    """Write the calls in an earlier answer as its text, as the model itself wrote them."""
    calls = [call["function"] for call in message.get("tool_calls", ())]
    if not calls:
        return message
    written = [json.dumps(call, ensure_ascii=False) for call in calls]
    return {"role": message["role"], "content": "\n".join([message["content"], *written]).strip()}


def all_texts(value: Any) -> list[str]:
    """List all texts in a JSON value, keys included."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in all_texts(part)]
    if isinstance(value, list):
        return [text for inner in value for text in all_texts(inner)]
    return []


class Writer:
    """Writes an answer token by token. It holds back what may be the beginning of a stop text."""

    def __init__(self, tokenizer: Any, stops: Sequence[str]) -> None:
        """Take a `tokenizers.Tokenizer`, and the texts before which the answer ends."""
        from tokenizers.decoders import DecodeStream

        self.tokenizer, self.stops = tokenizer, [stop for stop in stops if stop]
        self.stream = DecodeStream(skip_special_tokens=True)
        self.held = ""
        self.stopped = False
        """Whether a stop text came. Nothing is written any more."""

    def add(self, token: int) -> str:
        """Take a token, and return the text that can be shown now."""
        self.held += self.stream.step(self.tokenizer, token) or ""
        places = [place for place in (self.held.find(stop) for stop in self.stops) if place >= 0]
        if places:
            self.stopped = True
            shown, self.held = self.held[: min(places)], ""
            return shown
        keep = max((begun(self.held, stop) for stop in self.stops), default=0)
        shown, self.held = self.held[: len(self.held) - keep], self.held[len(self.held) - keep :]
        return shown

    def rest(self) -> str:
        """Return what was held back, at the end of the answer."""
        shown, self.held = self.held, ""
        return shown


def begun(text: str, stop: str) -> int:
    """Count the last characters of a text with which a stop text begins."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
