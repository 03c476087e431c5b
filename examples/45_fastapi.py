"""In FastAPI: its models check what comes in, llmstream sends what goes out. Needs `pip install fastapi`."""

import asyncio
import json

import httpx2
from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import BaseModel

from llmstream import EventType, LLMClient, StreamEvent
from llmstream.web import ResponseMode, choose, respond, running

app = FastAPI()
client = LLMClient()


class PromptData(BaseModel):
    """What is asked."""

    prompt: str
    stream: bool = False


@app.post("/chat")
async def chat(request: Request, data: PromptData) -> Response:
    """Both modes in one endpoint."""
    if not data.prompt.strip():
        raise HTTPException(400, "The prompt is empty.")
    choice = choose(request, flag=data.stream)
    messages = [{"role": "user", "content": data.prompt}]
    return respond(
        request,
        client.chat_completion(messages, stream=choice.mode is ResponseMode.STREAM),
        choice=choice,
    )


async def show(response: httpx2.Response) -> None:
    """The words as they come, and how it ended."""
    async for frame in httpx2.EventSource(response):
        event = StreamEvent.from_dict(json.loads(frame.data))
        print(event.text, end="", flush=True)
        if event.type == EventType.MESSAGE_COMPLETE:
            print(f"\n{event.type.name}: {event.finish_reason}")


async def main() -> None:
    """Ask in both modes."""
    async with client, running(app) as url, httpx2.AsyncClient(base_url=url, timeout=60) as http:
        print((await http.post("/chat", json={"prompt": " "})).json())
        whole = StreamEvent.from_dict((await http.post("/chat", json={"prompt": "hi"})).json())
        print(whole.text)
        async with http.stream("POST", "/chat", json={"prompt": "hi", "stream": True}) as response:
            await show(response)


if __name__ == "__main__":
    asyncio.run(main())
