"""Answers as values: a pydantic model that grows while the model writes it, and is checked at the end.

The simulator plays the model here, by a script, so that this runs without a key; with a key, `LLMClient()` will do.
"""

import asyncio

from pydantic import BaseModel, Field

from llmstream import LLMClient, structured
from llmstream.providers.simulator import SimulatorProvider


class Step(BaseModel):
    """One thing to do."""

    text: str
    minutes: int = Field(ge=0)


class Recipe(BaseModel):
    """How to cook something."""

    title: str
    steps: list[Step]


GOOD = (
    '{"title": "Tomato soup", "steps": [{"text": "Boil the tomatoes.", "minutes": 20}, {"text": "Eat.", "minutes": 5}]}'
)
BAD = '{"title": "Tomato soup", "steps": [{"text": "Boil the tomatoes.", "minutes": "twenty"}]}'


async def main() -> None:
    """First as it grows, then in one call, with a repair."""
    messages = [{"role": "user", "content": "A recipe for a soup, please."}]
    async with LLMClient(provider=SimulatorProvider(script=[[f"```json\n{GOOD}\n```"], [BAD], [GOOD]])) as client:
        async for partial in structured.objects(structured.ask(client, messages, Recipe), Recipe):
            print(f"{partial.value.title or '…'}, {len(partial.value.steps or [])} steps so far")
            for part in partial.completed:
                if isinstance(part.value, Step):
                    print(f"- {part.value.text} ({part.value.minutes} minutes)")

        recipe = await structured.parse(client, messages, Recipe, repair=True)
        print(f"{sum(step.minutes for step in recipe.steps)} minutes in all")

        schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
        answer = await structured.parse(client, messages, schema)
        print(f"MESSAGE_COMPLETE: stop, {answer['title']}")


if __name__ == "__main__":
    asyncio.run(main())
