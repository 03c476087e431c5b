import json
import os
import sys
from pathlib import Path

import llm

URL, PROVIDER = sys.argv[1:]
home = Path(os.environ["HOME"], "llm")
home.mkdir(exist_ok=True)
os.environ["LLM_USER_PATH"] = str(home)
rows = [
    {
        "model_id": name,
        "model_name": f"{PROVIDER}:{name}",
        "api_base": f"{URL}/v1",
        "supports_tools": True,
    }
    for name in ("text", "tools")
]
(home / "extra-openai-models.yaml").write_text(json.dumps(rows))  # JSON is YAML


def weather(city: str) -> str:
    """The weather."""
    return city


text = llm.get_model("text")
seen = [{"text": text.prompt("hi", key="k", stream=stream).text()} for stream in (True, False)]
answer = llm.get_model("tools").prompt("hi", key="k", tools=[weather])
answer.text()
seen.append({"call": answer.tool_calls()[0].arguments})
print(json.dumps(seen))
