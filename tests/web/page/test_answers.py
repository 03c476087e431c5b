"""The page shows an answer as it comes: text, reasoning, tools, citations, files."""

from __future__ import annotations

import pytest

from llmstream import EventType, StreamEvent
from llmstream.events.types import Status, ToolCallDelta, reasoning_delta
from llmstream.messages import (
    File,
    FinishReason,
    Message,
    Source,
    TextPart,
    ToolCall,
    ToolResult,
    Usage,
)

expect = pytest.importorskip(
    "playwright.async_api", reason="the page is tested with playwright"
).expect
pytestmark = pytest.mark.asyncio(loop_scope="module")


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


async def test_reasoning_and_tools_are_folded(chat):
    asked = await chat.ask()
    asked.start(reasoning_delta("Let me "), reasoning_delta("think."))
    await expect(chat.answer.locator("summary")).to_have_text("Thinking")
    call = ToolCall("c1", "weather", '{"city": "Oslo"}')
    asked.say(
        StreamEvent(
            EventType.TOOL_CALL_DELTA, tool_call_delta=ToolCallDelta(0, "c1", "weather", '{"city"')
        )
    )
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
        text,
        source("Cats", "https://cats.example/", start=2, end=12),
        source("Dogs", "javascript:alert(1)"),
    )
    cited = chat.answer.locator(".cite")
    assert await cited.all_text_contents() == ["1", "2"]
    assert await cited.first.get_attribute("href") == "https://cats.example/"
    assert (
        await chat.answer.locator("p").first.text_content() == "\U0001f600 Cats purr.1 Dogs bark 2."
    )
    assert await chat.answer.get_by_role("link").all_text_contents() == ["1", "Cats"]
    await expect(chat.answer.locator(".sources li")).to_have_count(2)
    await expect(chat.answer.locator("code")).to_have_text("[1]")


async def test_only_the_cited_words_are_marked_where_others_are_the_same(chat):
    def source(end):
        return StreamEvent(
            EventType.SOURCE, source=Source(title="S", url="https://s.example/", end=end)
        )

    text = "Yes.\r\n\r\n- Yes.\n- Yes.\n\n| a |\n|--|\n| Yes. |\n| Yes. |\n\n\ue0001\ue001 Yes."
    places = [text.index("Yes.", at) + 4 for at in (5, 16, 38)]
    await chat.told(text, *(source(end) for end in (*places, len(text))))
    said = await chat.answer.locator("p, td").all_text_contents()
    assert said == ["Yes.", "Yes.1", "Yes.2", "Yes.", "Yes.3", "\ufffd1\ufffd Yes.4"]


async def test_a_table_that_grows_stays_one_and_where_it_was_scrolled_to(chat):
    asked = await chat.ask()
    wide = ["| " + f"{word} | " * 20 + "\n" for word in ("column", "-", "a long cell")]
    asked.start(*wide)
    table = chat.answer.locator(".table")
    await table.locator("td").first.wait_for()
    await table.evaluate("node => { node.scrollLeft = 200; node.dataset.same = 'yes'; }")
    asked.say("| mo")
    await expect(table.locator("td").nth(20)).to_have_text("mo")
    asked.end("re |\n", *(f"| row {n} | **x** |\n" for n in range(10)))
    await chat.settled()
    await expect(table).to_have_count(1)
    assert await table.evaluate("node => [node.scrollLeft, node.dataset.same]") == [200, "yes"]
    await expect(table.locator("tbody tr")).to_have_count(12)
    await expect(table.locator("td").nth(20)).to_have_text("more")


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
