"""Any LLM's stream as one small, strict, fast stream of events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmstream.lazy_names import lazy_names
from llmstream.version import __version__ as __version__  # it is exported

if TYPE_CHECKING:
    from llmstream.client import LLMClient, Stream
    from llmstream.errors import ConfigurationError, ErrorInfo, LLMError, LLMStreamError
    from llmstream.events.any_event import AnyEvent
    from llmstream.events.types import (
        EventType,
        ReasoningDelta,
        RefusalDelta,
        Retry,
        Start,
        Status,
        StreamEvent,
        TextDelta,
        ToolCallDelta,
    )
    from llmstream.fallback import Fallback
    from llmstream.messages import (
        ChatRequest,
        File,
        FinishReason,
        ImagePart,
        Message,
        Source,
        TextPart,
        Tool,
        ToolCall,
        ToolResult,
        Usage,
    )
    from llmstream.providers.timeouts import Timeouts
    from llmstream.retry import RetryBudget, RetryPolicy
    from llmstream.sync import SyncLLMClient, SyncStream


# `import llmstream` itself takes milliseconds and no SDK.
_HOME = {
    "client": ("LLMClient", "Stream"),
    "errors": ("ConfigurationError", "ErrorInfo", "LLMError", "LLMStreamError"),
    "events.any_event": ("AnyEvent",),
    "events.types": (
        "EventType",
        "ReasoningDelta",
        "RefusalDelta",
        "Retry",
        "Start",
        "Status",
        "StreamEvent",
        "TextDelta",
        "ToolCallDelta",
    ),
    "fallback": ("Fallback",),
    "messages": (
        "ChatRequest",
        "File",
        "FinishReason",
        "ImagePart",
        "Message",
        "Source",
        "TextPart",
        "Tool",
        "ToolCall",
        "ToolResult",
        "Usage",
    ),
    "providers.timeouts": ("Timeouts",),
    "retry": ("RetryBudget", "RetryPolicy"),
    "sync": ("SyncLLMClient", "SyncStream"),
}
__all__ = [  # sorted without regard to case, as readers do
    "AnyEvent",
    "ChatRequest",
    "ConfigurationError",
    "ErrorInfo",
    "EventType",
    "Fallback",
    "File",
    "FinishReason",
    "ImagePart",
    "LLMClient",
    "LLMError",
    "LLMStreamError",
    "Message",
    "ReasoningDelta",
    "RefusalDelta",
    "Retry",
    "RetryBudget",
    "RetryPolicy",
    "Source",
    "Start",
    "Status",
    "Stream",
    "StreamEvent",
    "SyncLLMClient",
    "SyncStream",
    "TextDelta",
    "TextPart",
    "Timeouts",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolResult",
    "Usage",
]

__getattr__, __dir__ = lazy_names(__name__, _HOME)
