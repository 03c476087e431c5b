"""Gemini's generateContent: any client of Google's API, to any provider.

Format: https://ai.google.dev/api/generate-content. Requests and chunks are those of `wire/gemini_generate`; what is
added here is what a client may rely on: an id and a model on every chunk, a finish reason of the official ones, and an
error in the stream where the answer breaks off. The model stands in the path. A stream is server-sent events where the
query says `alt=sse`, else one JSON array, as at Google's.

What another format's provider wants sent back is sealed as a `thoughtSignature`, which clients keep as it is.
"""

from __future__ import annotations

import binascii
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

from llmstream.checks import require
from llmstream.errors import ErrorInfo
from llmstream.events.types import BESIDE_REASONING, Start, StreamEvent
from llmstream.messages import (
    FinishReason,
    Message,
    Part,
    ReasoningPart,
    TextPart,
    ToolCall,
    parse_arguments,
)
from llmstream.plain_values import amended
from llmstream.web.dialects.answers import ProviderAnswer
from llmstream.web.dialects.base import Answer, Ask
from llmstream.web.dialects.frames import RunsOfText
from llmstream.web.dialects.provider_data import reasoning_of, seal, unseal
from llmstream.web.dialects.request_checks import ask_for, keep_listed, object_of, whole
from llmstream.wire.finish_words import read_finish_word, render_finish_word
from llmstream.wire.gemini_generate.encode import GenerateEncoder, render_error
from llmstream.wire.gemini_generate.members import camel_case
from llmstream.wire.gemini_generate.parts import FORMAT, SIGNATURE
from llmstream.wire.gemini_generate.request import parse_request
from llmstream.wire.outbound import json_bytes

VERSIONS = ("/v1beta", "/v1")
MODELS = f"{VERSIONS[0]}/models"
"""Google's list of models. Below `/v1` it is OpenAI's."""
_WHOLE, _STREAM = "{model}:generateContent", "{model}:streamGenerateContent"
COUNT = "{model}:countTokens"
_REFUSED = {"candidateCount": (None, 1), "responseLogprobs": (None, False), "logprobs": (None,)}
"""Options that ask for another kind of answer, and the values that don't."""
_FINISH = {FinishReason.OTHER: FinishReason.STOP, FinishReason.UNKNOWN: FinishReason.STOP}
_MALFORMED = "MALFORMED_FUNCTION_CALL"
_REQUEST_INFO = "type.googleapis.com/google.rpc.RequestInfo"
_TEXTS = ({"text"}, {"text", "thought"})


def paths_of_models(end: str) -> tuple[str, str]:
    """The paths at which a model is asked for something."""
    newest, stable = (f"{version}/models/{end}" for version in VERSIONS)
    return newest, stable


@dataclass
class GeminiGenerate:
    """The dialect of whole answers. `new_id` gives an answer's id."""

    new_id: Callable[[], str] = lambda: token_hex(12)
    format: str | None = FORMAT
    path: str = paths_of_models(_WHOLE)[0]
    aliases: tuple[str, ...] = paths_of_models(_WHOLE)[1:]
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    keep_alive: bytes = b"\n"

    def parse(self, body: Any) -> Ask:
        """Read a request's JSON body, in which the URL's `model` stands.

        Raises ValueError or TypeError that name the place.
        """
        body = {name: value for name, value in object_of(body).items() if name != "alt"}
        config = object_of(camel_case(body).get("generationConfig") or {}, "generationConfig")
        for name, harmless in _REFUSED.items():
            value = config.get(name)
            require(value in harmless, f"generationConfig.{name}: {value!r} is not supported here")
        request = parse_request(body)
        warnings = keep_listed(request, FORMAT)
        request.messages = [*map(_unsealed, _joined(request.messages))]
        model = request.model
        return ask_for(
            request, model=model, stream=self._streams, reply=self.new_id(), warnings=warnings
        )

    def encoder(self, ask: Ask) -> Answer:
        """The encoder of one streamed answer."""
        answer = _EventsAnswer(ask)
        return RunsOfText(answer, answer.prose)

    def document(self, ask: Ask, event: StreamEvent) -> Any:
        """The whole answer (a MESSAGE_COMPLETE) as one JSON document."""
        document: dict[str, Any] = {"candidates": []}
        for chunk in _Chunks(ask).chunks(whole(event)):
            _fold(document, chunk)
        return document

    def error(self, info: ErrorInfo, request_id: str) -> Any:
        """The body of an HTTP error."""
        body = _render_error(info, request_id)
        return {"error": {**body, "code": info.status_code or body["code"]}}

    _streams = False


@dataclass
class GeminiStream(GeminiGenerate):
    """The dialect of streamed answers. Those that don't ask for events get an array."""

    path: str = paths_of_models(_STREAM)[0]
    aliases: tuple[str, ...] = paths_of_models(_STREAM)[1:]
    content_type: str = "text/event-stream"

    _streams = True

    def parse(self, body: Any) -> Ask:
        """Read a request's JSON body, in which the URL's `model` and `alt` stand."""
        ask = super().parse(body)
        if body.get("alt") != "sse":
            ask.dialect = GeminiArray(self.new_id)
        return ask


@dataclass
class GeminiArray(GeminiStream):
    """A streamed answer as one JSON array, a chunk at a time."""

    content_type: str = "application/json"

    def encoder(self, ask: Ask) -> Answer:
        """The encoder of one streamed answer."""
        answer = _ArrayAnswer(ask)
        return RunsOfText(answer, answer.prose)


class _EventsAnswer(ProviderAnswer):
    """One streamed answer as events."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(ask)
        self._chunks = _Chunks(ask)
        self.prose = self._chunks.prose

    def _render(self, event: StreamEvent) -> bytes:
        return b"".join(map(self._frame, self._chunks.chunks(event)))

    def _frame(self, chunk: dict[str, Any]) -> bytes:
        return b"data: " + json_bytes(chunk) + b"\n\n"


class _ArrayAnswer(_EventsAnswer):
    """One streamed answer as an array."""

    _before = b"["

    def _encode(self, event: StreamEvent) -> bytes:
        data = super()._encode(event)
        return data + b"]" if self.ended else data

    def _frame(self, chunk: dict[str, Any]) -> bytes:
        data = self._before + json_bytes(chunk)
        self._before = b",\n"
        return data


class _Chunks(GenerateEncoder):
    """Chunks with all that a client may rely on."""

    def __init__(self, ask: Ask) -> None:
        super().__init__()
        self._named = Start(ask.reply, ask.model)
        self._lost_call = False

    @property
    def prose(self) -> list[str]:
        """All texts so far, by which the places of sources are counted."""
        return self._prose

    def chunks(self, event: StreamEvent) -> Iterator[dict[str, Any]]:
        """The chunks of one event, not yet bytes."""
        return self._frames(event)

    def _chunk(self, candidate: dict[str, Any]) -> dict[str, Any]:
        # Google's client forgets the whole answer if one of its chunks has no content.
        empty = {"parts": [{"text": ""}], "role": "model"}
        return super()._chunk({"content": empty, **candidate})

    def _begin(self, event: StreamEvent) -> Iterator[dict[str, Any]]:
        return super()._begin(amended(event, start=self._named))

    def _opaque(self, data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        if data["format"] == FORMAT or not BESIDE_REASONING.isdisjoint(data):
            return super()._opaque(data)
        sealed = b64encode(seal(data).encode()).decode()
        part = {"text": "", "thought": True, SIGNATURE: sealed}
        return super()._opaque({"format": FORMAT, "item": part})

    def _call(self, call: ToolCall) -> Iterator[dict[str, Any]]:
        is_cut = call.executed_by == "caller" and parse_arguments(call.arguments) is None
        if is_cut:  # its beginning would look like a call to clients that know no pieces
            self._lost_call = True
            return iter(())
        return super()._call(call)

    def _complete(self, event: StreamEvent) -> Iterator[dict[str, Any]]:
        if not self._started:
            yield from self._begin(event)
            yield from self._whole_answer(event)
        for chunk in super()._complete(self._official(event)):
            for candidate in chunk.get("candidates", ()):
                if self._lost_call and candidate["finishReason"] == "STOP":
                    candidate["finishReason"] = _MALFORMED
            yield chunk

    def _official(self, event: StreamEvent) -> StreamEvent:
        """The end of an answer in the official words. A pause without a token can't be gone on from."""
        given = event.finish_reason or FinishReason.UNKNOWN
        reason = _FINISH.get(given, given)
        raw = render_finish_word(event.raw_finish_reason, given, FORMAT)
        if raw is not None and read_finish_word(raw, FORMAT) is not given:
            raw = None
        if reason is FinishReason.PAUSE:
            raw = None
            reason = reason if self._continuation is not None else FinishReason.LENGTH
        return amended(event, finish_reason=reason, raw_finish_reason=raw)

    def _error(self, event: StreamEvent) -> Iterator[dict[str, Any]]:
        info = event.error_info
        if info is not None:
            yield {"error": _render_error(info, info.request_id)}


def _render_error(info: ErrorInfo, request_id: str | None) -> dict[str, Any]:
    """Google's error object, with the id by which the server's log can be searched."""
    body = render_error(info)
    if request_id is not None:
        told = {"@type": _REQUEST_INFO, "requestId": request_id}
        body["details"] = [*body.get("details", ()), told]
    return body


# --- what comes back --------------------------------------------------------------------------------------------


def _joined(messages: list[Message]) -> Iterator[Message]:
    """The messages, each answer as one: clients keep each chunk of a stream as a content of its own."""
    last: Message | None = None
    for message in messages:
        if message.role == "assistant":
            message.parts = [part for part in message.parts if not _is_empty(part)]
        if last is not None and last.role == message.role == "assistant":
            last.parts = [*last.parts, *message.parts]
            continue
        if last is not None:
            yield last
        last = message
    if last is not None:
        yield last


def _is_empty(part: Part) -> bool:
    """Whether it is the text of a chunk that has none. Some providers refuse one."""
    return isinstance(part, TextPart) and not part.text and part.provider_data is None


def _unsealed(message: Message) -> Message:
    """The message, with the reasoning that another format's provider wants back as it was."""
    parts: list[Part] = []
    for part in message.parts:
        kept = _kept(part)
        if kept is None:
            parts.append(part)
            continue
        assert isinstance(part, ReasoningPart)  # noqa: S101  # nothing else is sealed
        text = part.text
        while "item" not in kept and parts and _is_unsigned(parts[-1]):
            text = getattr(parts.pop(), "text", "") + text
        parts.append(reasoning_of(text, kept))
    message.parts = parts
    return message


def _kept(part: Part) -> Mapping[str, Any] | None:
    """The data that `_Chunks` sealed; None if it sealed none."""
    signature = part.signature if isinstance(part, ReasoningPart) else None
    if signature is None:
        return None
    try:  # clients write the other alphabet
        text = urlsafe_b64decode(signature.replace("+", "-").replace("/", "_")).decode()
    except (binascii.Error, ValueError):
        return None
    return unseal(text)


def _is_unsigned(part: Part) -> bool:
    return isinstance(part, ReasoningPart) and part.signature is None


# --- a whole answer ---------------------------------------------------------------------------------------------


def _fold(document: dict[str, Any], chunk: dict[str, Any]) -> None:
    """Add a chunk to the document."""
    rest = {name: value for name, value in chunk.items() if name != "candidates"}
    document.update(rest)
    for candidate in chunk.get("candidates", ()):
        if not document["candidates"]:
            empty = {"content": {"parts": [], "role": "model"}, "index": 0}
            document["candidates"].append(empty)
        _fold_candidate(document["candidates"][0], candidate)


def _fold_candidate(known: dict[str, Any], candidate: dict[str, Any]) -> None:
    for name, value in candidate.items():
        if name == "content":
            for part in value["parts"]:
                _fold_part(known["content"]["parts"], part)
        elif name == "groundingMetadata":
            _fold_grounding(known.setdefault(name, {}), value)
        elif name == "citationMetadata":
            cited = known.setdefault(name, {})
            for kind, items in value.items():
                cited.setdefault(kind, []).extend(items)
        else:
            known[name] = value


def _fold_part(parts: list[dict[str, Any]], part: dict[str, Any]) -> None:
    """Texts that follow one another are one, and a signature without words belongs to the thought before it."""
    last = parts[-1] if parts else {}
    is_same = part.keys() == last.keys() and part.keys() in _TEXTS
    is_sign = part.get("text") == "" and SIGNATURE in part and last.keys() == {"text", "thought"}
    if is_same:
        last["text"] += part["text"]
    elif is_sign and part.get("thought"):
        last[SIGNATURE] = part[SIGNATURE]
    elif part != {"text": ""}:
        parts.append({**part})


def _fold_grounding(known: dict[str, Any], given: dict[str, Any]) -> None:
    """Sources are numbered through the whole answer."""
    sources = known.setdefault("groundingChunks", [])
    before = len(sources)
    sources += given.get("groundingChunks", ())
    for support in given.get("groundingSupports", ()):
        numbers = [before + number for number in support["groundingChunkIndices"]]
        moved = {**support, "groundingChunkIndices": numbers}
        known.setdefault("groundingSupports", []).append(moved)
