"""Hypothesis strategies for the library's values."""

from __future__ import annotations

import string
import typing

from hypothesis import strategies as st

from llmstream.errors import ErrorInfo, ErrorKind
from llmstream.events.types import (
    EventType,
    ReasoningDelta,
    RefusalDelta,
    Retry,
    Start,
    Status,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
)
from llmstream.messages import (
    ROLES,
    File,
    FinishReason,
    ImagePart,
    Message,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    Source,
    TextPart,
    ToolCall,
    ToolResult,
    Usage,
)
from llmstream.wire.formats import FORMATS
from llmstream.wire.open_calls import NO_NAMES

KINDS = typing.get_args(ErrorKind)


def or_none(strategy):
    return st.none() | strategy


def optional(cls, **fields):
    """`cls` with each of these fields given or left to its default."""
    return st.fixed_dictionaries({}, optional=fields).map(lambda given: cls(**given))


text = st.text(st.characters(codec="utf-8"), max_size=12)
some = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
names = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=10).filter(
    lambda name: name not in NO_NAMES
)
counts = st.integers(0, 10**9)
seconds = st.floats(0, 1e6)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(text, json_values, max_size=3)
formats = st.sampled_from(sorted(FORMATS))

usages = st.builds(
    Usage,
    input_tokens=or_none(counts),
    output_tokens=or_none(counts),
    cache_read_tokens=or_none(counts),
    cache_write_tokens=or_none(counts),
    reasoning_tokens=or_none(counts),
)
summed_usages = st.builds(
    Usage,
    input_tokens=or_none(counts),
    output_by_modality=st.dictionaries(st.sampled_from(["text", "image"]), counts, max_size=2),
    estimated=st.booleans(),
    attempts=st.lists(usages, max_size=2).map(tuple),
)
calls = st.builds(
    ToolCall,
    id=names,
    name=names,
    arguments=text,
    input=or_none(objects),
    complete=st.booleans(),
    executed_by=st.sampled_from(["caller", "provider"]),
    provider_data=or_none(objects),
)
results = st.builds(
    ToolResult,
    tool_call_id=names,
    content=json_values,
    name=or_none(names),
    is_error=st.booleans(),
    executed_by=st.sampled_from(["caller", "provider"]),
    provider_data=or_none(objects),
)
sources = st.builds(
    Source,
    id=or_none(text),
    title=or_none(text),
    url=or_none(text),
    relevance_score=or_none(st.floats(0, 1)),
    excerpt=or_none(text),
    start=or_none(counts),
    end=or_none(counts),
)
files = st.builds(
    File,
    id=or_none(text),
    name=or_none(text),
    media_type=or_none(text),
    data=or_none(text),
    url=or_none(text),
)
details = or_none(st.just("low"))
urls = names.map("https://example.org/{}".format)
pictures = st.sampled_from([b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff"])
images = st.builds(ImagePart, url=urls, detail=details) | st.builds(
    ImagePart, data=pictures, detail=details
)
reasonings = st.builds(
    ReasoningPart, text=text, signature=or_none(text), id=or_none(text), format=or_none(formats)
)
parts = (
    st.builds(TextPart, text)
    | st.builds(RefusalPart, text)
    | reasonings
    | images
    | files
    | calls
    | results
    | sources
    | st.builds(ProviderPart, formats, objects)
)
messages = st.builds(
    Message,
    role=st.sampled_from(ROLES),
    parts=st.lists(parts, max_size=4),
    name=or_none(names),
    id=or_none(text),
    model=or_none(text),
    provider=or_none(text),
    finish_reason=or_none(st.sampled_from(FinishReason)),
    usage=or_none(summed_usages),
)
errors = st.builds(
    ErrorInfo,
    kind=st.sampled_from(KINDS),
    message=text,
    retryable=or_none(st.booleans()),
    provider=or_none(names),
    status_code=or_none(st.sampled_from([400, 429, 500])),
    code=or_none(names),
    retry_after=or_none(seconds),
    request_id=or_none(names),
    attempts=st.integers(1, 9),
    partial=or_none(messages),
)
starts = st.builds(
    Start,
    id=or_none(text),
    model=or_none(text),
    provider=or_none(text),
    warnings=st.lists(text, max_size=2).map(tuple),
)
opaque_data = st.fixed_dictionaries(
    {"format": formats, "signature": some}, optional={"id": some}
) | (st.fixed_dictionaries({"format": formats, "item": objects}))
statuses = st.builds(
    Status,
    kind=st.sampled_from(["progress", "queued", "routed"]),
    message=text,
    data=or_none(objects),
) | st.builds(Status, st.just("opaque"), data=opaque_data)
retries = st.builds(
    Retry,
    attempt=st.integers(2, 9),
    max_attempts=st.integers(2, 9),
    delay=seconds,
    reason=text,
    kind=st.sampled_from(KINDS),
    provider=or_none(names),
    model=or_none(text),
    discard=st.booleans(),
)
call_deltas = st.builds(
    ToolCallDelta,
    index=st.integers(0, 3),
    id=names | st.just(""),
    name=text,
    arguments=text,
    provider_data=or_none(objects),
)


def event(type, **fields):
    return st.builds(StreamEvent, st.just(type), **fields)


text_events = event(EventType.TEXT_DELTA, text_delta=st.builds(TextDelta, some))
pieces = (
    text_events
    | event(EventType.REASONING_DELTA, reasoning_delta=st.builds(ReasoningDelta, some))
    | event(EventType.REFUSAL_DELTA, refusal_delta=st.builds(RefusalDelta, some))
    | event(EventType.TOOL_CALL_DELTA, tool_call_delta=call_deltas)
    | event(EventType.TOOL_CALL, tool_call=calls)
    | event(EventType.TOOL_RESULT, tool_result=results)
    | event(EventType.SOURCE, source=sources)
    | event(EventType.FILE, file=files)
)
status_events = event(EventType.STATUS, status=statuses)
completes = event(
    EventType.MESSAGE_COMPLETE,
    start=or_none(starts),
    message=or_none(messages),
    finish_reason=or_none(st.sampled_from(FinishReason)),
    raw_finish_reason=or_none(text),
    stop_details=or_none(st.dictionaries(text, text, max_size=2)),
    usage=or_none(summed_usages),
    messages=or_none(st.lists(messages, max_size=2)),
)
failures = event(
    EventType.ERROR, error=or_none(some), error_info=or_none(errors), usage=or_none(usages)
)
events = (
    pieces
    | status_events
    | event(EventType.MESSAGE_START, start=starts)
    | event(EventType.RETRY, retry=retries)
    | completes
    | failures
)
bare_events = st.builds(StreamEvent, st.sampled_from(EventType))
"""Events that lack what their type promises."""
