import json
import sys

import litellm

URL, PROVIDER = sys.argv[1:]
HI = [{"role": "user", "content": "hi"}]
TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}
seen = []
for api, base in (("openai", f"{URL}/v1"), ("anthropic", URL)):
    asked = {"api_base": base, "api_key": "k", "messages": HI}
    whole = litellm.completion(model=f"{api}/{PROVIDER}:text", **asked)
    seen.append({"text": whole.choices[0].message.content})
    pieces = [*litellm.completion(model=f"{api}/{PROVIDER}:text", stream=True, **asked)]
    seen.append({"text": "".join(piece.choices[0].delta.content or "" for piece in pieces)})
    called = litellm.completion(model=f"{api}/{PROVIDER}:tools", tools=[TOOL], **asked)
    seen.append({"call": json.loads(called.choices[0].message.tool_calls[0].function.arguments)})
    try:
        litellm.completion(model=f"{api}/{PROVIDER}:refused", max_retries=0, **asked)
    except litellm.RateLimitError:
        pass
    else:
        seen.append({"text": "no RateLimitError"})
print(json.dumps(seen))
