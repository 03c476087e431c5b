"""One endpoint, every form of an answer: the client's Accept, its query and its body's flag say which."""

import asyncio
import json

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmstream import LLMClient
from llmstream.web import ResponseMode, choose, respond, running

client = LLMClient()
WAYS = [
    ("nothing said", {}, {}, {}),
    ("Accept: text/event-stream", {"accept": "text/event-stream"}, {}, {}),
    ("Accept: application/x-ndjson", {"accept": "application/x-ndjson"}, {}, {}),
    ("Accept: text/plain", {"accept": "text/plain"}, {}, {}),
    ("Accept, with weights", {"accept": "application/json;q=0.5, text/plain;q=0.9"}, {}, {}),
    ('"stream": true in the body', {}, {}, {"stream": True}),
    ("?stream=false, over the body's flag", {}, {"stream": "false"}, {"stream": True}),
    (
        "?mode=stream, over all",
        {"accept": "application/json"},
        {"mode": "stream"},
        {"stream": False},
    ),
    ("?mode=telepathy", {}, {"mode": "telepathy"}, {}),
]


async def unified(request: Request) -> Response:
    """Choose first, so that the model is asked in the same mode; what nobody offers is a 406 that lists what is."""
    body = json.loads(await request.body())
    choice = choose(request, flag=body.get("stream"), default=ResponseMode.BATCH)
    events = client.chat_completion(body["messages"], stream=choice.mode is ResponseMode.STREAM)
    return respond(request, events, choice=choice)


app = Starlette(routes=[Route("/unified", unified, methods=["POST"])])


async def main() -> None:
    """The same question in every way."""
    async with client, running(app) as url, httpx2.AsyncClient(timeout=60) as http:
        for name, headers, query, more in WAYS:
            body = {"messages": [{"role": "user", "content": "Hi."}], **more}
            answer = await http.post(f"{url}/unified", json=body, headers=headers, params=query)
            lines = answer.text.strip().splitlines()
            print(
                f"{name}\n    {answer.status_code} {answer.headers['content-type']}: {len(lines)} lines"
            )
            if "json" in answer.headers["content-type"]:
                last = json.loads(lines[-1])
                print(f"    {last['type'].upper()}: {last['finish_reason']}")


if __name__ == "__main__":
    asyncio.run(main())
