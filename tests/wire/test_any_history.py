"""The grid: histories of every format, for every format and vendor row. No documented rule is broken."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given

from llmstream.messages import Message, ToolResult
from tests.example_counts import examples
from tests.recordings import all_answers
from tests.wire.any_history import LAST, MAKERS, TARGETS, Target, histories
from tests.wire.vendor_rules import findings
from tests.wire.vendor_types import BY_PACKAGE, check_types, flattened

every_target = pytest.mark.parametrize(
    "target", TARGETS, ids=[f"{target.name}:{target.model}" for target in TARGETS]
)


def problems(target: Target, history: list[Message]) -> list[str]:
    """What is wrong with the body that a history becomes."""
    body = target.render(history).body
    check_types(body, target.format)
    hosts = {target.name, f"{target.name} {target.model}"}
    return sorted({found for host in hosts for found in findings(body, target.format, host)})


@every_target
@given(conversation=histories())
@examples(40)
def test_no_history_breaks_a_documented_rule(target: Target, conversation: Any) -> None:
    history = [message for each in conversation for message in each]
    before = deepcopy(history)
    assert problems(target, [*history, LAST]) == []
    assert history == before, "the caller's messages were changed"


@pytest.mark.sdk
@pytest.mark.parametrize(
    "target", [target for target in TARGETS if target.format in BY_PACKAGE], ids=str
)
@given(conversation=histories())
@examples(15)
def test_any_history_fits_the_types_of_the_vendors_own_package(
    target: Target, conversation: Any
) -> None:
    history = [message for each in conversation for message in each]
    body = json.dumps(target.render([*history, LAST]).body)
    readable = re.sub('"signed by [^"]*"', '"c2ln"', body)  # real signatures are base64
    BY_PACKAGE[target.format](json.loads(readable))


@every_target
@given(conversation=histories(tidy=True))
@examples(20)
def test_what_was_sent_once_is_sent_so_again(target: Target, conversation: Any) -> None:
    """The rendering of a prefix is a prefix of the rendering, at each point where a request is made."""
    asked = [*conversation, [LAST]]
    *prefixes, whole = accumulate(asked)
    sent = list(without_system(target.render(whole).body))
    for prefix in prefixes:
        earlier = list(without_system(target.render(prefix).body))
        assert earlier == sent[: len(earlier)]


def without_system(body: dict[str, Any]) -> list[tuple[str, str]]:
    """What the messages say but for system messages, which some targets want at the front."""
    return [said for said in flattened(body) if said[0] not in ("system", "developer")]


CHEAP = ("bedrock-converse", "gemini-generate", "gemini-interactions")
"""Formats with few recordings."""


@pytest.mark.parametrize(
    "format",
    [pytest.param(format, marks=[] if format in CHEAP else pytest.mark.slow) for format in MAKERS],
)
def test_every_recorded_answer_can_be_sent_to_everybody(format: str) -> None:
    from llmstream.wire import decoder

    for case in all_answers(format, below=60_000):
        recording = case.values[0]
        if recording is None:
            continue
        feed = decoder(format)
        events = [*feed.feed(recording.body), *feed.finish()]
        message = events[-1].message
        if message is None:
            continue
        results = [Message("tool", [ToolResult(call.id, "42")]) for call in message.tool_calls]
        history = [LAST, message, *results, LAST, message, *results, LAST]
        for target in TARGETS:
            assert problems(target, history) == [], (case.id, target)
