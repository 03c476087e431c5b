"""Who may ask, and who hears that they may not."""

from __future__ import annotations

import json

import pytest
import websockets
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Mount

from llmstream.errors import ConfigurationError
from llmstream.web import Access, Limits, RefusedError, wrong_keys
from llmstream.web.gate import HttpRequest
from tests.web.serving import fetch, serving
from tests.web.test_app import app_with, post
from tests.web.test_conversation_endpoints import begin

GOOD = "a-key-of-a-client"
SHAPES = {
    "/chat": {"type", "error", "request_id", "error_info"},
    "/v1/chat/completions": {"error"},
    "/v1/responses": {"error"},
    "/v1/messages": {"type", "error", "request_id"},
    "/api/chat": {"error", "code", "request_id"},
    "/agui": {"message", "code", "requestId"},
}
FURTHER_PATHS = dict.fromkeys(
    ("/ai/chat", "/ollama/api/chat", "/api/generate", "/api/show", "/ollama/api/show"),
    SHAPES["/api/chat"],
)
GOOGLE_PATHS = (
    "/v1beta/models/m:generateContent",
    "/v1beta/models/a/b:streamGenerateContent",
    "/v1/models/m:countTokens",
)
ALL_SHAPES = {**SHAPES, **FURTHER_PATHS, **{path: {"error"} for path in GOOGLE_PATHS}}


@pytest.mark.parametrize("path", ALL_SHAPES)
async def test_strangers_are_refused_in_every_clients_own_words(path) -> None:
    app, provider = app_with(["ok"], access=Access(keys=["a-key-of-a-client"]))
    async with serving(app) as port:
        status, headers, body = await post(port, path, {})
        assert (status, headers["www-authenticate"]) == (401, "Bearer")
        assert set(json.loads(body)) == ALL_SHAPES[path]
        assert (await post(port, path, {}, authorization="Bearer a-key-of-nobody!!"))[0] == 401
        assert (await post(port, path, {}, authorization="Bearer a-key-of-a-client"))[0] == 400
        assert (await post(port, path, {}, x_api_key="a-key-of-a-client"))[0] == 400
        assert (await fetch(port, "/"))[0] == 200
        assert provider.requests == []


async def test_names_and_pages_from_elsewhere_are_refused() -> None:
    app, _ = app_with(*[["ok"]] * 9)
    async with serving(app) as port:
        own = f"http://127.0.0.1:{port}"
        for headers, status in (
            ({"host": "evil.example"}, 403),
            ({"host": f"localhost:{port}"}, 200),
            ({"host": f"[::1]:{port}"}, 200),
            ({"host": ""}, 403),
            ({"host": "[bad"}, 403),
            ({"origin": own}, 200),
            ({"origin": "https://evil.example"}, 403),
            ({"origin": "null"}, 403),
            ({"origin": f"ws://127.0.0.1:{port}"}, 403),
            ({"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"}, 403),
            ({"sec_fetch_site": "same-origin"}, 200),
        ):
            got, answer, _ = await post(port, "/chat", {"prompt": "hi"}, **headers)
            assert got == status, headers
            assert "access-control-allow-origin" not in answer
        assert (await fetch(port, "/", sec_fetch_site="cross-site", sec_fetch_mode="navigate"))[
            0
        ] == 200
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with websockets.connect(
                f"ws://127.0.0.1:{port}/api/chat/stream", origin="https://evil.example"
            ):
                pass
        assert refused.value.response.status_code == 403


async def test_without_keys_or_hosts_other_machines_are_refused_whatever_they_say() -> None:
    """As behind `uvicorn --host 0.0.0.0`: anybody can send `Host: localhost`."""
    far = ("203.0.113.7", "10.0.0.9", "2001:db8::1", "::ffff:203.0.113.7")
    near = ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1")
    app, provider = app_with(*[["ok"]] * 9)
    named, _ = app_with(*[["ok"]] * 4, access=Access(hosts=["localhost"]))
    async with serving(app) as port, serving(named) as other:
        for address, status in [*((one, 403) for one in far), *((one, 200) for one in near)]:
            # Which uvicorn believes of this machine.
            headers = {"host": "localhost", "x_forwarded_for": address}
            assert (await post(port, "/chat", {"prompt": "hi"}, **headers))[0] == status, address
            if status == 403:
                assert (await fetch(port, "/", **headers))[0] == 403
                assert (await post(other, "/chat", {"prompt": "hi"}, **headers))[0] == 200
    assert len(provider.requests) == len(near)


async def test_an_allowed_origin_gets_cors_headers_and_others_none() -> None:
    app, _ = app_with(["ok"], access=Access(origins=["https://app.example"]))
    async with serving(app) as port:
        status, headers, _ = await post(
            port, "/chat", {"prompt": "hi"}, origin="https://app.example"
        )
        assert (status, headers["access-control-allow-origin"]) == (200, "https://app.example")
        status, headers, _ = await fetch(
            port,
            "/chat",
            "OPTIONS",
            origin="https://app.example",
            access_control_request_method="POST",
        )
        assert (status, headers["access-control-allow-origin"]) == (200, "https://app.example")
        assert (await post(port, "/chat", {"prompt": "hi"}, origin="https://evil.example"))[
            0
        ] == 403


@pytest.mark.parametrize("host", ["x/healthz?", "x/healthz#", "x/?", "[bad", "x:99999999"])
async def test_no_name_makes_a_path_public(host) -> None:
    """Starlette 1.0 puts a request's URL together from Host as it came."""
    app, provider = app_with(access=Access(keys="a-key-of-a-client"))
    async with serving(app) as port:
        assert (await post(port, "/chat", {"prompt": "hi"}, host=host))[0] == 401
    assert provider.requests == []


async def test_a_browser_with_a_websocket_may_be_known_by_its_cookie() -> None:
    async def by_cookie(connection):
        return "ann" if connection.cookies.get("seat") == "7" else None

    app, _ = app_with(["Hello"], access=Access(keys=by_cookie))
    async with serving(app) as port:
        url, seat = f"ws://127.0.0.1:{port}/api/chat/stream", {"cookie": "seat=7"}
        ids = await begin(port, **seat)
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(url)
        assert refused.value.response.status_code == 401
        async with websockets.connect(url, additional_headers=seat) as socket:
            await socket.send(json.dumps({"query": "hi", **ids}))
            assert json.loads(await socket.recv()) == {"content": "Hello", "is_complete": False}


NAMES = ["ann", " ann ", "0", "False"]
NOBODY = [
    None,
    False,
    "",
    0,
    0.0,
    True,
    1,
    b"ann",
    " ",
    "\n\t",
    [],
    ["ann"],
    {"name": "ann"},
    object(),
    ("ann",),
]


@pytest.mark.parametrize("is_async", [True, False])
async def test_only_a_name_with_something_in_it_is_somebody(is_async, caplog, monkeypatch) -> None:
    """Over HTTP, in every client's own words, and over a WebSocket."""
    monkeypatch.setattr(wrong_keys, "FREE", 1_000)
    answers = iter(())

    async def later(connection):
        return next(answers)

    app, provider = app_with(
        *[["ok"]] * len(NAMES), access=Access(keys=later if is_async else lambda _: next(answers))
    )
    paths = ["/chat", *SHAPES, "/api/chat/session", "/v1/models", "/openapi.json"]
    async with serving(app) as port:
        for nobody in NOBODY:
            answers = iter([nobody] * (len(paths) + 1))
            caplog.clear()
            for path in paths:
                assert (await post(port, path, {}))[0] == 401, (nobody, path)
            with pytest.raises(websockets.InvalidStatus) as refused:
                await websockets.connect(f"ws://127.0.0.1:{port}/api/chat/stream")
            assert refused.value.response.status_code == 401
            said = [each.getMessage() for each in caplog.records if each.name == "llmstream.web"]
            assert len(said) == len(paths) + 1
            is_mistake = (nobody is not None and nobody is not False and nobody != "") or type(
                nobody
            ) in (int, float)
            assert all(("keys returned" in line) == is_mistake for line in said), (nobody, said)
        for name in NAMES:
            answers = iter([name])
            assert (await post(port, "/chat", {"prompt": "hi"}))[0] == 200
    assert len(provider.requests) == len(NAMES)


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (HTTPException(403, "not yours"), 403),
        (RefusedError(429, "rate_limit", "later"), 429),
        (KeyError("the-key"), 500),
    ],
)
async def test_what_a_function_raises_lets_nobody_in(problem, status, caplog) -> None:
    def broken(connection):
        raise problem

    app, _ = app_with(access=Access(keys=broken))
    async with serving(app) as port:
        for path, shape in SHAPES.items():
            got, _, body = await post(port, path, {})
            assert (got, set(json.loads(body))) == (status, shape)
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(f"ws://127.0.0.1:{port}/api/chat/stream")
        assert refused.value.response.status_code == status
    assert (
        len([each for each in caplog.records if f"refused with {status}" in each.getMessage()])
        == len(SHAPES) + 1
    )
    assert "the-key" not in caplog.text
    assert ("in broken" in caplog.text) == (status == 500)


async def test_a_list_of_keys_that_is_changed_later_changes_nothing() -> None:
    keys = ["a-key-of-a-client"]
    app, _ = app_with(["ok"], access=Access(keys=keys))
    keys[:] = ["", "another-key-of-16"]
    async with serving(app) as port:
        for headers in (
            {},
            {"x_api_key": ""},
            {"authorization": "Bearer "},
            {"authorization": "Bearer"},
            {"x_api_key": "another-key-of-16"},
        ):
            assert (await post(port, "/chat", {"prompt": "hi"}, **headers))[0] == 401
        assert (await post(port, "/chat", {"prompt": "hi"}, x_api_key="a-key-of-a-client"))[
            0
        ] == 200


async def test_below_a_prefix_the_same_is_public_and_said_in_the_same_words() -> None:
    app, _ = app_with(access=Access(keys="a-key-of-a-client"))
    async with serving(Starlette(routes=[Mount("/llm", app)])) as port:
        assert (await fetch(port, "/llm/"))[0] == (await fetch(port, "/llm/healthz"))[0] == 200
        for path, shape in SHAPES.items():
            for headers, status in (
                ({}, 401),
                ({"authorization": "Bearer a-key-of-a-client"}, 400),
            ):
                got, _, body = await post(port, f"/llm{path}", {}, **headers)
                assert (got, set(json.loads(body))) == (status, shape)


@pytest.mark.parametrize(
    "wrong",
    [
        {"keys": ""},
        {"keys": []},
        {"keys": [GOOD, " "]},
        {"keys": ["two words of a key"]},
        {"keys": ["ein-langer-schlüssel"]},
        {"keys": [GOOD, ""]},
        {"keys": {""}},
        {"keys": [GOOD, None]},
        {"keys": [GOOD.encode()]},
        {"keys": [True]},
        {"keys": [0]},
        {"keys": GOOD.encode()},
        {"keys": GOOD[:15]},
        {"keys": [GOOD, GOOD[:15]]},
        {"keys": [f" {GOOD}"]},
        {"keys": [f"{GOOD}\n"]},
        {"keys": {"ann": GOOD}},
        {"keys": {"": GOOD}},
        {"keys": iter([GOOD])},
        {"keys": 0},
        {"keys": False},
        {"hosts": "chat.example.com"},
        {"hosts": []},
        {"hosts": [""]},
        {"hosts": ["*"]},
        {"hosts": ["*.example.com"]},
        {"hosts": ["chat.example.com:8000"]},
        {"hosts": ["https://chat.example.com"]},
        {"origins": "https://app.example.com"},
        {"origins": ["https://app.example.com/"]},
        {"origins": ["app.example.com"]},
        {"origins": ["*"]},
    ],
)
def test_what_would_let_in_everybody_or_nobody_is_refused(wrong) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Access(**wrong)
    assert GOOD[:15] not in str(raised.value)
    Access(
        keys=[GOOD],
        hosts=["::1", "chat.example.com"],
        origins=["https://a.example:8443", "capacitor://localhost"],
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_body": -1},
        {"max_body": 0},
        {"max_messages": 0},
        {"per_client": 0},
        {"max_streams": -5},
        {"body_timeout": 0.0},
        {"body_timeout": float("nan")},
        {"retry_after": -1.0},
        {"retry_after": float("inf")},
    ],
)
def test_a_limit_that_nobody_could_keep_is_refused(wrong) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Limits(**wrong)
    Limits(max_messages=None, per_client=None, max_streams=None, body_timeout=None, retry_after=0)


async def test_the_first_of_two_headers_counts_in_any_case() -> None:
    scope = {"type": "http", "headers": [(b"x-a", b"1"), (b"x-b", b"2"), (b"x-a", b"3")]}

    async def receive():
        raise AssertionError("nobody reads the body")

    headers = HttpRequest(scope, receive).headers
    assert (headers.get("X-A"), headers["x-a"], headers.getlist("x-a")) == ("1", "1", ["1", "3"])
    assert (headers.get("x-c"), headers.get("x-c", ""), "X-B" in headers) == (None, "", True)
