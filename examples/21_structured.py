"""Answers as values: a pydantic model that grows while the model writes it, and is checked at the end.

The simulator plays the model here, by a script, so that this runs without a key; with a key, `LLMClient()` will do.
"""

import asyncio
import json

from pydantic import BaseModel, Field

from llmstream import EventType, LLMClient, structured
from llmstream.providers import SimulatorProvider


class Step(BaseModel):
    """One thing to do."""

    text: str
    minutes: int = Field(ge=0)


class Recipe(BaseModel):
    """How to cook something."""

    title: str
    steps: list[Step]


GOOD = (
    '{"title": "Tomato soup", "steps": '
    '[{"text": "Boil the tomatoes.", "minutes": 20}, {"text": "Eat.", "minutes": 5}]}'
)
BAD = '{"title": "Tomato soup", "steps": [{"text": "Boil the tomatoes.", "minutes": "twenty"}]}'


async def main() -> None:
    """First as it grows, then in one call, with a repair."""
    messages = [{"role": "user", "content": "A recipe for a soup, please."}]
    async with LLMClient(
        provider=SimulatorProvider(script=[[f"```json\n{GOOD}\n```"], [BAD], [GOOD]])
    ) as client:
        async for partial in structured.objects(structured.ask(client, messages, Recipe), Recipe):
            print(f"{partial.value.title or '…'}, {len(partial.value.steps or [])} steps so far")
            for part in partial.completed:
                if isinstance(part.value, Step):
                    print(f"- {part.value.text} ({part.value.minutes} minutes)")

        recipe = await structured.parse(client, messages, Recipe, repair=True)
        print(f"{sum(step.minutes for step in recipe.steps)} minutes in all")

        schema = {
            "type": "object",
            "properties": {"title": {"type": "string"}},
            "required": ["title"],
        }
        # The events themselves, for a JSON schema.
        async for event in structured.ask(client, messages, schema):
            if event.type == EventType.MESSAGE_COMPLETE and event.message:
                print(
                    f"{event.type.name}: {event.finish_reason}, {json.loads(event.message.text)['title']}"
                )


if __name__ == "__main__":
    asyncio.run(main())
