import json
import os
import sys
from contextlib import redirect_stdout
from io import StringIO

os.environ |= {
    "AIDER_ANALYTICS": "false",
    "AIDER_CHECK_UPDATE": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}

from aider.coders import Coder  # it reads the environment when it is imported
from aider.io import InputOutput
from aider.models import Model

URL, PROVIDER = sys.argv[1:]
seen = []
for api, base in (("openai", f"{URL}/v1"), ("anthropic", URL)):
    os.environ |= {"OPENAI_API_BASE": base, "ANTHROPIC_API_BASE": base}
    for stream in (True, False):
        with redirect_stdout(StringIO()):
            model = Model(f"{api}/{PROVIDER}:text")
            io = InputOutput(yes=True, pretty=False, fancy_input=False)
            coder = Coder.create(
                main_model=model, edit_format="ask", io=io, use_git=False, stream=stream
            )
            coder.run("hi")
        seen.append({"text": coder.partial_response_content})
print(json.dumps(seen))
