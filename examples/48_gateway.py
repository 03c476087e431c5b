"""`llmstream serve --config`: a gateway whose models stand in a file, which is read again while an answer runs."""

import asyncio
import re
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from llmstream import EventType, LLMClient

QUESTION = "an answer of many words, which goes on meanwhile " * 5
CONFIG = Path(__file__).with_name("48_gateway.toml").read_text("utf-8")


async def find(process: asyncio.subprocess.Process, pattern: str) -> str:
    """What the gateway says of itself, on stderr."""
    while process.stderr is not None and (line := (await process.stderr.readline()).decode()):
        if found := re.search(pattern, line):
            return found[1]
    raise RuntimeError(f"the gateway ended without a word of {pattern}")


async def ask(url: str, model: str, question: str, begun: asyncio.Event) -> None:
    """Ask as any client of OpenAI would."""
    async with LLMClient(f"openai:{model}", base_url=f"{url}v1", api_key="none") as client:
        async for event in client.chat_completion([{"role": "user", "content": question}]):
            if event.type == EventType.MESSAGE_START:
                print(f"{model} is {event.start.model}")
                begun.set()
            elif event.type == EventType.MESSAGE_COMPLETE:
                print(f"MESSAGE_COMPLETE: {event.finish_reason}")
            elif event.type == EventType.ERROR:
                print(event.error)


async def main() -> None:
    """Serve, ask, change the file, and ask again."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "gateway.toml"
        path.write_text(CONFIG, "utf-8")
        command = [sys.executable, "-m", "llmstream", "serve", "--port", "0", "--config", str(path)]
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        try:
            url = await find(process, r"(http://\S+)")
            begun = asyncio.Event()
            running = asyncio.create_task(ask(url, "gpt-4o", QUESTION, begun))
            await begun.wait()
            path.write_text(CONFIG.replace('"gpt-4o" = "fast"', '"gpt-4o" = "good"'), "utf-8")
            process.send_signal(signal.SIGHUP)  # Windows has none: there it needs a restart
            print("in use again:", await find(process, r"is in use: (.*)"))
            await running
            await ask(url, "gpt-4o", "hello", asyncio.Event())
        finally:
            process.terminate()
            await process.wait()


if __name__ == "__main__":
    asyncio.run(main())
