"""The user's own documents, pasted as they are with their import lines changed: their programs work.

They lie beside the recordings, and aren't copied here.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import websockets
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from llmstream import LLMClient
from llmstream.conversations import (
    ChatContext,
    ConversationClient,
    MemoryStore,
    SessionContext,
    StreamingChatRequest,
)
from llmstream.router import Dispatcher, RouterWithDispatcher, rules
from tests.router.routes import AllowedValues
from tests.web.serving import fetch, frames, serving
from tests.web.test_app import post

FOLDER = Path(os.environ.get("LLMSTREAM_WIRE", "")).parent / "seeds"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not FOLDER.joinpath("streaming-responses.md").is_file(),
        reason="LLMSTREAM_WIRE doesn't name recordings beside which the documents lie",
    ),
]
CHANGED = {
    "app.core.gpo_client.client": "llmstream.conversations",
    "app.core.gpo_client.models": "llmstream.conversations",
    "GPOCoreClient": "ConversationClient",
    "ConversationClient()": 'ConversationClient(LLMClient("simulator"), store=STORE)',
}
"""What a reader changes: where the names come from, and that clients made per request share a store."""
ANSWER = "This is the simulator, not a model."


def block(page: str, containing: str) -> str:
    """The code of a page that has these words."""
    text = FOLDER.joinpath(page).read_text("utf-8")
    (found,) = [
        code
        for code in re.findall(r"^```python\n(.*?)^```$", text, re.S | re.M)
        if containing in code
    ]
    for theirs, ours in CHANGED.items():
        found = found.replace(theirs, ours)
    return found


def run(code: str, **names: Any) -> dict[str, Any]:
    """The names of a pasted block."""
    namespace = {"STORE": MemoryStore(), "LLMClient": LLMClient, "asyncio": asyncio, **names}
    exec(compile(code, "seed", "exec"), namespace)
    return namespace


async def began(store: MemoryStore) -> tuple[ConversationClient, ChatContext]:
    """What the documents call "initialize client, session, etc."."""
    client = ConversationClient(LLMClient("simulator"), store=store)
    who = SessionContext(instance_id="i", user_id="u", project_id="p")
    session = await client.session(who)
    context = ChatContext(session_id=session.session_id, token=session.token)
    conversation = await client.start_conversation(context=context, request={"title": "T"})
    return client, context.model_copy(update={"conversation_id": conversation.conversation_id})


@pytest.mark.filterwarnings("ignore:.*simulator")
async def test_the_first_streaming_program_runs_as_pasted(capsys) -> None:
    await run(block("streaming-responses.md", "async def streaming_example"))["streaming_example"]()
    said = capsys.readouterr().out
    assert ANSWER in said
    assert "Stream complete!" in said


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("process_streaming_with_sources", "Response complete. Processing sources..."),
        ("custom_stream_processing", "<end of response>"),
        ("streaming_with_error_handling", ANSWER),
        ("stream_with_backpressure", "Stream complete!"),
    ],
)
async def test_the_functions_that_go_on_from_there_run_as_pasted(name, expected, capsys) -> None:
    store = MemoryStore()
    client, context = await began(store)
    given = {
        "STORE": store,
        "client": client,
        "context": context,
        "request": StreamingChatRequest(query="hi"),
    }
    code = block("streaming-responses.md", f"async def {name}").replace(
        "processing_delay = 0.1", "processing_delay = 0"
    )
    await run(code, **given, ConversationClient=ConversationClient)[name]()
    said = capsys.readouterr().out
    assert expected in said.replace("\n[Applying backpressure - pausing stream]\n", "")
    assert "An error occurred" not in said


async def test_the_web_endpoints_run_as_pasted() -> None:
    store = MemoryStore()
    _, context = await began(store)
    code = block("streaming-responses.md", '@app.websocket("/api/chat/stream")')
    names = {"ConversationClient": ConversationClient, "ChatContext": ChatContext}
    app = run(code, STORE=store, StreamingChatRequest=StreamingChatRequest, **names)["app"]
    asked = {"query": "hi", **context.model_dump()}
    async with serving(app) as port:
        async with websockets.connect(f"ws://127.0.0.1:{port}/api/chat/stream") as socket:
            await socket.send(json.dumps(asked))
            told = [json.loads(message) async for message in socket]
        assert "".join(each.get("content", "") for each in told).startswith(ANSWER)
        assert told[-1]["is_complete"] is True
        query = "&".join(f"{name}={value}" for name, value in asked.items())
        _, _, body = await fetch(port, f"/api/chat/stream-http?{query}")
        last = json.loads(frames(body)[-1].data)
        assert last == {"is_complete": True, "sources": []}


async def test_a_client_for_each_request_says_what_its_store_needs() -> None:
    """As the documents' endpoints make it, without any change but the imports."""
    _, context = await began(MemoryStore())
    another = ConversationClient(LLMClient("simulator"))
    with pytest.raises(Exception, match="store="):
        await another.chat(context, StreamingChatRequest(query="hi"))


async def test_the_router_s_central_line_streams_the_text() -> None:
    dispatcher = Dispatcher(AllowedValues)

    @dispatcher.handler(AllowedValues.BILLING, AllowedValues.SUPPORT)
    def answer(text: str):
        return LLMClient("simulator").chat_completion([{"role": "user", "content": text}])

    strategies = [rules({AllowedValues.BILLING: ["invoice"]})]
    names = {
        "app": FastAPI(),
        "TEXT_PLAIN": "text/plain",
        "StreamingResponse": StreamingResponse,
        "router_w": RouterWithDispatcher(AllowedValues, strategies, dispatcher),
    }
    lines = [
        block("router-dispatcher.md", "class UserRequest").rstrip(),
        block("router-dispatcher.md", '@app.post("/streaming_chat")').rstrip(),
        "    " + block("router-dispatcher.md", "response_stream = await").strip(),
        "    " + block("router-dispatcher.md", "return StreamingResponse").strip(),
    ]
    app = run("from pydantic import BaseModel\n" + "\n".join(lines), **names)["app"]
    async with serving(app) as port:
        status, headers, body = await post(port, "/streaming_chat", {"request": "my invoice"})
    assert (status, headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert body.decode().startswith(ANSWER)


async def test_the_first_program_runs_as_pasted(capsys, monkeypatch) -> None:
    monkeypatch.setenv("LLMSTREAM_MODEL", "simulator")
    code = block("async-generators.md", "client = LLMClient()").replace("asyncio.run(main())", "")
    await run(code)["main"]()
    said = capsys.readouterr().out
    assert "MESSAGE_COMPLETE" in said
    assert said.endswith("done\n")
