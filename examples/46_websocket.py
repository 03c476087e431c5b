"""Conversations over a WebSocket: a Python client, and the JavaScript one in 46_websocket.js where there is a Node."""

import asyncio
import json
import shutil
from pathlib import Path

import httpx2
import websockets

from llmstream import LLMClient
from llmstream.conversations import ConversationClient
from llmstream.web import create_app, running

SCRIPT = Path(__file__).with_suffix(".js")


async def begin(url: str) -> dict[str, str]:
    """A session and a conversation in it."""
    async with httpx2.AsyncClient() as http:
        ids: dict[str, str] = (await http.post(f"{url}/api/chat/session", json={})).json()
        return ids


async def ask(url: str, ids: dict[str, str], query: str) -> None:
    """One question; the server closes when it is answered. Closing earlier stops the model."""
    async with websockets.connect(f"{url.replace('http', 'ws', 1)}/api/chat/stream") as socket:
        await socket.send(json.dumps({"query": query, **ids}))
        async for message in socket:
            chunk = json.loads(message)
            print(chunk.get("content", ""), end="", flush=True)
            if chunk.get("is_complete"):
                print(f"\nMESSAGE_COMPLETE: stop, {len(chunk['sources'])} sources")
            if "error" in chunk:
                print(f"\nERROR: {chunk['error']} ({chunk['request_id']})")


async def from_javascript(url: str, ids: dict[str, str]) -> None:
    """The same in JavaScript, in the same conversation."""
    node = shutil.which("node")
    if node is None:
        print("(no Node here to run 46_websocket.js)")
        return
    command = [node, "--no-warnings", "--experimental-websocket", str(SCRIPT), url, json.dumps(ids)]
    process = await asyncio.create_subprocess_exec(*command)
    if await process.wait():
        raise SystemExit("46_websocket.js failed")


async def main() -> None:
    """Two questions, one conversation."""
    async with (
        LLMClient() as client,
        ConversationClient(client) as conversations,
        running(create_app(client, conversations=conversations)) as url,
    ):
        ids = await begin(url)
        await ask(url, ids, "What is a WebSocket?")
        await ask(url, {**ids, "token": "guessed"}, "Whose is this?")
        await from_javascript(url, ids)


if __name__ == "__main__":
    asyncio.run(main())
