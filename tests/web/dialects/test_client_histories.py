"""Whatever order a client's messages have: what goes out obeys every vendor, and no word of the user is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llmstream.arguments import build_request
from llmstream.messages import Message
from llmstream.web.dialects.ag_ui_messages import parse_messages
from llmstream.web.dialects.ai_sdk_messages import parse_ui_messages
from tests.example_counts import examples
from tests.wire.any_history import LAST, TARGETS, Target
from tests.wire.vendor_rules import findings
from tests.wire.vendor_types import check_types

every_target = pytest.mark.parametrize(
    "target", TARGETS, ids=[f"{target.name}:{target.model}" for target in TARGETS]
)
ids = st.sampled_from(["call_1", "call_2", "x", "call 3!", "é" * 50])
names = st.sampled_from(["search", "add"])
arguments = st.sampled_from(["{}", '{"a": 1}', "", '{"a": ', "[1]"])


def numbered(items: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """The items, each text of a user's made the only one of its kind; and those texts in their order."""
    said: list[str] = []

    def number(value: Any, *, by_user: bool) -> Any:
        if isinstance(value, dict):
            is_user = (
                by_user or value.get("role") == "user" or value.get("type") == "steering-message"
            )
            return {key: number(each, by_user=is_user) for key, each in value.items()}
        if isinstance(value, list):
            return [number(each, by_user=by_user) for each in value]
        if value == "<words>":
            said.append(f"words-{len(said)}-end")
            return said[-1] if by_user else "other words"
        return value

    whole = [number(item, by_user=False) for item in items]
    return whole, [word for word in said if word in json.dumps(whole)]


def check(target: Target, history: list[Message], words: list[str]) -> None:
    body = target.render([*history, LAST]).body
    check_types(body, target.format)
    hosts = {target.name, f"{target.name} {target.model}"}
    assert sorted({each for host in hosts for each in findings(body, target.format, host)}) == []
    sent = json.dumps(body)
    places = [sent.find(word) for word in words]
    assert -1 not in places
    assert places == sorted(places)


def calls(name: str, shape: Any) -> Any:
    return st.lists(st.builds(shape, ids, names, arguments), min_size=1, max_size=3).map(
        lambda made: {name: made}
    )


def chat_call(id: str, name: str, given: str) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": given}}


text = st.just({"content": "<words>"})
ag_ui = st.lists(
    st.one_of(
        text.map(lambda said: {"role": "user", **said}),
        text.map(lambda said: {"role": "assistant", **said}),
        text.map(lambda said: {"role": "reasoning", **said}),
        text.map(lambda said: {"role": "system", **said}),
        st.builds(
            lambda said, made: {"role": "assistant", **said, **made},
            st.just({}) | text,
            calls("toolCalls", chat_call),
        ),
        ids.map(lambda call: {"role": "tool", "toolCallId": call, "content": "42"}),
    ),
    min_size=1,
    max_size=10,
)


@every_target
@given(items=ag_ui)
@examples(15)
def test_ag_ui(target: Target, items: list[dict[str, Any]]) -> None:
    """Results twice, without their call, before it, behind the user; an id in two steps."""
    numbered_items, words = numbered(items)
    try:
        history = parse_messages(numbered_items)
    except ValueError:
        assume(False)
    check(target, history, words)


STATES: list[dict[str, Any]] = [
    {"state": "output-available", "output": {"a": 1}},
    {"state": "output-error", "errorText": "no"},
    {"state": "output-denied"},
    {"state": "input-available"},
    {"state": "input-streaming"},
    {"state": "approval-requested", "approval": {"id": "a"}},
    {"state": "approval-responded", "approval": {"id": "a", "approved": False}},
]
said = st.just({"type": "text", "text": "<words>"})
tool_part = st.builds(
    lambda call, name, state, given: {
        "type": f"tool-{name}",
        "toolCallId": call,
        "input": given,
        **state,
    },
    ids,
    names,
    st.sampled_from(STATES),
    st.sampled_from([{}, {"a": 1}, "broken", None]),
)
answer_part = st.one_of(
    said,
    tool_part,
    st.just({"type": "step-start"}),
    st.just({"type": "reasoning", "text": "<words>"}),
    st.just({"type": "steering-message", "parts": [{"type": "text", "text": "<words>"}]}),
)
ui = st.lists(
    st.one_of(
        st.lists(said, min_size=1, max_size=2).map(lambda parts: {"role": "user", "parts": parts}),
        st.lists(answer_part, max_size=6).map(lambda parts: {"role": "assistant", "parts": parts}),
        said.map(lambda part: {"role": "system", "parts": [part]}),
    ),
    min_size=1,
    max_size=6,
)


@every_target
@given(items=ui)
@examples(15)
def test_the_ai_sdk(target: Target, items: list[dict[str, Any]]) -> None:
    """One id in two steps, states that never ended, steering."""
    numbered_items, words = numbered(items)
    try:
        history = parse_ui_messages(numbered_items)
    except ValueError:
        assume(False)
    check(target, history, words)


chat = st.lists(
    st.one_of(
        text.map(lambda said: {"role": "user", **said}),
        text.map(lambda said: {"role": "assistant", **said}),
        text.map(lambda said: {"role": "system", **said}),
        calls("tool_calls", chat_call).map(lambda made: {"role": "assistant", **made}),
        ids.map(lambda call: {"role": "tool", "tool_call_id": call, "content": "42"}),
    ),
    min_size=1,
    max_size=10,
)


@every_target
@given(items=chat)
@examples(15)
def test_chat_completion(target: Target, items: list[dict[str, Any]]) -> None:
    """Dicts in OpenAI's shape, in any order."""
    numbered_items, words = numbered(items)
    check(target, build_request(numbered_items, "m").messages, words)
