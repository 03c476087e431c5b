"""Any LLM's stream as one small, strict, fast stream of events."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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


# Loaded when first asked for (PEP 562): `import llmstream` itself takes milliseconds and no SDK.
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
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [  # sorted without regard to case, as readers do
    "AnyEvent",
    "ChatRequest",
    "ConfigurationError",
    "ErrorInfo",
    "EventType",
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
    "TextDelta",
    "TextPart",
    "Timeouts",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolResult",
    "Usage",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'llmstream' has no attribute {name!r}")
    value = getattr(import_module(f"llmstream.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
