"""The chat page in a real browser: what is seen, heard, kept, and what hostile text can't do.

The test plays the model, event by event, behind our own `respond`; nothing waits for a clock.
"""

from __future__ import annotations

import asyncio
import itertools
import json

import pytest
import pytest_asyncio
from starlette.responses import JSONResponse

from llmstream import ErrorInfo, EventType, StreamEvent
from llmstream.events.types import Retry, Status, ToolCallDelta, error, reasoning_delta
from llmstream.messages import File, FinishReason, Message, Source, TextPart, ToolCall, ToolResult, Usage
from tests.web.page_server import ARGUMENTS, CHROMIUM, PageServer

playwright = pytest.importorskip("playwright.async_api", reason="the page is tested with playwright")
if CHROMIUM is None:
    pytest.skip("no Chromium: apt-get install chromium, or LLMSTREAM_CHROMIUM=path", allow_module_level=True)

pytestmark = pytest.mark.asyncio(loop_scope="module")
expect = playwright.expect


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser():
    async with playwright.async_playwright() as started:
        yield await started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)


@pytest_asyncio.fixture(loop_scope="module")
async def server():
    async with PageServer("small", "large").running() as running:
        yield running


class Chat:
    """The page as one person sees it. `alarms`: what must never happen."""

    def __init__(self, page, server) -> None:
        self.page, self.server, self.alarms, self.requests = page, server, [], []
        page.set_default_timeout(10_000)
        page.on("dialog", self._dialog)
        page.on("pageerror", lambda problem: self.alarms.append(f"error: {problem}"))
        page.on("console", lambda line: self.alarms.append(line.text) if "Policy" in line.text else None)
        page.on("popup", lambda popup: self.alarms.append(f"popup: {popup.url}"))
        page.on("request", lambda request: self.requests.append(request.url.removeprefix(server.url)))
        self.answer = page.locator(".answer").last
        self.prompt = page.get_by_label("Message")
        self.stop = page.get_by_role("button", name="Stop")
        self.retry = page.get_by_role("button", name="Retry")

    async def _dialog(self, dialog) -> None:
        self.alarms.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    async def open(self):
        await self.page.goto(self.server.url)
        await self.page.locator("#model option").first.wait_for(state="attached")
        return self

    async def ask(self, text="Hello?"):
        await self.prompt.fill(text)
        await self.prompt.press("Enter")
        return await self.server.asked()

    async def settled(self) -> None:
        await self.page.locator(".answer:not([aria-busy]) .foot .meta").last.wait_for(state="attached")

    async def told(self, *items) -> None:
        """Ask, and have these answer to the end."""
        asked = await self.ask()
        asked.start(*items)
        asked.end()
        await self.settled()


@pytest_asyncio.fixture(loop_scope="module")
async def open_chat(browser, server):
    contexts = []

    async def open_one(**options):
        contexts.append(await browser.new_context(**options))
        return await Chat(await contexts[-1].new_page(), server).open()

    yield open_one
    for context in contexts:
        await context.close()


@pytest_asyncio.fixture(loop_scope="module")
async def chat(open_chat):
    opened = await open_chat()
    yield opened
    assert opened.alarms == []


# --- an answer ------------------------------------------------------------------------------------------


async def test_text_grows_as_it_comes(chat):
    asked = await chat.ask("Tell me")
    assert asked.body["messages"] == [{"role": "user", "content": "Tell me"}]
    assert asked.headers["accept"] == "text/event-stream"
    assert (asked.body["stream"], asked.body["model"]) == (True, "small")
    asked.start("One ")
    await expect(chat.answer).to_contain_text("One")
    asked.say("two ")
    await expect(chat.answer).to_contain_text("One two")
    await expect(chat.stop).to_be_visible()
    asked.end("**three**")
    await expect(chat.answer.locator("strong")).to_have_text("three")
    await expect(chat.stop).to_be_hidden()
    await expect(chat.answer).to_contain_text("scripted-1")


MARKDOWN = """# Title

A *word*, a **strong** one, `code`, ~~old~~ and snake_case_name 2 * 3 * 4.
Second line with <https://example.org/a> and https://example.org/b_(c).

1. first
   - inner
     ```js
     let x = 1;
     ```
2. second

- [x] done
- [ ] open

> quoted **text**

| A | B |
|:-:|--:|
| 1 | x\\|y |

```python
if a < b:
    pass
```

---
"""
SHAPE = [
    "H2",
    "P(EM,STRONG,CODE,DEL,A,A)",
    "OL(LI(P,UL(LI(P,DIV))),LI(P))",
    "UL(LI(P),LI(P))",
    "BLOCKQUOTE(P(STRONG))",
    "DIV(TABLE(THEAD(TR(TH,TH)),TBODY(TR(TD,TD))))",
    "DIV",
    "HR",
]
SHAPE_OF = """(root) => {
  const shape = (node) => node.className === 'code' ? 'DIV' : node.tagName +
    (node.children.length ? `(${[...node.children].map(shape)})` : '');
  return [...root.querySelectorAll('.md > .chunk > *')].map(shape);
}"""


def cut(text, size):
    return [text[at : at + size] for at in range(0, len(text), size)]


@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_markdown_is_the_same_however_it_is_cut(chat, size):
    await chat.told(*cut(MARKDOWN, size))
    assert await chat.answer.evaluate(SHAPE_OF) == SHAPE
    links = await chat.answer.locator("a").evaluate_all("all => all.map(a => [a.href, a.rel, a.target])")
    assert [link[0] for link in links] == ["https://example.org/a", "https://example.org/b_(c)"]
    assert all("noopener" in rel and target == "_blank" for _, rel, target in links)
    await expect(chat.answer.locator("td").nth(1)).to_have_text("x|y")
    await expect(chat.answer.locator("pre").last).to_have_text("if a < b:\n    pass\n")


async def test_what_is_done_is_not_drawn_again(chat):
    asked = await chat.ask()
    asked.start("First paragraph.\n\nSecond")
    await expect(chat.answer.locator("p").nth(1)).to_have_text("Second")
    await chat.answer.locator("p").first.evaluate("node => { node.dataset.same = 'yes'; }")
    asked.end(" one.\n\nThird\n")
    await chat.settled()
    assert await chat.answer.locator("p").evaluate_all("all => all.map(p => p.dataset.same)") == ["yes", None, None]


async def test_code_is_copied_as_it_was_written(open_chat):
    chat = await open_chat(permissions=["clipboard-read", "clipboard-write"])
    code = "\tif x:\n" + "y" * 9_000 + "\n\n  end"
    await chat.told(f"```py\n{code}\n```\n")
    await chat.page.get_by_role("button", name="Copy code").click()
    await expect(chat.answer.get_by_text("Copied")).to_be_visible()
    assert await chat.page.evaluate("navigator.clipboard.readText()") == code + "\n"


async def test_reasoning_and_tools_are_folded(chat):
    asked = await chat.ask()
    asked.start(reasoning_delta("Let me "), reasoning_delta("think."))
    await expect(chat.answer.locator("summary")).to_have_text("Thinking")
    call = ToolCall("c1", "weather", '{"city": "Oslo"}')
    asked.say(StreamEvent(EventType.TOOL_CALL_DELTA, tool_call_delta=ToolCallDelta(0, "c1", "weather", '{"city"')))
    await expect(chat.answer.locator("summary").last).to_have_text("Calling weather")
    asked.say(StreamEvent(EventType.TOOL_CALL, tool_call=call))
    await expect(chat.answer.locator("summary").last).to_have_text("Called weather")
    asked.say(StreamEvent(EventType.TOOL_RESULT, tool_result=ToolResult("c1", "4 degrees")))
    asked.say(StreamEvent(EventType.STATUS, status=Status("step")))
    asked.start("It is cold.")
    asked.end()
    await chat.settled()
    await expect(chat.answer.locator("summary")).to_have_text(["Thought", "Used weather"])
    await expect(chat.answer.get_by_text("Let me think.")).to_be_hidden()
    await chat.answer.get_by_text("Used weather").click()
    await expect(chat.answer.get_by_label("Arguments")).to_have_text('{\n  "city": "Oslo"\n}')
    await expect(chat.answer.get_by_label("Result")).to_have_text("4 degrees")
    asked = await chat.ask("Thanks")
    assert asked.body["messages"][1] == {"role": "assistant", "content": "It is cold."}


async def test_citations_are_links(chat):
    def source(title, url, **more):
        return StreamEvent(EventType.SOURCE, source=Source(title=title, url=url, **more))

    text = "\U0001f600 Cats purr. Dogs bark [2].\n\nBirds `[1]` sing [9]."
    await chat.told(
        text, source("Cats", "https://cats.example/", start=2, end=12), source("Dogs", "javascript:alert(1)")
    )
    cited = chat.answer.locator(".cite")
    assert await cited.all_text_contents() == ["1", "2"]
    assert await cited.first.get_attribute("href") == "https://cats.example/"
    assert await chat.answer.locator("p").first.text_content() == "\U0001f600 Cats purr.1 Dogs bark 2."
    assert await chat.answer.get_by_role("link").all_text_contents() == ["1", "Cats"]
    await expect(chat.answer.locator(".sources li")).to_have_count(2)
    await expect(chat.answer.locator("code")).to_have_text("[1]")


async def test_an_answer_that_comes_at_once_and_a_file(chat):
    asked = await chat.ask()
    parts = [TextPart("All at **once**"), File(name="plot.csv", data="YSxiCg==")]
    asked.start(
        StreamEvent(
            EventType.MESSAGE_COMPLETE,
            message=Message("assistant", parts),
            finish_reason=FinishReason.LENGTH,
            usage=Usage(3, 12),
        )
    )
    await chat.settled()
    await expect(chat.answer.locator("strong")).to_have_text("once")
    await expect(chat.answer).to_contain_text("Cut off at the length limit.")
    await expect(chat.answer).to_contain_text("12 tokens")
    async with chat.page.expect_download() as download:
        await chat.answer.get_by_role("button", name="Save").click()
    assert (await download.value).suggested_filename == "plot.csv"


# --- when it doesn't go well ----------------------------------------------------------------------------


def retry(delay=4.0, **more):
    return StreamEvent(EventType.RETRY, retry=Retry(2, 3, delay, "busy", "rate_limit", **more))


async def test_retry_notice_counts_down(chat):
    asked = await chat.ask()
    asked.say(retry(2.0))
    await expect(chat.answer).to_contain_text("Rate limited, retrying in 2 s (attempt 2 of 3)")
    await expect(chat.answer).to_contain_text("Rate limited, retrying in 1 s")
    asked.start("Here.")
    asked.end()
    await chat.settled()
    await expect(chat.answer).not_to_contain_text("retrying")


async def test_a_retry_that_starts_over_takes_back_what_was_shown_and_another_does_not(chat):
    asked = await chat.ask()
    asked.start("Kept of round one.", StreamEvent(EventType.STATUS, status=Status("step")))
    asked.start("wrong ")
    await expect(chat.answer).to_contain_text("wrong")
    asked.say(retry(0.0, discard=True))
    await expect(chat.answer).not_to_contain_text("wrong")
    asked.start("right and")
    asked.say(retry(0.0, discard=False))
    asked.start(" seamless", model="other")
    asked.end()
    await chat.settled()
    assert await chat.answer.locator("p").all_text_contents() == ["Kept of round one.", "right and seamless"]


async def test_an_error_keeps_what_came_and_says_what_to_do(chat):
    asked = await chat.ask()
    asked.start("Half an ans", error(ErrorInfo("overloaded", "secret host 10.0.0.7")))
    await chat.settled()
    alert = chat.answer.get_by_role("alert")
    await expect(alert).to_contain_text("The model is overloaded just now.")
    await expect(alert).to_contain_text("incomplete")
    await expect(alert).to_contain_text("Request ")
    await expect(chat.answer).to_contain_text("Half an ans")
    await chat.retry.click()
    asked = await chat.server.asked()
    assert asked.body["messages"] == [{"role": "user", "content": "Hello?"}]
    asked.start("Whole.")
    asked.end()
    await chat.settled()
    await expect(chat.page.locator(".answer")).to_have_count(1)
    await expect(alert).to_have_count(0)


@pytest.mark.parametrize(
    ("info", "said"),
    [
        (ErrorInfo("rate_limit", retry_after=7), "Too many requests just now. Please try again later. Retry in 7 s."),
        (ErrorInfo("context_length"), "The conversation is too long for this model. Start a new chat"),
    ],
)
async def test_a_refusal_is_told(chat, info, said):
    asked = await chat.ask()
    asked.say(error(info))
    await expect(chat.answer.get_by_role("alert")).to_contain_text(said)


async def test_a_stream_without_its_end_and_a_server_that_is_gone(chat):
    asked = await chat.ask()
    asked.start("Half")
    asked.events.put_nowait(None)
    await expect(chat.answer.get_by_role("alert")).to_contain_text("cut before its end")
    await chat.page.route("**/chat", lambda route: route.abort())
    await chat.retry.click()
    await expect(chat.answer.get_by_role("alert")).to_contain_text("See that it is running, then retry.")


async def test_a_server_that_wants_a_key_is_given_one(chat):
    asked = await chat.ask()
    asked.refuse(JSONResponse({"error": "Who are you?", "request_id": "r1"}, 401))
    await chat.page.get_by_label("Access key").fill("open sesame")
    await chat.page.get_by_role("button", name="Use key").click()
    asked = await chat.server.asked()
    assert asked.headers["authorization"] == "Bearer open sesame"
    assert "sesame" not in json.dumps(await chat.page.evaluate("({...localStorage})"))
    asked.end("Welcome")
    await chat.settled()


async def test_stop_stops_the_upstream_and_keeps_the_text(chat):
    asked = await chat.ask()
    asked.start("Going on and ")
    await expect(chat.answer).to_contain_text("Going on")
    await chat.stop.click()
    await asyncio.wait_for(asked.left.wait(), 5)
    await chat.settled()
    await expect(chat.answer).to_contain_text("Stopped.")
    await expect(chat.answer).to_contain_text("incomplete")
    await expect(chat.prompt).to_be_focused()


# --- hostile text ---------------------------------------------------------------------------------------

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


@pytest.mark.parametrize("size", [5, 100_000])
async def test_hostile_text_does_nothing(chat, size):
    before = len(chat.requests)
    for place in (str, reasoning_delta, lambda text: StreamEvent(EventType.STATUS, status=Status("progress", text))):
        for text in HOSTILE:
            await chat.told(*(place(piece) for piece in cut(text, max(size, len(text) // 400))), "end")
    await chat.page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
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
        StreamEvent(EventType.TOOL_RESULT, tool_result=ToolResult("c", [{"x": evil}], is_error=True)),
        StreamEvent(EventType.SOURCE, source=Source(title=evil, url="javascript:alert(2)", excerpt=evil)),
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
    assert "{{" not in (await first.text()).split("<script", 1)[0]


# --- what is kept ---------------------------------------------------------------------------------------


async def test_reload_keeps_the_conversation(chat):
    await chat.told("First **answer**")
    first = await chat.ask("And then?")
    first.start("Sec")
    await expect(chat.answer).to_contain_text("Sec")
    await chat.page.reload()
    await asyncio.wait_for(first.left.wait(), 5)
    await expect(chat.page.locator(".answer").first.locator("strong")).to_have_text("answer")
    await expect(chat.page.locator(".question")).to_have_text(["You: Hello?", "You: And then?"])
    await expect(chat.answer).to_contain_text("The page was left before the answer ended.")
    await expect(chat.answer).to_contain_text("Sec")
    asked = await chat.ask("Go on")
    assert [message["content"] for message in asked.body["messages"]] == [
        "Hello?",
        "First **answer**",
        "And then?",
        "Sec",
        "Go on",
    ]
    assert asked.body["conversation_id"] == first.body["conversation_id"]
    asked.end()
    await chat.settled()


async def test_a_new_chat_begins_and_the_one_before_can_be_had_back(chat):
    await chat.told("Kept")
    await chat.page.get_by_role("button", name="New chat").click()
    await expect(chat.page.locator(".turn")).to_have_count(0)
    await expect(chat.prompt).to_be_focused()
    await chat.page.reload()
    await chat.page.get_by_role("button", name="Back to the previous chat").click()
    await expect(chat.answer).to_contain_text("Kept")


async def test_a_new_chat_stops_the_answer_that_comes(chat):
    asked = await chat.ask()
    asked.start("Long ")
    await expect(chat.answer).to_contain_text("Long")
    await chat.page.get_by_role("button", name="New chat").click()
    await asyncio.wait_for(asked.left.wait(), 5)
    await chat.told("Fresh")
    await expect(chat.page.locator(".answer")).to_have_count(1)


async def test_what_is_kept_is_bounded(chat):
    for _ in range(3):
        await chat.told("word " * 120_000)
    kept = await chat.page.evaluate("localStorage.getItem('llmstream.chat')")
    assert len(kept) <= 1_500_000
    assert [turn["role"] for turn in json.loads(kept)["turns"]] == ["user", "assistant"] * 2


@pytest.mark.parametrize(
    "kept", ["{", "[]", '{"id": 1, "turns": 3}', '{"id": "x", "turns": [{"role": "alien"}, null]}']
)
async def test_a_spoilt_store_is_left_aside(chat, kept):
    await chat.page.evaluate("text => localStorage.setItem('llmstream.chat', text)", kept)
    await chat.page.goto("about:blank")
    await chat.open()
    await chat.told("Works")
    await expect(chat.answer).to_contain_text("Works")


async def test_models_are_picked_and_remembered(chat):
    await chat.page.get_by_label("Model").select_option("large")
    await chat.page.reload()
    await expect(chat.page.get_by_label("Model")).to_have_value("large")
    asked = await chat.ask()
    assert asked.body["model"] == "large"
    asked.end()


async def test_without_a_list_of_models_there_is_no_picker(browser):
    async with PageServer().running() as server:
        page = await browser.new_page()
        await page.goto(server.url)
        await page.get_by_label("Message").fill("Hi")
        await page.get_by_label("Message").press("Enter")
        asked = await server.asked()
        assert "model" not in asked.body
        await expect(page.get_by_label("Model")).to_be_hidden()
        asked.end()
        await page.close()


# --- reach ----------------------------------------------------------------------------------------------


async def test_keyboard_alone(chat):
    keys = chat.page.keyboard
    await expect(chat.prompt).to_be_focused()
    await keys.type("one")
    await keys.press("Shift+Enter")
    await keys.type("two")
    await keys.press("Enter")
    asked = await chat.server.asked()
    assert asked.body["messages"][0]["content"] == "one\ntwo"
    asked.start("Text [link](https://example.org) ")
    await expect(chat.answer.get_by_role("link")).to_be_visible()
    await keys.press("Escape")
    await asyncio.wait_for(asked.left.wait(), 5)
    await chat.settled()
    reached = []
    for _ in range(12):
        await keys.press("Shift+Tab")
        reached.append(
            await chat.page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.textContent")
        )
        if reached[-1] == "Retry":
            await keys.press("Enter")
            break
    assert reached[-1] == "Retry"
    (await chat.server.asked()).end("Again")
    await expect(chat.prompt).to_be_focused()
    await chat.settled()


async def test_a_screen_reader_hears_paragraphs_not_tokens(chat):
    await chat.page.evaluate(
        """() => { window.heard = []; new MutationObserver((all) => {
             for (const {addedNodes} of all) for (const node of addedNodes) heard.push(node.textContent);
           }).observe(document.querySelector('[aria-live=polite]'), { childList: true }); }"""
    )
    text = "A first paragraph.\n\n```python\nx = 1\ny = 2\n```\n\nThe end."
    await chat.told(retry(0.0), *text)
    assert await chat.page.evaluate("heard") == [
        "Waiting for the answer",
        "Rate limited, asking again \u2026",
        "A first paragraph.",
        "Code, python, 2 lines",
        "The end.",
        "Answer complete.",
    ]


NAMELESS = """() => [...document.querySelectorAll('button, a, input, select, textarea, [tabindex]')].filter((node) =>
  !(node.ariaLabel || node.textContent.trim() || node.labels?.length)).map((node) => node.outerHTML)"""
CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (c) => c.slice(0, 3).map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const behind = (node) => { for (let at = node; at; at = at.parentElement) {
    const c = rgb(getComputedStyle(at).backgroundColor); if (c.length < 4 || c[3] > 0) return c; }
    return [255, 255, 255]; };
  const low = [];
  for (const node of document.querySelectorAll('body *')) {
    const words = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!words || !node.checkVisibility() || node.closest('.unseen, button:disabled')) continue;
    const [a, b] = [light(rgb(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) low.push(`${node.outerHTML.slice(0, 80)} ${(a + 0.05) / (b + 0.05)}`);
  }
  return low;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_names_and_contrast(open_chat, scheme):
    chat = await open_chat(color_scheme=scheme)
    source = StreamEvent(EventType.SOURCE, source=Source(title="S", url="https://example.org/"))
    await chat.told(reasoning_delta("hm"), MARKDOWN, " see [1]", source)
    asked = await chat.ask()
    asked.start("Half", error(ErrorInfo("server")))
    await chat.settled()
    await chat.page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    assert await chat.page.evaluate(NAMELESS) == []
    assert await chat.page.evaluate(CONTRAST) == []
    background = await chat.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(25, 25, 23)") == (scheme == "dark")


async def test_a_phone_needs_no_sideways_scrolling(open_chat):
    chat = await open_chat(viewport={"width": 320, "height": 640}, is_mobile=True, has_touch=True)
    wide = "| " + " | ".join(f"column {n}" for n in range(12)) + " |\n" + "|-" * 12 + "|\n"
    await chat.told(f"{'w' * 400}\n\n{wide}\n```\n{'c' * 300}\n```\n\n[l](https://example.org/{'p' * 300})")
    asked = await chat.ask("q" * 300)
    asked.say(retry(9))
    await expect(chat.answer).to_contain_text("retrying")
    widths = "[document.documentElement.scrollWidth, document.getElementById('scroller').scrollWidth]"
    assert max(await chat.page.evaluate(widths)) <= 320
    small = "all => all.filter(b => b.offsetParent && b.offsetHeight < 24).map(b => b.outerHTML)"
    assert await chat.page.locator("button").evaluate_all(small) == []
    asked.end()


async def test_motion_is_reduced_where_that_is_asked_for(open_chat):
    chat = await open_chat(reduced_motion="reduce")
    asked = await chat.ask()
    asked.say(retry(9))
    await expect(chat.answer).to_contain_text("retrying")
    assert await chat.page.evaluate("document.getAnimations().length") == 0
    asked.end()


async def test_reading_above_is_not_interrupted(chat):
    asked = await chat.ask()
    asked.start(*(f"Line {n}\n\n" for n in range(80)))
    await expect(chat.answer).to_contain_text("Line 79")
    await chat.page.mouse.move(400, 300)
    await chat.page.mouse.wheel(0, -600)
    button = chat.page.get_by_role("button", name="Jump to the end")
    await expect(button).to_be_visible()
    place = await chat.page.evaluate("document.getElementById('scroller').scrollTop")
    asked.say(*(f"More {n}\n\n" for n in range(40)))
    await expect(chat.answer).to_contain_text("More 39")
    assert abs(await chat.page.evaluate("document.getElementById('scroller').scrollTop") - place) < 5
    await button.click()
    await expect(chat.answer.get_by_text("More 39")).to_be_in_viewport()
    asked.end()
    await chat.settled()


# --- much -----------------------------------------------------------------------------------------------

WATCH = """() => {
  window.frames_seen = 0; window.blocked = [];
  const tick = () => { window.frames_seen += 1; requestAnimationFrame(tick); };
  tick();
  new PerformanceObserver((list) => blocked.push(...list.getEntries().map((entry) => 50 + entry.blockingDuration)))
    .observe({ type: 'long-animation-frame' });
}"""


def tokens():
    """Text as models write it, in pieces of a few characters."""
    paragraph = ["The", "quick", "**brown", "fox**", "jumps", "over", "`it`", "and", "[goes](https://example.org/x)."]
    for number in itertools.count():
        yield f"## Part {number}\n\n"
        yield from (f"{word} " for word in paragraph * 4)
        yield "\n\n"
        yield from itertools.chain.from_iterable(["1. ", *(f"{word} " for word in paragraph), "\n"] for _ in range(5))
        yield "\n```python\n"
        yield from ["def", " f", "(x", "):", " return", " x", "\n"] * 20
        yield "```\n\n| a | b |\n|---|---|\n"
        yield from ["| one ", "| two |\n"] * 6
        yield "\n"


async def test_100_000_tokens_without_a_frame_over_200_ms(chat):
    """A frame's work is what the page holds the browser up for; that the machine is busy is not its doing."""
    await chat.page.evaluate(WATCH)
    asked = await chat.ask()
    asked.start()
    text = list(itertools.islice(tokens(), 100_000))
    for at in range(0, len(text), 100):
        asked.say(*text[at : at + 100])
        await asyncio.sleep(0.001)
    whole = Message("assistant", [TextPart("".join(text))])
    asked.say(StreamEvent(EventType.MESSAGE_COMPLETE, message=whole, finish_reason=FinishReason.STOP))
    await chat.page.locator(".answer:not([aria-busy]) .meta").wait_for(state="attached", timeout=90_000)
    seen, blocked = await chat.page.evaluate("[frames_seen, blocked]")
    print(f"{seen} frames, {len(blocked)} over 50 ms, the longest {max(blocked, default=0):.0f} ms")
    assert max(blocked, default=0) < 200
    assert seen > 60
    shown = await chat.answer.locator("h3").count()
    assert shown == sum(piece.startswith("## ") for piece in text)
