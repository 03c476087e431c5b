"""The members of Cohere's events that are read, and those that mean nothing for the answer.

Any other that holds words is named in a STATUS, and is an error if nothing else of the answer was understood.
"""

from __future__ import annotations

_OF_ALL = frozenset({"delta", "event_id", "index", "type"})
EVENT = _OF_ALL | {"finish_reason", "id", "logprobs", "model", "response_type", "usage"}
"""Of every event, beside what its delta says."""
DELTA = frozenset({"logprobs", "message"})
END = frozenset({"error", "error_type", "finish_reason", "message", "usage"})
"""Of the delta of `message-end`."""
MESSAGE = frozenset({"citations", "content", "role", "tool_calls", "tool_plan"})
DOCUMENT = frozenset({"finish_reason", "id", "logprobs", "message", "meta", "model", "usage"})
"""Of a whole answer."""
CONTENT = frozenset({"text", "thinking", "type"})
CALL = frozenset({"function", "id", "type"})
FUNCTION = frozenset({"arguments", "name"})
EMPTY_EVENTS = frozenset({"debug"})
"""Events that mean nothing for the answer: the prompt as the model got it."""
