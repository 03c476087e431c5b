import json
import sys

from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

URL, PROVIDER = sys.argv[1:]


@tool
def weather(city: str) -> str:
    """The weather."""
    return city


def openai(scenario, **more):
    return ChatOpenAI(model=f"{PROVIDER}:{scenario}", base_url=f"{URL}/v1", api_key="k", **more)


def responses(scenario):
    return openai(scenario, use_responses_api=True)


def anthropic(scenario):
    return ChatAnthropic(model=f"{PROVIDER}:{scenario}", base_url=URL, api_key="k")


seen = []
for make in (openai, responses, anthropic):
    seen.append({"text": make("text").invoke("hi").text})
    seen.append({"text": "".join(piece.text for piece in make("text").stream("hi"))})
    called = make("tools").bind_tools([weather]).invoke("hi")
    seen.append({"call": called.tool_calls[0]["args"]})
print(json.dumps(seen))
