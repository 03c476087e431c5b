"""Downloads: an address becomes data only on request, only where `allow_host` says so, within bounds."""

from __future__ import annotations

import asyncio
import base64
import re
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from llmstream import File, ImagePart, LLMError
from llmstream.downloads import download

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


@asynccontextmanager
async def serving(answers: dict[str, bytes]):
    """A server that sends these bytes for each path, and a list of the paths that were asked for."""
    asked: list[str] = []
    tasks: list[asyncio.Task[None] | None] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split()[1].decode())
        sent = answers.get(asked[-1])
        if sent is not None:
            writer.write(sent)
        else:
            await reader.read()  # never answers; until the client leaves
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield f"http://127.0.0.1:{port}", asked
        await asyncio.gather(*filter(None, tasks), return_exceptions=True)


def said(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", f"content-length: {size}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def anywhere(host: str, address: str) -> bool:
    return True


async def test_a_part_gets_its_data() -> None:
    answers = {
        "/a.png": said(PNG),
        "/notes%20of%20today.txt?sig=s": said(b"hello"),
        "/x": said(b"a,b\n", "content-type: text/csv; charset=utf-8"),
    }
    async with serving(answers) as (url, asked):
        image = await download(ImagePart(f"{url}/a.png", detail="low"), allow_host=anywhere)
        named = File(url=f"{url}/notes%20of%20today.txt?sig=s", cache="5m")
        file = await download(named, allow_host=anywhere)
        table = await download(File(url=f"{url}/x"), allow_host=anywhere)
    assert image == ImagePart(data=PNG, media_type="image/png", detail="low")
    assert (file.name, file.media_type, file.cache) == ("notes of today.txt", "text/plain", "5m")
    assert base64.b64decode(table.data or "") == b"a,b\n"
    assert (table.media_type or "").startswith("text/csv")
    assert len(asked) == 3


async def test_by_default_no_private_address_is_asked() -> None:
    async with serving({}) as (url, asked):
        with pytest.raises(LLMError, match="allow_host refused the address") as failed:
            await download(ImagePart(f"{url}/secret-path"))
    assert not asked
    assert failed.value.info.kind == "connection"
    assert "secret-path" not in str(failed.value)


async def test_a_redirect_is_asked_about_too() -> None:
    """The second host is the first one's choice, not the caller's."""
    async with serving({"/inside": said(PNG)}) as (inside, asked):
        to_there = said(b"", f"location: {inside}/inside", status="302 Found")
        async with serving({"/a": to_there}) as (url, _):
            port = int(url.rpartition(":")[2])
            seen: list[str] = []

            def first_alone(host: str, address: str) -> bool:
                seen.append(host)
                return len(seen) == 1

            with pytest.raises(LLMError, match="allow_host refused"):
                await download(ImagePart(f"http://localhost:{port}/a"), allow_host=first_alone)
            assert not asked
            image = await download(ImagePart(f"{url}/a"), allow_host=anywhere)
            assert image.data == base64.b64encode(PNG).decode()


@pytest.mark.parametrize(
    ("answer", "kind", "problem"),
    [
        (said(b"no", status="404 Not Found"), "not_found", "answered 404"),
        (said(b"no", status="500 Oh"), "invalid_request", "answered 500"),
        (said(PNG + bytes(2000)), "invalid_request", "is larger than"),
        (said(PNG, length=900), "truncated", "was cut"),
        (said(b"", "location: /a", status="301 Moved"), "redirect", "more than 5 times"),
        (said(b"", "location: file:///etc/passwd", status="301 Moved"), "redirect", "may not be"),
        (None, "timeout", "took longer than 0.2 s"),
    ],
)
async def test_what_goes_wrong_is_an_llm_error(
    answer: bytes | None, kind: str, problem: str
) -> None:
    async with serving({} if answer is None else {"/a": answer}) as (url, _):
        limit = 0.2 if answer is None else 30.0
        with pytest.raises(LLMError, match=problem) as failed:
            await download(ImagePart(f"{url}/a"), allow_host=anywhere, max_size=1000, timeout=limit)
    assert failed.value.info.kind == kind


async def test_a_page_is_no_image() -> None:
    async with serving({"/a.png": said(b"<!doctype html><p>Log in")}) as (url, _):
        with pytest.raises(ValueError, match="isn't an image"):
            await download(ImagePart(f"{url}/a.png"), allow_host=anywhere)


async def test_what_has_no_address_stays() -> None:
    for part in (ImagePart(data=PNG), File(id="file-9")):
        assert await download(part) is part
    with pytest.raises(ValueError, match="can be downloaded"):
        await download(File(url="gs://bucket/a.pdf"))


async def test_the_page_s_program_downloads() -> None:
    page = (Path(__file__).parents[1] / "docs" / "inputs.md").read_text("utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(program, names)  # our own page
    async with serving({"/a.png": said(PNG)}) as (url, _):
        with pytest.raises(LLMError, match="allow_host refused"):
            await names["picture"](f"{url}/a.png")
        names["download"] = partial(download, allow_host=anywhere)
        assert await names["picture"](f"{url}/a.png") == ImagePart(data=PNG)
