"""Clients can't have a server keep more than its limits say, and hear why."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from llmstream import LLMClient
from llmstream.cli import main
from llmstream.conversations import ConversationClient, MemoryStore, SQLiteStore, StoreLimits
from llmstream.conversations.stores.limits import MONTH, SERVED
from llmstream.testing import ScriptedProvider
from llmstream.web import Access, create_app
from llmstream.web.app import _Owned
from tests.web.serving import fetch, serving

KEY = "a-key-of-sixteen-or-more"


def app_over(store: Any, provider: ScriptedProvider | None = None, **options: Any) -> Any:
    client = LLMClient(provider=provider or ScriptedProvider(*[["Yes."]] * 50))
    conversations = ConversationClient(client, store=store)
    return create_app(client, conversations=conversations, **options)


async def ask(port: int, own: dict[str, str], text: str) -> tuple[int, dict[str, str], Any]:
    body = json.dumps({**own, "prompt": text}).encode()
    status, headers, answer = await fetch(port, "/chat", "POST", body)
    return status, headers, json.loads(answer)


async def begin(port: int, **headers: str) -> tuple[int, dict[str, str], Any]:
    status, got, answer = await fetch(port, "/api/chat/session", "POST", **headers)
    return status, got, json.loads(answer)


async def test_an_app_keeps_no_more_than_a_server_does() -> None:
    store = (await _Owned().conversations(None, LLMClient("simulator")).get())._store
    assert isinstance(store, MemoryStore)
    assert (store.ttl, store.limits) == (MONTH, SERVED)


async def test_a_flood_of_sessions_fills_nothing_and_is_told_when_to_come_again() -> None:
    """Who has a session goes on in it."""
    store = MemoryStore(limits=StoreLimits(all_sessions=20, all_conversations=20))
    async with serving(app_over(store)) as port:
        _, _, own = await begin(port)
        answers = [await begin(port) for _ in range(60)]
        assert [status for status, *_ in answers] == [201] * 19 + [503] * 41
        _, headers, refused = answers[-1]
        assert (headers["retry-after"], refused["error_info"]["kind"]) == ("60", "overloaded")
        assert "as many conversations as it may" in refused["error"]
        assert (await ask(port, own, "hi"))[0] == 200
    assert (len(store._sessions), len(store._conversations)) == (20, 20)


async def test_a_key_s_holder_loses_the_oldest_and_nobody_else_anything() -> None:
    store = MemoryStore(limits=StoreLimits(sessions=3, conversations=3, all_sessions=9))
    names = {"x-api-key": KEY}, {"x-api-key": KEY[::-1]}
    access = Access(keys=[KEY, KEY[::-1]])
    async with serving(app_over(store, access=access)) as port:
        _, _, others = await begin(port, **names[1])
        mine = [(await begin(port, **names[0]))[2] for _ in range(20)]
        for own, name, status in (
            (others, names[1], 200),
            (mine[0], names[0], 404),
            (mine[-1], names[0], 200),
        ):
            body = json.dumps({**own, "prompt": "hi"}).encode()
            assert (await fetch(port, "/chat", "POST", body, **name))[0] == status
    assert len(store._sessions) == 4


async def test_questions_that_are_too_large_or_too_many_are_a_413_and_ask_nobody() -> None:
    """In a document and over an EventSource."""
    provider = ScriptedProvider(["Yes."], ["Yes."])
    store = MemoryStore(limits=StoreLimits(turn_bytes=2_000, turns=2))
    async with serving(app_over(store, provider)) as port:
        _, _, own = await begin(port)
        status, _, answer = await ask(port, own, "x" * 3_000)
        assert (status, answer["error_info"]["kind"]) == (413, "invalid_request")
        assert "ask for less, or begin another" in answer["error"]
        for text in ("one", "two"):
            assert (await ask(port, own, text))[0] == 200
        query = "&".join(f"{name}={value}" for name, value in own.items())
        status, _, answer = await fetch(port, f"/api/chat/stream-http?query=three&{query}")
        assert (status, b"larger than this server keeps" in answer) == (413, True)
    assert len(provider.requests) == 2


async def test_turns_of_8_mb_don_t_stay() -> None:
    """The memory of an owner's conversations is bounded, whatever is asked."""
    store = MemoryStore(limits=StoreLimits(owner_bytes=300_000, turn_bytes=200_000))
    access = Access(keys=[KEY])
    async with serving(app_over(store, access=access)) as port:
        for _ in range(8):
            _, _, own = await begin(port, x_api_key=KEY)
            body = json.dumps({**own, "prompt": "x" * 150_000}).encode()
            assert (await fetch(port, "/chat", "POST", body, x_api_key=KEY))[0] == 200
    kept = sum(stored.size for stored in store._conversations.values())
    assert kept == store._size <= 310_000


# --- `llmstream forget` -------------------------------------------------------------------------------------


@pytest.fixture
def _signals():
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_signals")
def test_forget_leaves_nothing_of_a_key_s_holder_in_the_file(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "chats.db"

    async def talk() -> None:
        store = SQLiteStore(path)
        names = {f"{KEY}-{name}": name for name in ("ann", "bob")}

        def keys(connection: Any) -> str | None:
            return names.get(connection.headers.get("x-api-key"))

        async with serving(app_over(store, access=Access(keys=keys))) as port:
            for key, name in names.items():
                for _ in range(2):
                    _, _, own = await begin(port, x_api_key=key)
                    text = f"{name} said so. " * 300
                    body = json.dumps({**own, "prompt": text}).encode()
                    assert (await fetch(port, "/chat", "POST", body, x_api_key=key))[0] == 200
        await store.aclose()

    asyncio.run(talk())
    assert b"ann said so" in path.read_bytes()
    assert main(["forget", "ann", "--conversations", str(path)]) == 0
    assert "2 conversations of ann are deleted" in capsys.readouterr().err
    left = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert b"ann" not in left
    assert b"bob said so" in left
    assert main(["forget", "ann", "--conversations", str(path)]) == 0
    assert "0 conversations of ann" in capsys.readouterr().err


@pytest.mark.usefixtures("_signals")
def test_forget_says_what_it_wants_and_makes_no_file(tmp_path: Path, capsys: Any) -> None:
    none = str(tmp_path / "none.db")
    other = tmp_path / "other.db"
    other.write_text("no database " * 100)
    for words, told in (
        (["forget"], "forget takes a name, and the file"),
        (["forget", "ann"], "forget takes a name, and the file"),
        (["forget", "ann", "bob", "--conversations", none], "forget takes a name"),
        (["forget", "ann", "--conversations", none], "there is no file"),
        (["forget", "ann", "--conversations", str(other)], "the file is damaged"),
    ):
        assert main(words) == 2
        assert told in capsys.readouterr().err
    assert not Path(none).exists()
