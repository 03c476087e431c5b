import json
import sys

from any_llm import completion

URL, PROVIDER = sys.argv[1:]
HI = [{"role": "user", "content": "hi"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "w",
        "parameters": {"type": "object", "properties": {}},
    },
}
seen = []
for api, base in (("openai", f"{URL}/v1"), ("anthropic", URL)):
    asked = {"provider": api, "api_base": base, "api_key": "k", "messages": HI}
    seen.append({"text": completion(model=f"{PROVIDER}:text", **asked).choices[0].message.content})
    pieces = completion(model=f"{PROVIDER}:text", stream=True, **asked)
    seen.append(
        {"text": "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)}
    )
    called = completion(model=f"{PROVIDER}:tools", tools=[TOOL], **asked)
    seen.append({"call": json.loads(called.choices[0].message.tool_calls[0].function.arguments)})
print(json.dumps(seen))
