"""The reader of chunked bodies gives what h11's own gives, only in fewer pieces."""

from __future__ import annotations

from typing import Any

import h11
import h11._readers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmstream import LLMClient, RetryPolicy
from llmstream.providers.config import TRANSPORTS
from llmstream.providers.http.internals import httpx2_pool
from llmstream.providers.http.internals.chunked_reader import ChunkedReader
from llmstream.testing import FaultServer, Reply

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
MOST = 50

contents = st.binary(min_size=1, max_size=200)
extensions = st.sampled_from([b"", b"", b"", b"", b";a=1", b" "])
sizes = st.sampled_from([b"%x", b"%x", b"%X", b"00%x"])
plain = st.builds(
    lambda data, size, more: size % len(data) + more + b"\r\n" + data + b"\r\n",
    contents,
    sizes,
    extensions,
)
odd = st.sampled_from(
    [
        b"0\r\n\r\n",
        b"0\r\nx: y\r\n\r\n",
        b"-5\r\nhello\r\n",
        b"zz\r\n",
        b"\r\n",
        b"5\r\nhello!\r\n",
        b"3\r\nabcX",
        b"0x3\r\nabc\r\n",
    ]
)
bodies = st.builds(
    lambda chunks, end: b"".join(chunks) + end,
    st.lists(plain | plain | plain | odd, max_size=8),
    st.binary(max_size=5),
)


def play(body: bytes, cuts: list[int], *, ours: bool, close: bool) -> tuple[bytes, str, bytes, int]:
    """What a client reads of `body`: the content, how it ends, what is left over, and in how many pieces."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(HEAD)
    connection.next_event()
    state: Any = connection
    assert isinstance(state._reader, h11._readers.ChunkedReader)
    if ours:
        state._reader = ChunkedReader(state._reader, MOST)
    content, pieces = b"", 0
    places = sorted({cut % (len(body) + 1) for cut in cuts})
    parts = [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True) if a < b]
    for data in [*parts, *([b""] if close else [])]:
        connection.receive_data(data)
        while True:
            try:
                event = connection.next_event()
            except h11.RemoteProtocolError:
                return content, "error", b"", pieces
            if isinstance(event, h11.Data):
                content += event.data
                pieces += 1
            elif isinstance(event, h11.EndOfMessage):
                left = (
                    body[:0]
                    if not connection.trailing_data[0]
                    else bytes(connection.trailing_data[0])
                )
                return content, f"end {list(event.headers)}", left, pieces
            else:
                break
    return content, "more", b"", pieces


@given(bodies, st.lists(st.integers(0, 2000), max_size=12), st.booleans())
@example(b"5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200", [3], False)
@example(b"5\r\nhello\r", [], True)
def test_the_same_as_h11_s_own(body: bytes, cuts: list[int], close: bool) -> None:  # noqa: FBT001  # hypothesis gives it
    ours, theirs = (play(body, cuts, ours=which, close=close) for which in (True, False))
    assert ours[:3] == theirs[:3]
    assert ours[3] <= theirs[3]


def test_all_chunks_of_a_read_come_at_once_up_to_the_limit() -> None:
    body = b"a\r\n0123456789\r\n" * 9
    assert play(body, [], ours=True, close=False) == (b"0123456789" * 9, "more", b"", 3)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_what_came_before_broken_framing_is_kept_after_early_hints_too(
    transport: str,
) -> None:
    """All in one read: each head is taken apart from what follows it."""

    async def broken(reply: Reply) -> None:
        frames = b"".join(reply.script("Hello")[:2])
        hints = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 2
        head = HEAD.replace(b"\r\n", b"\r\ncontent-type: text/event-stream\r\n", 1)
        await reply.raw(hints + head + b"%x\r\n%s\r\nzz\r\n" % (len(frames), frames))

    async with FaultServer(broken) as server:
        url, once = server.url("openai"), RetryPolicy(max_attempts=1)
        async with LLMClient(
            "openai:m", api_key="k", base_url=url, transport=transport, retry=once
        ) as client:
            event = [
                event async for event in client.chat_completion([{"role": "user", "content": "hi"}])
            ][-1]
    assert event.error_info.kind == "truncated"
    assert event.error_info.partial.text == "Hello"


async def test_it_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """h11 and httpcore2 may change inside; then this fails, and answers only cost more."""
    seen: list[object] = []
    read_ahead = httpx2_pool.read_ahead

    def watch(connection: Any) -> None:
        read_ahead(connection)
        seen.append(httpx2_pool.speaker(connection)._h11_state._reader)

    monkeypatch.setattr(httpx2_pool, "read_ahead", watch)
    async with FaultServer("ok") as server:
        client = LLMClient(
            "openai:m", api_key="k", base_url=server.url("openai"), transport="httpx2"
        )
        assert (await client.complete([{"role": "user", "content": "hi"}])).text
        await client.aclose()
    assert [type(reader) for reader in seen] == [ChunkedReader]
