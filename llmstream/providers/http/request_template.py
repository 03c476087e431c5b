"""The SDK's own request, sent again with another body.

Making a request takes an SDK and httpx2 a quarter of a millisecond, half of all that one costs, and but for the body it
is the same each time. So the first is the SDK's work, and those after it are copies, until somebody else holds the
SDK's client and may change it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llmstream.providers.secrets import Secret

if TYPE_CHECKING:
    import httpx2


class PreparedRequest:
    """What stays the same of `request`: its URL and headers, but for cookies and the body's length."""

    __slots__ = ("_headers", "_url")

    def __init__(self, request: httpx2.Request) -> None:
        import httpx2

        self._url = request.url
        changing = (b"content-length", b"cookie")
        self._headers = Secret(
            httpx2.Headers([item for item in request.headers.raw if item[0].lower() not in changing])
        )

    def send(self, http: httpx2.AsyncClient, body: dict[str, Any], timeout: httpx2.Timeout) -> Any:
        """Send a body with it over the SDK's HTTP client. An awaitable; raises as httpx2 does, or as `json`."""
        import httpx2

        content = json.dumps(
            body, ensure_ascii=False, separators=(",", ":"), allow_nan=False
        ).encode()  # as the SDKs do
        return http.send(
            httpx2.Request(
                "POST",
                self._url,
                headers=self._headers.reveal(),
                cookies=http.cookies if http.cookies.jar else None,
                content=content,
                extensions={"timeout": timeout.as_dict()},
            ),
            stream=True,
            follow_redirects=False,
        )
