"""Tell code blocks from prose while the answer comes, though a fence (three backticks) may be cut between deltas.

A Transformer gets the text as it comes and keeps back only what may still become a fence: the beginning of a line.
"""

import asyncio
import html
import sys

from llmstream import EventType, LLMClient
from llmstream.streams import transform

QUESTION = "Explain this:\n```python\nif 1 < 2:\n    print('yes')\n```\nand write `a < b` in prose."
FENCE = "```"


class CodeBlocks:
    """Text as HTML, with <pre> around the code blocks."""

    def __init__(self) -> None:
        self.line = ""  # so far, while it may be a fence
        self.begins = True  # at the beginning of a line
        self.code = False

    def feed(self, text: str) -> str:
        """What is known to be code or prose."""
        return "".join(self.take(piece) for piece in text.splitlines(keepends=True))

    def take(self, piece: str) -> str:
        """A line, or the part of one that has come."""
        ends = piece.endswith("\n")
        if self.begins:
            self.line += piece
            start = self.line.lstrip(" ")
            if not ends and (FENCE.startswith(start) or start.startswith(FENCE)):
                return ""
            piece, self.line = self.line, ""
            if start.startswith(FENCE):
                self.code = not self.code
                return "<pre>" if self.code else "</pre>\n"
        self.begins = ends
        return html.escape(piece, quote=False)

    def finish(self) -> str:
        """The last line, which had no end, and the end of a block that was left open."""
        out = self.take("\n").rstrip("\n") if self.line else ""
        return out + ("</pre>" if self.code else "")


async def main() -> None:
    """The loop."""
    async with LLMClient() as client:
        async for event in transform(
            client.chat_completion([{"role": "user", "content": QUESTION}]), CodeBlocks
        ):
            print(event.text, end="", flush=True)
            if event.type == EventType.MESSAGE_COMPLETE:
                print(f"\n{event.type.name}: {event.finish_reason}")
            elif event.type == EventType.ERROR:
                print(f"\n{event.type.name}: {event.error}")
                sys.exit(1)


if __name__ == "__main__":
    asyncio.run(main())
