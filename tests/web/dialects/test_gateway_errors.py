"""What clients of a gateway hear when it goes wrong: words that they know, and what they can mend."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.routing import Route

from llmstream import LLMClient, RetryPolicy
from llmstream.testing import VirtualClock
from llmstream.web import Access, create_app
from tests.loopback import Loopback, Reply, Request
from tests.web.serving import Client, fetch, serving

HI = [{"role": "user", "content": "hi"}]
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
KEY = "sk-own-0123456789"
ANTHROPIC_LONG = "prompt is too long: 210000 tokens > 200000 maximum"
OPENAI_LONG = (
    "This model's maximum context length is 200000 tokens. However, your messages resulted in "
    "210000 tokens."
)


def refusing(provider: str, status: int, message: str, **more: Any) -> Loopback:
    """A provider that refuses everything."""
    error = {"type": "invalid_request_error", "message": message, **more}
    body = {"type": "error", "error": error} if provider == "anthropic" else {"error": error}

    async def handler(request: Request, reply: Reply) -> None:
        await reply.whole(status, body)

    return Loopback(handler)


async def ask(
    client_of: str,
    provider: str,
    upstream: Loopback,
    *,
    stream: bool = True,
    attempts: int = 1,
    **options: Any,
) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status, headers and error of what a client of one format hears."""
    async with upstream as server:
        retry = RetryPolicy(max_attempts=attempts, budget=None)
        async with (
            LLMClient(
                f"{provider}:m",
                api_key=KEY,
                base_url=server.url(provider),
                retry=retry,
                clock=VirtualClock(),
            ) as client,
            serving(create_app(client, models={"m": f"{provider}:m"}, **options)) as port,
        ):
            body = {"model": "m", "messages": HI, "max_tokens": 9, "stream": stream}
            status, headers, data = await fetch(
                port,
                PATHS[client_of],
                "POST",
                json.dumps(body).encode(),
                content_type="application/json",
            )
    return status, headers, json.loads(data)["error"]


both = pytest.mark.parametrize("provider", ["openai", "anthropic"])
modes = pytest.mark.parametrize("stream", [True, False])


@modes
@both
async def test_a_context_overflow_is_told_to_each_client_in_words_that_it_knows(provider, stream):
    text = ANTHROPIC_LONG if provider == "anthropic" else OPENAI_LONG
    status, _, error = await ask(
        "anthropic", provider, refusing(provider, 400, text), stream=stream
    )
    assert (status, error["type"]) == (400, "invalid_request_error")
    assert ANTHROPIC_LONG in error["message"]
    status, _, error = await ask("openai", provider, refusing(provider, 400, text), stream=stream)
    assert (status, error["code"]) == (400, "context_length_exceeded")
    assert OPENAI_LONG in error["message"]


@both
async def test_a_refusal_s_code_and_parameter_are_told_if_they_are_on_our_lists(provider):
    upstream = refusing(
        provider, 400, "secret words", code="unsupported_value", param="temperature"
    )
    status, _, error = await ask("openai", provider, upstream)
    assert (status, error["code"], error["param"]) == (400, "unsupported_value", "temperature")
    assert "secret" not in json.dumps(error)
    assert "temperature" in error["message"]


@both
async def test_names_that_are_on_no_list_of_ours_stay_in_the_server(provider):
    upstream = refusing(provider, 400, "secret words", code="acme_internal_7", param="acme_quota")
    status, _, error = await ask("openai", provider, upstream)
    assert (status, error["param"]) == (400, None)
    assert "acme" not in json.dumps(error)


async def test_where_in_a_member_the_mistake_is_stays_in_the_server():
    upstream = refusing(
        "openai", 400, "no", code="invalid_value", param="messages[3].content.secret"
    )
    assert (await ask("openai", "openai", upstream))[2]["param"] == "messages"


MENDABLE = "messages.1.content.0: Invalid `signature` in `thinking` block"


@modes
async def test_anthropic_s_words_reach_anthropic_s_clients_without_keys(stream):
    upstream = refusing("anthropic", 400, f"{MENDABLE} for {KEY}")
    status, _, error = await ask("anthropic", "anthropic", upstream, stream=stream)
    assert (status, error["type"]) == (400, "invalid_request_error")
    assert MENDABLE in error["message"]
    assert KEY not in json.dumps(error)


async def test_a_server_may_keep_them_back():
    upstream = refusing("anthropic", 400, MENDABLE)
    _, _, error = await ask("anthropic", "anthropic", upstream, tell_refusals=False)
    assert "signature" not in error["message"]


@pytest.mark.parametrize(
    ("client_of", "provider"),
    [("openai", "openai"), ("anthropic", "openai"), ("openai", "anthropic")],
)
async def test_nobody_else_hears_a_provider_s_words(client_of, provider):
    _, _, error = await ask(client_of, provider, refusing(provider, 400, MENDABLE))
    assert "signature" not in json.dumps(error)


@pytest.mark.parametrize("status", [401, 403, 500])
async def test_other_failures_of_anthropic_s_are_told_in_our_words(status):
    _, _, error = await ask("anthropic", "anthropic", refusing("anthropic", status, MENDABLE))
    assert "signature" not in json.dumps(error)


@both
async def test_clients_are_told_not_to_try_again_what_was_tried_again_here(provider):
    for attempts, verdict in ((2, "false"), (1, None)):
        upstream = refusing(provider, 429, "slow down")
        status, headers, _ = await ask(provider, provider, upstream, attempts=attempts)
        assert (status, headers.get("x-should-retry")) == (429, verdict)


# --- paths, models, CORS ---------------------------------------------------------------------------------


def local(**options: Any) -> Any:
    return create_app(LLMClient("simulator:m"), models={"here": "simulator:m"}, **options)


async def test_a_404_says_what_was_asked_and_what_there_is():
    async with serving(local()) as port:
        status, _, body = await fetch(port, "/v1/unheard/of")
        said = json.loads(body)["error"]["message"]
        assert (status, "/v1/unheard/of" in said, "/v1/chat/completions" in said) == (
            404,
            True,
            True,
        )
        _, _, body = await fetch(port, "/v1/embeddings", "POST", b"{}")
        assert "Embeddings" in json.loads(body)["error"]["message"]
        status, _, body = await fetch(port, "/v1/models/absent")
        said = json.loads(body)["error"]["message"]
        assert status == 404
        assert said.index("'absent'") < said.index("There are: here")


async def test_a_slash_at_the_end_changes_nothing():
    body = json.dumps({"model": "here", "messages": HI}).encode()
    async with serving(local()) as port:
        status, _, _ = await fetch(
            port, "/v1/chat/completions/", "POST", body, content_type="application/json"
        )
        assert status == 200
        assert (await fetch(port, "/v1/models/"))[0] == 200


async def test_head_of_the_page_is_answered():
    async with serving(local()) as port:
        client = await Client.ask(port, "/", "HEAD")
        status = await client.head()
    assert (status, client.headers["content-type"].partition(";")[0]) == (200, "text/html")


@pytest.mark.parametrize("name", ["x_api_key", "api_key"])
async def test_azure_s_and_anthropic_s_clients_send_their_key_in_a_header_of_their_own(name):
    async with serving(local(access=Access(keys="k-1-of-the-gateway"))) as port:
        assert (await fetch(port, "/v1/models", **{name: "k-1-of-the-gateway"}))[0] == 200
        assert (await fetch(port, "/v1/models", **{name: "k-2"}))[0] == 401


async def test_every_answer_has_the_headers_that_let_a_page_read_it():
    page = "https://app.example"
    app = local(access=Access(origins=[page]))

    async def breaks(request: Any) -> None:
        raise ZeroDivisionError

    app.router.routes.append(Route("/breaks", breaks))
    wanted = {"/v1/nothing": 404, "/chat": 405, "/breaks": 500, "/healthz": 200}
    async with serving(app) as port:
        for path, status in wanted.items():
            got, headers, _ = await fetch(port, path, origin=page)
            assert (got, headers.get("access-control-allow-origin")) == (status, page), path
