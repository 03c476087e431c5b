"""Histories of every kind, as hypothesis draws them, and the targets that they go to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from llmstream.messages import (
    ChatRequest,
    File,
    ImagePart,
    Message,
    Part,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCall,
    ToolResult,
    parse_arguments,
)
from llmstream.providers.anthropic import AnthropicProvider
from llmstream.providers.bedrock import BedrockProvider
from llmstream.providers.cohere import CohereProvider
from llmstream.providers.compatible import VENDORS
from llmstream.providers.config import ProviderConfig
from llmstream.providers.gemini import GeminiInteractionsProvider, GeminiProvider
from llmstream.providers.ollama import OllamaProvider
from llmstream.providers.openai import OpenAIProvider, OpenAIResponsesProvider
from llmstream.wire.outbound import Rendered

MAKERS = {
    "openai-chat": "openai",
    "openai-responses": "openai-responses",
    "anthropic-messages": "anthropic",
    "ollama-native": "ollama",
    "cohere-v2": "cohere",
    "bedrock-converse": "bedrock",
    "gemini-generate": "gemini",
    "gemini-interactions": "gemini-interactions",
}
"""Who made an answer: the format, and the provider's name."""


@dataclass(frozen=True)
class Target:
    """Where a history goes."""

    name: str
    format: str
    model: str

    def render(self, history: list[Message], **options: Any) -> Rendered:
        """The body that goes there."""
        request = ChatRequest(history, self.model, **options)
        return RENDERERS[self.name](request)


def _renderers() -> dict[str, Callable[[ChatRequest], Rendered]]:
    """How each provider renders, as its own class does it."""
    made: dict[str, Any] = {
        name: vendor.create(
            ProviderConfig(
                name, api_key="k", base_url="http://127.0.0.1:9", allow_insecure_http=True
            )
        )
        for name, vendor in VENDORS.items()
    }
    made["openai"] = OpenAIProvider(ProviderConfig("openai", api_key="k"))
    made["openai-responses"] = OpenAIResponsesProvider(
        ProviderConfig("openai-responses", api_key="k")
    )
    made["anthropic"] = AnthropicProvider(ProviderConfig("anthropic", api_key="k"))
    made["cohere"] = CohereProvider(ProviderConfig("cohere", api_key="k"))
    made["ollama"] = OllamaProvider(ProviderConfig("ollama", api_key="k"))
    made["bedrock"] = BedrockProvider(
        ProviderConfig("bedrock", api_key="k", base_url="http://127.0.0.1:9")
    )
    made["gemini"] = GeminiProvider(ProviderConfig("gemini", api_key="k"))
    made["gemini-interactions"] = GeminiInteractionsProvider(
        ProviderConfig("gemini-interactions", api_key="k")
    )
    return {
        name: lambda request, p=provider: p.render(request, {}) for name, provider in made.items()
    }


RENDERERS = _renderers()
CLAUDES = ("claude-sonnet-4-5", "claude-opus-4-8", "claude-opus-5-5", "deepseek-v4-pro", "kimi-k3")
ON_BEDROCK = ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "us.amazon.nova-2-lite-v1:0")
GEMINIS = ("gemini-3.8-flash", "gemini-2.5-flash")
TARGETS = [
    *(
        Target(name, "openai-chat", row.default_model or "some-model")
        for name, row in VENDORS.items()
    ),
    Target("openrouter", "openai-chat", "deepseek/deepseek-v4-pro"),
    Target("openai", "openai-chat", "gpt-5.6"),
    Target("openai-responses", "openai-responses", "gpt-5.6"),
    *(Target("anthropic", "anthropic-messages", model) for model in CLAUDES),
    Target("ollama", "ollama-native", "qwen3"),
    Target("cohere", "cohere-v2", "command-a-03-2025"),
    Target("cohere", "cohere-v2", "command-a-reasoning-08-2025"),
    *(Target("bedrock", "bedrock-converse", model) for model in ON_BEDROCK),
    *(Target("gemini", "gemini-generate", model) for model in GEMINIS),
    Target("gemini-interactions", "gemini-interactions", GEMINIS[0]),
]

# --- parts ------------------------------------------------------------------------------------------------

words = st.sampled_from(["Hello.", "So: \n", " ", "", "\n", "ünï", "two\n\nparts "])
said = st.builds(TextPart, words, st.sampled_from([None, None, None, "5m", "1h"]))
images = st.sampled_from(
    [
        ImagePart("https://a.example/x.png", cache="5m"),
        ImagePart(data="aGk=", media_type="image/png", detail="low"),
    ]
)
files = st.sampled_from(
    [
        File(data="JVBERi0=", media_type="application/pdf", name="a.pdf"),
        File(data="YSxi", media_type="text/csv", name="t.csv"),
        File(url="https://a.example/x.pdf", media_type="application/pdf"),
    ]
)
blocks = st.sampled_from(
    [
        ProviderPart(
            "anthropic-messages",
            {
                "type": "search_result",
                "source": "https://a.example",
                "title": "A",
                "content": [{"type": "text", "text": "found"}],
            },
        ),
        ProviderPart(
            "anthropic-messages",
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "said"},
                "title": "D",
                "citations": {"enabled": True},
            },
        ),
    ]
)
given_parts = said | images | files | blocks
ids = st.sampled_from(["", "call_1", "functions.get:0", "x" * 70, "a b", "abcDEF123", "toolu_1"])
fresh_ids = st.uuids().map("call|{}".format)
texts_of_calls = st.sampled_from(['{"a":1}', "{}", "", '{"a": ', "[1]", "oops"])


def call(id: str, text: str) -> ToolCall:
    parsed = parse_arguments(text)
    return ToolCall(id, "get", text, parsed, parsed is not None)


calls = st.builds(call, ids | fresh_ids, texts_of_calls)
customs = st.builds(
    lambda call_id, data: ToolCall(call_id, "patch", "*** Begin", None, provider_data=data),
    ids | fresh_ids,
    st.sampled_from(
        [
            {"format": "openai-responses", "type": "custom_tool_call"},
            {"format": "openai-responses", "type": "custom_tool_call", "namespace": "files"},
        ]
    ),
)
contents = st.sampled_from(
    [
        "42",
        "",
        {"ok": True},
        [1, 2],
        [TextPart("a"), TextPart("b")],
        [TextPart("Look."), ImagePart("https://a.example/y.png")],
        [ImagePart(data="aGk=", media_type="image/png")],
        [File(data="YSxi", media_type="text/csv", name="t.csv")],
    ]
)


def signed(format: str) -> ReasoningPart:
    """Reasoning that a host of this format signed. The signature says whose it is."""
    data = None
    if format == "openai-chat":
        detail = {"type": "reasoning.text", "text": "Hm.", "signature": f"signed by {format}"}
        data = {"format": format, "reasoning_details": [detail]}
    return ReasoningPart("Hm.", f"signed by {format}", "rs_1", format, data)


def opaque(format: str) -> ProviderPart:
    """What only this format understands."""
    if format == "bedrock-converse":
        return ProviderPart(format, {"reasoningContent": {"redactedContent": "eA=="}})
    if format == "gemini-generate":
        return ProviderPart(format, {"text": "", "thoughtSignature": f"signed by {format}"})
    if format == "gemini-interactions":
        return ProviderPart(format, {"type": "thought", "signature": f"signed by {format}"})
    kinds = {"openai-responses": "compaction", "anthropic-messages": "redacted_thinking"}
    data = {"id": "o", "encrypted_content": "x"} if format == "openai-responses" else {"data": "x"}
    return ProviderPart(format, {"type": kinds.get(format, "reasoning.encrypted"), **data})


HOSTED_RESULTS = {
    "anthropic-messages": "web_search_tool_result",
    "bedrock-converse": "web_search_result",
}
"""The types of the results, in formats that have the call and its result as two blocks."""


def hosted(format: str) -> list[Part]:
    """A search that the provider ran itself."""
    query = {"type": "search", "query": "q"}
    item = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": query}
    data: dict[str, Any] = {"format": format, "type": "server_tool_use", "item": item}
    outcome: dict[str, Any] = {"format": format}
    if format == "gemini-generate":
        of_google = {"format": format, "id": "srvtoolu_1", "toolType": "GOOGLE_SEARCH_WEB"}
        data, outcome = {**of_google, "type": "toolCall"}, {**of_google, "type": "toolResponse"}
    if format == "gemini-interactions":
        search = {"type": "google_search_call", "id": "srvtoolu_1", "arguments": {"queries": ["q"]}}
        found = {"type": "google_search_result", "call_id": "srvtoolu_1", "result": []}
        data, outcome = {"format": format, "step": search}, {"format": format, "step": found}
    if format in HOSTED_RESULTS:
        del data["item"]
        outcome["type"] = HOSTED_RESULTS[format]
    call = ToolCall(
        "srvtoolu_1", "web_search", '{"query":"q"}', {"query": "q"}, executed_by="provider"
    )
    call.provider_data = data
    found: Any = {} if format == "gemini-generate" else []
    result = ToolResult(
        "srvtoolu_1", found, "web_search", executed_by="provider", provider_data=outcome
    )
    return [call, result]


@st.composite
def answers(draw: Any, format: str) -> Message:
    """An assistant's message, as a provider of this format may have made it."""
    made: list[Part] = []
    kinds = st.sampled_from(
        ["text", "thought", "signed", "opaque", "call", "custom", "hosted", "refusal"]
    )
    for kind in draw(st.lists(kinds, max_size=5)):
        if kind == "text":
            made.append(draw(said))
        elif kind == "thought":
            made.append(ReasoningPart(draw(words)))
        elif kind == "signed":
            made.append(signed(format))
        elif kind == "opaque":
            made.append(opaque(format))
        elif kind == "call":
            made.append(draw(calls))
        elif kind == "custom":
            made.append(draw(customs))
        elif kind == "hosted":
            made += hosted(format)
        else:
            made.append(RefusalPart("No."))
    provider = draw(st.sampled_from([MAKERS[format], None]))
    return Message("assistant", made, provider=provider)


@st.composite
def rounds(draw: Any, format: str, *, tidy: bool) -> list[Message]:
    """What is given, the answer, and the results of its calls. Unless `tidy`, results may be missing, late or odd."""
    roles = st.sampled_from(["user", "user", "user", "system", "developer"])
    given = []
    for role in draw(st.lists(roles, min_size=1, max_size=2)):
        parts = st.lists(said if role != "user" else given_parts, min_size=1, max_size=3)
        given.append(Message(role, draw(parts)))
    given.append(Message("user", [TextPart("Go on.")]))
    answer = draw(answers(format))
    results = [Message("tool", [ToolResult(each.id, draw(contents))]) for each in answer.tool_calls]
    if not tidy:
        results = draw(st.permutations(results))
        odd = draw(st.sampled_from(["", "", "lost", "twice", "stray", "late"]))
        if odd == "lost":
            results = results[1:]
        elif odd == "twice":
            results = [*results, *results[:1]]
        elif odd == "stray":
            given.insert(0, Message("tool", [ToolResult("nobody's", "1")]))
        elif odd == "late":
            results.insert(0, Message("user", [TextPart("Wait.")]))
    return [*given, answer, *results]


@st.composite
def histories(draw: Any, *, tidy: bool = False) -> list[list[Message]]:
    """A conversation, round by round. Its answers come from one vendor after the other. The assistant may begin."""
    formats = draw(st.lists(st.sampled_from(sorted(MAKERS)), min_size=1, max_size=4))
    conversation = [draw(rounds(format, tidy=tidy)) for format in formats]
    if draw(st.sampled_from([False, False, True])):
        conversation[0] = [each for each in conversation[0] if each.role != "user"]
    return conversation


LAST = Message("user", [TextPart("And now?")])
