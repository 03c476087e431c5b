"""What is the transport's own: which there are, how they are made and closed, and where they may connect to.

What every transport must do alike is in test_vendors.py and test_faults.py, which run over each.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import importlib.util
import socket
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from llmstream import ConfigurationError, EventType, LLMClient, RetryPolicy, Timeouts
from llmstream.providers import public_hosts_only
from llmstream.providers.config import TRANSPORTS
from llmstream.testing import FaultServer
from llmstream.testing.reply import ANSWER
from tests.loopback import APIS, CutError, Loopback, answer, pieces
from tests.patience import PATIENCE

QUESTION = [{"role": "user", "content": "hi"}]
ONCE = RetryPolicy(max_attempts=1)

over = pytest.mark.parametrize("transport", TRANSPORTS)
sdks = pytest.mark.parametrize("provider", ["openai", "anthropic"])


@pytest.fixture(autouse=True)
def no_collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for variable in ("LLMSTREAM_TRANSPORT", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)
    gc.collect()
    gc.freeze()  # what is imported by now need not be looked through before every test
    gc.disable()
    yield
    gc.enable()


def connect(server: Loopback, provider: str, **options: Any) -> LLMClient:
    options = {
        "retry": ONCE,
        "api_key": "sk-transport-key",
        "base_url": server.url(provider),
        **options,
    }
    return LLMClient(f"{provider}:m-1", **options)


async def last(client: LLMClient, **options: Any) -> Any:
    return [event async for event in client.chat_completion(QUESTION, **options)][-1]


def adapter(client: LLMClient) -> str:
    client_class = type(client._provider.channel._clients.current(None))
    return client_class.__name__


# --- which ----------------------------------------------------------------------------------------------------


@sdks
async def test_the_default_is_httpx2_and_aiohttp_a_choice(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Loopback(answer(APIS[provider])) as server:
        async with connect(server, provider) as client:
            assert adapter(client) == "Httpx2Client"
        async with connect(server, provider, transport="aiohttp") as client:
            assert adapter(client) == "AiohttpClient"
            assert (await client.complete(QUESTION)).text == "Hello, world!"
        monkeypatch.setenv("LLMSTREAM_TRANSPORT", "aiohttp")
        async with connect(server, provider) as client:
            assert adapter(client) == "AiohttpClient"
        async with connect(server, provider, transport="httpx2") as client:
            assert adapter(client) == "Httpx2Client"


def test_an_unknown_name_and_a_missing_package_say_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(
        ConfigurationError, match="transport must be one of httpx2, aiohttp, not 'curl'"
    ):
        LLMClient("openai:m", api_key="k", transport="curl")
    monkeypatch.setenv("LLMSTREAM_TRANSPORT", "curl")
    with pytest.raises(ConfigurationError, match="LLMSTREAM_TRANSPORT must be one of"):
        LLMClient("openai:m", api_key="k")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'llmstream-core\[aiohttp\]'"):
        LLMClient("openai:m", api_key="k", transport="aiohttp")


@pytest.mark.parametrize("option", [{"transport": "aiohttp"}, {"allow_host": public_hosts_only}])
async def test_a_client_of_the_users_brings_its_own_connections(option: dict[str, Any]) -> None:
    import openai

    async with openai.AsyncOpenAI(api_key="k") as sdk:
        with pytest.raises(ConfigurationError, match="sdk_client brings its own connections"):
            LLMClient("openai:m", sdk_client=sdk, **option)


@sdks
async def test_one_over_aiohttp_works_like_any_other(provider: str) -> None:
    import anthropic
    import openai

    sdk: Any = openai if provider == "openai" else anthropic
    make = sdk.AsyncOpenAI if provider == "openai" else sdk.AsyncAnthropic

    async def stalls(request: Any, reply: Any) -> None:
        await reply.head()
        for data in pieces(APIS[provider], "one two three")[:3]:
            await reply.send(data)
        await reply.client_left()
        raise CutError

    async with (
        Loopback(answer(APIS[provider]), stalls) as server,
        make(
            api_key="k", base_url=server.url(provider), http_client=sdk.DefaultAioHttpClient()
        ) as own,
    ):
        client = LLMClient(f"{provider}:m", sdk_client=own, retry=ONCE)
        event = await last(client, headers={"X-Call": "9"})
        assert event.message.text == "Hello, world!"
        assert server.requests[0].headers["x-call"] == "9"
        event = await last(client, timeouts=Timeouts(first_token=0.2, idle=0.2))
        assert event.error_info.kind == "timeout"
        async with asyncio.timeout(PATIENCE):
            while server.open:
                await asyncio.sleep(0.001)
    async with make(
        api_key="k", base_url=server.url(provider), http_client=sdk.DefaultAioHttpClient()
    ) as own:
        event = await last(LLMClient(f"{provider}:m", sdk_client=own, retry=ONCE))
    assert event.error_info.kind == "connection"


# --- connections ----------------------------------------------------------------------------------------------


@over
async def test_there_may_be_more_streams_than_a_pool_usually_holds(transport: str) -> None:
    count, all_in = 120, asyncio.Event()

    async def together(request: Any, reply: Any) -> None:
        if server.open == count:
            all_in.set()
        await all_in.wait()
        await answer("openai-chat")(request, reply)

    async with (
        Loopback(together) as server,
        connect(server, "openai", transport=transport) as client,
    ):
        async with asyncio.timeout(PATIENCE):
            answers = await asyncio.gather(*(client.complete(QUESTION) for _ in range(count)))
    assert {message.text for message in answers} == {"Hello, world!"}


@over
def test_nothing_is_left_of_a_client_that_was_dropped_or_outlived_its_loop(transport: str) -> None:
    async def dropped() -> None:
        async with Loopback(answer("openai-chat")) as server:
            client = connect(server, "openai", transport=transport)
            await client.complete(QUESTION)
            del client
            async with asyncio.timeout(PATIENCE):
                while server.open:
                    await asyncio.sleep(0.001)

    async def kept() -> None:
        async with Loopback(answer("openai-chat")) as server:
            clients.append(connect(server, "openai", transport=transport))
            await clients[0].complete(QUESTION)

    clients: list[LLMClient] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(dropped())
        asyncio.run(kept())
        clients.clear()
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


@over
async def test_the_sdk_client_may_be_used_between_two_events(transport: str) -> None:
    """And takes nothing along of the call that is under way."""
    async with (
        Loopback(answer("openai-chat")) as server,
        connect(server, "openai", transport=transport) as client,
    ):
        async for _ in client.chat_completion(QUESTION, headers={"X-Call": "9"}):
            await client.get_client().post("/other", body={}, cast_to=object)
            break
    assert ["x-call" in request.headers for request in server.requests] == [True, False]


@over
async def test_the_environments_proxy_is_used(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Loopback(answer("openai-chat")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        url = "http://models.invalid/v1"
        async with connect(
            proxy, "openai", base_url=url, allow_insecure_http=True, transport=transport
        ) as client:
            assert (await client.complete(QUESTION)).text == "Hello, world!"
    assert proxy.requests[0].path == "http://models.invalid/v1/chat/completions"


# --- TLS, and what is left on a connection ---------------------------------------------------------------------


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault server's certificate is trusted; also where a client was made before the variable was set."""
    LLMClient("openai:m", api_key="k")
    monkeypatch.setenv("SSL_CERT_FILE", str(FaultServer(tls=True).ca_file))


def client_of(server: FaultServer, transport: str, **options: Any) -> LLMClient:
    url = server.url("openai")
    return LLMClient(
        "openai:m", api_key="k", base_url=url, transport=transport, retry=ONCE, **options
    )


@over
@pytest.mark.usefixtures("trusting")
async def test_a_connection_over_tls_is_used_again_and_closed_with_its_client(
    transport: str,
) -> None:
    async with FaultServer(tls=True) as server:
        async with client_of(server, transport) as client:
            for _ in range(3):
                assert (await client.complete(QUESTION)).text == ANSWER
            assert {request.connection for request in server.requests} == {1}
            async for event in client.chat_completion(QUESTION):
                if event.text:
                    break
            assert (await client.complete(QUESTION)).text == ANSWER
        await server.left(2)


@over
@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("ending", ["tls-cut-without-notify", "tls-cut-with-notify", "tls-reset"])
async def test_tls_that_ends_early_cuts_the_answer(transport: str, ending: str) -> None:
    async with FaultServer(ending, tls=True) as server, client_of(server, transport) as client:
        event = await last(client)
        assert event.error_info.kind == "truncated"
        assert event.error_info.partial.text == "one two three"
        server.play("ok")
        assert (await client.complete(QUESTION)).text == ANSWER
    assert len(server.requests) == 2


@over
@pytest.mark.usefixtures("trusting")
async def test_a_read_over_tls_is_ended_by_its_clock(transport: str) -> None:
    async with FaultServer("tls-stall") as server, client_of(server, transport) as client:
        event = await last(client, timeouts=Timeouts(idle=0.1))
        assert (event.error_info.kind, event.error_info.code) == ("timeout", "idle")
        await server.left(2)


def glued(size: int, *, whole: bool = True) -> Any:
    """An answer of `size` bytes, its head included, with another behind it in the same packet; perhaps part of it."""

    async def play(reply: Any) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n"
        frames, other = b"".join(reply.frames), b"".join(reply.script("not what you asked"))
        digits = len(str(size - len(head) - 3))
        length = size - len(head % 10 ** (digits - 1))
        body = b":" * (length - len(frames) - 2) + b"\n\n" + frames
        answer = head % len(body) + body
        assert len(answer) == size
        second = head % len(other) + other
        await reply.raw(answer + (second if whole else second[:-10]))
        await reply.pause(0.1)

    return play


@over
@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "part"])
@pytest.mark.parametrize("size", [3000, 2**14, 2**15 + 1, 2**16, 2**16 + 1])
async def test_what_follows_an_answer_is_never_the_next_one(
    transport: str, size: int, *, tls: bool, whole: bool
) -> None:
    """Wherever the border falls: between two reads, two TLS records, or inside one."""
    async with (
        FaultServer(glued(size, whole=whole), tls=tls) as server,
        client_of(server, transport) as client,
    ):
        assert (await client.complete(QUESTION)).text == ANSWER
        await server.idle()
        server.play("ok")
        assert (await client.complete(QUESTION)).text == ANSWER
    assert [request.connection for request in server.requests] == [1, 2]


@over
async def test_a_head_that_nobody_asked_for_does_not_become_part_of_the_next_one(
    transport: str,
) -> None:
    async def begins_another(reply: Any) -> None:
        await reply.stream()
        await reply.pause()
        await reply.raw(b"HTTP/1.1 200 OK\r\nx-")
        await reply.pause()

    async with FaultServer(begins_another, "ok") as server, client_of(server, transport) as client:
        assert (await client.complete(QUESTION)).text == ANSWER
        await server.idle()
        assert (await client.complete(QUESTION)).text == ANSWER
    assert [request.connection for request in server.requests] == [1, 2]


@over
async def test_what_the_loop_had_no_turn_to_read_is_not_the_next_answer(transport: str) -> None:
    kept = []

    async def late(reply: Any) -> None:
        kept.append(reply)
        await reply.stream()

    async with FaultServer(late, "ok") as server, client_of(server, transport) as client:
        assert (await client.complete(QUESTION)).text == ANSWER
        other = b"".join(kept[0].script("not what you asked"))
        second = kept[0].raw(
            b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(other), other)
        )
        with pytest.raises(StopIteration):  # all of it is sent without giving the loop a turn
            second.send(None)
        assert (await client.complete(QUESTION)).text == ANSWER
    assert [request.connection for request in server.requests] == [1, 2]


@over
@pytest.mark.parametrize(
    ("came", "kind"),
    [(b"", None), (b"HTTP/1.1 200 OK\r\nx-", "connection"), (b"SSH-2.0\r\n\r\n", "protocol")],
)
async def test_only_a_connection_that_died_without_a_byte_is_replaced(
    transport: str, came: bytes, kind: str | None
) -> None:
    async def dies(reply: Any) -> None:
        await reply.raw(came)
        await reply.fin()

    async with FaultServer("ok", dies, "ok") as server, client_of(server, transport) as client:
        assert (await client.complete(QUESTION)).text == ANSWER
        event = await last(client)
    assert (event.error_info and event.error_info.kind) == kind
    assert [request.connection for request in server.requests] == (
        [1, 1, 2] if kind is None else [1, 1]
    )


# --- why there was no answer ----------------------------------------------------------------------------------


@over
async def test_looking_up_the_host_counts_as_connecting(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*args: Any, **options: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    client = LLMClient(
        "openai:m",
        api_key="k",
        base_url="https://models.example/v1",
        transport=transport,
        retry=ONCE,
    )
    async with client, asyncio.timeout(PATIENCE):
        event = await last(client, timeouts=Timeouts(connect=0.1))
    assert (event.error_info.kind, event.error_info.code) == ("timeout", "connect")


@over
async def test_a_server_that_does_not_accept_is_a_connect_timeout(transport: str) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:  # until the backlog takes no more
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
        async with LLMClient(
            "openai:m", api_key="k", base_url=url, transport=transport, retry=ONCE
        ) as client:
            event = await last(client, timeouts=Timeouts(connect=0.2))
        for each in waiting:
            each.close()
    assert (event.error_info.kind, event.error_info.code) == ("timeout", "connect")


@over
async def test_a_port_of_this_machine_where_nothing_listens_is_told_with_what_to_do(
    transport: str,
) -> None:
    with socket.socket() as bound:  # but it doesn't listen
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        for host in ("127.0.0.1", "localhost"):
            url = f"http://{host}:{port}/v1"
            async with LLMClient(
                "openai:m", api_key="k", base_url=url, transport=transport, retry=ONCE
            ) as client:
                event = await last(client)
            assert event.error_info.message.startswith(f"no answer from {host}:{port}: ")
            assert "start the server, such as `ollama serve`" in event.error_info.message


@over
@pytest.mark.parametrize(
    "fault", ["closed-on-accept", "closed-before-the-answer", "reset-before-the-answer", "head-cut"]
)
async def test_a_server_that_leaves_is_told_so(transport: str, fault: str) -> None:
    async with FaultServer(fault) as server, client_of(server, transport) as client:
        event = await last(client)
    assert event.error_info.message.startswith(
        f"no answer from 127.0.0.1:{server.port}: the server "
    )
    assert event.error_info.message.endswith(("closed the connection", "reset the connection"))


# --- bytes ----------------------------------------------------------------------------------------------------


@over
@sdks
async def test_headers_without_end_are_an_error(transport: str, provider: str) -> None:
    async def boundless(request: Any, reply: Any) -> None:
        await reply.head(x_long="a" * 1_000_000)

    async with (
        Loopback(boundless) as server,
        connect(server, provider, transport=transport) as client,
    ):
        event = await last(client)
    assert event.error_info.kind == "protocol"
    assert "can't be read" in event.error
    assert len(event.error) < 500


@over
async def test_large_headers_are_none(transport: str) -> None:
    async def large(request: Any, reply: Any) -> None:
        await reply.head(content_security_policy="a" * 60_000)
        for data in pieces("openai-chat", "fine"):
            await reply.send(data)
        await reply.end()

    async with Loopback(large) as server, connect(server, "openai", transport=transport) as client:
        assert (await client.complete(QUESTION)).text == "fine"


@over
async def test_what_came_before_a_cut_is_not_lost_on_a_slow_consumer(transport: str) -> None:
    gone = asyncio.Event()

    async def cuts(request: Any, reply: Any) -> None:
        await reply.head()
        parts = pieces("openai-chat", "one two three four five six seven eight")[
            :-2
        ]  # the last word and the end
        for data in parts[:3]:
            await reply.send(data)
        await asyncio.sleep(0.05)
        for data in parts[3:]:
            await reply.send(data)
        gone.set()
        raise CutError

    async with Loopback(cuts) as server, connect(server, "openai", transport=transport) as client:
        text = ""
        async for event in client.chat_completion(QUESTION):
            if event.text and not text:
                await gone.wait()
                await asyncio.sleep(0.1)
            text += event.text
    assert event.error_info is not None
    assert event.error_info.kind == "truncated"
    assert text.endswith("seven")


@over
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "cut"])
async def test_a_compressed_body_is_decoded_and_a_cut_one_truncated(
    transport: str, *, whole: bool
) -> None:
    async def compressed(request: Any, reply: Any) -> None:
        assert "gzip" in request.headers["accept-encoding"]
        data = gzip.compress(b"".join(pieces("openai-chat", "Hello, compressed world!")))
        await reply.head(content_encoding="gzip")
        await reply.send(data if whole else data[:-20])
        await reply.end()

    async with (
        Loopback(compressed) as server,
        connect(server, "openai", transport=transport) as client,
    ):
        event = await last(client)
    if whole:
        assert event.message.text == "Hello, compressed world!"
    else:
        assert event.error_info.kind == "truncated"


# --- allow_host -----------------------------------------------------------------------------------------------


@over
@sdks
async def test_allow_host_sees_name_and_address_of_each_connection(
    transport: str, provider: str
) -> None:
    seen = []

    def allow(host: str, address: str) -> bool:
        seen.append((host, address))
        return address == "127.0.0.1"

    async with Loopback(answer(APIS[provider])) as server:
        url = server.url(provider).replace("127.0.0.1", "localhost")
        async with connect(
            server, provider, base_url=url, transport=transport, allow_host=allow
        ) as client:
            assert (await client.complete(QUESTION)).text == "Hello, world!"
            await client.complete(QUESTION)
    assert ("localhost", "127.0.0.1") in seen
    assert len(seen) <= 2  # one connection, which has two addresses at most
    assert len({request.connection for request in server.requests}) == 1


def refusing(host: str, address: str) -> bool:
    return False


def raising(host: str, address: str) -> bool:
    raise LookupError("no such list")


def forgetful(host: str, address: str) -> Any:
    """Returns nothing."""


@over
@sdks
@pytest.mark.parametrize("allow", [refusing, raising, forgetful, public_hosts_only])
async def test_a_host_that_is_not_allowed_is_never_connected_to(
    transport: str, provider: str, allow: Any
) -> None:
    async with Loopback(answer(APIS[provider])) as server:
        url = server.url(provider).replace("127.0.0.1", "localhost")
        retry = RetryPolicy(max_attempts=3)
        async with connect(
            server, provider, base_url=url, transport=transport, allow_host=allow, retry=retry
        ) as client:
            events = [event async for event in client.chat_completion(QUESTION)]
        with pytest.raises(ConfigurationError, match=r"base_url: allow_host (refused|raised)"):
            connect(server, provider, transport=transport, allow_host=allow)
    assert [event.type for event in events] == [EventType.ERROR]
    assert events[0].error_info is not None
    assert (events[0].error_info.kind, events[0].error_info.code) == ("connection", "host_refused")
    assert "allow_host" in (events[0].error or "")
    assert server.connections == 0


@over
async def test_a_name_that_changes_its_address_does_not_get_past(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the address that was allowed is connected to, whatever the next look-up says."""
    loop = asyncio.get_running_loop()
    lookups: list[str] = []

    async def rebinding(host: Any, port: int, **options: Any) -> list[Any]:
        lookups.append("127.0.0.9" if len(lookups) % 2 == 0 else "127.0.0.1")
        return [(2, 1, 6, "", (lookups[-1], port))]

    monkeypatch.setattr(loop, "getaddrinfo", rebinding)
    asked = []

    def allow(host: str, address: str) -> bool:
        asked.append(address)
        return address == "127.0.0.9"

    async with Loopback(answer("openai-chat")) as server:
        url = f"http://localhost:{server.port}/v1"
        async with connect(
            server, "openai", base_url=url, transport=transport, allow_host=allow
        ) as client:
            for _ in range(4):
                assert (await last(client)).error_info.kind == "connection"
    assert server.connections == 0
    assert asked == lookups


@over
async def test_of_several_addresses_those_allowed_are_tried(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def several(host: Any, port: int, **options: Any) -> list[Any]:
        return [
            (2, 1, 6, "", (address, port)) for address in ("127.0.0.7", "127.0.0.8", "127.0.0.1")
        ]

    async with Loopback(answer("openai-chat")) as server:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", several)
        url = f"http://localhost:{server.port}/v1"
        async with connect(
            server,
            "openai",
            base_url=url,
            transport=transport,
            allow_host=lambda _, address: address != "127.0.0.7",
        ) as client:
            assert (await client.complete(QUESTION)).text == "Hello, world!"


@over
def test_allow_host_does_not_pretend_to_hold_behind_a_proxy(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {
        "api_key": "k",
        "transport": transport,
        "allow_host": public_hosts_only,
    }
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(ConfigurationError, match="names a proxy"):
        LLMClient("openai:m", **options)
    monkeypatch.setenv("NO_PROXY", "api.openai.com")
    LLMClient("openai:m", **options)


def test_allow_host_is_a_plain_function() -> None:
    async def allow(host: str, address: str) -> bool:
        return True

    wrong: Any
    for wrong in (allow, "api.openai.com"):
        with pytest.raises(ConfigurationError, match="allow_host must be a plain function"):
            LLMClient("openai:m", api_key="k", allow_host=wrong)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("104.18.7.192", True),
        ("2606:4700::6812:7c0", True),
        ("64:ff9b::6812:7c0", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("100.100.100.200", False),
        ("169.254.169.254", False),
        ("168.63.129.16", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("240.0.0.1", False),
        ("198.18.0.1", False),
        ("::", False),
        ("::1", False),
        ("::127.0.0.1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("::ffff:104.18.7.192", True),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b:1::a9fe:a9fe", False),
        ("2002:7f00:1::", False),
        ("2001:0:7f00:1::f5ff:fffe", False),
        ("fd00:ec2::254", False),
        ("fe80::1%eth0", False),
        ("fec0::1", False),
        ("ff02::1", False),
    ],
)
def test_public_hosts_only(address: str, *, public: bool) -> None:
    assert public_hosts_only("models.example", address) is public
