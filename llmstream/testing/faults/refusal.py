"""Refusals: every status, every form of Retry-After, bodies that break, redirects."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from llmstream.testing.faults.catalogue import fault
from llmstream.testing.reply import Reply

_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1>nginx</body></html>"


async def _limited(reply: Reply, **headers: str) -> None:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    await reply.whole(429, reply.error_body("rate_limit_error", "slow down"), fields)


# --- rate limits: every form in which a server says how long to wait ------------------------------------------


@fault("rate_limit", delay=(1.0, 1.2))
async def rate_limit_seconds(reply: Reply) -> None:
    """429, `Retry-After` in seconds."""
    await _limited(reply, retry_after="1")


@fault("rate_limit", delay=(1.0, 2.3))
async def rate_limit_date(reply: Reply) -> None:
    """429, `Retry-After` as a date."""
    await _limited(
        reply, retry_after=format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    )


@fault("rate_limit", delay=(3.0, 3.4))
async def rate_limit_date_of_a_wrong_clock(reply: Reply) -> None:
    """429, `Retry-After` as a date, and the server's own `Date` an hour ahead."""
    there = datetime.now(UTC) + timedelta(hours=1)
    after = format_datetime(there + timedelta(seconds=3), usegmt=True)
    await _limited(reply, retry_after=after, date=format_datetime(there, usegmt=True))


@fault("rate_limit", delay=(0.02, 0.03))
async def rate_limit_milliseconds(reply: Reply) -> None:
    """429, `Retry-After-Ms` beside a longer `Retry-After`."""
    await _limited(reply, retry_after_ms="20", retry_after="9")


@fault("rate_limit", retried=False)
async def rate_limit_for_a_day(reply: Reply) -> None:
    """429, `Retry-After: 86400`."""
    await _limited(reply, retry_after="86400")


@fault("rate_limit", delay=(0.0, 8.0))
async def rate_limit_for_ever(reply: Reply) -> None:
    """429, `Retry-After: inf`."""
    await _limited(reply, retry_after="inf")


@fault("rate_limit", delay=(0.0, 8.0))
async def rate_limit_nan(reply: Reply) -> None:
    """429, `Retry-After: nan`."""
    await _limited(reply, retry_after="nan")


@fault("rate_limit", delay=(0.0, 8.0))
async def rate_limit_negative(reply: Reply) -> None:
    """429, `Retry-After: -5`."""
    await _limited(reply, retry_after="-5")


@fault("rate_limit", delay=(0.0, 8.0))
async def rate_limit_in_words(reply: Reply) -> None:
    """429, `Retry-After: soon`."""
    await _limited(reply, retry_after="soon")


@fault("rate_limit", delay=(0.0, 8.0))
async def rate_limit_bare(reply: Reply) -> None:
    """429 without `Retry-After`."""
    await _limited(reply)


@fault("rate_limit", retried=False)
async def rate_limit_do_not_retry(reply: Reply) -> None:
    """429, `x-should-retry: false`."""
    await _limited(reply, x_should_retry="false")


@fault("quota")
async def quota_spent(reply: Reply) -> None:
    """429 that means money: no waiting helps."""
    kind, code = reply.format.samples.quota
    details = {"code": code, "details": {"error_code": code}}
    await reply.whole(429, reply.error_body(kind, "no quota", **details))


# --- other statuses -------------------------------------------------------------------------------------------


@fault("invalid_request")
async def status_400(reply: Reply) -> None:
    """400: the request is wrong."""
    await reply.whole(400, reply.error_body("invalid_request_error", "no such thing"))


@fault("context_length")
async def status_400_context_length(reply: Reply) -> None:
    """400: the prompt is too long."""
    await reply.whole(
        400, reply.error_body("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum")
    )


@fault("authentication")
async def status_401(reply: Reply) -> None:
    """401: a wrong key."""
    await reply.whole(401, reply.error_body("authentication_error", "invalid key"))


@fault("authentication")
async def status_401_string(reply: Reply) -> None:
    """401 whose body is `{"error": "Unauthorized"}`."""
    await reply.whole(401, {"error": "Unauthorized"})


@fault("authentication")
async def status_401_echoes_the_key(reply: Reply) -> None:
    """401 that repeats the caller's key in its message."""
    headers = reply.request.headers if reply.request is not None else {}
    key = headers.get("authorization") or headers.get("x-api-key")
    await reply.whole(
        401, reply.error_body("authentication_error", f"Incorrect API key provided: {key}")
    )


@fault("quota")
async def status_402(reply: Reply) -> None:
    """402: pay first."""
    await reply.whole(402, reply.error_body("billing", "insufficient balance"))


@fault("permission")
async def status_403(reply: Reply) -> None:
    """403: not with this key."""
    await reply.whole(403, reply.error_body("permission_error", "not allowed"))


@fault("not_found")
async def status_404(reply: Reply) -> None:
    """404: no such model."""
    await reply.whole(404, reply.error_body("not_found_error", "no such model"))


@fault(("timeout", "server"))
async def status_408(reply: Reply) -> None:
    """408: the server waited too long for the request."""
    await reply.whole(408, reply.error_body("timeout", "request timeout"))


@fault("server")
async def status_409(reply: Reply) -> None:
    """409: a lock is held; asking again helps."""
    await reply.whole(409, reply.error_body("conflict", "locked"))


@fault(("context_length", "invalid_request"))
async def status_413(reply: Reply) -> None:
    """413: the request is too large."""
    await reply.whole(
        413, b"<html>413 Request Entity Too Large</html>", {"content-type": "text/html"}
    )


@fault("invalid_request")
async def status_422(reply: Reply) -> None:
    """422 with FastAPI's list of details."""
    await reply.whole(
        422, {"detail": [{"loc": ["body", "model"], "msg": "field required", "type": "missing"}]}
    )


@fault("server")
async def status_500(reply: Reply) -> None:
    """500."""
    await reply.whole(500, reply.error_body("server_error", "oops"))


@fault("server")
async def status_502_html(reply: Reply) -> None:
    """502, a gateway's HTML page."""
    await reply.whole(502, _HTML, {"content-type": "text/html"})


@fault("overloaded")
async def status_503(reply: Reply) -> None:
    """503."""
    await reply.whole(503, b"upstream connect error", {"content-type": "text/plain"})


@fault("server")
async def status_504_html(reply: Reply) -> None:
    """504, a gateway's HTML page."""
    await reply.whole(504, _HTML.replace(b"502", b"504"), {"content-type": "text/html"})


@fault("server")
async def status_520_html(reply: Reply) -> None:
    """520, Cloudflare's word for an origin that failed."""
    await reply.whole(520, _HTML.replace(b"502", b"520"), {"content-type": "text/html"})


@fault("overloaded")
async def status_529(reply: Reply) -> None:
    """529: overloaded."""
    await reply.whole(529, reply.error_body("overloaded_error", "Overloaded"))


@fault(("server", "protocol", "connection"))
async def status_999(reply: Reply) -> None:
    """999, which is no status that HTTP knows."""
    await reply.whole(999, b"blocked", {"content-type": "text/plain"})


@fault(("truncated", "wrong_body"))
async def status_204(reply: Reply) -> None:
    """204: success without a body."""
    await reply.raw(b"HTTP/1.1 204 No Content\r\n\r\n")


@fault(("truncated", "wrong_body"))
async def status_205(reply: Reply) -> None:
    """205: success, and an empty body."""
    await reply.raw(b"HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n")


@fault(("redirect", "wrong_body", "protocol"))
async def status_304(reply: Reply) -> None:
    """304: as if we had the answer already."""
    await reply.raw(b"HTTP/1.1 304 Not Modified\r\n\r\n")


# --- bodies of refusals ---------------------------------------------------------------------------------------


@fault("server")
async def error_body_empty(reply: Reply) -> None:
    """500 with an empty body."""
    await reply.whole(500, b"")


@fault("rate_limit")
async def error_body_stalls(reply: Reply) -> None:
    """429 whose body never ends."""
    await reply.head(429)
    await reply.send(b'{"error": ')
    await reply.hang()


@fault("server")
async def error_body_cut(reply: Reply) -> None:
    """500 whose body is cut."""
    await reply.head(500)
    await reply.send(b'{"error": ')
    await reply.fin()


@fault("server")
async def error_body_endless(reply: Reply) -> None:
    """500 whose body grows for ever."""
    await reply.head(500)
    while True:
        await reply.send(b"x" * 65536)


@fault("overloaded")
async def error_body_gzip(reply: Reply) -> None:
    """529 with a compressed body."""
    body = gzip.compress(json.dumps(reply.error_body("overloaded_error", "Overloaded")).encode())
    await reply.whole(529, body, {"content-encoding": "gzip"})


@fault("server")
async def error_body_gzip_broken(reply: Reply) -> None:
    """500 whose compressed body is none."""
    await reply.whole(500, b"not gzip at all", {"content-encoding": "gzip"})


@fault("server")
async def error_body_bad_utf8(reply: Reply) -> None:
    """500 whose body is no UTF-8."""
    await reply.whole(500, b'{"error": {"message": "\xff\xfe\xe9"}}')


@fault("server")
async def error_body_of_odd_types(reply: Reply) -> None:
    """500 whose error object has none of the types that one expects."""
    await reply.whole(
        500, {"error": {"message": [1, {"a": None}], "type": 7, "code": {}, "details": "x"}}
    )


@fault("server")
async def error_body_deeply_nested(reply: Reply) -> None:
    """500 whose body is ten thousand brackets deep."""
    await reply.whole(500, b"[" * 10_000 + b"]" * 10_000)


# --- redirects ------------------------------------------------------------------------------------------------


async def _redirect(reply: Reply, status: int, location: str) -> None:
    await reply.whole(status, b"", {"location": location})


@fault("redirect")
async def redirect_to_another_origin(reply: Reply) -> None:
    """307 to another host: the prompt and the key must not follow."""
    here: Any = reply.request
    port = here.headers["host"].rpartition(":")[2]
    await _redirect(reply, 307, f"http://localhost:{port}{here.path}")


@fault("redirect")
async def redirect_to_itself(reply: Reply) -> None:
    """308 to the same address, for ever."""
    await _redirect(reply, 308, reply.request.path if reply.request is not None else "/")


@fault("redirect")
async def redirect_to_a_login_page(reply: Reply) -> None:
    """302, which browsers follow with GET."""
    await _redirect(reply, 302, "/login")


@fault("redirect")
async def redirect_to_nowhere(reply: Reply) -> None:
    """301 without `Location`."""
    await reply.whole(301, b"")
