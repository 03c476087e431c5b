import json
import sys

import anthropic
import instructor
import openai
from pydantic import BaseModel

URL, PROVIDER = sys.argv[1:]
HI = [{"role": "user", "content": "hi"}]


class weather(BaseModel):  # noqa: N801  # a tool is named as its class
    """What the provider calls."""

    city: str


seen = []
clients = (
    instructor.from_openai(
        openai.OpenAI(base_url=f"{URL}/v1", api_key="k"), mode=instructor.Mode.TOOLS
    ),
    instructor.from_anthropic(anthropic.Anthropic(base_url=URL, api_key="k")),
)
for client in clients:
    made = client.chat.completions.create(
        model=f"{PROVIDER}:one-call",
        messages=HI,
        max_tokens=99,
        response_model=weather,
        max_retries=0,
    )
    seen.append({"call": made.model_dump()})
print(json.dumps(seen))
