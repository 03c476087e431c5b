"""Eight programs at once on one store, some of them killed: nothing acknowledged is lost, nothing is doubled."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from llmstream import LLMClient
from llmstream.conversations import ConversationClient, RedisStore, SQLiteStore, Store, Turn
from llmstream.testing import ScriptedProvider
from tests.conversations.talk import enter

PROCESSES, TURNS, CONVERSATIONS = 8, 200, 12
KILLS = {0: [40, 120], 3: [77], 6: [10]}
"""Which programs are killed (kill -9), each time when so many of its turns were acknowledged."""
ROOT = Path(__file__).parent.parent.parent


async def run_program(given: dict[str, Any], kill_at: int | None) -> int:
    """Run one until its end, or kill it: how many of its turns were acknowledged in all."""
    acknowledged = given["first"]
    command = [sys.executable, "-m", "tests.conversations.worker", json.dumps(given)]
    program = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert program.stdout is not None
    async for line in program.stdout:
        assert int(line) == acknowledged
        acknowledged += 1
        if acknowledged == kill_at:
            program.kill()
    code = await program.wait()
    assert code == (-9 if kill_at is not None else 0)
    return acknowledged


async def run_killed(given: dict[str, Any], kills: list[int]) -> None:
    """Run one to the end, through its deaths: each time from the first turn that was not acknowledged."""
    for kill_at in [*kills, None]:
        given = {**given, "first": await run_program(given, kill_at)}
    assert given["first"] == TURNS


async def run_all(where: str | int, store: Store) -> list[list[Turn]]:
    """All programs; what is stored then, by conversation."""
    client = ConversationClient(LLMClient(provider=ScriptedProvider()), store=store)
    context = await enter(client)
    conversations = [await client.start_conversation(context) for _ in range(CONVERSATIONS)]
    given = {
        "store": where,
        "context": {"session_id": context.session_id, "token": context.token},
        "conversations": [conversation.conversation_id for conversation in conversations],
        "first": 0,
        "last": TURNS,
    }
    programs = [
        run_killed({**given, "name": f"p{number}"}, KILLS.get(number, []))
        for number in range(PROCESSES)
    ]
    await asyncio.gather(*programs)
    return [await conversation.turns() for conversation in conversations]


def check(conversations: list[list[Turn]]) -> None:
    """Every question answered once, with its own answer, and each program's in the order it asked them."""
    answered = [turn for turns in conversations for turn in turns if turn.state == "complete"]
    asked = {f"p{process}-{number}" for process in range(PROCESSES) for number in range(TURNS)}
    questions = [turn.question.text for turn in answered]
    assert len(questions) == len(asked)
    assert set(questions) == asked
    for turn in answered:
        assert [message.text for message in turn.messages[1:]] == [
            f"answer to {turn.question.text}"
        ]
    for turns in conversations:
        for process in range(PROCESSES):
            own = [turn.question.text for turn in turns if turn.state == "complete"]
            numbers = [int(text.split("-")[1]) for text in own if text.startswith(f"p{process}-")]
            assert numbers == sorted(numbers)
    left = [turn for turns in conversations for turn in turns if turn.state != "complete"]
    assert len(left) <= sum(map(len, KILLS.values()))
    assert all(turn.error is not None and turn.error.code == "abandoned" for turn in left)


@pytest.mark.slow
async def test_eight_programs_on_one_sqlite_file(tmp_path):
    """And the file is sound afterwards."""
    path = tmp_path / "conversations.db"
    store = SQLiteStore(path)
    check(await run_all(str(path), store))
    assert await store._run(lambda db: db.execute("PRAGMA integrity_check").fetchall()) == [("ok",)]
    await store.aclose()


@pytest.mark.slow
async def test_eight_programs_on_one_redis_server(redis: Redis, redis_port: int):
    """The same."""
    check(await run_all(redis_port, RedisStore(redis)))
