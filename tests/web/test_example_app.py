"""The endpoints of the example that is a chat page in FastAPI."""

from __future__ import annotations

import json

import pytest

from llmstream import EventType
from tests.web.example_app import load_example
from tests.web.serving import events_of, fetch, serving

MULTIPART = b'--x\r\ncontent-disposition: form-data; name="prompt"\r\n\r\nhi %s\r\n--x--\r\n'


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("application/x-www-form-urlencoded", b"prompt=hi+%s"),
        ("multipart/form-data; boundary=x", MULTIPART),
    ],
)
async def test_completion_takes_a_form_and_streams(kind, form) -> None:
    async with serving(load_example().app) as port:
        body = form % b"hippopotamus"
        status, headers, data = await fetch(port, "/completion", "POST", body, content_type=kind)
        assert (status, headers["content-type"]) == (200, "text/event-stream")
        events = events_of(data)
        assert events[-1].type is EventType.MESSAGE_COMPLETE
        assert sum(event.type is EventType.TEXT_DELTA for event in events) > 1
        assert "hippopotamus" in "".join(event.text for event in events)


@pytest.mark.parametrize(
    ("body", "status"), [(b"prompt=%20", 400), (b"prompt=", 422), (b"question=hi", 422)]
)
async def test_a_form_without_a_prompt_is_refused(body, status) -> None:
    async with serving(load_example().app) as port:
        answer = await fetch(
            port, "/completion", "POST", body, content_type="application/x-www-form-urlencoded"
        )
        assert answer[0] == status


async def test_prompt_data_gives_back_what_was_sent() -> None:
    async with serving(load_example().app) as port:

        async def ask(value):
            body = json.dumps({"prompt": value}).encode()
            return await fetch(port, "/prompt_data", "POST", body, content_type="application/json")

        status, _, data = await ask("hi")
        assert (status, json.loads(data)) == (200, {"prompt": "hi"})
        assert (await ask(1))[0] == 422


async def test_stream_example_streams_its_tokens() -> None:
    example = load_example()
    async with serving(example.app) as port:
        status, headers, data = await fetch(port, "/stream-example", accept="text/event-stream")
    assert (status, headers["content-type"]) == (200, "text/event-stream")
    expected = [event.text async for event in example.stream_tokens()]
    assert [event.text for event in events_of(data)][-len(expected) :] == expected
    assert len(expected) > 5
