"""Conversations that outlive a request: sessions, history, sources, and any model for each turn.

client = ConversationClient(LLMClient(), store="conversations.db")
session = await client.session(SessionContext(instance_id="i", user_id="u", project_id="p"))
context = ChatContext(session_id=session.session_id, token=session.token)
conversation = await client.start_conversation(context, {"title": "Taxes"})
async for chunk in conversation.chat_stream("What is VAT?"): ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmstream.lazy_names import lazy_names
from llmstream.token_estimate import estimate_tokens

if TYPE_CHECKING:
    from llmstream.conversations.client import ConversationClient
    from llmstream.conversations.context import ContextPolicy
    from llmstream.conversations.conversation import Conversation
    from llmstream.conversations.documents import Document
    from llmstream.conversations.errors import (
        AccessError,
        ContextTooLongError,
        ConversationBusyError,
        ConversationError,
        ConversationLimitError,
        ImportFormatError,
        StoreError,
        StoreFullError,
        TurnError,
    )
    from llmstream.conversations.models import (
        ChatContext,
        ChatRequest,
        ChatResponse,
        CitationSource,
        ConversationRequest,
        Session,
        SessionContext,
        StartConversation,
        StreamingChatRequest,
        StreamingChunk,
    )
    from llmstream.conversations.records import Turn
    from llmstream.conversations.stores.limits import StoreLimits
    from llmstream.conversations.stores.memory import MemoryStore
    from llmstream.conversations.stores.protocol import Store
    from llmstream.conversations.stores.redis import RedisStore
    from llmstream.conversations.stores.sqlite import SQLiteStore

# The models bring pydantic; a server that keeps nothing needs the limits alone.
_HOME = {
    "client": ("ConversationClient",),
    "context": ("ContextPolicy",),
    "conversation": ("Conversation",),
    "documents": ("Document",),
    "errors": (
        "AccessError",
        "ContextTooLongError",
        "ConversationBusyError",
        "ConversationError",
        "ConversationLimitError",
        "ImportFormatError",
        "StoreError",
        "StoreFullError",
        "TurnError",
    ),
    "models": (
        "ChatContext",
        "ChatResponse",
        "CitationSource",
        "ChatRequest",
        "ConversationRequest",
        "Session",
        "SessionContext",
        "StartConversation",
        "StreamingChatRequest",
        "StreamingChunk",
    ),
    "records": ("Turn",),
    "stores.limits": ("StoreLimits",),
    "stores.memory": ("MemoryStore",),
    "stores.protocol": ("Store",),
    "stores.redis": ("RedisStore",),
    "stores.sqlite": ("SQLiteStore",),
}
__all__ = [
    "AccessError",
    "ChatContext",
    "ChatRequest",
    "ChatResponse",
    "CitationSource",
    "ContextPolicy",
    "ContextTooLongError",
    "Conversation",
    "ConversationBusyError",
    "ConversationClient",
    "ConversationError",
    "ConversationLimitError",
    "ConversationRequest",
    "Document",
    "ImportFormatError",
    "MemoryStore",
    "RedisStore",
    "SQLiteStore",
    "Session",
    "SessionContext",
    "StartConversation",
    "Store",
    "StoreError",
    "StoreFullError",
    "StoreLimits",
    "StreamingChatRequest",
    "StreamingChunk",
    "Turn",
    "TurnError",
    "estimate_tokens",
]

__getattr__, __dir__ = lazy_names(__name__, _HOME)
