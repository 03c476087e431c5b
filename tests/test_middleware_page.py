"""What docs/middleware.md shows is true: its snippets run, and its tables name every field and method."""

from __future__ import annotations

import logging
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from llmstream import ErrorInfo, EventType, LLMClient, Usage
from llmstream.observe import METHODS, LogObserver
from llmstream.testing import ScriptedProvider

PAGE = (Path(__file__).parent.parent / "docs" / "middleware.md").read_text("utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.S)
HI = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
async def test_the_snippet_runs(snippet: str, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"LLMClient": LLMClient}
    exec(compile(snippet, "middleware.md", "exec"), names)  # our own page
    async with names["client"] as client:
        for stream in (True, False):
            events = [event async for event in client.chat_completion(HI, stream=stream)]
            assert events[-1].type is EventType.MESSAGE_COMPLETE
    if "Failures" in snippet:
        assert capsys.readouterr().out.count(" complete Usage(") == 2


async def test_the_limit_on_an_answer_is_one() -> None:
    names: dict[str, Any] = {"LLMClient": LLMClient}
    snippet = next(each for each in SNIPPETS if "at_most" in each)
    exec(compile(snippet, "middleware.md", "exec"), names)  # our own page
    client = LLMClient(provider=ScriptedProvider(["x" * 6000] * 3), middleware=[names["at_most"]])
    *_, last = [event async for event in client.chat_completion(HI)]
    assert last.error_info.kind == "content_filter"
    assert len(last.error_info.partial.text) == 6000


async def test_every_field_of_the_log_is_named(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="llmstream.calls")
    refused = ErrorInfo("rate_limit", retryable=False, status_code=429, request_id="req_1")
    used = Usage(1, 2, cost=Decimal("0.00042"))
    provider = ScriptedProvider(["a", used], [refused])
    client = LLMClient(provider=provider, observers=[LogObserver()])
    for _ in range(2):
        _ = [event async for event in client.chat_completion(HI)]
    written = {name for line in caplog.messages for name in re.findall(r"(\w+)=", line)}
    shown = set(re.findall(r"(\w+)=", re.findall(r"```text\n(.*?)```", PAGE, re.S)[0]))
    table = PAGE[PAGE.index("| field |") : PAGE.index("What isn't known")]
    rows = {
        name
        for row in re.findall(r"^\| (`.*?`) \|", table, re.M)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert written == shown == rows


def test_every_method_of_an_observer_is_named() -> None:
    assert tuple(re.findall(r"^\| `(\w+)\(call", PAGE, re.M)) == METHODS
