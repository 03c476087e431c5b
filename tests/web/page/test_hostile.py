"""What a model writes does nothing: no script, no request, no dialog, no word to the policy's alarm."""

from __future__ import annotations

import pytest

from llmstream import EventType, StreamEvent
from llmstream.events.types import Status, reasoning_delta
from llmstream.messages import File, Source, ToolCall, ToolResult
from tests.web.page.chat import cut

expect = pytest.importorskip(
    "playwright.async_api", reason="the page is tested with playwright"
).expect
pytestmark = pytest.mark.asyncio(loop_scope="module")


HOSTILE = [
    "<img src=x onerror=alert(1)><script>alert(2)</script><svg onload=alert(3)><iframe src='/evil'></iframe>",
    "[click](javascript:alert(4)) [tab](java\tscript:alert(5)) <javascript:alert(6)> [d](data:text/html,<script>)",
    '![pixel](http://127.0.0.1:9/steal?x=1) ![x](x" onerror="alert(7)) [r](/chat) [v](vbscript:x)',
    '[a](https://ok.example "t" onmouseover="alert(8)") [b](https://ok.example/"onclick="alert(9)")',
    "```html\n<script>alert(10)</script>\n``` ```\n<style>*{display:none}</style>",
    "# <img src=x onerror=alert(11)>\n\n> > > > > > > > > > > <b onclick=alert(12)>deep</b>",
    "| <img src=x onerror=alert(13)> | b |\n|--|--|\n| <script>alert(14)</script> | `<i>` |",
    "x" * 30_000,
    "**" * 5_000 + "[" * 5_000 + "`" * 3_001 + "_a" * 5_000 + "](" * 5_000,
    "- " * 3_000 + "\n" + "> " * 3_000 + "\n" + "    " * 500 + "- deep",
    "\u202egnp.exe \u2066 \u0645\u0631\u062d\u0628\u0627 **\u0628\u0643** \u05e9\u05dc\u05d5\u05dd",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\U0001f1f3\U0001f1f4 e"
    + "\u0301" * 500
    + "\x00\x07\ufffe \ue0001\ue001",
    "&lt;script&gt;alert(15)&lt;/script&gt; &#x3C;script&#x3E; {{nonce}} ${alert(16)}",
    "```js\nnever closed <script>alert(17)</script>",
]
INERT = """() => [...document.querySelectorAll('#turns *')].flatMap((node) => [
  ...['SCRIPT', 'IMG', 'IFRAME', 'STYLE', 'svg', 'OBJECT', 'LINK', 'B', 'I'].filter((name) => node.tagName === name),
  ...[...node.attributes].filter(({name, value}) => /^on|^style$|^src/.test(name)
     || (name === 'href' && !/^(https?|mailto):/.test(value))).map(({name, value}) => `${name}=${value}`),
])"""


def status(text):
    return StreamEvent(EventType.STATUS, status=Status("progress", text))


@pytest.mark.parametrize("size", [5, 100_000])
async def test_hostile_text_does_nothing(chat, size):
    before = len(chat.requests)
    places = [(str, text) for text in HOSTILE]
    places += [(reasoning_delta, "\n\n".join(HOSTILE)), (status, "\n".join(HOSTILE))]
    for place, text in places:
        await chat.told(*(place(piece) for piece in cut(text, max(size, len(text) // 400))), "end")
    await chat.page.evaluate(
        "for (const fold of document.querySelectorAll('details')) fold.open = true"
    )
    await chat.page.mouse.move(500, 300)
    assert await chat.page.evaluate(INERT) == []
    assert set(chat.requests[before:]) == {"chat"}
    assert not set(chat.server.paths) - {"/chat", "/v1/models"}
    await expect(chat.page.get_by_text("<img src=x onerror=alert(1)>").first).to_be_attached()


async def test_hostile_names_do_nothing(chat):
    evil = "<img src=x onerror=alert(1)>"
    call = ToolCall("c", evil, evil)
    await chat.told(
        StreamEvent(EventType.TOOL_CALL, tool_call=call),
        StreamEvent(
            EventType.TOOL_RESULT, tool_result=ToolResult("c", [{"x": evil}], is_error=True)
        ),
        StreamEvent(
            EventType.SOURCE, source=Source(title=evil, url="javascript:alert(2)", excerpt=evil)
        ),
        StreamEvent(EventType.FILE, file=File(name=evil, url="data:text/html,x")),
        f"```{evil}\nx\n```\n",
    )
    assert await chat.page.evaluate(INERT) == []
    await chat.page.reload()
    await chat.settled()
    assert await chat.page.evaluate(INERT) == []


async def test_the_policy_would_stop_what_the_page_let_through(open_chat):
    chat = await open_chat()
    found = await chat.page.evaluate(
        """async () => {
          const said = [];
          document.addEventListener('securitypolicyviolation', (event) => said.push(event.effectiveDirective));
          try { document.body.innerHTML = '<b>'; } catch { said.push('html'); }
          document.body.append(Object.assign(new Image(), { src: 'http://127.0.0.1:9/x' }));
          try { document.body.setAttribute('onclick', 'alert(1)'); } catch { said.push('handler'); }
          document.body.click();
          await fetch('http://127.0.0.1:9/').catch(() => said.push('fetch'));
          await new Promise((go) => setTimeout(go, 50));
          return said;
        }"""
    )
    assert {"html", "handler", "img-src", "connect-src", "fetch"} <= set(found)
    first = await chat.page.request.get(chat.server.url)
    second = await chat.page.request.get(chat.server.url)
    policies = [answer.headers["content-security-policy"] for answer in (first, second)]
    assert policies[0] != policies[1]
    assert all("unsafe" not in policy and "default-src 'none'" in policy for policy in policies)
    assert all(
        "frame-ancestors 'none'" in policy and "form-action 'none'" in policy for policy in policies
    )
    assert "{{" not in (await first.text()).split("<script", 1)[0]
