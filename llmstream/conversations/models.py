"""The values that a ConversationClient takes and returns, as pydantic models: they stand at a program's borders.

No message of a validation error shows what was given, because that may hold a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    InstanceOf,
    PlainSerializer,
    PlainValidator,
    computed_field,
)

from llmstream.checks import ensure_json
from llmstream.conversations.documents import Document
from llmstream.media import checked
from llmstream.messages import File, FinishReason, ImagePart, Message, Source, Usage
from llmstream.options import NAMES
from llmstream.parts import dump_part, load_part

_Id: TypeAlias = Annotated[str, Field(min_length=1, max_length=256)]


class _Given(BaseModel):
    """A field that isn't known is a mistake."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class SessionContext(_Given):
    """The user that a session is for. The caller has made sure that it is this user."""

    instance_id: _Id
    user_id: _Id
    project_id: _Id


class Session(_Given):
    """A session. `token` opens it, and is nowhere else: only its hash is stored."""

    session_id: str
    token: str = Field(repr=False)


class ChatContext(_Given):
    """Which session, proved by its token, and which conversation; None where there is none yet."""

    session_id: _Id
    token: _Id = Field(repr=False)
    conversation_id: _Id | None = None


def _check_json(value: dict[str, Any]) -> dict[str, Any]:
    try:
        ensure_json(value, "metadata")
    except TypeError as error:
        raise ValueError(str(error)) from None
    return value


class StartConversation(_Given):
    """A new conversation. `system` is the system prompt of all its turns; `metadata` the application's own."""

    title: str | None = None
    system: str | None = None
    metadata: Annotated[dict[str, Any], AfterValidator(_check_json)] = Field(default_factory=dict)


def _parse_attachment(value: Any) -> ImagePart | File:
    part = load_part(value) if isinstance(value, Mapping) else value
    if not isinstance(part, ImagePart | File):
        raise ValueError(
            'an attachment is an ImagePart or a File, or such a dict with type "image" or "file"'
        )
    try:
        checked(part)  # for now only: it is kept as it was given
    except TypeError as error:
        raise ValueError(str(error)) from None
    return part


Attachment: TypeAlias = Annotated[
    ImagePart | File, PlainValidator(_parse_attachment), PlainSerializer(dump_part)
]


NOT_FOR_A_TURN = frozenset({"tools", "parallel_tool_calls", "metadata"})
"""Options that a turn doesn't take: its tools are the ConversationClient's, its metadata the conversation's."""
_OPTIONS = ("model", *(name for name in NAMES if name not in NOT_FOR_A_TURN))


class ConversationRequest(_Given):
    """One turn: what the user asks, and how it is to be answered."""

    query: str = Field(min_length=1)
    attachments: Annotated[list[Attachment], Field(fail_fast=True)] = Field(default_factory=list)
    context: Annotated[list[Document], Field(fail_fast=True)] = Field(default_factory=list)
    """What the application found for this question; see `llmstream.conversations.documents`."""
    turn_id: _Id | None = None
    """Given again, it is the same turn: one that failed is asked again, one that was answered is only told again."""
    model: str | None = None
    """`"provider:model"`; None: the client's own. Each turn may name another."""
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    max_tokens: int | None = None
    stop: str | Annotated[list[str], Field(fail_fast=True)] | None = None
    seed: int | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    service_tier: str | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: str | dict[str, Any] | None = None
    provider_options: dict[str, dict[str, Any]] | None = None
    use_openai: bool | None = None
    """Taken from programs written for another service, and without effect: `model` says who answers."""

    def options(self) -> dict[str, Any]:
        """The options for `LLMClient.chat_completion`."""
        return {name: value for name in _OPTIONS if (value := getattr(self, name)) is not None}


ChatRequest = ConversationRequest
"""The name that programs written for another service use. `llmstream.ChatRequest` is a request to a model."""


class StreamingChatRequest(ConversationRequest):
    """A turn for `chat_stream`. With `stream=False` the answer is one chunk."""

    stream: bool = True


class CitationSource(BaseModel):
    """A source of an answer: `llmstream.Source`, with the number that the answer cites a Document by."""

    model_config = ConfigDict(frozen=True)

    number: int | None = None
    """The `[number]` in the text; None for what the provider cites in its own way."""
    id: str | None = None
    title: str | None = None
    url: str | None = None
    relevance_score: float | None = None
    excerpt: str | None = None
    start: int | None = None
    end: int | None = None

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated property
    @property
    def content_excerpt(self) -> str | None:
        """`excerpt` under another name that programs use."""
        return self.excerpt

    @classmethod
    def of(cls, source: Source, number: int | None = None) -> CitationSource:
        """A Source as it is shown."""
        names = ("id", "title", "url", "relevance_score", "excerpt", "start", "end")
        return cls(number=number, **{name: getattr(source, name) for name in names})


class StreamingChunk(BaseModel):
    """A piece of an answer; what `metadata` may hold is in `llmstream.conversations.chunks`."""

    content: str | None = None
    sources: list[CitationSource] | None = None
    is_complete: bool = False
    """The answer is whole and stored. Never true of one that failed."""
    metadata: dict[str, Any] | None = None


class ChatResponse(BaseModel):
    """A whole answer. `message` can be sent on to any model."""

    message_content: str
    sources: list[CitationSource]
    conversation_id: str
    turn_id: str
    finish_reason: FinishReason | None
    usage: Annotated[InstanceOf[Usage], PlainSerializer(lambda usage: usage.to_dict())] | None
    message: Annotated[InstanceOf[Message], PlainSerializer(lambda message: message.to_dict())]
    metadata: dict[str, Any]
    """As in the last chunk of a stream."""
