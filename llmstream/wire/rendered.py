"""What every format's `render_request` gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Rendered:
    """A request body, and a sentence for every option that this format can't take or takes only in part."""

    body: dict[str, Any]
    warnings: list[str] = field(default_factory=list)
