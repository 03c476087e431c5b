"""The words of existing clients, so that they work unchanged: see `base` for what a dialect is."""

from llmstream.web.dialects.ag_ui import AgUi
from llmstream.web.dialects.ai_sdk import AiSdk
from llmstream.web.dialects.anthropic_messages import AnthropicMessages
from llmstream.web.dialects.base import Ask, Dialect
from llmstream.web.dialects.gemini import GeminiGenerate, GeminiStream
from llmstream.web.dialects.ollama import OllamaChat, OllamaGenerate
from llmstream.web.dialects.openai_chat import OpenAIChat
from llmstream.web.dialects.openai_responses import OpenAIResponses
from llmstream.web.dialects.shared_chat import SharedChat

__all__ = [
    "AgUi",
    "AiSdk",
    "AnthropicMessages",
    "Ask",
    "Dialect",
    "GeminiGenerate",
    "GeminiStream",
    "OllamaChat",
    "OllamaGenerate",
    "OpenAIChat",
    "OpenAIResponses",
    "SharedChat",
    "all_dialects",
]


def all_dialects() -> list[Dialect]:
    """One of each, for an app to mount."""
    return [
        *(OpenAIChat(), OpenAIResponses(), AnthropicMessages()),
        *(GeminiGenerate(), GeminiStream()),
        *(OllamaChat(), OllamaGenerate()),
        *(AiSdk(), AgUi(), SharedChat()),
    ]
