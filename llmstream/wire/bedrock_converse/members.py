"""The members of Converse's answers that are read, and those that mean nothing for the answer.

Specification: botocore's service model of bedrock-runtime (ConverseStreamOutput, ConverseResponse). Any other that
holds words is named in a STATUS, and is an error if nothing else of the answer was understood.
"""

from __future__ import annotations

from collections.abc import Mapping

_PADDING = "p"
"""Letters that hide the length of a piece."""
_ANY = frozenset({_PADDING})
_BLOCK = _ANY | {"contentBlockIndex"}
FIELDS = "additionalModelResponseFields"
"""What the model says beyond Converse, where the request asks for it."""
DETAILS = (
    FIELDS,
    "metrics",
    "performanceConfig",
    "serviceTier",
    "trace",
)
"""What the end of an answer says of it, beside the reason and the usage."""
_END = _ANY | {"stopReason", "usage", *DETAILS}

EVENTS: Mapping[str, frozenset[str]] = {
    "messageStart": _ANY | {"role"},
    "contentBlockStart": _BLOCK | {"start"},
    "contentBlockDelta": _BLOCK | {"delta"},
    "contentBlockStop": _BLOCK,
    "messageStop": _END,
    "metadata": _END,
}
"""Members of events, by name."""
CALL = frozenset({"input", "name", "toolUseId", "type"})
"""Members of a call's start, and of a whole call."""
DOCUMENT = _END | {"output"}
"""Members of a whole answer."""

BY_MEMBER = (
    ("delta", "contentBlockDelta"),
    ("start", "contentBlockStart"),
    ("stopReason", "messageStop"),
    ("usage", "metadata"),
    ("metrics", "metadata"),
    ("role", "messageStart"),
    ("contentBlockIndex", "contentBlockStop"),
)
"""What an event is called, by a member that it has, for those whose name was lost."""
