"""Proxies, TLS and content encodings mean over aiohttp what they mean over httpx2."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import httpx2
import httpx2._decoders as theirs
import httpx2._utils as utils
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmstream.providers.http.content_encoding import ACCEPTED, DECODERS, MOST, decoded
from llmstream.providers.http.proxies import Proxies
from llmstream.providers.http.tls import tls_context, tls_name
from llmstream.testing import FaultServer

# --- proxies --------------------------------------------------------------------------------------------------

hosts = st.sampled_from(
    [
        *(
            "example.com",
            "www.example.com",
            "notexample.com",
            "com",
            "localhost",
            "a.localhost",
            "my_host.example.com",
        ),
        *("127.0.0.1", "127.0.0.2", "10.1.2.3", "[::1]", "[fd00::5]", "[fd00:1::5]"),
    ]
)
ports = st.sampled_from(["", ":80", ":443", ":8080"])
urls = st.builds(
    lambda scheme, host, port: f"{scheme}://{host}{port}/v1",
    st.sampled_from(["http", "https"]),
    hosts,
    ports,
)
entries = st.sampled_from(
    [
        *(
            "example.com",
            ".example.com",
            "*.example.com",
            "EXAMPLE.com",
            "www.example.com",
            "example.com:8080",
            "com",
        ),
        *(
            "localhost",
            "LOCALHOST",
            "localhost:8080",
            "127.0.0.1",
            "127.0.0.1:8080",
            "127.0.0.0/8",
            "10.0.0.0/8",
        ),
        *(
            "::1",
            "[::1]",
            "[::1]:8080",
            "fd00::/32",
            "fd00::5",
            "10.1.2.3/33",
            "a/b",
            "",
            " ",
            "*example.com",
        ),
        *(
            "http://example.com",
            "https://example.com",
            "http://127.0.0.1",
            "all://example.com",
            "https://",
            "all://",
        ),
    ]
)
proxies = st.sampled_from(
    ["", "http://proxy:3128", "https://user:word@proxy", "proxy:3128", "socks5://proxy:1080"]
)


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    others = {
        name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")
    }
    with patch.dict(
        os.environ,
        {**others, **{name: value for name, value in variables.items() if value}},
        clear=True,
    ):
        yield


def of_httpx2(url: str) -> str | None:
    """The proxy by httpx2's own rules."""
    patterns = sorted(
        (utils.URLPattern(key), proxy) for key, proxy in utils.get_environment_proxies().items()
    )
    return next((proxy for pattern, proxy in patterns if pattern.matches(httpx2.URL(url))), None)


@given(urls, proxies, proxies, proxies, st.lists(entries, max_size=3))
@example("http://example.com/v1", "", "", "http://proxy:3128", ["*"])
@example("https://example.com/v1", "", "", "http://proxy:3128", ["https://"])
@example("http://example.com/v1", "", "", "http://proxy:3128", ["https://"])
@example("http://example.com/v1", "", "", "http://proxy:3128", ["all://", "all://"])
@example("http://example.com/v1", "http://proxy:3128", "", "", ["all://"])
def test_the_environment_s_proxies_are_those_of_httpx2(
    url: str, http: str, https: str, every: str, no_proxy: list[str]
) -> None:
    with environment(
        http_proxy=http, https_proxy=https, all_proxy=every, no_proxy=",".join(no_proxy)
    ):
        found = Proxies().find(url)
        assert (found and found.url) == of_httpx2(url)


# --- TLS ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["", "SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_the_same_certificates_are_trusted(
    variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        file = FaultServer(tls=True).ca_file
        monkeypatch.setenv(variable, str(file if variable == "SSL_CERT_FILE" else tmp_path))
    ours, other = tls_context(), httpx2.create_ssl_context()
    assert ours.get_ca_certs(binary_form=True) == other.get_ca_certs(binary_form=True)
    for name in ("verify_mode", "check_hostname", "minimum_version", "options", "verify_flags"):
        assert getattr(ours, name) == getattr(other, name)
    assert tls_context() is ours


def test_a_host_with_an_underscore_is_asked_for_by_a_name_that_can_be_verified() -> None:
    assert tls_name("my_host.example.com") == "my-host.example.com"
    assert tls_name("my-host.example.com") is None


# --- content encodings ----------------------------------------------------------------------------------------

ENCODE: dict[str, Any] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "raw deflate": lambda data: zlib.compress(data, wbits=-zlib.MAX_WBITS),
}


async def feed(data: bytes, cuts: list[int]) -> AsyncIterator[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        if start < end:
            yield data[start:end]


async def collect(pieces: AsyncIterator[bytes]) -> tuple[bytes, bool]:
    """The content, and whether it broke."""
    content = b""
    try:
        async for piece in pieces:
            assert len(piece) <= MOST
            content += piece
    except (ValueError, httpx2.DecodingError):
        return content, True
    return content, False


def test_what_is_accepted_is_what_httpx2_accepts() -> None:
    assert list(DECODERS) == [name for name in theirs.SUPPORTED_DECODERS if name != "identity"]
    assert httpx2.Client().headers["accept-encoding"] == ACCEPTED


@pytest.mark.parametrize("encoding", ENCODE)
@given(
    data=st.binary(max_size=300),
    cuts=st.lists(st.integers(0, 400), max_size=4),
    flip=st.none() | st.integers(0, 40),
)
async def test_bodies_are_decoded_as_over_httpx2(
    encoding: str, data: bytes, cuts: list[int], flip: int | None
) -> None:
    sent = bytearray(ENCODE[encoding](data))
    if flip is not None and flip < len(sent):
        sent[flip] ^= 0xFF
    name = encoding.removeprefix("raw ")
    response = httpx2.Response(
        200, headers={"content-encoding": name}, content=feed(bytes(sent), cuts)
    )
    ours, broken = await collect(decoded(feed(bytes(sent), cuts), name))
    assert (ours, broken) == await collect(response.aiter_bytes())
    if (
        flip is None and encoding == name
    ):  # without a header nothing is sure of the first byte alone
        assert (ours, broken) == (data, False)


async def test_a_small_body_that_unpacks_to_much_comes_in_pieces() -> None:
    content, broken = await collect(decoded(feed(gzip.compress(b"x" * 5 * MOST), []), "GZIP"))
    assert (len(content), broken) == (5 * MOST, False)


async def test_several_encodings_are_undone_in_turn_and_unknown_ones_left() -> None:
    data = gzip.compress(zlib.compress(b"hello"))
    assert await collect(decoded(feed(data, []), "deflate, gzip")) == (b"hello", False)
    assert await collect(decoded(feed(b"hello", []), "x-mine")) == (b"hello", False)
