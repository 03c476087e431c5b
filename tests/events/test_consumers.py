"""Every consumer of events, run on a stream with each type of event: the table of what the event does there.

A cell has a sign for each of PLACES, which says what the event changes there: "." nothing, "+" its own output is added
and all else stays, "x" other output changes too. A consumer that forgets a type has another cell, and a new type has no
column.
"""

from __future__ import annotations

import asyncio
import io
import json
import math
from contextlib import aclosing

from llmstream import LLMClient
from llmstream.cli.show import Show
from llmstream.cli.turn import CallOutcome
from llmstream.conversations import ConversationClient
from llmstream.errors import ErrorInfo
from llmstream.events.grammar import TERMINAL, Guard
from llmstream.events.transcript import Transcript
from llmstream.events.types import (
    EventType,
    Retry,
    Start,
    Status,
    StreamEvent,
    ToolCallDelta,
    error,
    opaque,
    reasoning_delta,
    refusal_delta,
    text_delta,
)
from llmstream.messages import File, FinishReason, Message, Source, ToolCall, ToolResult, Usage
from llmstream.streams import coalesce, progress, replay, text, transform
from llmstream.streams.record import HEADER
from llmstream.structured import objects
from llmstream.testing import ScriptedProvider, VirtualClock
from llmstream.web.conversation_endpoints import ChunkEncoder
from llmstream.web.dialects import (
    AgUi,
    AiSdk,
    AnthropicMessages,
    GeminiStream,
    OllamaChat,
    OpenAIChat,
    OpenAIResponses,
)
from llmstream.web.native_encoders import (
    AbortedError,
    JsonEncoder,
    NdjsonEncoder,
    SseEncoder,
    TextEncoder,
)
from tests.conversations.talk import begin
from tests.streams.sources import Feed, Pairs


def status(kind, message=""):
    return StreamEvent(EventType.STATUS, status=Status(kind, message))


def retry(*, discard):
    return StreamEvent(EventType.RETRY, retry=Retry(2, 3, 0.0, "cut", "truncated", discard=discard))


MESSAGE = Message("assistant", "[1, 2]")
EVENTS = {
    "text": text_delta("2"),
    "reas": reasoning_delta("hm"),
    "refu": refusal_delta("no"),
    "args": StreamEvent(EventType.TOOL_CALL_DELTA, tool_call_delta=ToolCallDelta(7, "d", "f")),
    "call": StreamEvent(EventType.TOOL_CALL, tool_call=ToolCall("c", "f", "{}", input={})),
    "resu": StreamEvent(EventType.TOOL_RESULT, tool_result=ToolResult("b", "sunny")),
    "sour": StreamEvent(EventType.SOURCE, source=Source(url="https://a.example")),
    "file": StreamEvent(EventType.FILE, file=File("1", name="n")),
    "step": status("step", "round 1"),
    "opaq": opaque("openai-chat", item={"a": 1}),
    "note": status("queued", "wait"),
    "void": retry(discard=True),
    "cut": retry(discard=False),
    "start": StreamEvent(EventType.MESSAGE_START, start=Start("id", "other")),
    "end": StreamEvent(
        EventType.MESSAGE_COMPLETE,
        finish_reason=FinishReason.LENGTH,
        usage=Usage(1),
        message=MESSAGE,
    ),
    "error": error(ErrorInfo("server", "broke")),
}
BEFORE = [
    StreamEvent(EventType.MESSAGE_START, start=Start("id", "model")),
    text_delta("[1"),
    StreamEvent(EventType.TOOL_CALL_DELTA, tool_call_delta=ToolCallDelta(0, "b", "f")),
    StreamEvent(EventType.SOURCE, source=Source(url="https://b.example")),
    text_delta("1"),
]
AFTER = [text_delta(", 5")]
PLACES = [
    (BEFORE, AFTER),
    (BEFORE, [*AFTER, retry(discard=True), text_delta("[3]")]),
    (BEFORE, [retry(discard=True), text_delta("[3]")]),
    (BEFORE, [retry(discard=False), *AFTER]),
    (BEFORE[:1], [*BEFORE[1:], *AFTER]),
]
"""Where the event comes: in an answer that goes on; in one that is voided later, or at once; that is cut; first."""


def fed(make):
    """What a consumer with `feed` or `add` gives for each event."""

    def run(events):
        consumer = make()
        take = getattr(consumer, "feed", None) or consumer.add
        return [out for event in events if (out := take(event))]

    return run


def run_transcript(events):
    transcript = Transcript()
    for event in events:
        transcript.add(event)
    parts = [transcript.parts, transcript.partial(), transcript.messages()]
    return [*parts, transcript.text, transcript.sources, transcript.start, transcript.usage]


def run_guard(events):
    guard = Guard()
    left = [tuple(guard.feed(event)) for event in events]
    return [*filter(None, left), guard.end(), guard.partial()]


def flowing(make):
    """What an operator yields, and how it ends."""

    def run(events):
        async def read():
            got = []
            try:
                async for each in make(Feed(events), got):
                    got.append(each)  # noqa: PERF401  # what came before a failure counts
            except Exception as problem:  # noqa: BLE001  # the outcome is what is compared
                got.append(repr(problem))
            return got

        return asyncio.run(read())

    return run


def recorded(events):
    lines = [HEADER, *({"at": 0, "event": event.to_dict()} for event in events)]
    return [json.dumps(line) for line in lines]


def run_outcome(events):
    outcome = CallOutcome()
    for event in events:
        outcome.feed(event)
    return [outcome.text, outcome.code, outcome.model, outcome.problem(), outcome.message]


def run_show(events):
    out, err = io.StringIO(), io.StringIO()
    show = Show(out, err, reasoning=True)
    for event in events:
        show.event(event)
    show.end()
    return [out.getvalue(), err.getvalue()]


def sent(make):
    """What an encoder sends, without the numbers of its frames."""

    def run(events):
        encoder, got = make(), []
        try:
            for event in events:
                got += [line for line in encoder.feed(event).split(b"\n") if line[:2] != b"id"]
        except AbortedError:
            got.append("aborted")
        return [line for line in got if line]

    return run


def growing(events, got):
    async def values():
        async for partial in objects(events, list[int]):
            got.append(json.dumps(partial.value))  # it grows in place
            if partial.result is not None:
                yield "whole"

    return values()


class Given(LLMClient):
    """A client whose stream is written down, up to its end."""

    def __init__(self, events):
        super().__init__(provider=ScriptedProvider(), clock=VirtualClock())
        self.events = events

    async def chat_completion(self, messages, *stream, **options):
        for event in self.events:
            yield event


def run_turn(events):
    """What is stored of a turn that its reader leaves before the end; a failed one stores its error."""

    async def keep():
        async with ConversationClient(Given(events)) as client:
            conversation = await begin(client)
            async with aclosing(conversation.events("hi")) as came:
                for _ in events[:-1]:
                    if (await anext(came)).type in TERMINAL:
                        break
            (turn,) = await conversation.turns()
            return [part for message in turn.messages for part in message.parts]

    return asyncio.run(keep())


ASKED = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
AT_UI = {"id": "1", "role": "user", "content": "hi", "parts": [{"type": "text", "text": "hi"}]}
UI = {"threadId": "t", "runId": "r", "state": {}, "tools": [], "context": [], "forwardedProps": {}}
RUN = {**UI, "id": "chat", "trigger": "submit-message", "messages": [AT_UI]}


def spoken(dialect, body):
    """A dialect's answer to a request that offers no tools."""
    return sent(lambda: dialect.encoder(dialect.parse(body)))


CONSUMERS = {
    "transcript": run_transcript,
    "guard": run_guard,
    "text": flowing(lambda events, got: text(events, on_discard=lambda: got.append("void"))),
    "progress": flowing(lambda events, _: progress(events, seconds=0, clock=VirtualClock())),
    "coalesce": flowing(lambda events, _: coalesce(events, "sentence")),
    "transform": flowing(lambda events, _: transform(events, Pairs)),
    "replay": flowing(lambda events, _: replay(recorded(events.events[:-1]), speed=math.inf)),
    "objects": flowing(growing),
    "sse": sent(SseEncoder),
    "ndjson": sent(NdjsonEncoder),
    "text/plain": sent(TextEncoder),
    "whole text": sent(lambda: TextEncoder(whole=True)),
    "json": sent(JsonEncoder),
    "chunks": sent(lambda: ChunkEncoder("r")),
    "chat": spoken(OpenAIChat(now=lambda: 0, new_id=lambda: "x"), ASKED),
    "responses": spoken(
        OpenAIResponses(now=lambda: 0, new_id=lambda: "x"), {**ASKED, "input": "hi"}
    ),
    "messages": spoken(AnthropicMessages(new_id=lambda: "x"), {**ASKED, "max_tokens": 9}),
    "gemini": spoken(
        GeminiStream(new_id=lambda: "x"), {"model": "m", "contents": "hi", "alt": "sse"}
    ),
    "ollama": spoken(OllamaChat(now=lambda: 0), ASKED),
    "ag-ui": spoken(AgUi(), RUN),
    "ai sdk": spoken(AiSdk(), RUN),
    "stored turn": run_turn,
    "cli outcome": run_outcome,
    "cli show": run_show,
}
END = StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP)


def effect(run, event, before, after):
    """One sign of the table."""
    without, given = run([*before, *after, END]), run([*before, event, *after, END])
    if given == without:
        return "."
    rest = iter(given)
    added = len(given) > len(without) and all(any(each == out for out in rest) for each in without)
    return "+" if added else "x"


TABLE = """
            text  reas  refu  args  call  resu  sour  file  step  opaq  note  void  cut   start end   error
transcript  x..xx x..xx x..xx x...x x..xx x..xx x..xx x..xx xxxxx x..xx ..... x..x. x.... xxxxx ....x .....
guard       xxxxx xxxxx xxxxx ++++x xxxxx xxxxx xxxxx xxxxx xxxx+ xxxxx +++++ ..... ..... ..... xxxxx xxxxx
text        +++++ ..... ..... ..... ..... ..... ..... ..... ..x.. ..... ..... ++.+. ..... ..... ..... xxxxx
progress    xx+xx xx+xx xx+xx +++++ +++++ +++++ +++++ +++++ +xx++ +++++ +++++ xx+x+ +++++ +++++ +++++ +++++
coalesce    x..xx x++++ x++++ x++++ x++++ x++++ x++++ x++++ xxxx+ x++++ +++++ x++xx x++++ +..xx x++++ x++++
transform   xx+xx xx+x+ xx+x+ xx+x+ xx+x+ xx+x+ xx+x+ xx+x+ xxxx+ xx+x+ +++++ xx+xx +++++ ++.xx xx+x+ xx+x+
replay      x++xx x++xx x++xx x+++x x++xx x++xx x++xx x++xx x++x+ x++xx +++++ x++x+ x++++ +++++ xxxxx xxxxx
objects     xx+xx ..... ..... ..... ..... ..... ..... ..... xx.x. ..... ..... xx.x. ..... ..... xxxxx xxxxx
sse         +++++ +++++ +++++ +++++ +++++ +++++ +++++ +++++ +++++ ..... +++++ +++++ +++++ +++++ +++++ +++++
ndjson      +++++ +++++ +++++ +++++ +++++ +++++ +++++ +++++ +++++ ..... +++++ +++++ +++++ +++++ +++++ +++++
text/plain  +++++ ..... +++++ ..... ..... ..... ..... ..... ..x.. ..... ..... xx.x. ..... ..... ..... xx.xx
whole text  x..xx ..... x..xx ..... ..... ..... ..... ..... .xx.. ..... ..... x..x. ..... ..... ++++. xxxxx
json        x..xx ..... x..xx ..... ..... ..... ..... ..... .xx.. ..... ..... x..x. ..... ..... +++++ .....
chunks      +++++ ..... +++++ ..... ..... ..... x..xx ..... .xx.. ..... ..... x++x+ +++++ ..... +++++ +++++
chat        +++++ +++++ +++++ ..... +..x+ ..... xxxxx ..... ..... xxxxx ..... xx..x xx... ..... xxxxx xxxxx
responses   xxxxx xxxxx xxxxx ..... x..xx ..... xxxxx ..... ..... xxxxx ..... xx..x xx... ..... xxxxx xxxxx
messages    +++++ xx++x +++++ ..... +..x+ ..... +++++ ..... ..... xx++x ..... xx..x xx... ..... xxxxx xxxxx
gemini      +++++ +++++ +++++ ..... +..x+ ..... +++++ ..... ..... +++++ ..... xx..x xx... ..... xxxxx xxxxx
ollama      +++++ +++++ +++++ ..... +..x+ ..... ..... ..... ..... ..... ..... xx..x xx... ..... xxxxx xxxxx
ag-ui       +++++ xx++x xx++x xx++x xx+xx ++++. +++++ +++++ xx++x xx++x +++++ xx..x xx..+ ..... xxxxx xxxxx
ai sdk      +++++ xxx+x xxx+x xx+++ xx+x+ ++++. ++++x ..... xx+++ xxx+x +++++ xx+x+ xxx.+ ..... xxxxx xxxxx
stored turn x..xx x..x+ x..x+ +...+ x..x+ x..x+ x..x+ x..x+ x..x. x..x+ ..... x..x. x.... ..... xxxxx xxxxx
cli outcome x..xx ..... x..xx ..... ..... ..... ..... ..... xxxxx ..... ..... x..x. ..... xxxxx ....x .....
cli show    xxxxx xxxxx xxxxx ..... xxxxx xxxxx x..xx xxxxx .xx.. ..... ..... xxxxx xxxxx ..... ..... .....
"""


def table():
    """The table as it is now: a row for each consumer, a column for each kind of event."""
    rows = [f"{'':12}" + " ".join(f"{name:5}" for name in EVENTS)]
    for consumer, run in CONSUMERS.items():
        cells = [
            "".join(effect(run, event, *place) for place in PLACES) for event in EVENTS.values()
        ]
        rows.append(f"{consumer:12}" + " ".join(f"{cell:5}" for cell in cells))
    return [row.rstrip() for row in rows]


def test_every_consumer_knows_every_type_of_event():
    """The table stands; a new type needs a column."""
    assert table() == TABLE.strip("\n").splitlines()
    assert {event.type for event in EVENTS.values()} == set(EventType)
