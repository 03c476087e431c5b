import json
import sys

from mirascope import llm

URL, PROVIDER = sys.argv[1:]
llm.register_provider("openai", scope="openai/", base_url=f"{URL}/v1", api_key="k")
llm.register_provider("anthropic", scope="anthropic/", base_url=URL, api_key="k")


@llm.tool
def weather(city: str) -> str:
    """The weather."""
    return city


seen = []
for way in ("openai/{}:completions", "openai/{}:responses", "anthropic/{}"):
    text = llm.Model(way.format(f"{PROVIDER}:text"), max_tokens=99)
    seen.append({"text": "".join(part.text for part in text.call("hi").texts)})
    seen.append(
        {"text": "".join(text.stream("hi").text_stream()).removesuffix("\n")}
    )  # each text ends a line
    tools = llm.Model(way.format(f"{PROVIDER}:one-call"), max_tokens=99)
    seen.append({"call": json.loads(tools.call("hi", tools=[weather]).tool_calls[0].args)})
print(json.dumps(seen))
