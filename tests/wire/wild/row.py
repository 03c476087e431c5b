"""A row: an answer that a server in the wild sends, and what is right. The reports' own bytes are in `answers.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.loopback import APIS

SSE = "text/event-stream"
JSON = "application/json"
RESPONSES = "openai-responses"
Frame = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One answer.

    `expect` names what is compared: text, reasoning, refusal, calls, finish, error, code, usage, unread; how many
    files, sources, results, sealed parts and calls, hosted ones too; the signatures of the reasoning, and how many
    parts of it are `signed`, with words or without; the phases of the texts; and how many parts of reasoning are
    `kept` and calls `noted` with what goes back to their provider.
    """

    name: str
    model: str
    body: bytes
    expect: dict[str, Any]
    content_type: str = SSE

    @property
    def provider(self) -> str:
        """Who is asked."""
        return self.model.partition(":")[0]

    @property
    def format(self) -> str:
        """The wire format that the provider speaks."""
        return APIS.get(self.provider, "openai-chat")


def reported() -> list[Row]:
    """The answers of public reports."""
    cases = json.loads(Path(__file__).with_name("answers.json").read_text("utf-8"))
    return [
        Row(
            case["reference"],
            case["model"],
            case["body"].encode(),
            case["expect"],
            case["content_type"],
        )
        for case in cases
    ]


def frames(payloads: Iterable[Frame]) -> bytes:
    """Server-sent events, with a name where the payload has a type."""
    out = []
    for payload in payloads:
        name = f"event: {payload['type']}\n" if "type" in payload else ""
        out.append(f"{name}data: {json.dumps(payload)}\n\n")
    return "".join(out).encode()


def called(*calls: tuple[str, Any]) -> dict[str, Any]:
    """What is expected of an answer that is nothing but calls."""
    return {"calls": [{"name": name, "input": input} for name, input in calls], "text": ""}


CALL = {"calls": [{"name": "get", "input": {"a": 1}, "complete": True}], "finish": "tool_calls"}
TWO = called(("get", {"a": 1}), ("get", {"a": 2}))
EQUAL = called(("get", {"a": 1}), ("get", {"a": 1}))
WHOLE = '{"a":1}'
