"""Highlight keywords as HTML while the answer comes.

Two things go wrong by hand: a keyword that is cut between two deltas is missed, and markup put in before escaping is
escaped with the rest. So: whole words first, then escape, then mark.
"""

import asyncio
import html
import re
import sys

from llmstream import EventType, LLMClient
from llmstream.streams import coalesce, map_text

QUESTION = "How do income tax, VAT & a tax credit differ? Is a deduction < a credit?"
KEYWORDS = re.compile(r"\b(tax|deduction|credit|VAT|income)\b", re.I)


def highlight(text: str) -> str:
    """HTML in which the keywords are strong."""
    return KEYWORDS.sub(r"<strong>\1</strong>", html.escape(text, quote=False))


async def main() -> None:
    """The loop."""
    async with LLMClient() as client:
        events = client.chat_completion([{"role": "user", "content": QUESTION}])
        async for event in map_text(coalesce(events, by="word"), highlight):
            print(event.text, end="", flush=True)
            if event.type == EventType.MESSAGE_COMPLETE:
                print(f"\n{event.type.name}: {event.finish_reason}")
            elif event.type == EventType.ERROR:
                print(f"\n{event.type.name}: {event.error}")
                sys.exit(1)


if __name__ == "__main__":
    asyncio.run(main())
