"""`GET /metrics`: what it counts, who may read it, and that no client makes a series."""

from __future__ import annotations

import asyncio

import pytest

from llmstream import LLMClient
from llmstream.errors import ConfigurationError, ErrorInfo
from llmstream.messages import Usage
from llmstream.testing import ScriptedProvider
from llmstream.web import Access, Metrics, create_app
from llmstream.web.keys import hash_line
from tests.patience import PATIENCE
from tests.web.serving import Client, fetch, serving
from tests.web.test_app import app_with, post
from tests.web.test_key_limits import Held
from tests.web.test_log import uvicorn

pytest.importorskip("prometheus_client")

KEY, READER = "llmstream-canary-metric", "llmstream-canary-reader"
HOLDER = {"x_api_key": KEY}
READERS = {"x_api_key": READER}
ACCESS = Access(
    keys=[hash_line("ann", KEY), hash_line("prometheus", READER)], metrics=["prometheus"]
)
FAILED = ErrorInfo("overloaded", "busy", retryable=False, status_code=503, provider="scripted")


async def scrape(port: int) -> dict[str, float]:
    """The samples of the page."""
    status, headers, page = await fetch(port, "/metrics", **READERS)
    assert (status, headers["content-type"].partition(";")[0]) == (200, "text/plain")
    lines = [line for line in page.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


async def test_requests_tokens_times_and_errors_are_counted() -> None:
    app, _ = app_with(
        ["Hi", Usage(12, 3)], ["Hi", Usage(1, 2)], [FAILED], ["half", FAILED], access=ACCESS
    )
    message = {"model": "scripted:script", "messages": [{"role": "user", "content": "hi"}]}
    async with serving(app) as port:
        await post(port, "/chat", {"prompt": "hi"}, **HOLDER)
        for _ in range(2):
            await post(port, "/v1/chat/completions", message, **HOLDER)
        await post(port, "/chat", {"prompt": "hi", "stream": True}, **HOLDER)
        await post(port, "/chat", {"prompt": "hi"})
        await post(port, "/chat", b"{", **HOLDER)
        found = await scrape(port)
    model = 'model="scripted:script"'
    counted = {name: value for name, value in found.items() if "_requests_total" in name}
    assert counted == {
        f'llmstream_requests_total{{api="native",{model},status="200"}}': 2,
        f'llmstream_requests_total{{api="openai-chat",{model},status="200"}}': 1,
        f'llmstream_requests_total{{api="openai-chat",{model},status="503"}}': 1,
        'llmstream_requests_total{api="native",model="none",status="401"}': 1,
        'llmstream_requests_total{api="native",model="none",status="400"}': 1,
    }
    # The answer that was cut is among them: 5 in and 1 out, by an estimate.
    assert found[f'llmstream_tokens_total{{kind="input",{model}}}'] == 18
    assert found[f'llmstream_tokens_total{{kind="output",{model}}}'] == 6
    assert found[f"llmstream_first_piece_seconds_count{{{model}}}"] == 3
    assert found[f'llmstream_upstream_errors_total{{kind="overloaded",{model}}}'] == 2
    assert (
        found['llmstream_streams{api="native"}']
        == found['llmstream_streams{api="openai-chat"}']
        == 0
    )


async def test_streams_are_seen_while_they_run_and_gone_when_their_client_is() -> None:
    app = create_app(LLMClient("m", provider=Held()), access=ACCESS)
    async with serving(app) as port:
        body = b'{"prompt": "hi", "stream": true}'
        streams = [await Client.ask(port, "/chat", "POST", body, **HOLDER) for _ in range(3)]
        for each in streams:
            await each.head()
        assert (await scrape(port))['llmstream_streams{api="native"}'] == 3
        for each in streams:
            each.leave()
        async with asyncio.timeout(PATIENCE):
            while (await scrape(port))['llmstream_streams{api="native"}']:
                await asyncio.sleep(0.01)


async def test_its_readers_alone_may_read_it() -> None:
    app, _ = app_with(access=ACCESS)
    async with serving(app) as port:
        for headers, status in (
            (READERS, 200),
            (HOLDER, 403),
            ({}, 401),
            ({"x_api_key": "x" * 20}, 401),
        ):
            assert (await fetch(port, "/metrics", **headers))[0] == status
            assert (await fetch(port, "/metrics/", **headers))[0] == status
        assert (await post(port, "/metrics", {}, **READERS))[0] == 405
    without, _ = app_with(access=Access(keys=[KEY]))
    async with serving(without) as port:
        assert (await fetch(port, "/metrics", **HOLDER))[0] == 404


async def test_no_client_makes_a_series() -> None:
    """By a model, a path, a method, a header, an id or a name that it makes up."""
    app, _ = app_with(*[["ok"]] * 20, access=ACCESS)
    async with serving(app) as port:
        await post(port, "/chat", {"prompt": "hi"}, **HOLDER)
        await post(port, "/chat", {"prompt": "hi", "model": "x"}, **HOLDER)
        await fetch(port, "/nowhere", **HOLDER)
        await fetch(port, "/v1/models/x", **HOLDER)
        await fetch(port, "/nowhere", "BREW", **HOLDER)
        await scrape(port)
        before = {*await scrape(port)}
        for number in range(10):
            odd = f"m{number}"
            await post(port, "/chat", {"prompt": "hi", "model": odd}, **HOLDER)
            await fetch(port, f"/{odd}", **HOLDER)
            await fetch(port, f"/v1/models/{odd}", **HOLDER)
            await fetch(port, "/nowhere", f"BREW{number}", **HOLDER)
            await post(port, "/chat", {"prompt": "hi"}, x_request_id=odd, user_agent=odd, **HOLDER)
        assert {*await scrape(port)} == before


async def test_two_apps_of_a_process_count_each_for_itself() -> None:
    apps = [app_with(["ok"], access=ACCESS)[0] for _ in range(2)]
    async with serving(apps[0]) as one, serving(apps[1]) as other:
        await post(one, "/chat", {"prompt": "hi"}, **HOLDER)
        assert any("native" in name for name in await scrape(one))
        assert not any("native" in name for name in await scrape(other))


async def test_a_registry_of_ones_own_is_filled_without_a_page() -> None:
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry()
    app, _ = app_with(["ok"], observers=[Metrics(registry)])
    async with serving(app) as port:
        await post(port, "/chat", {"prompt": "hi"})
        assert (await fetch(port, "/metrics"))[0] == 404
    labels = {"api": "native", "model": "scripted:script", "status": "200"}
    assert registry.get_sample_value("llmstream_requests_total", labels) == 1


@pytest.mark.parametrize("wrong", ["prometheus", [""], [" "], [1], 5])
def test_readers_that_can_t_be_are_refused(wrong) -> None:
    with pytest.raises(ConfigurationError, match="metrics must be a list"):
        Access(keys=[KEY], metrics=wrong)
    with pytest.raises(ConfigurationError, match="metrics is about the holders of keys"):
        Access(metrics=["prometheus"])


PLAIN = f"""
import sys

from llmstream import LLMClient
from llmstream.web import Access, create_app

assert "prometheus_client" not in sys.modules
access = Access(keys=[{hash_line("ann", READER)!r}], metrics=["ann"])
app = create_app(LLMClient("simulator"), access=access)
"""


@pytest.mark.slow
async def test_it_is_there_under_plain_uvicorn(tmp_path) -> None:
    async with uvicorn(tmp_path, source=PLAIN) as program:
        assert (await post(program.port, "/chat", {"prompt": "hi"}, **READERS))[0] == 200
        found = await scrape(program.port)
    assert found['llmstream_tokens_total{kind="output",model="simulator:echo"}'] > 0


def test_without_the_extra_it_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "prometheus_client", None)
    with pytest.raises(ConfigurationError, match=r"llmstream-core\[metrics\]"):
        create_app(LLMClient(provider=ScriptedProvider()), access=ACCESS)
