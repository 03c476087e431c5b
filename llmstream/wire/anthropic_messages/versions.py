"""The API version that a request goes out under, and what follows from it for sampling options.

Format: https://docs.anthropic.com/en/api/versioning. 2026-10-21 refuses `temperature`, `top_p` and `top_k` at any
value, for every model. Under 2023-06-01 Claude up to 4.6 takes them unless it reasons; Claude from 4.7 on doesn't. So
a body that holds such an option goes out under the older version, and every other body under the newer. From Claude 4.1
on `temperature` and `top_p` exclude each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HEADER = "anthropic-version"
CURRENT = "2026-10-21"
WITH_SAMPLING = "2023-06-01"
SAMPLING = ("temperature", "top_p", "top_k")

_NUMBERED = re.compile(r"claude-(?:[a-z]+-)*v?(\d{1,2})(?!\d)(?:[-.](\d{1,2})(?!\d))?")
_LAST_SAMPLED = (4, 6)
_FIRST_EXCLUSIVE = (4, 1)
_FIRST_WITH_SYSTEM = (4, 8)
_LAST_WITHOUT_SYSTEM = (5, 0)
_EXCLUDED_BY = {"temperature": "top_p", "top_p": "temperature"}


def version_for(body: Mapping[str, Any]) -> str:
    """The version that takes this body."""
    return WITH_SAMPLING if any(name in body for name in SAMPLING) else CURRENT


def refusal(option: str, value: Any, body: Mapping[str, Any], version: str | None) -> str | None:
    """Why a sampling option can't go with this body; None: it can.

    `version` is the caller's own, such as "2023-06-01" or "vertex-2023-10-16"; None: the one that suits the body is
    sent. Other hosts speak this format, too: a model that isn't a Claude is taken to know the options.
    """
    model = str(body["model"]).lower()
    if "claude" not in model:
        return None
    if version is not None and str(version)[-len(CURRENT) :] >= CURRENT:
        return f"anthropic-version {version} refuses it"
    if _generation(model) > _LAST_SAMPLED:
        return "Claude takes none from 4.7 on"
    if _reasons(body) and not (option == "temperature" and value == 1):
        return "Claude takes none while it reasons"
    other = _EXCLUDED_BY.get(option)
    if other in body and _generation(model) >= _FIRST_EXCLUSIVE:
        return f"Claude takes none beside {other} from 4.1 on"
    return None


def takes_system_amid_turns(model: str) -> bool:
    """Whether a system message may stand amid the turns: at Claude from Opus 4.8 on, but not at Sonnet 5.

    Specification: platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages. Others answer 400
    `role 'system' is not supported on this model`.
    """
    name = model.lower()
    if "claude" not in name:
        return False
    generation = _generation(name)
    if "sonnet" in name or "haiku" in name:
        return generation > _LAST_WITHOUT_SYSTEM
    return generation >= _FIRST_WITH_SYSTEM


def _generation(model: str) -> tuple[int, int]:
    """The numbers in a Claude's name. A name without any is a new one's."""
    found = _NUMBERED.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else (99, 0)


def _reasons(body: Mapping[str, Any]) -> bool:
    thinking = body.get("thinking")
    return isinstance(thinking, Mapping) and thinking.get("type") != "disabled"
