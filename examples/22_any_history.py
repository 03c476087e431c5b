"""One history, three vendors: what each of them would be sent of it, and what is lost on the way.

It holds an answer of another vendor: reasoning that it signed, a call under an id that some refuse, a second call that
was cut and that nobody answered, and a picture in a tool's result.
"""

import asyncio
import json
import sys

from llmstream import EventType, LLMClient, wire
from llmstream.messages import (
    ChatRequest,
    ImagePart,
    Message,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResult,
)

ID = "functions.screenshot:0"
HISTORY = [
    Message("system", [TextPart("You are a careful tester.", cache="1h")]),
    Message("user", [TextPart("Is the button red?")]),
    Message(
        "assistant",
        [
            ReasoningPart("I must look.", signature="…", format="anthropic-messages"),
            ToolCall(ID, "screenshot", '{"page": 1}', {"page": 1}),
            ToolCall(ID, "screenshot", '{"pa', complete=False),
        ],
    ),
    Message(
        "tool", [ToolResult(ID, [TextPart("Page 1:"), ImagePart("https://example.org/1.png")])]
    ),
    Message("user", [TextPart("Well?")]),
]
MODELS = {
    "openai-chat": "gpt-5-mini",
    "openai-responses": "gpt-5-mini",
    "anthropic-messages": "claude-haiku-4-5",
}


async def main() -> None:
    """Show the bodies, then ask whoever is configured."""
    for name, model in MODELS.items():
        rendered = wire.FORMATS[name].render_request(ChatRequest(HISTORY, model))
        print(f"--- {name}")
        print(json.dumps(rendered.body, indent=1, ensure_ascii=False))
        print(*(f"! {warning}" for warning in rendered.warnings), sep="\n")
    async with LLMClient() as client:
        async for event in client.chat_completion(HISTORY):
            print(event.text, end="", flush=True)
            if event.type == EventType.MESSAGE_COMPLETE:
                print(f"\n{event.type.name}: {event.finish_reason}")
            elif event.type == EventType.ERROR:
                print(f"\n{event.type.name}: {event.error}")
                sys.exit(1)


if __name__ == "__main__":
    asyncio.run(main())
