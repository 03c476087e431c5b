"""The API version that a request goes out under.

Format: https://docs.anthropic.com/en/api/versioning. 2026-10-21 refuses `temperature`, `top_p` and `top_k` at any
value, for every model. Under 2023-06-01 some models take them (`llmstream.wire.option_rules`). So a body that holds
such an option goes out under the older version, and every other body under the newer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstream.wire.option_rules import CURRENT_VERSION, SAMPLING, generation

HEADER = "anthropic-version"
WITH_SAMPLING = "2023-06-01"
_FIRST_WITH_SYSTEM = (4, 8)
_LAST_WITHOUT_SYSTEM = (5, 0)


def version_for(body: Mapping[str, Any]) -> str:
    """The version that takes this body."""
    return WITH_SAMPLING if any(name in body for name in SAMPLING) else CURRENT_VERSION


def takes_system_amid_turns(model: str) -> bool:
    """Whether a system message may stand amid the turns: at Claude from Opus 4.8 on, but not at Sonnet 5.

    Specification: platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages. Others answer 400
    `role 'system' is not supported on this model`.
    """
    name = model.lower()
    if "claude" not in name:
        return False
    version = generation(name)
    if "sonnet" in name or "haiku" in name:
        return version > _LAST_WITHOUT_SYSTEM
    return version >= _FIRST_WITH_SYSTEM
