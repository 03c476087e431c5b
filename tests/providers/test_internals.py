"""Where another library's private part is gone, every client still answers, after one warning."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import llmstream
from llmstream import LLMClient, RetryPolicy, Timeouts
from llmstream.providers.config import TRANSPORTS
from llmstream.providers.http.internals import names
from llmstream.testing import FaultServer
from llmstream.testing.reply import ANSWER

PACKAGE = Path(llmstream.__file__).parent
INTERNALS = PACKAGE / "providers" / "http" / "internals"
LOOKED_UP = sorted(
    {
        name
        for path in INTERNALS.glob("*.py")
        for name in re.findall(r'look_up\([^"]*"(\w+)"', path.read_text())
    }
)
QUESTION = [{"role": "user", "content": "hi"}]
LARGE = [{"role": "user", "content": "x" * 200_000}]
ONCE = RetryPolicy(max_attempts=1)


async def use(transport: str, *, tls: bool) -> None:
    """All that the tricks are about: chunks, a second answer, a large request, a cut."""

    async with FaultServer("ok", tls=tls) as server:
        url = server.url("openai")
        options: dict[str, Any] = {"retry": ONCE, "timeouts": Timeouts(total=20)}
        async with LLMClient(
            "openai:m", api_key="k", base_url=url, transport=transport, **options
        ) as client:
            for messages in (QUESTION, QUESTION, LARGE):
                assert (await client.complete(messages)).text == ANSWER
            server.play("closed-between-chunks")
            last = [event async for event in client.chat_completion(QUESTION)][-1]
            assert last.error_info is not None
            assert last.error_info.kind == "truncated"
            server.play("ok")
            assert (await client.complete(QUESTION)).text == ANSWER


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(FaultServer(tls=True).ca_file))


async def use_all() -> None:
    for transport in TRANSPORTS:
        for tls in (False, True):
            await use(transport, tls=tls)


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("llmstream") and record.levelname == "WARNING"
    ]


@pytest.mark.usefixtures("trusting")
async def test_nothing_is_missing_today(caplog: pytest.LogCaptureFixture) -> None:
    assert len(LOOKED_UP) > 12
    await use_all()
    assert warned(caplog) == []


# Only where a reader is slower than a cut, or the other side hangs up over TLS, are these looked up.
RARE = {"_read_nowait", "_broken"}


@pytest.mark.parametrize("hidden", LOOKED_UP)
@pytest.mark.usefixtures("trusting")
async def test_without_it_every_client_answers_after_one_warning(
    hidden: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    look_up = names.look_up
    asked: list[Any] = []

    def hiding(owner: Any, name: str) -> Any:
        if name == hidden:
            asked.append(owner)
            raise names.UnknownInsideError(owner, name)
        return look_up(owner, name)

    monkeypatch.setattr(names, "look_up", hiding)
    monkeypatch.setattr(names, "_warned", set())
    await use_all()
    assert asked or hidden in RARE
    # Two libraries may have something of the same name.
    assert len(warned(caplog)) == len(
        {str(names.UnknownInsideError(each, hidden)) for each in asked}
    )
    assert all(f"has no {hidden} any more" in text for text in warned(caplog))


def test_nobody_else_reaches_into_other_libraries() -> None:
    """The linter finds private names (SLF001); only these files may say that they need them."""
    allowed = {"compatible.py", "names.py", "httpx2_pool.py", "aiohttp_protocol.py"}
    excused = {
        path.name for path in (PACKAGE / "providers").rglob("*.py") if "SLF001" in path.read_text()
    }
    assert excused <= allowed
