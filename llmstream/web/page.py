"""The chat page, `chat.html` and `transcript.js`, sent as one file that loads nothing and may do next to nothing.

What a model writes is shown by it, so the page is locked in twice. Its script makes text nodes and never HTML; and if
it had a hole, the policy sent with it lets no script or style run but those with this response's nonce, nothing be
loaded, no form be sent, no text become HTML (Trusted Types), and no connection be made but to the page's own server.
"""

from __future__ import annotations

import secrets
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

_NONCE = "{{nonce}}"
_SCRIPT = "transcript.js"
"""Joined into the page where its name stands; apart, so that tests can load it."""
_DEVICES = (
    "accelerometer",
    "autoplay",
    "browsing-topics",
    "camera",
    "display-capture",
    "fullscreen",
    "geolocation",
    "gyroscope",
    "hid",
    "idle-detection",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "publickey-credentials-get",
    "screen-wake-lock",
    "serial",
    "usb",
    "xr-spatial-tracking",
)
"""Features that the page has no use for (https://github.com/w3c/webappsec-permissions-policy)."""
_LOCKS = {
    "cache-control": "no-store",  # a nonce is for one response
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": ", ".join(f"{name}=()" for name in _DEVICES),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    # A browser would look up the hosts of the links that a model writes, which tells them that they were shown.
    "x-dns-prefetch-control": "off",
    "x-frame-options": "DENY",
}
"""Headers of every page, beside its policy."""


async def chat_page(_request: Request) -> Response:
    """The page, for `GET /`. It talks to `chat` and `v1/models` beside its own address."""
    nonce = secrets.token_urlsafe(18)
    headers = {**_LOCKS, "content-security-policy": page_policy(nonce)}
    return Response(_template().replace(_NONCE, nonce), headers=headers, media_type="text/html")


def page_policy(nonce: str) -> str:
    """The page's Content-Security-Policy (W3C CSP level 3). The icon is `data:,`: none at all, without a request."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'nonce-{nonce}'",
            f"style-src 'nonce-{nonce}'",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


@cache
def _template() -> str:
    page, script = map(_read, ("chat.html", _SCRIPT))
    return page.replace(f"{{{{{_SCRIPT}}}}}", script)


def _read(name: str) -> str:
    return files("llmstream.web").joinpath(name).read_text(encoding="utf-8")
