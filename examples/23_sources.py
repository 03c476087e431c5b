"""An answer with footnotes: what Gemini found by Google's search, each source behind the words that rest on it.

    GEMINI_API_KEY=… python examples/23_sources.py

Without a key a server in this program plays one answer in Gemini's own words. The places of sources are characters of
the text, whatever the vendor counts; Anthropic's, Cohere's and OpenAI's citations are written by the same function.
"""

import asyncio
import json
import os

from llmstream import EventType, LLMClient
from llmstream.messages import Message

MODEL = "gemini:gemini-3.8-flash"
QUESTION = "How high is the Zugspitze, and who climbed it first?"
TEXT = "Höhe der Zugspitze: 2.962 Meter. Erste Besteigung: 1820."
PAGES = [
    {"web": {"uri": "https://example.org/height", "title": "Heights of the Alps"}},
    {"web": {"uri": "https://example.org/first", "title": "First ascents"}},
]
SUPPORTS = [
    {"segment": {"endIndex": 33}, "groundingChunkIndices": [0]},
    {"segment": {"startIndex": 34, "endIndex": 57}, "groundingChunkIndices": [1]},
]


def footnotes(message: Message) -> str:
    """The text with a number behind each stretch that has a source, and the sources below it."""
    addresses = list(dict.fromkeys(source.url for source in message.sources))
    text = message.text
    for source in sorted(message.sources, key=lambda source: -(source.end or 0)):
        place = len(message.text) if source.end is None else source.end
        text = f"{text[:place]}[{addresses.index(source.url) + 1}]{text[place:]}"
    titles = {source.url: source.title for source in message.sources}
    notes = (f"[{n}] {titles[url]}: {url}" for n, url in enumerate(addresses, 1))
    return "\n".join((text, "", *notes))


async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Gemini's answer, as its API streams one. Its places are bytes."""
    head = await reader.readuntil(b"\r\n\r\n")
    size = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    await reader.readexactly(int(size.partition(b":")[2]))
    grounding = {"groundingChunks": PAGES, "groundingSupports": SUPPORTS}
    frames = [
        {"content": {"role": "model", "parts": [{"text": TEXT[:20]}]}},
        {"content": {"role": "model", "parts": [{"text": TEXT[20:]}]}},
        {"finishReason": "STOP", "groundingMetadata": grounding},
    ]
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
    for frame in frames:
        writer.write(f"data: {json.dumps({'candidates': [frame]})}\r\n\r\n".encode())
    await writer.drain()
    writer.close()


async def ask(base_url: str | None) -> None:
    """Ask, with Google's search, and print the answer with its footnotes."""
    async with LLMClient(
        MODEL, api_key=None if base_url is None else "k", base_url=base_url
    ) as client:
        messages = [{"role": "user", "content": QUESTION}]
        async for event in client.chat_completion(messages, tools=[{"googleSearch": {}}]):
            if event.type == EventType.SOURCE:
                print(f"found {event.source.url}")
            elif event.type == EventType.MESSAGE_COMPLETE and event.message is not None:
                print(f"\n{footnotes(event.message)}\n\n{event.type.name}: {event.finish_reason}")
            elif event.type == EventType.ERROR:
                raise SystemExit(event.error)


async def main() -> None:
    """Ask Google, or the server in this program."""
    if os.environ.get("GEMINI_API_KEY") and os.environ.get("LLMSTREAM_MODEL") != "simulator":
        await ask(None)
        return
    async with await asyncio.start_server(play, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await ask(f"http://127.0.0.1:{port}/v1beta")


asyncio.run(main())
