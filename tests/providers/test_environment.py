"""Whatever the environment says: a client works, or says which variable is wrong. Nothing foreign is raised."""

from __future__ import annotations

import os
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from llmstream import ConfigurationError, EventType, LLMClient, RetryPolicy
from llmstream.testing import FaultServer
from tests.loopback import Loopback, answer

QUESTION = [{"role": "user", "content": "hi"}]
ONCE = RetryPolicy(max_attempts=1)
TRANSPORTS = ["httpx2", "aiohttp"]
SECRET = "hunter2hunter2"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in os.environ:
        if variable.lower().endswith("_proxy") or variable.startswith(("SSL", "OPENAI_")):
            monkeypatch.delenv(variable)


def write(folder: Path, name: str) -> str:
    """What stands for a file in the table."""
    path = folder / name
    contents = {
        "empty.pem": b"",
        "binary.pem": os.urandom(500),
        "key.pem": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "broken.pem": b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
    }
    if name in contents:
        path.write_bytes(contents[name])
    return str(path)


GOOD = ssl.get_default_verify_paths().openssl_cafile
FILES = {  # variable: what it names, all below a folder of the test's
    "SSL_CERT_FILE": [
        "gone.pem",
        "",
        "empty.pem",
        "binary.pem",
        "key.pem",
        "broken.pem",
        "a" * 300,
    ],
    "SSL_CERT_DIR": ["gone", "empty.pem", f"gone{os.pathsep}", f"gone{os.pathsep}/gone"],
    "SSLKEYLOGFILE": ["gone/keys.log", ""],
}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    ("variable", "name"), [(variable, name) for variable, names in FILES.items() for name in names]
)
async def test_a_file_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, transport: str, variable: str, name: str
) -> None:
    """Where TLS is wanted; a server on this machine without it is asked as ever."""
    path = write(tmp_path, name)
    if variable == "SSLKEYLOGFILE":
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setenv(variable, path)
    with pytest.raises(ConfigurationError) as refused:
        LLMClient("openai:m", api_key="k", transport=transport)
    assert str(refused.value).startswith(f"{variable} names {path!r}, which ")
    assert await asked(transport) is EventType.MESSAGE_COMPLETE


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_several_folders_of_certificates_are_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, transport: str
) -> None:
    """As OpenSSL takes them, wherever the right one stands and though another is gone."""
    async with FaultServer(tls=True) as server:
        url = server.url("openai")
        certificates = server.ca_file.read_text().partition("-----END CERTIFICATE-----\n")
        (tmp_path / "ca.pem").write_text(certificates[0] + certificates[1])
        hashed = subprocess.run(  # noqa: ASYNC221  # some milliseconds
            ["openssl", "x509", "-hash", "-noout", "-in", str(tmp_path / "ca.pem")],
            check=True,
            capture_output=True,
            text=True,
        )
        (tmp_path / "ca.pem").rename(tmp_path / f"{hashed.stdout.strip()}.0")
        monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join(["/gone", str(tmp_path)]))
        assert (await failure(url, transport)).type is EventType.MESSAGE_COMPLETE


async def asked(transport: str) -> EventType:
    """How a plain server on this machine answers."""
    async with Loopback(answer("openai-chat")) as server:
        url = server.url("openai")
        client = LLMClient("openai:m", api_key="k", base_url=url, transport=transport, retry=ONCE)
        async with client:
            return [event async for event in client.chat_completion(QUESTION)][-1].type


NO_PROXIES = [
    "socks4://127.0.0.1:1",
    "socks4a://127.0.0.1:1",
    "ftp://127.0.0.1:1",
    "socks://127.0.0.1:1",
    "unix:///run/proxy",
    "http://127.0.0.1:99999",
    "http://127.0.0.1:0",
    "http://127.0.0.1:-1",
    "http://127.0.0.1:http",
    "127.0.0.1:65536",
    "http://",
    "://x",
    "http://:3128",
    "http://[::1",
    "http://[::g]:1",
    "http://a..b:1",
    f"http://{'a' * 64}.example:1",
    "http://a b:1",
    "http://\udcff:1",
    "http://%zz:1",
    "h ttp://x:1",
    f"http://user:{SECRET}@",
    f"socks4://user:{SECRET}@127.0.0.1:1",
    f"http://user:{SECRET} @127.0.0.1:1",
]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "all_proxy"])
@pytest.mark.parametrize("proxy", NO_PROXIES)
async def test_a_proxy_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, transport: str, variable: str, proxy: str
) -> None:
    """By its variable, without its password; and only where it would be used."""
    monkeypatch.setenv(variable, proxy)
    with pytest.raises(ConfigurationError) as refused:
        LLMClient("openai:m", api_key="k", transport=transport)
    assert str(refused.value).startswith(variable)
    assert SECRET not in str(refused.value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert await asked(transport) is EventType.MESSAGE_COMPLETE


EXCEPTIONS = [
    *("[", "1.2.3.4/99", "*.*", ",,,", "a://b://c", "[::1", ":80", "http://", "\udcff", "::/0"),
    *("a:99999", "*:1", ".", "..", "%", "[::1]:x", "/", "1.2.3.4/", "fe80::1%eth0", "²:²"),
]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("names", EXCEPTIONS)
async def test_an_odd_no_proxy_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, transport: str, names: str
) -> None:
    """What can't be read is no exception."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", names)
    LLMClient("openai:m", api_key="k", transport=transport)
    assert await asked(transport) is EventType.MESSAGE_COMPLETE


async def test_a_package_for_socks_is_asked_for_only_where_it_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server on this machine needs none."""
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "socksio" else find(name)
    )
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert await asked("httpx2") is EventType.MESSAGE_COMPLETE
    with pytest.raises(ConfigurationError, match=r"ALL_PROXY.*pip install socksio"):
        LLMClient("openai:m", api_key="k", transport="httpx2")


OTHERS = [
    ("LLMSTREAM_TRANSPORT", "bogus"),
    ("LLMSTREAM_TRANSPORT", " "),
    ("LLMSTREAM_TRANSPORT", "os"),
    ("LLMSTREAM_MODEL", "nope"),
    ("LLMSTREAM_MODEL", ":"),
    ("LLMSTREAM_MODEL", "x:y"),
    ("LLMSTREAM_MODEL", "\udcff"),
    ("OPENAI_API_KEY", "a\nb"),
    ("OPENAI_API_KEY", "\udcff"),
    ("OPENAI_BASE_URL", ""),
    ("OPENAI_BASE_URL", "http://["),
    ("OPENAI_BASE_URL", "ftp://example.com"),
    ("OPENAI_BASE_URL", "https://example.com:99999"),
    ("OPENAI_BASE_URL", "https://example.com:x"),
    ("OPENAI_BASE_URL", "https://"),
    ("OPENAI_BASE_URL", "https://\udcff/v1"),
    ("OPENAI_BASE_URL", "https://a b/v1"),
    ("OPENAI_ORG_ID", "a\nb"),
    ("OPENAI_ORG_ID", "ü\u4e00"),
    ("OPENAI_PROJECT_ID", "\udcff"),
]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(("variable", "value"), OTHERS)
async def test_any_other_variable_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, transport: str, variable: str, value: str
) -> None:
    """Before any network."""
    monkeypatch.setenv("OPENAI_API_KEY", "k" * 20)
    monkeypatch.setenv("LLMSTREAM_MODEL", "openai:m")
    monkeypatch.setenv("LLMSTREAM_TRANSPORT", transport)
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=variable):
        LLMClient()


# --- proxies that don't answer ------------------------------------------------------------------------------


async def failure(url: str, transport: str) -> Any:
    client = LLMClient("openai:m", api_key="k", base_url=url, transport=transport, retry=ONCE)
    async with client:
        return [event async for event in client.chat_completion(QUESTION)][-1]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
@pytest.mark.parametrize("target", ["http://127.0.0.2:1/v1", "https://llm.example/v1"])
async def test_a_dead_proxy_is_named(
    monkeypatch: pytest.MonkeyPatch, transport: str, scheme: str, target: str
) -> None:
    """With its variable, without its password."""
    if scheme == "socks5" and transport == "aiohttp":
        pytest.skip("aiohttp has no SOCKS")
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://user:{SECRET}@127.0.0.1:9")
    event = await failure(target, transport)
    assert event.error_info.kind == "connection"
    assert "through the proxy 127.0.0.1:9 (ALL_PROXY)" in event.error
    assert SECRET not in event.error


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_proxy_that_refuses_is_named(
    monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    async def refuse(_request: Any, reply: Any) -> None:
        await reply.whole(407, b"", proxy_authenticate="Basic")

    async with Loopback(refuse) as server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.port}")
        event = await failure("https://llm.example/v1", transport)
    assert f"through the proxy 127.0.0.1:{server.port} (HTTPS_PROXY)" in event.error
    assert "407" in event.error
