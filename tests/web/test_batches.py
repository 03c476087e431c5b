"""Events that come together leave in one write, over HTTP."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import LLMClient
from llmstream.errors import ErrorInfo
from llmstream.events.flow import Batched
from llmstream.events.types import EventType, Start, Status, StreamEvent, error, text_delta
from llmstream.messages import FinishReason
from llmstream.testing import FaultServer
from llmstream.web import AbortedError, EventStreamResponse, Form, create_app
from llmstream.web.native_encoders import outgoing
from tests.patience import PATIENCE
from tests.web.serving import Client, serving
from tests.web.test_leaving import flowing, stalling

START = StreamEvent(EventType.MESSAGE_START, start=Start("a", "m"))
DONE = StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP)
FAILED = error(ErrorInfo("server", "no more"))
QUIET = StreamEvent(EventType.STATUS, status=Status("progress", "half"))
A, B, C = map(text_delta, "abc")
SCOPE = {"type": "http", "method": "GET", "headers": [], "path": "/"}


class Served:
    """What a server was given to send, and whether the events were closed."""

    def __init__(self, batches, form=Form.SSE):
        self.sent = []
        self.closed = False
        self.batches, self.form = batches, form

    async def _come(self):
        try:
            for batch in self.batches:
                yield batch
        finally:
            self.closed = True

    async def run(self, *, one_by_one=False):
        async def receive():
            return await asyncio.get_running_loop().create_future()

        async def send(message):
            if isinstance(message.get("body"), memoryview):
                raise ValueError("cut")
            self.sent.append(message)

        async def singly():
            async for event in Batched(self._come()):
                yield event

        events = singly() if one_by_one else Batched(self._come())
        await EventStreamResponse(events, outgoing(self.form), request_id="r")(SCOPE, receive, send)
        return self

    @property
    def bodies(self):
        return [message["body"] for message in self.sent if message["type"].endswith("body")]


async def test_a_read_is_a_write_and_the_start_leaves_with_its_piece():
    served = await Served([(START, A), (B, C), (QUIET, DONE)]).run()
    assert [body.count(b"data: ") for body in served.bodies] == [2, 2, 2, 0]
    assert served.closed


@given(
    st.lists(st.lists(st.sampled_from([A, B, C, QUIET]), min_size=1), max_size=4),
    st.sampled_from([DONE, FAILED, None]),
    st.sampled_from([Form.SSE, Form.NDJSON]),
)
def test_the_bytes_are_those_of_the_events_one_by_one(batches, last, form):
    batches = [[START, *each] if at == 0 else each for at, each in enumerate(batches or [[]])]
    if last is not None:
        batches[-1].append(last)

    async def both():
        singly = await Served(batches, form).run(one_by_one=True)
        return singly, await Served(batches, form).run()

    singly, together = asyncio.run(both())
    assert b"".join(together.bodies) == b"".join(singly.bodies)
    assert together.sent[0] == singly.sent[0]
    assert together.closed


async def test_what_came_before_a_cut_is_sent():
    served = Served([(START, A, FAILED)], Form.TEXT)
    with pytest.raises(AbortedError):
        await served.run()
    assert b"".join(served.bodies) == b"a"
    assert served.closed


async def test_a_failure_without_a_word_before_it_is_a_status():
    served = await Served([(FAILED,)]).run()
    assert served.sent[0]["status"] == 502
    assert served.closed


async def test_nothing_after_the_end_is_sent():
    served = await Served([(START, A, DONE, B), (C,)]).run()
    assert served.bodies == (await Served([(START, A, DONE)]).run()).bodies


@pytest.mark.parametrize("transport", ["httpx2", "aiohttp"])
@pytest.mark.parametrize("play", [flowing, stalling])
async def test_a_client_that_leaves_a_gateway_closes_the_provider(play, transport):
    asked = {"model": "openai:m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    body = json.dumps(asked).encode()
    async with (
        FaultServer(play) as upstream,
        LLMClient(
            "openai:m", api_key="k", base_url=upstream.url("openai"), transport=transport
        ) as llm,
        serving(create_app(llm)) as port,
    ):
        for leave in (Client.leave, lambda client: client.writer.close()):
            client = await Client.ask(
                port, "/v1/chat/completions", "POST", body, content_type="application/json"
            )
            assert await client.head() == 200
            assert b'"role"' in await client.chunk()
            assert upstream.playing == 1
            leave(client)
            await upstream.idle(PATIENCE)
