"""What leaves, as bytes: one JSON value per SSE event."""

from __future__ import annotations

import json
from typing import Any


def render_frame(payload: Any) -> bytes:
    """One event. JSON escapes every line end, so no text can break a frame; what is no JSON is shown as text.

    A lone surrogate, which a tool's result may hold, has no place in UTF-8: "?" stands in.
    """
    data = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), default=str)
    return b"data: " + data.encode("utf-8", "replace") + b"\n\n"
