"""When it doesn't go well: what is said, what is kept, what can be done."""

from __future__ import annotations

import asyncio
import json

import pytest
from starlette.responses import HTMLResponse, JSONResponse

from llmstream import ErrorInfo, EventType, Source, StreamEvent
from llmstream.events.types import Status, error
from tests.web.page.chat import retry

expect = pytest.importorskip(
    "playwright.async_api", reason="the page is tested with playwright"
).expect
pytestmark = pytest.mark.asyncio(loop_scope="module")


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
    asked.start(
        "Kept of round one.", source("Kept"), StreamEvent(EventType.STATUS, status=Status("step"))
    )
    asked.start("wrong ", source("Wrong"))
    await expect(chat.answer).to_contain_text("wrong")
    asked.say(retry(0.0, discard=True))
    await expect(chat.answer).not_to_contain_text("wrong")
    asked.start("right and")
    asked.say(retry(0.0, discard=False))
    asked.start(" seamless", model="other")
    asked.end()
    await chat.settled()
    assert await chat.answer.locator("p").all_text_contents() == [
        "Kept of round one.",
        "right and seamless",
    ]
    await expect(chat.answer.locator(".sources li")).to_have_text(["1Kept"])


def source(title):
    return StreamEvent(EventType.SOURCE, source=Source(title=title))


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
        (
            ErrorInfo("rate_limit", retry_after=7),
            "Too many requests just now. Please try again later. Retry in 7 s.",
        ),
        (
            ErrorInfo("context_length"),
            "The conversation is too long for this model. Start a new chat",
        ),
        (ErrorInfo("server"), "The model's provider failed. You can retry."),
        (
            ErrorInfo("quota"),
            "what it may ask of the model's provider. Choose another model, or ask whoever runs",
        ),
        (
            ErrorInfo("rate_limit", retryable=False),
            "Please try again later. Choose another model, or ask whoever runs",
        ),
    ],
)
@pytest.mark.parametrize("begun", [True, False])
async def test_a_refusal_is_told(chat, info, said, begun):
    asked = await chat.ask()
    if begun:
        asked.start("Half")
    asked.say(error(info))
    await expect(chat.answer.get_by_role("alert")).to_contain_text(said)


async def test_a_stream_without_its_end_and_a_server_that_is_gone(chat):
    asked = await chat.ask()
    asked.start("Half")
    asked.events.put_nowait(None)
    await expect(chat.answer.get_by_role("alert")).to_contain_text("cut before its end")
    await chat.page.route("**/chat", lambda route: route.abort())
    await chat.retry.click()
    await expect(chat.answer.get_by_role("alert")).to_contain_text(
        "See that it is running, then retry."
    )


async def test_an_answer_is_not_given_away_for_one_that_does_not_come(chat):
    await chat.told("A good answer.")
    await chat.retry.click()
    asked = await chat.server.asked()
    asked.say(error(ErrorInfo("rate_limit")))
    await expect(chat.answer).to_contain_text("Too many requests just now.")
    await expect(chat.answer.locator(".md")).to_have_text("A good answer.")
    await expect(chat.answer).not_to_contain_text("incomplete")
    await chat.retry.click()
    await chat.server.asked()
    await chat.page.reload()
    await expect(chat.answer.locator(".md")).to_have_text("A good answer.")
    await chat.retry.click()
    (await chat.server.asked()).end("A better one.")
    await chat.settled()
    await expect(chat.page.locator(".answer .md")).to_have_text("A better one.")
    assert [turn["role"] for turn in await chat.page.evaluate(KEPT_TURNS)] == ["user", "assistant"]


KEPT_TURNS = "JSON.parse(localStorage['llmstream.chat.' + sessionStorage['llmstream.open']]).turns"


async def test_a_page_in_place_of_an_answer_is_told(chat):
    asked = await chat.ask()
    asked.refuse(HTMLResponse("<p>Log in first</p>"))
    await expect(chat.answer.get_by_role("alert")).to_contain_text(
        "a login or a proxy may stand between"
    )


async def test_a_server_that_was_started_anew_says_what_models_it_has(chat):
    chat.server.models = ("other",)
    asked = await chat.ask()
    asked.refuse(JSONResponse({"error": "There is no model of this name here"}, 404))
    await expect(chat.answer.get_by_role("alert")).to_contain_text("Choose another model.")
    await expect(chat.page.get_by_label("Model")).to_have_value("other")
    await chat.retry.click()
    asked = await chat.server.asked()
    assert asked.body["model"] == "other"
    asked.end("Here")
    await chat.settled()


async def test_what_went_wrong_before_a_reload_is_no_alert_again(chat):
    asked = await chat.ask()
    asked.start("Half", error(ErrorInfo("overloaded")))
    await expect(chat.answer.get_by_role("alert")).to_have_count(1)
    await chat.page.reload()
    await expect(chat.answer).to_contain_text("What you see above is incomplete.")
    await expect(chat.answer.get_by_role("alert")).to_have_count(0)


async def test_a_server_that_wants_a_key_is_given_one(chat):
    asked = await chat.ask()
    asked.refuse(JSONResponse({"error": "Who are you?", "request_id": "r1"}, 401))
    await expect(chat.page.get_by_label("Access key")).to_be_focused()
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
