"""The requests of OpenAI's interface, as far as they are supported here. Anything else is refused by its name."""

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

Role = Literal["system", "developer", "user", "assistant", "tool"]
LONGEST_TEXT, DEEPEST = 1 << 19, 64
MOST_CHOICES, MOST_STOPS, MOST_LOGPROBS, MOST_MESSAGES, MOST_TOOLS = 8, 4, 20, 512, 64


def encodable(text: str) -> str:
    """Refuse half a letter, which no tokenizer takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("a text has half a letter (a lone surrogate)") from None
    return text


def is_deep(value: Any) -> bool:
    """Tell whether a JSON value is nested so deep that those who walk through it might give up."""
    level = [value]
    for _ in range(DEEPEST):
        nested = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [inner for values in nested for inner in values]
    return any(isinstance(one, dict | list) for one in level)


def shallow(value: Any) -> Any:
    """Refuse a JSON value that is nested too deep."""
    if is_deep(value):
        raise ValueError(f"nested more than {DEEPEST} deep")
    return value


def sound(schema: dict[str, Any]) -> dict[str, Any]:
    """Refuse a JSON schema that is nested too deep, or that has half a letter in it."""
    encodable(json.dumps(shallow(schema), ensure_ascii=False))
    return schema


Schema = Annotated[dict[str, Any], AfterValidator(sound)]
Text = Annotated[str, StringConstraints(max_length=LONGEST_TEXT), AfterValidator(encodable)]


class Given(BaseModel):
    """A part of a request. A key that it does not name is refused."""

    model_config = ConfigDict(extra="forbid")


class TextPart(Given):
    """A part of a message. Only texts are supported."""

    type: Literal["text"]
    text: Text


class CalledFunction(Given):
    """Which function is called, and how."""

    name: Text
    arguments: Text


class ToolCall(Given):
    """A call in an earlier answer."""

    id: Text
    type: Literal["function"] = "function"
    function: CalledFunction

    def plain(self) -> dict[str, Any]:
        """Write it as chat templates take it: with the arguments as an object, if they are one."""
        try:
            arguments = shallow(json.loads(self.function.arguments))
        except (ValueError, RecursionError):
            arguments = self.function.arguments
        return {"id": self.id, "type": "function", "function": {"name": self.function.name, "arguments": arguments}}


class Message(Given):
    """A message of a conversation."""

    role: Role
    content: Text | list[TextPart] | None = None
    tool_calls: list[ToolCall] | None = Field(None, max_length=MOST_TOOLS)
    tool_call_id: Text | None = None
    refusal: None = None
    annotations: Annotated[list[Any], Field(max_length=0)] | None = None

    @model_validator(mode="after")
    def has_content(self) -> "Message":
        """Refuse a message that says nothing."""
        if self.content is None and not self.tool_calls:
            raise ValueError("a message needs `content`")
        return self

    def plain(self) -> dict[str, Any]:
        """Write it as chat templates take it."""
        content = self.content
        text = content if isinstance(content, str) else "".join(part.text for part in content or ())
        message: dict[str, Any] = {"role": "system" if self.role == "developer" else self.role, "content": text}
        if self.tool_calls:
            message["tool_calls"] = [call.plain() for call in self.tool_calls]
        return message


class Function(Given):
    """A function that the model may call. Its parameters are a JSON schema."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    description: Text | None = None
    parameters: Schema | None = None
    strict: bool | None = None


class Tool(Given):
    """A tool. Only functions are supported."""

    type: Literal["function"]
    function: Function


class NamedFunction(Given):
    """The name of a function."""

    name: str


class NamedTool(Given):
    """A tool that must be called."""

    type: Literal["function"]
    function: NamedFunction


class JsonSchema(Given):
    """The schema that an answer must fit."""

    name: str = Field("answer", max_length=64)
    description: Text | None = None
    schema_: Schema = Field(alias="schema")
    strict: bool | None = None


class TextFormat(Given):
    """An answer may be any text."""

    type: Literal["text"]


class JsonFormat(Given):
    """An answer must be a JSON object."""

    type: Literal["json_object"]


class SchemaFormat(Given):
    """An answer must fit a JSON schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchema


class StreamOptions(Given):
    """What a stream has beside the answer."""

    include_usage: bool = False


class Asked(Given):
    """What all requests share."""

    model: str = Field(max_length=256)
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: int = Field(1, ge=1, le=MOST_CHOICES)
    stop: Text | Annotated[list[Text], Field(max_length=MOST_STOPS)] | None = None
    seed: int | None = Field(None, ge=-(1 << 63), lt=1 << 63)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    user: str | None = Field(None, max_length=512)
    # These are only taken with the value that changes nothing, which some clients always send.
    frequency_penalty: Literal[0, None] = None
    presence_penalty: Literal[0, None] = None
    logit_bias: Annotated[dict[str, Any], Field(max_length=0)] | None = None

    @model_validator(mode="after")
    def streams(self) -> "Asked":
        """Refuse what is about streams if there is none."""
        if self.stream_options is not None and not self.stream:
            raise ValueError("`stream_options` needs `stream`")
        return self

    @property
    def stops(self) -> list[str]:
        """The texts before which the answer ends."""
        return [self.stop] if isinstance(self.stop, str) else list(self.stop or ())


class ChatRequest(Asked):
    """A request for the next message of a conversation."""

    messages: list[Message] = Field(min_length=1, max_length=MOST_MESSAGES)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=MOST_LOGPROBS)
    response_format: Annotated[TextFormat | JsonFormat | SchemaFormat, Field(discriminator="type")] | None = None
    tools: list[Tool] | None = Field(None, max_length=MOST_TOOLS)
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    store: Literal[False, None] = None

    @model_validator(mode="after")
    def fits(self) -> "ChatRequest":
        """Refuse what contradicts itself."""
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("`top_logprobs` needs `logprobs`")
        if self.tool_choice not in (None, "none", "auto") and not self.tools:
            raise ValueError("`tool_choice` needs `tools`")
        names = [tool.function.name for tool in self.tools or ()]
        if isinstance(self.tool_choice, NamedTool) and self.tool_choice.function.name not in names:
            raise ValueError("`tool_choice` names a function that is not among `tools`")
        if self.tool_choice in (None, "auto") and any(tool.function.strict for tool in self.tools or ()):
            raise ValueError("`strict` needs a `tool_choice` that asks for a call: else the model is free to write any")
        if self.calls and self.response_format and self.response_format.type != "text":
            raise ValueError("`response_format` and `tools` cannot be asked for together")
        return self

    @property
    def calls(self) -> bool:
        """Whether the model may call functions."""
        return bool(self.tools) and self.tool_choice != "none"

    @property
    def longest(self) -> int | None:
        """The wanted number of tokens at most."""
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens

    @property
    def wanted_logprobs(self) -> int | None:
        """How many of the likeliest tokens are wanted at each place; None: no log-probabilities."""
        return (self.top_logprobs or 0) if self.logprobs else None


class CompletionRequest(Asked):
    """A request to go on with a text, without a chat template."""

    prompt: Text | list[Annotated[int, Field(ge=0)]]
    max_tokens: int | None = Field(16, ge=1)
    logprobs: int | None = Field(None, ge=0, le=5)
    echo: Literal[False, None] = None
    best_of: Literal[1, None] = None
    suffix: Literal["", None] = None

    @property
    def longest(self) -> int | None:
        """The wanted number of tokens at most."""
        return self.max_tokens

    @property
    def wanted_logprobs(self) -> int | None:
        """How many of the likeliest tokens are wanted at each place; None: no log-probabilities."""
        return self.logprobs
