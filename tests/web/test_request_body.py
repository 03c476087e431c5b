"""Bodies that would hold up everybody: refused before they are parsed, or read where they hold up nobody."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import websockets

from llmstream.web import Limits
from llmstream.web.request_body import LARGE, SMALL, run_aside
from tests import loop_gaps
from tests.patience import PATIENCE
from tests.web.heavy_bodies import ASKING, PIXEL, calls, image, marks_of, tool, turns
from tests.web.serving import serving
from tests.web.test_app import app_with, post

over_all = pytest.mark.parametrize("path", ASKING)
OWN = {"model": "scripted:script"}


def named(path: str, body: dict) -> dict:
    """The body with a model that is there."""
    return body | OWN if path != "/agui" else body


@over_all
async def test_bodies_of_too_many_values_are_refused_whatever_they_mean(path) -> None:
    ask = ASKING[path]
    most = 2_000
    hostile = [
        named(path, ask("hi", tools=[tool(path, each, {}) for each in range(most)])),
        named(path, ask([{"type": "text", "text": "x"}] * most)),
        named(path, ask("hi")) | {"x": [[]] * most},
        [[]] * most,
        {"a": {str(each): each for each in range(most)}},
    ]
    app, provider = app_with(limits=Limits(max_values=most))
    async with serving(app) as port:
        for body in hostile:
            status, _, answer = await post(port, path, body)
            assert (status, b"2000" in answer) == (413, True), answer
        assert provider.requests == []


@over_all
async def test_a_body_may_have_as_many_values_as_it_may(path) -> None:
    good = named(path, ASKING[path](",:[{" * 1_000))
    values = marks_of(named(path, ASKING[path]("hi")))
    refused = []
    for most in (values, values - 1):
        app, _ = app_with(["yes"], limits=Limits(max_values=most))
        async with serving(app) as port:
            refused.append((await post(port, path, good))[0] == 413)
    assert refused == [False, True]


@over_all
async def test_messages_parts_calls_and_tools_are_bounded(path) -> None:
    ask = ASKING[path]
    limits = Limits(max_messages=10, max_parts=20, max_tools=5)
    heavy = {
        "messages": turns(path, 11),
        "parts of messages": ask([{"type": "text", "text": "x"}] * 21),
        "tools": ask("hi", tools=[tool(path, each, {}) for each in range(6)]),
    }
    if path == "/api/chat":  # its clients have no tools of their own
        del heavy["tools"]
    several = calls(path, 21, "{}")
    app, provider = app_with(*[["yes"]] * 3, limits=limits)
    async with serving(app) as port:
        for what, body in heavy.items():
            status, _, answer = await post(port, path, named(path, body))
            assert (status, what.encode() in answer) == (413, True), answer
        assert (await post(port, path, named(path, several)))[0] == 413
        assert (await post(port, path, named(path, ask([image(path, PIXEL)] * 21))))[0] == 413
        assert provider.requests == []
        for body in (turns(path, 9), ask([{"type": "text", "text": "x"}] * 20)):
            assert (await post(port, path, named(path, body)))[0] == 200


async def test_parts_of_a_kept_conversation_s_next_turn_are_bounded_too() -> None:
    app, provider = app_with(["yes"], limits=Limits(max_parts=20))
    async with serving(app) as port:
        own = json.loads((await post(port, "/api/chat/session", {}))[2])
        for count, expected in ((21, 413), (20, 200)):
            content = [{"type": "text", "text": "x"}] * count
            turn = {**own, "messages": [{"role": "user", "content": content}]}
            assert (await post(port, "/chat", turn))[0] == expected
    assert len(provider.requests) == 1


@over_all
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"x": ' + b"9" * 4_000 + b"}", b"309 digits"),
        (json.dumps(["[]"] * 5).encode("utf-16"), b"not JSON"),
        (b"\xff\xfe[", b"not JSON"),
        (b'"\xed\xa0\x80"', b"not JSON"),
        (b"[" * 50_000, b"not JSON"),
        (b'{"a":' * 50_000, b"not JSON"),
    ],
    ids=["a long number", "UTF-16", "no UTF-8", "half a character", "nested lists", "objects"],
)
async def test_what_is_no_json_that_anybody_sends_is_refused(path, data, said) -> None:
    app, _ = app_with()
    async with serving(app) as port:
        status, _, answer = await post(port, path, data)
    assert (status, said in answer) == (400, True), answer


async def test_a_body_may_begin_with_a_byte_order_mark() -> None:
    app, _ = app_with(["yes"])
    async with serving(app) as port:
        assert (await post(port, "/chat", b'\xef\xbb\xbf{"prompt": "hi"}'))[0] == 200


@pytest.mark.parametrize("size", [SMALL + 1, LARGE + 1])
async def test_the_loop_goes_on_while_a_large_body_is_read(size) -> None:
    """Read in the loop, it would wait for what only the loop does."""
    turn = threading.Event()
    asyncio.get_running_loop().call_later(0.01, turn.set)
    assert await run_aside(size, lambda: turn.wait(PATIENCE))


async def test_a_small_body_is_read_at_once_and_a_middling_one_waits_for_no_large_one() -> None:
    here = threading.current_thread()
    assert await run_aside(SMALL, threading.current_thread) is here
    going_on = threading.Event()
    large = asyncio.create_task(run_aside(LARGE + 1, lambda: going_on.wait(PATIENCE)))
    await asyncio.sleep(0)
    middling = await run_aside(LARGE, threading.current_thread)
    going_on.set()
    assert await large
    assert middling is not here


async def test_names_of_remembered_items_can_t_make_a_request_larger_than_it_may_be() -> None:
    """A name of 50 characters stands for an item of any size."""
    app, provider = app_with(["x" * 5_000], ["yes"], limits=Limits(max_body=20_000))
    async with serving(app) as port:
        _, _, answer = await post(port, "/v1/responses", OWN | {"input": "hi"})
        (item,) = json.loads(answer)["output"]
        name = {"type": "item_reference", "id": item["id"]}
        hello = {"role": "user", "content": "hi"}
        status, _, answer = await post(port, "/v1/responses", OWN | {"input": [name] * 5 + [hello]})
        assert (status, b"20000" in answer) == (413, True), answer
        status, _, _ = await post(port, "/v1/responses", OWN | {"input": [name] * 3 + [hello]})
        assert (status, len(provider.requests)) == (200, 2)


@pytest.mark.parametrize("path", ["/v1/responses", "/api/chat/stream"])
async def test_websockets_refuse_too_many_values_too(path) -> None:
    app, provider = app_with(["yes"], limits=Limits(max_values=1_000))
    async with (
        serving(app) as port,
        websockets.connect(f"ws://127.0.0.1:{port}{path}") as socket,
    ):
        await socket.send(json.dumps({"type": "response.create", "input": [[]] * 1_000}))
        assert "1000" in await asyncio.wait_for(socket.recv(), PATIENCE)
        if path == "/v1/responses":
            await socket.send(json.dumps({"type": "response.create", "input": "hi", **OWN}))
            assert "response.created" in await asyncio.wait_for(socket.recv(), PATIENCE)
    assert len(provider.requests) == (path == "/v1/responses")


@pytest.mark.slow
def test_the_heaviest_bodies_stop_no_stream() -> None:
    """They took 1 to 8 s. The figures are processor time, so a busy machine doesn't count."""
    command = [sys.executable, loop_gaps.__file__, "openai", "/v1/responses", "many"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    gaps = {line: int(line.split(" ms")[0].strip(" !")) for line in done.stdout.splitlines()}
    assert len(gaps) > 8
    assert max(gaps.values()) < 400, done.stdout
