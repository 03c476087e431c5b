"""Parts of an app that are made for the first request that needs them."""

from __future__ import annotations

import asyncio
import json
import sys
import threading

import pytest

from llmstream import LLMClient
from llmstream.conversations import ConversationClient, MemoryStore, StoreError
from llmstream.testing import ScriptedProvider
from llmstream.web import create_app
from llmstream.web.first_use import FirstUse
from tests.web.serving import fetch, serving


class Losable(MemoryStore):
    """A store that may go away."""

    gone = False

    async def session(self, session_id):
        if self.gone:
            raise StoreError("secret")
        return await super().session(session_id)


class Closing(ConversationClient):
    """Conversations that say when they were closed."""

    closed = False

    async def aclose(self) -> None:
        self.closed = True
        await super().aclose()


class Opening:
    """A function that makes conversations. The first `failures` times it raises."""

    def __init__(self, failures: int = 0) -> None:
        self.store = Losable()
        self.failures = failures
        self.calls = 0
        self.made: list[Closing] = []

    def __call__(self) -> Closing:
        self.calls += 1
        if self.calls <= self.failures:
            raise OSError("the disk is away")
        client = LLMClient("m", provider=ScriptedProvider(["hi"]))
        self.made.append(Closing(client, store=self.store))
        return self.made[-1]


def app_with(opening: Opening):
    return create_app(LLMClient("m", provider=ScriptedProvider(["hi"])), conversations=opening)


async def begin(port: int) -> int:
    """The status of a session's begin."""
    return (await fetch(port, "/api/chat/session", "POST"))[0]


async def test_conversations_are_made_once_for_the_first_that_needs_them() -> None:
    opening = Opening()
    async with serving(app_with(opening)) as port:
        for path in ("/", "/healthz", "/readyz"):
            assert (await fetch(port, path))[0] == 200
        assert (await fetch(port, "/chat", "POST", b'{"prompt": "hi"}'))[0] == 200
        assert opening.calls == 0
        assert await asyncio.gather(*(begin(port) for _ in range(8))) == [201] * 8
        assert opening.calls == 1


async def test_whoever_comes_first_is_told_that_it_failed_and_the_next_one_tries_again() -> None:
    opening = Opening(failures=2)
    async with serving(app_with(opening)) as port:
        assert [await begin(port) for _ in range(4)] == [500, 500, 201, 201]
        assert opening.calls == 3
        status, _, body = await fetch(port, "/readyz")
        assert (status, json.loads(body)) == (200, {"status": "ready"})


async def test_a_store_that_was_opened_is_asked_by_readyz() -> None:
    opening = Opening()
    async with serving(app_with(opening)) as port:
        assert await begin(port) == 201
        opening.store.gone = True
        assert (await fetch(port, "/readyz"))[0] == 503


async def test_an_app_closes_the_conversations_that_it_had_made() -> None:
    opening, unused = Opening(), Opening()
    async with serving(app_with(opening), lifespan="on") as port:
        assert await begin(port) == 201
        assert [each.closed for each in opening.made] == [False]
    assert [each.closed for each in opening.made] == [True]
    async with serving(app_with(unused), lifespan="on"):
        pass
    assert unused.made == []


async def test_a_module_is_imported_in_a_thread_and_the_value_made_in_the_loop(
    tmp_path, monkeypatch
) -> None:
    name = "llmstream_imported_at_first_use"
    (tmp_path / f"{name}.py").write_text("import threading\nTHREAD = threading.get_ident()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    makers: list[int] = []

    def make() -> str:
        makers.append(threading.get_ident())
        return "made"

    part = FirstUse(name, make)
    try:
        assert await asyncio.gather(*(part.get() for _ in range(4))) == ["made"] * 4
        assert makers == [threading.get_ident()]
        assert threading.get_ident() != sys.modules[name].THREAD
    finally:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("made", [None, 5, "chats.db"])
async def test_a_function_that_makes_something_else_is_named_in_the_log(made, capfd) -> None:
    client = LLMClient("m", provider=ScriptedProvider(["hi"]))
    async with serving(
        create_app(client, conversations=lambda: made), lifespan="on", log_level="error"
    ) as port:
        assert [await begin(port) for _ in range(2)] == [500, 500]
        assert (await fetch(port, "/readyz"))[0] == 200
    words = f"must return a ConversationClient, not {type(made).__name__}"
    assert words in capfd.readouterr().err
