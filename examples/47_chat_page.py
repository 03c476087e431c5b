"""A chat page in FastAPI: a form, posted to `/completion`, and the answer as it comes.

Needs `pip install fastapi python-multipart`. Run it with `--serve` to see the page at http://127.0.0.1:8000.
"""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from typing import Annotated

import httpx2
import uvicorn
from fastapi import FastAPI, Form, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from llmstream import EventType, FinishReason, LLMClient, StreamEvent, TextDelta
from llmstream.web import respond, running

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Chat</title>
<h1>Chat</h1>
<form id="form">
  <label>Message <input name="prompt" required autofocus></label>
  <button>Send</button>
</form>
<pre id="answer" aria-live="polite"></pre>
<script>
const answer = document.getElementById("answer");

document.getElementById("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  answer.textContent = "";
  const response = await fetch("/completion", { method: "POST", body: new FormData(event.target) });
  if (!response.ok) {
    answer.textContent = `Something went wrong: ${response.status}`;
    return;
  }
  let text = "";
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    text += piece;
    const frames = text.split("\\n\\n");
    text = frames.pop(); // the last one is not whole yet
    frames.forEach(show);
  }
});

function show(frame) {
  const lines = frame.split("\\n").filter((line) => line.startsWith("data: "));
  if (lines.length === 0) return; // a comment, which keeps the connection open
  const event = JSON.parse(lines.map((line) => line.slice(6)).join("\\n"));
  if (event.type === "text_delta") answer.textContent += event.text_delta.content;
  if (event.type === "retry" && event.retry.discard) answer.textContent = "";
  if (event.type === "error") answer.textContent += `\\n${event.error}`;
}
</script>
</html>
"""

app = FastAPI()
client = LLMClient()


class PromptData(BaseModel):
    """What is asked."""

    prompt: str


@app.get("/")
async def page() -> HTMLResponse:
    """The chat page."""
    return HTMLResponse(PAGE)


@app.post("/prompt_data")
async def prompt_data(data: PromptData) -> PromptData:
    """The body, once it is known to be right."""
    return data


@app.post("/completion")
async def completion(request: Request, prompt: Annotated[str, Form()]) -> Response:
    """The answer to a form's prompt, as server-sent events."""
    if not prompt.strip():
        raise HTTPException(400, "The prompt is empty.")
    return respond(request, client.chat_completion([{"role": "user", "content": prompt}]))


@app.get("/stream-example")
async def stream_example(request: Request) -> Response:
    """Some tokens with pauses in between: shows whether streaming gets through to the client."""
    return respond(request, stream_tokens())


async def stream_tokens() -> AsyncGenerator[StreamEvent, None]:
    """Any events can be sent, whether or not a model made them."""
    for number, token in enumerate(["Any", "list", "of", "tokens", "can", "be", "streamed."]):
        await asyncio.sleep(0.02 * (number % 3))
        yield StreamEvent(EventType.TEXT_DELTA, text_delta=TextDelta(f"{token} "))
    yield StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP)


async def show(response: httpx2.Response) -> None:
    """The words as they come, and how it ended."""
    async for frame in httpx2.EventSource(response):
        event = StreamEvent.from_dict(json.loads(frame.data))
        print(event.text, end="", flush=True)
        if event.type == EventType.MESSAGE_COMPLETE:
            print(f"\n{event.type.name}: {event.finish_reason}")


async def main() -> None:
    """Ask each endpoint once."""
    async with client, running(app) as url, httpx2.AsyncClient(base_url=url, timeout=60) as http:
        print((await http.get("/")).text.splitlines()[0])
        print((await http.post("/prompt_data", json={"prompt": "hi"})).json())
        async with http.stream("POST", "/completion", data={"prompt": "hi"}) as response:
            await show(response)
        async with http.stream("GET", "/stream-example") as response:
            await show(response)


if __name__ == "__main__":
    if "--serve" in sys.argv:
        uvicorn.run(app)
    else:
        asyncio.run(main())
