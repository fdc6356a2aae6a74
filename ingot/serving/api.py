"""The interface over HTTP, as OpenAI's clients speak it."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from ingot.errors import InputError
from ingot.serving.gate import Seen
from ingot.serving.metrics import Metrics
from ingot.serving.openai import DONE, ChatWriter, CompletionWriter, error_body, event
from ingot.serving.pieces import Piece
from ingot.serving.protocol import BusyError, ServingError
from ingot.serving.requests import ChatRequest, CompletionRequest
from ingot.serving.service import RefusedError, Reply, Service


class ErrorDetail(BaseModel):
    """What was wrong with a request."""

    message: str
    type: str
    param: str | None
    code: str


class Error(BaseModel):
    """An error, as OpenAI writes it."""

    error: ErrorDetail


class Answer(BaseModel):
    """An answer, as OpenAI writes it, and the route that it took."""

    id: str
    object: str
    created: int
    model: str
    choices: list[dict[str, Any]]
    usage: dict[str, Any]
    ingot: dict[str, Any]


class Model(BaseModel):
    """A model, as OpenAI writes it."""

    id: str
    object: str
    created: int
    owned_by: str


class Models(BaseModel):
    """The models that can be asked."""

    object: str
    data: list[Model]


ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": Error, "description": description}
    for status, description in {
        400: "The request is wrong, or asks for something that is not supported",
        401: "The key is missing or wrong",
        404: "There is no such model or path",
        408: "The request was not whole in time",
        413: "The request is too large",
        429: "The limit of the key is reached",
        500: "The server failed",
        503: "The server is busy, or ends",
        504: "The answer took too long",
    }.items()
}


# Of each event of a stream.
EVENT = {"type": "object", "properties": {"data": {"type": "string"}}, "required": ["data"]}
STREAM = {"text/event-stream": {"schema": EVENT}}
ANSWERS: dict[int | str, dict[str, Any]] = {
    **ERRORS,
    200: {"model": Answer, "description": "The answer, or a stream of its parts", "content": STREAM},
}


class Exchange:
    """Sends the reply to a request, whole or as a stream, and notes what it took."""

    def __init__(self, request: Request, reply: Reply, writer: ChatWriter, choices: int, metrics: Metrics) -> None:
        self.seen: Seen = request.state.seen
        self.seen.usage = reply.usage
        self.reply, self.writer, self.choices, self.metrics = reply, writer, choices, metrics
        self.start = time.perf_counter()
        self.first: float | None = None

    async def send(self, stream: bool, with_usage: bool) -> Response:
        """Wait for the first piece, so that an error has its own status, and send the reply."""
        pieces = self.reply.pieces
        try:
            head = await anext(pieces, None)
            if not stream:
                whole = [head, *[piece async for piece in self.timed(pieces)]] if head else []
                body = self.writer.all([piece for piece in whole if piece], self.choices)
                return JSONResponse(body, headers=self.headers())
        finally:
            if not stream:
                await pieces.aclose()
                self.note()
        return StreamingResponse(
            self.events(head, pieces, with_usage), headers=self.headers(), media_type="text/event-stream"
        )

    async def events(
        self, head: Piece | None, pieces: AsyncGenerator[Piece, None], with_usage: bool
    ) -> AsyncGenerator[bytes, None]:
        """Yield the events of a stream. An error in the middle is the last event."""
        try:
            for chunk in self.writer.first(self.choices):
                yield event(chunk)
            async with aclosing(pieces):
                async for piece in self.timed(pieces):
                    for chunk in self.writer.chunks(piece):
                        yield event(chunk)
            if with_usage:
                yield event(self.writer.body(self.writer.chunk, [], usage=self.reply.usage.to_json()))
            yield DONE
        except ServingError as error:
            yield event(error_body(str(error), error.code, error.status))
        finally:
            self.note()

    async def timed(self, pieces: AsyncGenerator[Piece, None]) -> AsyncGenerator[Piece, None]:
        """Yield pieces, and note when the first token came."""
        async for piece in pieces:
            if self.first is None and piece.tokens:
                self.first = time.perf_counter()
            yield piece

    def headers(self) -> dict[str, str]:
        """Tell the route, and what is left of the limits."""
        told = self.reply.choice.to_json()
        names = {"route", "reason", "probability", "threshold", "runner_up"}
        headers = {f"x-ingot-{key.replace('_', '-')}": str(value) for key, value in told.items() if key in names}
        left = self.seen.client.left() if self.seen.client else {}
        return headers | {key: str(value) for key, value in left.items()}

    def note(self) -> None:
        """Note route, tokens and times for logs and metrics."""
        choice, usage, now = self.reply.choice, self.reply.usage, time.perf_counter()
        self.seen.route = choice.route
        self.seen.notes["reason"] = choice.reason
        self.metrics.tokens.labels(choice.route, "prompt").inc(usage.prompt)
        self.metrics.tokens.labels(choice.route, "completion").inc(usage.completion)
        self.metrics.choices.labels(choice.route, choice.reason).inc()
        self.metrics.seconds.labels(choice.route).observe(now - self.start)
        if choice.probability is not None:
            self.metrics.probability.labels(choice.route).observe(choice.probability)
        if self.first is not None:
            self.seen.notes["first_token_seconds"] = round(self.first - self.start, 4)
            self.metrics.first_token.labels(choice.route).observe(self.first - self.start)
            if usage.completion > 1 and now > self.first:
                self.metrics.speed.labels(choice.route).observe((usage.completion - 1) / (now - self.first))


def asker(request: Request) -> str:
    """Return the name of the key of a request."""
    seen: Seen = request.state.seen
    return seen.client.name if seen.client else ""


def model_of(service: Service, name: str) -> Model:
    """Describe a model."""
    return Model(id=name, object="model", created=service.loaded.release.created, owned_by="ingot")


def api(service: Service, metrics: Metrics) -> FastAPI:
    """Make the application. It trusts the gate in front of it for keys and limits."""
    app = FastAPI(title="Ingot", description=__doc__, version="1", docs_url=None, redoc_url=None)

    @app.post("/v1/chat/completions", responses=ANSWERS)
    async def chat(request: Request, asked: ChatRequest) -> Response:
        """Answer a conversation."""
        reply = await service.chat(asked, asker(request))
        logprobs = asked.wanted_logprobs is not None
        writer = ChatWriter(asked.model, reply, logprobs)
        with_usage = bool(asked.stream_options and asked.stream_options.include_usage)
        return await Exchange(request, reply, writer, asked.n, metrics).send(asked.stream, with_usage)

    @app.post("/v1/completions", responses=ANSWERS)
    async def complete(request: Request, asked: CompletionRequest) -> Response:
        """Go on with a text."""
        reply = await service.complete(asked, asker(request))
        writer = CompletionWriter(asked.model, reply, asked.logprobs is not None)
        with_usage = bool(asked.stream_options and asked.stream_options.include_usage)
        return await Exchange(request, reply, writer, asked.n, metrics).send(asked.stream, with_usage)

    @app.get("/v1/models", responses=ERRORS)
    async def models() -> Models:
        """List the models: the base, each modifier, and `auto`, which chooses among them."""
        return Models(object="list", data=[model_of(service, name) for name in service.loaded.models])

    @app.get("/v1/models/{model}", responses=ERRORS)
    async def model(model: str) -> Model:
        """Describe a model."""
        if model not in service.loaded.models:
            raise RefusedError(f"the model {model[:100]!r} does not exist", "model", 404, "model_not_found")
        return model_of(service, model)

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Tell that the server is there."""
        return {"status": "ok"}

    text = {"content": {"text/plain": {"schema": {"type": "string"}}}}

    @app.get("/metrics", responses={**ERRORS, 200: text}, response_class=Response)
    async def prometheus() -> Response:
        """Give the metrics to Prometheus."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.exception_handler(RefusedError)
    async def refused(_: Request, error: RefusedError) -> JSONResponse:
        return JSONResponse(error_body(str(error), error.code, error.status, error.param), error.status)

    @app.exception_handler(ServingError)
    async def no_answer(_: Request, error: ServingError) -> JSONResponse:
        headers = {"retry-after": "1"} if isinstance(error, BusyError) else None
        return JSONResponse(error_body(str(error), error.code, error.status), error.status, headers)

    @app.exception_handler(InputError)
    async def wrong(_: Request, error: InputError) -> JSONResponse:
        return JSONResponse(error_body(str(error), "invalid_value", 400), 400)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse(error_body(*described(error)), 400)

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        body = error_body(
            str(error.detail), "not_found" if error.status_code == 404 else "invalid_request", error.status_code
        )
        return JSONResponse(body, error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def failed(request: Request, _: Exception) -> JSONResponse:
        said = f"the server failed; its log says more about {request.state.seen.id}"
        return JSONResponse(error_body(said, "server_error", 500), 500)

    tidy_schema(app)
    return app


def described(error: RequestValidationError) -> tuple[str, str, int, str | None]:
    """Say what is wrong with a request: message, code, status, and the key that is wrong."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    if first["type"] == "json_invalid":
        return "the body is not valid JSON", "invalid_json", 400, None
    if first["type"] == "extra_forbidden":
        return f"`{place[:200]}` is not supported here", "unsupported_parameter", 400, place[:200]
    said = f"`{place[:200]}`: {first['msg']}" if place else str(first["msg"])
    return said, "invalid_value", 400, place[:200] or None


def tidy_schema(app: FastAPI) -> None:
    """Leave out of the schema what FastAPI says of wrong requests: here they get status 400."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        schema = made()
        for path in schema["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        for name in ("HTTPValidationError", "ValidationError"):
            schema.get("components", {}).get("schemas", {}).pop(name, None)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
