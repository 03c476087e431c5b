"""Faults of the connection: before there is an answer, and under TLS."""

from __future__ import annotations

import json

from llmstream.testing.faults.catalogue import fault
from llmstream.testing.reply import Reply


@fault("connection", stage="listen")
async def refused(reply: Reply) -> None:
    """Nobody listens; no other fault can follow."""


@fault("connection", stage="connect")
async def closed_on_accept(reply: Reply) -> None:
    """The connection is closed before the request is read."""
    await reply.fin()


@fault("connection", stage="connect")
async def reset_on_accept(reply: Reply) -> None:
    """The connection is reset before the request is read."""
    await reply.reset()


@fault("connection")
async def closed_before_the_answer(reply: Reply) -> None:
    """The request is read, and the connection closed."""
    await reply.fin()


@fault("connection")
async def reset_before_the_answer(reply: Reply) -> None:
    """The request is read, and the connection reset."""
    await reply.reset()


@fault(("overloaded", "connection"), stage="connect")
async def refusal_before_the_request(reply: Reply) -> None:
    """503 is sent without reading the request, and the connection closed."""
    body = json.dumps({"error": {"message": "busy"}}).encode()
    await reply.whole(503, body, {"connection": "close"})
    reply.half_close()
    await reply.hang()


@fault("complete")
async def keep_alive_that_is_none(reply: Reply) -> None:
    """The connection is closed right after a whole answer, without a word of it in the head."""
    await reply.stream()
    await reply.fin()


@fault("complete", lingers=True)
async def dead_when_used_again(reply: Reply) -> None:
    """A whole answer; the next request on this connection gets no byte. It must be sent again at once, uncounted."""
    await reply.stream()
    await reply.received()
    await reply.fin()


@fault("complete", lingers=True)
async def reset_when_used_again(reply: Reply) -> None:
    """A whole answer; the next request on this connection is answered by RST."""
    await reply.stream()
    await reply.received()
    await reply.reset()


@fault("complete")
async def connection_close(reply: Reply) -> None:
    """`Connection: close` without a length: the end of the connection is the end of the body."""
    await reply.head(headers={"connection": "close"}, chunked=False)
    await reply.raw(b"".join(reply.frames))
    await reply.fin()


@fault("complete")
async def http_10(reply: Reply) -> None:
    """An HTTP/1.0 answer, ended by closing."""
    await reply.head(chunked=False, version="1.0")
    await reply.raw(b"".join(reply.frames))
    await reply.fin()


@fault("complete")
async def half_closed_after_the_answer(reply: Reply) -> None:
    """A whole answer, then FIN from a server that goes on listening."""
    await reply.head(headers={"connection": "close"}, chunked=False)
    await reply.raw(b"".join(reply.frames))
    reply.half_close()
    await reply.hang()


@fault("truncated", words=3)
async def half_closed_mid_answer(reply: Reply) -> None:
    """Three words, then FIN from a server that goes on listening."""
    await reply.head()
    await reply.send(reply.words(0, 3))
    reply.half_close()
    await reply.hang()


# --- TLS ------------------------------------------------------------------------------------------------------


@fault("complete", certificate="trusted")
async def tls(reply: Reply) -> None:
    """A proper answer over TLS."""
    await reply.stream()


@fault("complete", certificate="trusted")
async def tls_without_notify(reply: Reply) -> None:
    """A whole answer ended by closing, without TLS's close_notify."""
    await reply.head(headers={"connection": "close"}, chunked=False)
    await reply.raw(b"".join(reply.frames))
    await reply.cut()


@fault("truncated", certificate="trusted", words=3)
async def tls_cut_without_notify(reply: Reply) -> None:
    """Three words of a body that ends by closing, then a cut without close_notify."""
    await reply.head(headers={"connection": "close"}, chunked=False)
    await reply.raw(reply.words(0, 3))
    await reply.cut()


@fault("truncated", certificate="trusted", words=3)
async def tls_cut_with_notify(reply: Reply) -> None:
    """Three words of a body that ends by closing, then a proper close."""
    await reply.head(headers={"connection": "close"}, chunked=False)
    await reply.raw(reply.words(0, 3))
    await reply.fin()


@fault("truncated", certificate="trusted", words=3)
async def tls_reset(reply: Reply) -> None:
    """Three words, then RST under TLS."""
    await reply.head()
    await reply.send(reply.words(0, 3))
    await reply.reset()


@fault("timeout", certificate="trusted", words=3, clock="idle")
async def tls_stall(reply: Reply) -> None:
    """Three words over TLS, then silence."""
    await reply.head()
    await reply.send(reply.words(0, 3))
    await reply.hang()


@fault("connection", certificate="untrusted")
async def tls_certificate_untrusted(reply: Reply) -> None:
    """A certificate that nobody vouches for."""
    await reply.stream()


@fault("connection", certificate="other_host")
async def tls_certificate_of_another_host(reply: Reply) -> None:
    """A trusted certificate, but not for this host."""
    await reply.stream()


@fault("connection", certificate="trusted", stage="connect")
async def tls_answered_in_plain_text(reply: Reply) -> None:
    """Plain HTTP in answer to a TLS greeting."""
    await reply.whole(400, b"The plain HTTP request was sent to HTTPS port")
    reply.half_close()
    await reply.hang()


@fault("connection", certificate="trusted", stage="connect")
async def tls_closed_in_the_handshake(reply: Reply) -> None:
    """The connection is closed inside the handshake."""
    await reply.received()
    await reply.fin()


@fault("timeout", certificate="trusted", stage="connect", clock="connect")
async def tls_handshake_stalls(reply: Reply) -> None:
    """A handshake that nobody answers."""
    await reply.hang()
