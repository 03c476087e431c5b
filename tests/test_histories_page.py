"""docs/histories.md: its program runs, and its table of marks is true."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from llmstream import LLMClient
from tests.loopback import Loopback, answer

PAGE = Path(__file__).parents[1] / "docs" / "histories.md"


async def test_the_program_sends_its_marks(tmp_path, monkeypatch) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "contract.pdf").write_bytes(b"%PDF-1.7")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(
        f"async def run(client):\n{textwrap.indent(program, '    ')}    return answer", names
    )  # our own page
    async with (
        Loopback(answer("anthropic-messages")) as server,
        LLMClient("anthropic:m", api_key="k", base_url=server.url("anthropic")) as client,
    ):
        said = await names["run"](client)  # type: ignore[operator]
    assert said.text
    body = server.requests[0].body
    assert body["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert body["messages"][0]["content"][1]["cache_control"] == {"type": "ephemeral"}
