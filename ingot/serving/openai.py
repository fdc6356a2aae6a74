"""Write answers and errors as OpenAI's interface does."""

import itertools
import json
import secrets
import time
from collections import Counter
from typing import Any

from ingot.serving.pieces import Piece
from ingot.serving.protocol import Token
from ingot.serving.service import Reply
from ingot.serving.texts import Texts

Json = dict[str, Any]
DONE = b"data: [DONE]\n\n"


def error_body(message: str, code: str, status: int, param: str | None = None) -> Json:
    """Write an error."""
    kinds = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def new_id(kind: str) -> str:
    """Make the id of an answer."""
    return f"{kind}-{secrets.token_hex(12)}"


def event(body: Json) -> bytes:
    """Write an event of a stream."""
    return b"data: " + json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def call_of(name: str, arguments: Json) -> Json:
    """Write the call of a function."""
    return {
        "id": new_id("call"),
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)},
    }


def token_json(texts: Texts, token: int, logprob: float) -> Json:
    """Write a token with its log-probability."""
    text = texts.token_text(token)
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}


def chat_logprobs(texts: Texts, tokens: tuple[Token, ...]) -> Json:
    """Write the log-probabilities of some tokens."""
    content = [
        {
            **token_json(texts, token.id, token.logprob),
            "top_logprobs": [token_json(texts, other, logprob) for other, logprob in token.likeliest],
        }
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def completion_logprobs(texts: Texts, tokens: tuple[Token, ...], start: int) -> Json:
    """Write the log-probabilities of some tokens, in the older form. The first one begins at the character `start`."""
    written = [texts.token_text(token.id) for token in tokens]
    places = list(itertools.accumulate(map(len, written), initial=start))
    return {
        "tokens": written,
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [{texts.token_text(i): value for i, value in token.likeliest} for token in tokens],
        "text_offset": places[:-1],
    }


class ChatWriter:
    """Writes the answers of a chat request."""

    kind, whole, chunk = "chatcmpl", "chat.completion", "chat.completion.chunk"

    def __init__(self, model: str, reply: Reply, logprobs: bool) -> None:
        """Take the model that was asked for, and what to write."""
        self.reply, self.texts, self.logprobs = reply, reply.loaded.texts, logprobs
        self.head = {"id": new_id(self.kind), "created": int(time.time()), "model": model}

    def first(self, choices: int) -> list[Json]:
        """Write the first chunks of a stream: they carry the route."""
        said = [self.choice(i, {"role": "assistant", "content": ""}, None) for i in range(choices)]
        return [self.body(self.chunk, said, ingot=self.reply.choice.to_json())]

    def choice(self, index: int, delta: Json, finish: str | None) -> Json:
        """Write a part of an answer in a stream."""
        return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}

    def body(self, kind: str, choices: list[Json], **more: Any) -> Json:
        """Write a whole answer, or a chunk."""
        return {**self.head, "object": kind, "choices": choices, **more}

    def chunks(self, piece: Piece) -> list[Json]:
        """Write the chunks of a piece."""
        delta: Json = {"content": piece.text} if piece.text else {}
        if piece.call:
            delta = {"tool_calls": [{"index": 0, **call_of(*piece.call)}]}
        if not (delta or piece.finish or (piece.tokens and self.logprobs)):
            return []
        said = self.choice(piece.index, delta, None)
        if self.logprobs and piece.tokens:
            said["logprobs"] = chat_logprobs(self.texts, piece.tokens)
        ended = [self.body(self.chunk, [self.choice(piece.index, {}, piece.finish)])] if piece.finish else []
        return [*([self.body(self.chunk, [said])] if delta or said["logprobs"] else []), *ended]

    def all(self, pieces: list[Piece], choices: int) -> Json:
        """Write whole answers."""
        return self.body(
            self.whole,
            [self.one([piece for piece in pieces if piece.index == i], i) for i in range(choices)],
            usage=self.reply.usage.to_json(),
            ingot=self.reply.choice.to_json(),
        )

    def one(self, pieces: list[Piece], index: int) -> Json:
        """Write a whole answer."""
        calls = [call_of(*piece.call) for piece in pieces if piece.call]
        text = "".join(piece.text for piece in pieces)
        message: Json = {"role": "assistant", "content": None if calls and not text else text, "refusal": None}
        if calls:
            message["tool_calls"] = calls
        tokens = tuple(token for piece in pieces for token in piece.tokens)
        return {
            "index": index,
            "message": message,
            "logprobs": chat_logprobs(self.texts, tokens) if self.logprobs else None,
            "finish_reason": pieces[-1].finish,
        }


class CompletionWriter(ChatWriter):
    """Writes the answers of a request that goes on with a text."""

    kind, whole, chunk = "cmpl", "text_completion", "text_completion"

    def __init__(self, model: str, reply: Reply, logprobs: bool) -> None:
        """Take the model that was asked for, and what to write."""
        super().__init__(model, reply, logprobs)
        self.places = Counter[int]()
        """{answer: where its next token begins}."""

    def first(self, choices: int) -> list[Json]:
        """Write the first chunks of a stream: they carry the route."""
        said = [self.said(i, "", (), None) for i in range(choices)]
        return [self.body(self.chunk, said, ingot=self.reply.choice.to_json())]

    def said(self, index: int, text: str, tokens: tuple[Token, ...], finish: str | None) -> Json:
        """Write an answer, or a part of one."""
        logprobs = completion_logprobs(self.texts, tokens, self.places[index]) if self.logprobs else None
        self.places[index] += sum(len(self.texts.token_text(token.id)) for token in tokens if self.logprobs)
        return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish}

    def chunks(self, piece: Piece) -> list[Json]:
        """Write the chunks of a piece."""
        if not (piece.text or piece.finish or (piece.tokens and self.logprobs)):
            return []
        return [self.body(self.chunk, [self.said(piece.index, piece.text, piece.tokens, piece.finish)])]

    def one(self, pieces: list[Piece], index: int) -> Json:
        """Write a whole answer."""
        tokens = tuple(token for piece in pieces for token in piece.tokens)
        return self.said(index, "".join(piece.text for piece in pieces), tokens, pieces[-1].finish)
