"""A program that takes turns in shared conversations, and says which were acknowledged: one line each.

Its arguments are JSON: store (a path, or Redis's port), context, conversations, name, first, last.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator

from redis.asyncio import Redis

from llmstream import LLMClient
from llmstream.conversations import (
    ChatContext,
    ConversationClient,
    ConversationError,
    ConversationRequest,
    RedisStore,
    SQLiteStore,
    TurnError,
)
from llmstream.messages import ChatRequest
from llmstream.providers.simulator import SimulatorProvider
from llmstream.providers.simulator_script import ScriptItem

LEASE = 1.0


def play(request: ChatRequest) -> Iterator[ScriptItem]:
    """An answer that only this question has."""
    yield f"answer to {request.messages[-1].text}"


async def take_turn(client: ConversationClient, context: ChatContext, query: str) -> None:
    """Until it is acknowledged; with the same id as long as the turn can be asked again."""
    turn_id = query
    while True:
        try:
            answer = await client.chat(context, ConversationRequest(query=query, turn_id=turn_id))
        except TurnError as error:
            if "others followed" in str(error):
                turn_id += "-anew"
        except ConversationError:
            continue
        else:
            assert answer.message_content == f"answer to {query}"
            return


async def main(given: dict) -> None:
    """All turns, round the conversations."""
    model = LLMClient(provider=SimulatorProvider(script=play, pace=0))
    where = given["store"]
    redis = Redis(port=where) if isinstance(where, int) else None
    store = RedisStore(redis) if redis is not None else SQLiteStore(where)
    client = ConversationClient(model, store=store, wait=20, lease=LEASE)
    places = given["conversations"]
    for number in range(given["first"], given["last"]):
        context = ChatContext(**given["context"], conversation_id=places[number % len(places)])
        await take_turn(client, context, f"{given['name']}-{number}")
        os.write(1, b"%d\n" % number)
    await store.aclose()
    if redis is not None:
        await redis.aclose()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
