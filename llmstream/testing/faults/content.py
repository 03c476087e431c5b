"""Faults of the content: wrong labels, and something else in place of a stream."""

from __future__ import annotations

import json

from llmstream.testing.faults.catalogue import fault
from llmstream.testing.reply import Reply

# --- labels ---------------------------------------------------------------------------------------------------


@fault("complete")
async def labelled_json(reply: Reply) -> None:
    """A proper stream, labelled `application/json`."""
    await reply.stream(headers={"content-type": "application/json"})


@fault("complete")
async def labelled_html(reply: Reply) -> None:
    """A proper stream, labelled `text/html`."""
    await reply.stream(headers={"content-type": "text/html"})


@fault("complete")
async def labelled_latin_1(reply: Reply) -> None:
    """A proper stream in UTF-8, labelled Latin-1."""
    label = f"{reply.framing.content_type}; charset=iso-8859-1"
    await reply.stream(headers={"content-type": label})


@fault("complete")
async def not_labelled(reply: Reply) -> None:
    """A proper stream without a content type."""
    await reply.raw(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + b"".join(reply.frames))
    await reply.fin()


# --- something else under 200 ---------------------------------------------------------------------------------


@fault("complete")
async def json_document(reply: Reply) -> None:
    """The whole answer as one JSON document."""
    await reply.whole(200, reply.document())


@fault("complete")
async def json_document_labelled_as_stream(reply: Reply) -> None:
    """The whole answer as one indented JSON document, labelled as a stream."""
    body = json.dumps(reply.document(), indent=2).encode()
    await reply.whole(200, body, reply.content_type)


@fault("overloaded")
async def json_error(reply: Reply) -> None:
    """An error as JSON under 200."""
    await reply.whole(200, reply.error_body("overloaded_error", "Overloaded"))


@fault("rate_limit")
async def json_error_list(reply: Reply) -> None:
    """An error wrapped in a JSON list under 200."""
    await reply.whole(
        200, [{"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}]
    )


@fault("wrong_body")
async def json_of_another_kind(reply: Reply) -> None:
    """JSON under 200 that is neither answer nor error."""
    await reply.whole(200, {"status": "ok"})


@fault(("wrong_body", "truncated", "protocol"))
async def json_null(reply: Reply) -> None:
    """`null` under 200."""
    await reply.whole(200, b"null")


@fault("wrong_body")
async def html_page(reply: Reply) -> None:
    """A login page under 200."""
    page = b"<!DOCTYPE html>\n<html><body>\n<h1>Please log in</h1>\n</body></html>\n"
    await reply.whole(200, page, {"content-type": "text/html"})


@fault("wrong_body")
async def plain_text(reply: Reply) -> None:
    """A sentence under 200."""
    await reply.whole(200, b"no healthy upstream", {"content-type": "text/plain"})


@fault(("wrong_body", "protocol"))
async def binary_junk(reply: Reply) -> None:
    """Bytes that mean nothing, labelled as a stream."""
    await reply.stream(bytes(range(128, 256)) * 20)
