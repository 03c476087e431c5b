"""OpenAI chat completions, and the dialects of the compatible family: bytes to events.

Format: https://platform.openai.com/docs/api-reference/chat/streaming. What real servers add to it, all seen in
recordings or public reports:

- `choices` empty or missing (Azure's first chunk, usage chunks); id and model empty there. Choices without an index,
  or with one and the same, are one answer; those of another index are further answers (`n`), and left.
- Usage on any chunk or on every one, cumulative, under `usage`, `x_groq.usage` or `choices[0].usage`: per field the
  last number wins.
- `finish_reason` sent twice, early, or never; text after it. So nothing ends before `[DONE]` or the end of the body.
- `content` null, empty, or a list of parts (Mistral). The same reasoning under two names (counted once). The whole
  answer in `message` beside `delta` (Perplexity, Writer) or in place of it: what hasn't streamed is read.
- Tool deltas without index, with ids and names repeated, emptied or late, arguments null or whole (see `calls.py`).
- An `error` beside a normal chunk, after the finish reason (OpenRouter), in its choice or in its delta.
- Citations as a cumulative top-level list (Perplexity), or as `annotations` in the delta.
- Pictures in `images`, speech in `audio`, reasoning in `reasoning_text` (Copilot).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from llmstream.checks import as_text
from llmstream.messages import File, FinishReason, Source
from llmstream.wire.error_body import carries_error, is_error, parse_error
from llmstream.wire.event_decoder import KEEP_ALIVES
from llmstream.wire.framing.sse import SSE
from llmstream.wire.json_fields import listed
from llmstream.wire.openai_chat import members
from llmstream.wire.openai_chat.calls import CallPiece, CallTable, parse_pieces
from llmstream.wire.openai_chat.citations import Citations
from llmstream.wire.openai_chat.content import (
    Segment,
    parse_content,
    parse_images,
)
from llmstream.wire.openai_chat.reasoning_reader import ReasoningReader
from llmstream.wire.speech import Speech
from llmstream.wire.text_record import TextRecord
from llmstream.wire.usage_counts import read_counts, usage_of

_PLAIN = frozenset({"content", "role", "refusal"})
"""Members of nearly every delta; OpenAI's first one has all three."""


class ChatDecoder(ReasoningReader):
    """One chat completions answer; choice 0, if there are several."""

    format = "openai-chat"
    framing = SSE("content", ("obfuscation",))

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._choice = 0  # the index of the choice that is read
        self._held: list[dict[str, Any]] = []  # a choice of another index, while this one is empty
        self._other: Any = None  # the first choice of another index: a second answer
        self._has_delta = False  # text came as deltas
        self._has_delta_calls = False
        self._told: set[str] = set()  # other members that the answer has had
        self._files: set[int] = set()  # hashes of those that were read
        self._counts: dict[str, int] = {}  # of all chunks
        self._choice_error: Any = None  # what stands in a choice or its delta

    # Most answers are text alone, and have none of these.

    @cached_property
    def _refused_words(self) -> TextRecord:
        return TextRecord()

    @cached_property
    def _table(self) -> CallTable:
        return CallTable()

    @cached_property
    def _speech(self) -> Speech:
        return Speech()

    @cached_property
    def _citations(self) -> Citations:
        return Citations(self._unread)

    def parse_frame(self, payload: dict[str, Any], event: str) -> None:
        """One chunk."""
        choices = payload.get("choices")
        if choices:
            self._is_known = True
            self._parse_choices(payload, choices)
        if usage := payload.get("usage"):
            self._is_known = True
            self._add_usage(usage)
        is_usual = choices and not self._choice_error and payload.keys() <= members.USUAL_OF_CHUNK
        if not is_usual:
            self._parse_rest_of_chunk(payload)

    def _parse_rest_of_chunk(self, payload: dict[str, Any]) -> None:
        """What a chunk may hold beside its choices and its usage."""
        groq = payload.get("x_groq")
        if isinstance(groq, dict) and groq.get("usage") and not payload.get("usage"):
            self._add_usage(groq["usage"])
        citations, results = payload.get("citations"), payload.get("search_results")
        if citations or results:
            self._cite(self._citations.of_lists(listed(citations), listed(results)))
        if carries_error(payload) or (not payload.get("choices") and is_error(payload)):
            self._fail(parse_error(payload))
        elif self._choice_error and carries_error(told := {"error": self._choice_error}):
            self._fail(parse_error(told))
        elif not payload.keys() <= members.CHUNK and payload.get("type") not in KEEP_ALIVES:
            self._unread.look_over("", payload, members.CHUNK)

    def _add_usage(self, usage: Any) -> None:
        """The counts of a chunk, of which some may have come before."""
        self._counts |= read_counts(usage)
        self._usage = usage_of(self._counts)

    def parse_document(self, payload: dict[str, Any]) -> bool:
        """A `chat.completion` object: its message is one large delta."""
        choices = payload.get("choices")
        if not isinstance(choices, list) or not choices:
            return False
        indices = [index for choice in choices if type(index := choice.get("index")) is int]
        self._choice = min(indices, default=0)
        self.parse_frame(payload, "")
        if not self.ended:
            self._complete()
        return True

    def done_marker(self) -> None:
        """`[DONE]`: the provider's own end."""
        self._complete()

    def _complete(self) -> None:
        if self.ended:
            return
        self._read_held()
        if self._is_empty and self._other:
            self._unread.note("choices.index", self._other)
        if self._calls:
            self._end_custom_calls()
        speech = self._speech.take() if "audio" in self._told else None
        if speech is not None:
            self._file(speech)
        super()._complete()

    def _at_end(self) -> None:
        if any(choice.get("finish_reason") for choice in self._held):
            self._read_held()
        super()._at_end()

    def _end_custom_calls(self) -> None:
        """Nothing but the end of the answer ends a custom tool's input."""
        is_cut = self._finish_reason in (FinishReason.LENGTH, FinishReason.CONTENT_FILTER)
        last = self._calls[-1]
        for call in self._calls:
            call.done = call.freeform and not (is_cut and call is last)

    # --- choices -------------------------------------------------------------------------------------------

    def _parse_choices(self, payload: dict[str, Any], choices: list[dict[str, Any]]) -> None:
        if not self._started:
            self.start.id = self.start.id or as_text(payload.get("id"))
            self.start.model = self.start.model or as_text(payload.get("model"))
            self.start.upstream = self.start.upstream or as_text(payload.get("provider"))
        for choice in choices:
            index = choice.get("index")
            if index != self._choice and type(index) is int:
                self._hold(choice)
                continue
            self._parse_choice(choice)

    def _hold(self, choice: dict[str, Any]) -> None:
        """Keep a choice of another index, which is the answer if there is no other: some servers count from 1."""
        self._other = self._other or choice
        if self._started:
            self._held.clear()
        elif choice["index"] == self._other["index"]:
            self._held.append(choice)

    def _read_held(self) -> None:
        """The end has come: nothing but the other choice held an answer, if this one is empty."""
        held, self._held = self._held, []
        if held and self._is_empty:
            self._other = None
            for choice in held:
                self._parse_choice(choice)

    def _parse_choice(self, choice: dict[str, Any]) -> None:
        delta = choice.get("delta")
        if delta:
            self._parse_delta({"content": delta} if isinstance(delta, str) else delta)
        if not choice.keys() <= members.USUAL_OF_CHOICE:
            self._parse_rest_of_choice(choice)
        reason = choice.get("finish_reason")
        if reason and isinstance(reason, str):
            native = choice.get("native_finish_reason")
            self.finishing |= self._finish_word(reason, native=native)

    def _parse_rest_of_choice(self, choice: dict[str, Any]) -> None:
        """What a choice may hold beside its delta and its finish reason."""
        message, text, delta = choice.get("message"), choice.get("text"), choice.get("delta")
        if message:
            message = {"content": message} if isinstance(message, str) else message
            self._parse_message(_without_repeated(message, delta))
        elif text and not _content_of(delta):  # of completions, the API before chat
            self._parse_delta({"content": text})
        if usage := choice.get("usage"):  # Kimi
            self._add_usage(usage)
        if "error" in choice:
            self._choice_error = choice["error"]
        if not choice.keys() <= members.CHOICE:
            self._unread.look_over("choices.", choice, members.CHOICE)

    def _parse_delta(self, delta: dict[str, Any]) -> None:
        content = delta.get("content")
        if type(content) is str and delta.keys() <= _PLAIN and not delta.get("refusal"):
            self._has_delta = True
            self._plain_text(content)  # nearly every delta: there is nothing else to look for
            return
        self._parse_reasoning(delta)
        if content:
            self._has_delta = True
            self._emit_segments(parse_content(content, self._unread))
        self._parse_rest(delta)
        self._choice_error = delta.get("error") or self._choice_error
        pieces = parse_pieces(delta, self._unread)
        self._has_delta_calls = self._has_delta_calls or bool(pieces)
        self._parse_calls(pieces)
        if not delta.keys() <= members.DELTA:
            self._unread.look_over("delta.", delta, members.DELTA)

    def _parse_rest(self, delta: dict[str, Any]) -> None:
        """What a delta or a message may hold beside its content and its calls."""
        if refusal := delta.get("refusal"):
            self._refuse(refusal)
        for image in parse_images(delta.get("images"), self._unread):
            self._file_once(image)
        for audio in listed(delta.get("audio")):
            self._parse_audio(audio)
        self._cite(self._citations.of_annotations(listed(delta.get("annotations"))))
        self._parse_fields(delta.get("provider_specific_fields"))

    def _parse_fields(self, fields: Any) -> None:
        """What a vendor said in its own words (LiteLLM): its citations stand nowhere else."""
        if isinstance(fields, dict):
            for name in ("citation", "citations"):
                self._cite(self._citations.of_lists(listed(fields.get(name)), []))
            self._unread.look_over("provider_specific_fields.", fields, members.FIELDS)

    def _cite(self, sources: Iterable[Source]) -> None:
        for source in sources:
            self._source(source)

    def _parse_audio(self, audio: Any) -> None:
        """A piece of speech, and of its words."""
        self._told.add("audio")
        if not isinstance(audio, dict):
            audio = {"data": audio}
        self._speech.add(audio.get("data"), audio.get("id"))
        self._text(audio.get("transcript") or "")
        self._unread.look_over("audio.", audio, members.AUDIO)

    def _parse_message(self, message: dict[str, Any]) -> None:
        """The whole answer so far, beside its deltas or in place of them."""
        self._choice_error = message.get("error") or self._choice_error
        self._parse_told_reasoning(message)
        segments = parse_content(message.get("content") or (), self._unread)
        self._emit_segments(self._without_told(segments))
        self._parse_told_rest(message)
        pieces = parse_pieces(message, self._unread)
        self._unread.note("message.tool_calls", self._table.other_arguments(pieces))
        for call, arguments in self._table.going_on(pieces):
            self._call_delta(call, arguments)
        self._parse_calls(self._table.untold(pieces, streamed=self._has_delta_calls))
        if not message.keys() <= members.DELTA:
            self._unread.look_over("message.", message, members.DELTA)

    def _without_told(self, segments: list[Segment]) -> list[Segment]:
        """The segments of a message without the text that earlier messages of this answer told."""
        told = {"reasoning": self._thoughts.have_words, "speech": "audio" in self._told}
        told["refusal"] = "refusal" in self._told
        segments = [segment for segment in segments if not told.get(segment.kind)]
        others = [segment for segment in segments if segment.kind != "text"]
        texts = [segment for segment in segments if segment.kind == "text"]
        if not self._record and not self._has_delta:
            return segments
        rest = self._record.rest("".join(segment.text for segment in texts))
        if rest is not None:
            return [*others, Segment("text", rest)]
        if not self._has_delta:
            return segments  # the next piece of the answer
        self._unread.note("message.content", [segment.text for segment in texts])
        return others

    def _parse_told_rest(self, message: dict[str, Any]) -> None:
        """What else a message holds, without what was told of it."""
        rest = {name: message[name] for name in message if name not in self._told}
        if "refusal" in self._told and (refusal := as_text(message.get("refusal"))):
            rest["refusal"] = self._refused_words.rest(refusal)
        if "audio" in self._told and isinstance(audio := message.get("audio"), dict):
            words = self._record.rest(audio.get("transcript") or "")
            rest["audio"] = {
                **audio,
                "data": self._speech.is_empty and audio.get("data"),
                "transcript": words,
            }
        if annotations := listed(message.get("annotations")):
            rest["annotations"] = self._citations.untold(annotations)
        self._parse_rest(rest)

    # --- content -------------------------------------------------------------------------------------------

    def _emit_segments(self, segments: list[Segment]) -> None:
        for segment in segments:
            if segment.kind == "text":
                self._text(segment.text)
            elif segment.kind == "reasoning":
                self._think(segment.text)
            elif segment.kind == "refusal":
                self._refuse(segment.text)
            elif segment.kind == "speech":
                self._parse_audio(segment.speech)
            elif segment.file is not None:
                self._file_once(segment.file)

    def _refuse(self, refusal: str) -> None:
        self._told.add("refusal")
        if told := self._refusal(refusal):
            self._refused_words.chunks.append(told)

    def _file_once(self, file: File) -> None:
        seen = hash(file.data or file.url or file.id)
        if seen not in self._files:
            self._files.add(seen)
            self._file(file)

    # --- calls ---------------------------------------------------------------------------------------------

    def _parse_calls(self, pieces: list[CallPiece]) -> None:
        if not pieces:
            return
        self._table.begin_list()
        for piece in pieces:
            call = self._table.find(piece)
            if call is not None:
                self._note_call(call, piece.extra)
                self._call_delta(call, piece.arguments)
            else:
                self._begin_call(piece)

    def _begin_call(self, piece: CallPiece) -> None:
        call = self._open_call(piece.id, piece.name)
        self._table.add(piece, call)
        data: dict[str, Any] = {"type": "custom"} if piece.is_custom else {}
        data |= piece.extra
        if data:
            call.provider_data = {"format": self.format, **data}
        self._call_delta(call, piece.arguments, first=True)


def _without_repeated(message: dict[str, Any], delta: Any) -> dict[str, Any]:
    """A message without what its delta says: it may be each delta again (Writer)."""
    said = delta if isinstance(delta, dict) else {"content": delta}
    return {name: value for name, value in message.items() if value != said.get(name)}


def _content_of(delta: Any) -> Any:
    return delta.get("content") if isinstance(delta, dict) else delta
