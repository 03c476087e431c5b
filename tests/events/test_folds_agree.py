"""The folds that consumers had of their own agree with the transcript; this goes when the last of them has moved."""

from __future__ import annotations

import copy

from hypothesis import given
from hypothesis import strategies as st

from llmstream.events.builder import MessageBuilder
from llmstream.events.transcript import Gathered, Standing, Transcript
from llmstream.events.types import EventType, Start, StreamEvent
from llmstream.messages import Message
from tests import strategies
from tests.events.test_transcript import retry, step


class OldRecorder:
    """As conversations/recorder was."""

    def __init__(self):
        self._done = []
        self._begin()

    def add(self, event):
        if event.retry is not None:
            if event.retry.discard:
                self._builder = MessageBuilder()
            else:
                self._builder.interrupt()
        elif event.type is EventType.MESSAGE_START:
            self._start = event.start or Start()
        elif event.ends_round:
            self._done += [event.message] if event.message is not None else []
            self._done += self._result_message()
            self._begin()
        elif event.tool_result is not None and event.tool_result.executed_by == "caller":
            self._results.append(event.tool_result)
        else:
            self._builder.add(event)

    def messages(self):
        start = self._start
        partial = self._builder.partial(id=start.id, model=start.model, provider=start.provider)
        return [*self._done, *([partial] if partial.parts else []), *self._result_message()]

    def _begin(self):
        self._builder = MessageBuilder()
        self._results = []
        self._start = Start()

    def _result_message(self):
        return [Message("tool", [*self._results])] if self._results else []


def replayed(events):
    """What streams/replay kept of a recording that stops short."""
    builder = MessageBuilder()
    for event in events:
        if event.retry is not None and event.retry.discard:
            builder = MessageBuilder()
        elif event.retry is not None:
            builder.interrupt()
        elif event.ends_round:
            builder = MessageBuilder()
        builder.add(event)
    return builder.partial()


def gathered(events):
    """What the whole-text encoders held."""
    items, standing = [], 0
    for event in events:
        if event.text:
            items.append(event.text)
        elif event.retry is not None and event.retry.discard:
            del items[standing:]
        elif event.ends_round:
            standing = len(items)
    return items


def revocable(events):
    """Whether streams/text, streams/message_start and web's TextEncoder had shown what a RETRY could void."""
    shown = False
    for event in events:
        if event.text:
            shown = True
        elif (event.retry is not None and event.retry.discard) or event.ends_round:
            shown = False
    return shown


answers = st.lists(
    strategies.pieces.filter(lambda event: event.tool_result is None)
    | strategies.status_events
    | st.builds(lambda start: StreamEvent(EventType.MESSAGE_START, start=start), strategies.starts)
    | st.booleans().map(lambda discard: retry(discard=discard)),
    max_size=10,
)
results = st.lists(
    strategies.results.map(lambda result: StreamEvent(EventType.TOOL_RESULT, tool_result=result)),
    max_size=2,
)
endings = st.just([]) | st.builds(
    lambda results, message: [*results, step(message)], results, strategies.messages
)
streams = st.lists(st.builds(lambda answer, end: [*answer, *end], answers, endings), max_size=3)


@given(streams)
def test_the_folds_agree(courses):
    """On generated streams, with rounds, results, retries of both kinds."""
    events = [event for course in courses for event in course]
    old, transcript, words, count = OldRecorder(), Transcript(), Gathered(), Standing(0)
    for event in copy.deepcopy(events):
        old.add(event)
    for event in events:
        transcript.add(event)
        if event.text:
            words.items.append(event.text)
            count.value += 1
        words.add(event)
        count.add(event)
    assert transcript.messages() == old.messages()
    assert transcript.partial() == replayed(events)
    assert words.items == gathered(events)
    assert count.is_revocable == revocable(events)
