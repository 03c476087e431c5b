"""What clients kept for a provider comes back; what they made up breaks nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from llmstream.messages import ChatRequest, Message, ProviderPart, ReasoningPart, ToolCall
from llmstream.web.dialects import OpenAIChat
from llmstream.web.dialects.ag_ui_messages import parse_messages
from llmstream.web.dialects.ai_sdk_messages import parse_ui_messages
from llmstream.wire.anthropic_messages.request import render_request as render_messages
from llmstream.wire.openai_chat.request import render_request as render_chat
from llmstream.wire.openai_responses.request import render_request as render_responses
from tests import strategies as s

RENDERS = (render_chat, render_messages, render_responses)
_forged = st.fixed_dictionaries(
    {},
    optional={
        "format": s.formats | s.json_values,
        "signature": s.json_values,
        "id": s.json_values,
        "item": s.json_values
        | st.fixed_dictionaries({"type": s.names}, optional={"id": s.json_values}),
        "extra_content": s.json_values,
        "type": s.json_values,
    },
)


def histories(kept: object, *, by_provider: bool) -> Iterator[list[Message]]:
    """A call and its reasoning, with this kept beside them, as each UI would send it back."""
    own = {"llmstream": kept}
    call = {
        "type": "tool-t",
        "toolCallId": "c",
        "state": "output-available",
        "input": {},
        "output": 1,
    }
    call |= {
        "providerExecuted": by_provider,
        "callProviderMetadata": own,
        "resultProviderMetadata": own,
    }
    thought = {"type": "reasoning", "text": "Hm", "providerMetadata": own}
    yield parse_ui_messages([{"role": "assistant", "parts": [thought, call]}])
    details = [{"type": "reasoning.text", "text": "Hm", "llmstream": kept}]
    extra = kept.get("extra_content") if isinstance(kept, dict) else None
    asked = {"id": "c", "function": {"name": "t", "arguments": "{}"}, "extra_content": extra}
    said = {"role": "assistant", "reasoning_details": details, "tool_calls": [asked]}
    chat = {"model": "m", "messages": [said, {"role": "tool", "tool_call_id": "c", "content": "1"}]}
    yield OpenAIChat().parse(chat).request.messages
    value = json.dumps(kept)
    function = {"name": "t", "arguments": "{}"}
    yield parse_messages(
        [
            {"id": "1", "role": "reasoning", "content": "Hm", "encryptedValue": value},
            {
                "id": "2",
                "role": "assistant",
                "toolCalls": [{"id": "c", "function": function, "encryptedValue": value}],
            },
            {"id": "3", "role": "tool", "toolCallId": "c", "content": "1"},
        ]
    )


@given(_forged | s.json_values, st.booleans())
def test_nothing_that_a_client_makes_up_breaks_a_request(kept: object, by_provider: bool) -> None:  # noqa: FBT001
    for messages in histories(kept, by_provider=by_provider):
        for render in RENDERS:
            render(ChatRequest([Message("user", "hi"), *messages], "m"))


def test_what_was_kept_comes_back() -> None:
    extra = {"format": "openai-chat", "extra_content": {"google": {"thought_signature": "x"}}}
    for messages in histories(extra, by_provider=False):
        (call,) = (part for part in messages[0].parts if isinstance(part, ToolCall))
        assert call.provider_data == extra
    signed = {"format": "anthropic-messages", "signature": "s", "id": "i"}
    for messages in histories(signed, by_provider=False):
        assert messages[0].parts[0] == ReasoningPart("Hm", "s", "i", "anthropic-messages")
    item = {"format": "openai-responses", "item": {"type": "reasoning", "id": "i"}}
    for messages in histories(item, by_provider=False):
        assert messages[0].parts[0] == ProviderPart(
            "openai-responses", {"type": "reasoning", "id": "i"}
        )
