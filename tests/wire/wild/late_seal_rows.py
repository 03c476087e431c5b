"""Answers that sign their reasoning, or say more of a call, when it is over."""

from __future__ import annotations

from typing import Any

from tests.wire.wild.chat_rows import chat, chunk, piece
from tests.wire.wild.messages_rows import add, begin, messages, stop, tool
from tests.wire.wild.responses_rows import completed as ended
from tests.wire.wild.responses_rows import event, responses
from tests.wire.wild.row import CALL, WHOLE, Frame, Row

SIGNATURE = "c2lnbmF0dXJl"
SIGNED = {"text": "Hi", "reasoning": "Hm, thinking", "signatures": [SIGNATURE], "unread": []}
TWO_SIGNED = {
    "text": "Hi",
    "reasoning": "onetwo",
    "signatures": ["sig-1", "sig-2"],
    "unread": [],
}
HI = chunk({"content": "Hi"})
CALLER = {"type": "code_execution_20260120", "tool_id": "srvtoolu_1"}


def thought(text: str) -> Frame:
    """A chunk of reasoning."""
    return chunk({"reasoning_content": text})


def details(*given: dict[str, Any], **more: Any) -> Frame:
    """A chunk of what OpenRouter wants back."""
    return chunk({"reasoning_details": [*given], **more})


def detail(text: str | None = None, signature: str | None = None, **more: Any) -> dict[str, Any]:
    """One detail."""
    given = {"text": text, "signature": signature}
    known = {name: value for name, value in given.items() if value is not None}
    return {"type": "reasoning.text", **known, **more}


def done(item: Frame, index: int = 0) -> Frame:
    """An item is over."""
    return event("output_item.done", index, item=item)


def chat_seals() -> list[Row]:
    """Chat: details in a chunk of their own, at the end."""
    told = (thought("Hm, "), thought("thinking"), HI)
    whole = "Hm, thinking"
    return [
        chat("details again, late", *told, details(detail(whole, SIGNATURE)), **SIGNED),
        chat("a signature alone, late", *told, details(detail(None, SIGNATURE)), **SIGNED),
        chat(
            "details again in pieces, late",
            *told,
            details(detail("Hm, "), detail("thinking", SIGNATURE)),
            **SIGNED,
        ),
        chat(
            "details without a signature, late",
            *told,
            details(detail(whole, llmstream={"format": "openai-responses"})),
            text="Hi",
            reasoning=whole,
            unread=[],
            kept=1,
        ),
        chat(
            "details, and the whole of them late",
            details(detail("Hm, ")),
            details(detail("thinking")),
            HI,
            details(detail(whole, SIGNATURE)),
            **SIGNED,
        ),
        chat(
            "details, and their signature late",
            details(detail("Hm, ", index=0)),
            details(detail("thinking", index=0)),
            HI,
            details(detail(None, SIGNATURE, index=0)),
            **SIGNED,
        ),
        chat(
            "reasoning and details again, late",
            *told,
            details(detail(whole, SIGNATURE), reasoning_content=whole),
            **SIGNED,
        ),
        chat(
            "two thoughts, signed at the end",
            thought("one"),
            HI,
            thought("two"),
            piece(WHOLE, id="x", name="get"),
            details(detail("one", "sig-1"), detail("two", "sig-2")),
            **TWO_SIGNED,
        ),
        chat(
            "two equal thoughts, signed at the end",
            thought("one"),
            HI,
            thought("one"),
            details(detail("one", "sig-1"), detail("one", "sig-2")),
            **{**TWO_SIGNED, "reasoning": "oneone"},
        ),
        chat(
            "details late and beside the end",
            *told,
            chunk({"reasoning_details": [detail(whole, SIGNATURE)]}, "stop"),
            reason=None,
            **SIGNED,
        ),
        chat(
            "other details, late",
            *told,
            details(detail("And more", SIGNATURE)),
            **{**SIGNED, "reasoning": "Hm, thinkingAnd more"},
        ),
        chat(
            "a seal of Copilot's, late",
            chunk({"reasoning_text": whole}),
            HI,
            chunk({"reasoning_opaque": "b3BhcXVl"}),
            text="Hi",
            reasoning=whole,
            kept=1,
            unread=[],
        ),
        chat(
            "a call's signature, late",
            piece(WHOLE, id="x", name="get"),
            HI,
            piece(None, id="x", extra_content={"google": {"thought_signature": "s"}}),
            noted=1,
            **CALL,
        ),
    ]


def responses_seals() -> list[Row]:
    """Responses: signatures and callers that stand in the last snapshot alone."""
    item = {"type": "reasoning", "id": "rs_1", "summary": []}
    summary = [{"type": "summary_text", "text": "Hm, thinking"}]
    whole = {**item, "summary": summary}
    sealed = {**whole, "encrypted_content": SIGNATURE}
    said = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Hi"}],
    }
    delta = {
        "type": "response.reasoning_summary_text.delta",
        "item_id": "rs_1",
        "output_index": 0,
        "delta": "Hm, thinking",
    }
    text = {
        "type": "response.output_text.delta",
        "item_id": "msg_1",
        "output_index": 1,
        "delta": "Hi",
    }
    call = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "get",
        "arguments": WHOLE,
    }
    noted = {**call, "caller": CALLER, "namespace": "crm"}
    first = {**item, "summary": [{"type": "summary_text", "text": "one"}]}
    second = {**item, "id": "rs_2", "summary": [{"type": "summary_text", "text": "two"}]}
    return [
        responses(
            "a signature in the snapshot alone",
            delta,
            done(whole),
            text,
            done(said, 1),
            ended(sealed, said),
            **SIGNED,
        ),
        responses(
            "a signature, no done", delta, text, done(said, 1), ended(sealed, said), **SIGNED
        ),
        responses(
            "a signature in a late done", delta, text, done(sealed), ended(sealed, said), **SIGNED
        ),
        responses(
            "two signatures in the snapshot alone",
            done(first),
            done(second, 1),
            done(said, 2),
            ended(
                {**first, "encrypted_content": "sig-1"},
                {**second, "encrypted_content": "sig-2"},
                said,
            ),
            **TWO_SIGNED,
        ),
        responses(
            "a caller in the snapshot alone", done(call), done(said, 1), ended(noted, said), noted=1
        ),
        responses(
            "a caller at the beginning alone",
            {"type": "response.output_item.added", "output_index": 0, "item": noted},
            done(call),
            ended(call),
            noted=1,
            **CALL,
        ),
        responses(
            "a caller in the snapshot of a lone call", done(call), ended(noted), noted=1, **CALL
        ),
    ]


def messages_seals() -> list[Row]:
    """Messages: signatures after the end of their block."""
    thinking = (
        begin(0, type="thinking", thinking="", signature=""),
        add(0, "thinking", "Hm, thinking"),
        stop(0),
    )
    text = (begin(1, type="text", text=""), add(1, "text", "Hi"), stop(1))
    halves = (SIGNATURE[:5], SIGNATURE[5:])
    return [
        messages(
            "a signature after the stop", *thinking, add(0, "signature", SIGNATURE), *text, **SIGNED
        ),
        messages(
            "a signature after the text", *thinking, *text, add(0, "signature", SIGNATURE), **SIGNED
        ),
        messages(
            "a signature in pieces, late",
            *thinking,
            *text,
            *(add(0, "signature", half) for half in halves),
            **SIGNED,
        ),
        messages(
            "a caller in the stop alone",
            tool(),
            add(0, "input_json", WHOLE),
            begin(1, type="text", text="Hi"),
            stop(1),
            stop(
                0,
                content_block={
                    "type": "tool_use",
                    "id": "t",
                    "name": "get",
                    "input": {"a": 1},
                    "caller": CALLER,
                },
            ),
            reason="tool_use",
            noted=1,
            **CALL,
        ),
    ]


def late_seal_rows() -> list[Row]:
    """All of them."""
    return [*chat_seals(), *responses_seals(), *messages_seals()]
