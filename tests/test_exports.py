"""The public names of each package and public module, written down: a change of them is seen here."""

from __future__ import annotations

import ast
import inspect
import itertools
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import llmstream

EXPORTS = {
    "llmstream": """
        AnyEvent ChatRequest ConfigurationError ErrorInfo EventType Fallback File FinishReason ImagePart LLMClient
        LLMError LLMStreamError Message ReasoningDelta RefusalDelta Retry RetryBudget RetryPolicy Source Start Status
        Stream StreamEvent SyncLLMClient SyncStream TextDelta TextPart Timeouts Tool ToolCall ToolCallDelta ToolResult
        Usage
        """,
    "llmstream.cli": "main run",
    "llmstream.client": "CallOptions LLMClient Stream",
    "llmstream.clock": "Clock LoopClock Timer",
    "llmstream.conversations": """
        AccessError ChatContext ChatRequest ChatResponse CitationSource ContextPolicy ContextTooLongError Conversation
        ConversationBusyError ConversationClient ConversationError ConversationLimitError ConversationRequest
        Document ImportFormatError MemoryStore RedisStore SQLiteStore Session SessionContext StartConversation Store
        StoreError StoreFullError StoreLimits StreamingChatRequest StreamingChunk Turn TurnError estimate_tokens
        """,
    "llmstream.errors": """
        AuthenticationError ConfigurationError ConnectionFailedError ContentFilterError ContextLengthError ErrorInfo
        ErrorKind FrameTooLargeError InternalError InvalidOutputError InvalidRequestError LLMError LLMStreamError
        NotFoundError OverloadedError PermissionDeniedError ProtocolError QuotaError RateLimitError RedirectError
        ResponseTimeoutError ServerError StrictError ToolUseFailedError TruncatedError WrongBodyError
        """,
    "llmstream.events": """
        AnyEvent EventType MessageBuilder ReasoningDelta RefusalDelta Retry Start Status StreamEvent TextDelta
        ToolCallDelta
        """,
    "llmstream.fallback": "DEFAULT_FALLBACK_ON Fallback",
    "llmstream.limits": "Asking Endpoint Limiter LocalLimiter QueuePlace Rate Reservation SpendLimit Time Wait",
    "llmstream.messages": """
        ChatRequest File FinishReason HostedTool ImagePart Message Part ProviderPart ReasoningPart RefusalPart
        ResponseFormat Role Source TextPart Tool ToolCall ToolChoice ToolResult Usage
        """,
    "llmstream.middleware": "Middleware Next",
    "llmstream.observe": "LogObserver ObservedAttempt ObservedCall Observer Outcome",
    "llmstream.providers": """
        API Call Channel Clock HTTPProvider HTTPRequest Outbound Provider ProviderConfig ProviderTraits SchemaSupport
        ScriptItem SimulatorProvider Timeouts UNSET create names public_hosts_only register
        """,
    "llmstream.retry": "RetryBudget RetryPolicy",
    "llmstream.router": """
        Candidate Decision Dispatcher Embed Handler ModelRouter Prefer Router RouterWithDispatcher Routes Strategy
        by_model by_similarity rules
        """,
    "llmstream.streams": """
        Clock Flow Transformer buffer coalesce collect guard map_text progress record replay tee text transform
        """,
    "llmstream.structured": "FieldComplete Mode Partial ValidationFailedError ask objects parse",
    "llmstream.testing": """
        Cassette FAULTS Fault FaultServer Received Reply ScriptedProvider VirtualClock check_decoder check_provider
        """,
    "llmstream.testing.faults": "FAULTS Fault",
    "llmstream.tools": "ArgumentsError Confirm FunctionTool run_tools tool",
    "llmstream.web": """
        AbortedError Access AuditLog Choice EventStreamResponse Form KeyFile KeyLimits KeyRing Limits Metrics
        NotAcceptableError RefusedError RequestObserver ResponseMode ServedRequest
        choose create_app negotiate respond running send_events
        """,
    "llmstream.web.dialects": "AgUi AiSdk AnthropicMessages Ask Dialect GeminiGenerate GeminiStream "
    "OllamaChat OllamaGenerate OpenAIChat OpenAIResponses SharedChat all_dialects",
    "llmstream.web.server": "Bounds GRACE HTTP listen make_server running with_bounds",
    "llmstream.wire": """
        Decoder Encoder EventStream FORMATS Format NDJSON Rendered SSE Specimen decoder encoder parse_error
        """,
}
INTERNAL = {
    "llmstream.testing.faults.wild",
    "llmstream.conversations.stores",
    "llmstream.gateway",
    "llmstream.providers.http",
    "llmstream.providers.http.internals",
    "llmstream.wire.anthropic_messages",
    "llmstream.wire.bedrock_converse",
    "llmstream.wire.cohere_v2",
    "llmstream.wire.fitting",
    "llmstream.wire.framing",
    "llmstream.wire.gemini_generate",
    "llmstream.wire.gemini_interactions",
    "llmstream.wire.ollama_native",
    "llmstream.wire.openai_chat",
    "llmstream.wire.openai_responses",
}
"""Packages that users import nothing from: what they need of them, the package above exports."""
NAMES = [(module, name) for module, names in EXPORTS.items() for name in names.split()]


def packages() -> set[str]:
    found = pkgutil.walk_packages(llmstream.__path__, "llmstream.")
    return {"llmstream", *(each.name for each in found if each.ispkg)}


def parse(module: str) -> ast.Module:
    return ast.parse(Path(str(import_module(module).__file__)).read_text(encoding="utf-8"))


def home_of(module: str, name: str) -> str:
    """The module that defines a name, by way of the imports that bring it here."""
    for node in ast.walk(parse(module)):
        if isinstance(node, ast.ImportFrom):
            brought = {alias.asname or alias.name for alias in node.names}
            if name in brought:
                return home_of(str(node.module), name)
    return module


def comment_below(module: str, name: str) -> str:
    """The docstring under the assignment that makes an alias or a constant."""
    body = parse(module).body
    for node, below in itertools.pairwise(body):
        is_assigned = isinstance(node, ast.Assign) and name in [
            target.id for target in node.targets if isinstance(target, ast.Name)
        ]
        is_annotated = (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id == name
        )
        if (is_assigned or is_annotated) and isinstance(below, ast.Expr):
            return str(ast.literal_eval(below.value))
    return ""


def test_every_package_is_either_listed_here_or_internal():
    """A new package has to say what it exports, or that it exports nothing."""
    assert packages() - EXPORTS.keys() == INTERNAL
    for package in INTERNAL:
        assert not hasattr(import_module(package), "__all__")


@pytest.mark.parametrize("module", EXPORTS)
def test_a_module_exports_what_is_written_down(module):
    """`__all__` has the names of the list above, once each, and `dir` lists them."""
    exported = import_module(module).__all__
    assert sorted(exported) == sorted(EXPORTS[module].split())
    assert set(exported) <= set(dir(import_module(module)))


@pytest.mark.parametrize("module", EXPORTS)
def test_its_names_can_be_imported_in_a_fresh_process(module):
    """`from module import *` works, whatever was imported before: loading on demand is complete."""
    script = (
        f"from {module} import *\nimport {module} as m\nprint(*(set(m.__all__) - set(globals())))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_every_public_name_says_what_it_is(module, name):
    """A class or function has a docstring of its own; an alias or constant has one below it."""
    value = getattr(import_module(module), name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__module__.startswith("llmstream.")
        text = value.__dict__.get("__doc__") if inspect.isclass(value) else value.__doc__
        is_generated = str(text).startswith(f"{name}(")  # by dataclass, where there is none
        text = None if is_generated else text
    else:
        text = None
    assert text or comment_below(home_of(module, name), name)


def test_the_first_names_that_are_met_stay_few():
    """The top level stays small enough to be read, and is sorted as readers sort."""
    assert llmstream.__all__ == sorted(set(llmstream.__all__), key=str.casefold)
    assert len(llmstream.__all__) <= 35


@pytest.mark.parametrize(
    "module", ["llmstream", "llmstream.web", "llmstream.providers", "llmstream.wire"]
)
def test_another_name_is_an_attribute_error(module):
    """A name that isn't there fails as in any module, also where names are loaded on demand."""
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'LLMCleint'"):
        import_module(module).LLMCleint  # noqa: B018
    with pytest.raises(ImportError):
        exec(f"from {module} import nothing")


def test_the_version_is_that_of_the_package():
    """`__version__` is set."""
    assert llmstream.__version__.count(".") == 2
