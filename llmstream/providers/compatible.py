"""The vendor table: hosts that speak OpenAI's chat completions, one row each.

A row says where the host is, whose key it wants, and where its variant differs from OpenAI's. A flag stands only where
a recording or the vendor's documentation shows the difference; `source` says which, or that nobody could verify it.
What a row doesn't know is learned from the first 400 that names an option (`llmstream.wire.refused_options`).

It is a long file because it is one table.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from llmstream.cache_marks import CONTROL
from llmstream.checks import require
from llmstream.errors import ConfigurationError
from llmstream.providers.api import API
from llmstream.providers.compatible_parts import (
    ALIBABA_PARTS,
    GROQ_PARTS,
    MISTRAL_PARTS,
    MOONSHOT_PARTS,
    OLLAMA_COMPATIBLE_PARTS,
    OPENROUTER_PARTS,
    PERPLEXITY_PARTS,
    VLLM_PARTS,
    ZAI_PARTS,
)
from llmstream.providers.config import ProviderConfig
from llmstream.providers.openai import OpenAIProvider, OpenAIResponsesProvider
from llmstream.providers.provider import ProviderTraits
from llmstream.providers.sdk_adapter import SDKAdapter
from llmstream.wire.efforts import COMMON
from llmstream.wire.fitting.rules import ANY_ID, ID_OF_40, MISTRAL_ID, SystemPlace
from llmstream.wire.fitting.tools import COMPATIBLE_TOOLS, ToolRules
from llmstream.wire.openai_chat.request import ChatVariant
from llmstream.wire.openai_responses.request import ResponsesVariant
from llmstream.wire.option_rules import ALIBABA, DEEPSEEK, MOONSHOT, OPENAI_SAMPLING
from llmstream.wire.part_rules import COMPATIBLE_PARTS


@dataclass(frozen=True, slots=True)
class Vendor:
    """One host of the compatible family."""

    name: str
    url: str
    """The base URL; `{VARIABLE}` stands for an environment variable that holds part of it."""
    key: tuple[str, ...]
    """Environment variables that hold the key; the first that is set is taken."""
    default_model: str | None
    source: str
    """Where its facts are from: a recording, the vendor's documentation or server, or a program that talks to it."""
    variant: ChatVariant = field(default_factory=lambda: _variant())  # noqa: PLW0108  # defined below
    key_needed: bool = True
    verified: bool = True
    """False: nobody could see a document or a program that uses this address."""

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The environment variables that are part of the URL."""
        return tuple(re.findall(r"\{(\w+)\}", self.url))

    @property
    def note(self) -> str:
        """A remark for a list of providers."""
        if not self.key_needed:
            return "where its server runs"
        return "" if self.verified else "unverified"

    def base_url(self) -> str:
        """The URL, with what the environment adds to it. Raises ConfigurationError."""
        missing = next((name for name in self.placeholders if not os.environ.get(name)), None)
        problem = f"{self.name} has no address of its own: set {missing}, or pass base_url="
        require(missing is None, problem, ConfigurationError)
        url = re.sub(r"\{(\w+)\}([^/]*)(/.*)?", self._filled, self.url)
        return url if "://" in url else f"https://{url}"

    def _filled(self, match: re.Match[str]) -> str:
        """The value from the environment, which may be the bare part that is wanted or the whole."""
        name, behind, path = match[1], match[2], match[3] or ""
        value = os.environ[name].strip().rstrip("/").removesuffix(path)
        if match.start():  # a part of the host, or of the path
            value = value.removeprefix("https://").removesuffix(behind)
            require(
                re.fullmatch(r"[\w.-]+", value),
                f"{name} is part of the address {self.url}: it must be a name, without / and :",
                ConfigurationError,
            )
        return f"{value}{behind}{path}"

    def create(self, config: ProviderConfig) -> CompatibleProvider:
        """The provider of this row."""
        return CompatibleProvider(self, config)


class CompatibleProvider(OpenAIProvider):
    """A host of the table. Nothing that OpenAI's environment variables mean goes to it."""

    def __init__(self, vendor: Vendor, config: ProviderConfig) -> None:
        self.api = API(keys=vendor.key, key_needed=vendor.key_needed, sdk=_SDK)
        self.default_model = vendor.default_model
        if config.base_url is None and config.sdk_client is None:
            config = replace(config, base_url=vendor.base_url())
        super().__init__(config, replace(vendor.variant, name=vendor.name))


def _without_openai_s_variables(client: Any, headers: Mapping[str, str]) -> None:
    client.organization = client.project = client.admin_api_key = None
    client._custom_headers = dict(headers)  # noqa: SLF001  # else OPENAI_CUSTOM_HEADERS go along


_SDK = SDKAdapter("openai", "AsyncOpenAI", _without_openai_s_variables)


class MistralResponsesProvider(OpenAIResponsesProvider):
    """Mistral's Responses (mistralai 3.7, `client.responses`): it keeps no answer, and has no tiers."""

    api = API(url="https://api.mistral.ai/v1", keys=("MISTRAL_API_KEY",), sdk=_SDK)
    default_model = "mistral-medium-latest"

    def make_traits(self, **traits: Any) -> ProviderTraits:
        """Those of Responses, in Mistral's variant."""
        made = super().make_traits(**traits)
        self._responses = ResponsesVariant(self.name, service_tiers={}, stateless=False)
        return made

    def counts_prompts(self) -> bool:
        """It does."""
        return True


def _variant(**differences: Any) -> ChatVariant:
    """A variant of the chat format, with what its hosts have in common against OpenAI itself."""
    usual = {
        "max_tokens": "max_tokens",
        "developer_role": False,
        "ids": ANY_ID,
        "tools": COMPATIBLE_TOOLS,
        "service_tiers": None,
        "efforts": COMMON,
        "rules": OPENAI_SAMPLING,
        "user_field": None,
        "functions_without_reasoning": False,
        "unsupported": frozenset(),
        "parts": COMPATIBLE_PARTS,
    }
    return ChatVariant(**{**usual, **differences})


def _with_tools(*kinds: str) -> ToolRules:
    """Tools that the host runs itself, under names that others have too."""
    return replace(COMPATIBLE_TOOLS, own=frozenset(kinds))


_GROQ_TIERS = {
    **{tier: tier for tier in ("auto", "on_demand", "flex", "performance")},
    "default": "on_demand",
    "standard_only": "on_demand",
    "priority": "performance",
}
_DEEPSEEK_EFFORTS = {
    "minimal": "low",
    "low": "low",
    "medium": "high",
    "high": "high",
    "xhigh": "high",
    "max": "max",
    "ultra": "max",
}
"""The host maps them so itself: api-docs.deepseek.com/guides/thinking_mode."""
_NOT_IN_OLLAMA = frozenset(
    {"tool_choice", "parallel_tool_calls", "top_k", "verbosity", "service_tier"}
)
_ROWS = (
    # --- servers of your own: no key unless you gave them one ---
    Vendor(
        "ollama-compatible",
        "http://localhost:11434/v1",
        ("OLLAMA_API_KEY",),
        None,
        "recorded: ollama-v1-chat; ollama/ollama openai/openai.go (its structs lack these fields)",
        _variant(
            parts=OLLAMA_COMPATIBLE_PARTS,
            efforts=None,
            unsupported=_NOT_IN_OLLAMA,
            strict_tools=False,
        ),
        key_needed=False,
    ),
    Vendor(
        "llamacpp",
        "http://localhost:8080/v1",
        ("LLAMACPP_API_KEY",),
        None,
        "recorded: llamacpp-chat; ggml-org/llama.cpp tools/server/server-common.cpp (no named tool, verbosity, tier); "
        "Qwen's chat template raises `System message must be at the beginning`",
        _variant(
            efforts=None,
            named_tool=False,
            prefill="plain",
            system=SystemPlace.FRONT,
            user_first=True,
            unsupported=frozenset({"verbosity", "service_tier"}),
        ),
        key_needed=False,
    ),
    Vendor(
        "vllm",
        "http://localhost:8000/v1",
        ("VLLM_API_KEY",),
        None,
        "recorded: vllm-chat; vllm-project/vllm entrypoints/openai/chat_completion/protocol.py; "
        "Qwen's chat template raises `System message must be at the beginning`",
        _variant(
            parts=VLLM_PARTS,
            efforts=None,
            reasoning_back="known",
            system=SystemPlace.FRONT,
            user_first=True,
        ),
        key_needed=False,
    ),
    Vendor(
        "lmstudio",
        "http://localhost:1234/v1",
        ("LMSTUDIO_API_KEY",),
        None,
        "lmstudio-ai/docs 1_developer/3_openai-compat/chat-completions.md; "
        "Qwen's chat template raises `System message must be at the beginning`",
        _variant(efforts=None, system=SystemPlace.FRONT, user_first=True),
        key_needed=False,
    ),
    # --- hosts ---
    Vendor(
        "gemini-compatible",
        "https://generativelanguage.googleapis.com/v1beta/openai/",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        "gemini-3.8-flash",
        "ai.google.dev/gemini-api/docs/openai (400 `Cannot find field` on metadata and seed; "
        "`extra_content` goes back; its efforts; 400 `function call turn comes immediately after a user turn`)",
        _variant(
            call_data=True,
            efforts=("none", "minimal", "low", "medium", "high"),
            unsupported=frozenset({"metadata", "seed"}),
            user_first=True,
        ),
    ),
    Vendor(
        "groq",
        "https://api.groq.com/openai/v1",
        ("GROQ_API_KEY",),
        "openai/gpt-oss-120b",
        "recorded: groq-chat; console.groq.com/docs/openai (400 on a message's name); "
        "console.groq.com/docs/service-tiers; console.groq.com/docs/tool-use/built-in-tools; "
        "console.groq.com/docs/reasoning",
        _variant(
            parts=GROQ_PARTS,
            efforts=("none", "default", "low", "medium", "high"),
            names=False,
            service_tiers=_GROQ_TIERS,
            tools=_with_tools("browser_search", "code_interpreter"),
        ),
    ),
    Vendor(
        "openrouter",
        "https://openrouter.ai/api/v1",
        ("OPENROUTER_API_KEY",),
        "openai/gpt-5.2",
        "recorded: openrouter-chat; openrouter.ai/docs/use-cases/usage-accounting (usage comes unasked); "
        "400 `reasoning_content must be passed back` through it (LibreChat#13366); "
        "openrouter.ai/docs/features/prompt-caching (`cache_control`); "
        "openrouter.ai/docs/guides/best-practices/reasoning-tokens (efforts)",
        _variant(
            parts=OPENROUTER_PARTS,
            stream_usage=False,
            reasoning="reasoning",
            efforts=("none", "minimal", "low", "medium", "high", "xhigh"),
            reasoning_back="known",
            reasoning_details=True,
            ids=ID_OF_40,
            cache=CONTROL,
        ),
    ),
    Vendor(
        "deepseek",
        "https://api.deepseek.com",
        ("DEEPSEEK_API_KEY",),
        "deepseek-v4-flash",
        "recorded: deepseek-chat; api-docs.deepseek.com/guides/thinking_mode; no seed (pipecat), no schema (rig)",
        _variant(
            json_schema=False,
            reasoning_off={"thinking": {"type": "disabled"}},
            reasoning_back="all",
            reasoning_owed="always",
            efforts=_DEEPSEEK_EFFORTS,
            rules=DEEPSEEK,
            unsupported=frozenset({"seed"}),
        ),
    ),
    Vendor(
        "mistral",
        "https://api.mistral.ai/v1",
        ("MISTRAL_API_KEY",),
        "mistral-small-latest",
        "recorded: mistral-chat; 422 extra_forbidden on stream_options (anon-kode#53), metadata (OpenHands#11699); "
        "400 `Tool call id … must be a-z, A-Z, 0-9, with a length of 9`; mistralai 3.7 (efforts)",
        _variant(
            parts=MISTRAL_PARTS,
            stream_usage=False,
            prefill="prefix",
            efforts=("none", "minimal", "low", "medium", "high", "xhigh", "max"),
            required="any",
            names=False,
            ids=MISTRAL_ID,
            seed="random_seed",
            unsupported=frozenset({"metadata"}),
        ),
    ),
    Vendor(
        "xai",
        "https://api.x.ai/v1",
        ("XAI_API_KEY",),
        "grok-4.5",
        "recorded: xai-chat; vercel/ai packages/xai; charmbracelet/catwalk",
    ),
    Vendor(
        "together",
        "https://api.together.xyz/v1",
        ("TOGETHER_API_KEY",),
        "meta-llama/Llama-3.3-70B-Instruct-Turbo",
        "recorded: together-chat; no strict tools (pi-mono openai-completions.ts)",
        _variant(strict_tools=False),
    ),
    Vendor(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        ("FIREWORKS_API_KEY",),
        "accounts/fireworks/models/gpt-oss-120b",
        "litellm fireworks_ai; usage comes unasked (pipecat services/fireworks)",
        _variant(stream_usage=False, reasoning_back="known"),
    ),
    Vendor(
        "perplexity",
        "https://api.perplexity.ai",
        ("PERPLEXITY_API_KEY", "PPLX_API_KEY"),
        "sonar",
        "recorded: perplexity-chat (usage on every chunk); vercel/ai packages/perplexity (no tools, seed, stop)",
        _variant(
            parts=PERPLEXITY_PARTS,
            stream_usage=False,
            unsupported=frozenset({"tools", "tool_choice", "parallel_tool_calls", "seed", "stop"}),
        ),
    ),
    Vendor(
        "cerebras",
        "https://api.cerebras.ai/v1",
        ("CEREBRAS_API_KEY",),
        "gpt-oss-120b",
        "recorded: cerebras-chat; inference-docs.cerebras.ai/resources/openai, pydantic-ai, req_llm",
        _variant(
            max_tokens="max_completion_tokens",
            named_tool=False,
            required=None,
            unsupported=frozenset({"parallel_tool_calls", "frequency_penalty", "presence_penalty"}),
        ),
    ),
    Vendor(
        "huggingface",
        "https://router.huggingface.co/v1",
        ("HF_TOKEN", "HUGGINGFACE_API_KEY"),
        "meta-llama/Llama-3.1-8B-Instruct",
        "recorded: huggingface-router-chat",
    ),
    Vendor(
        "azure",
        "{AZURE_OPENAI_ENDPOINT}/openai/v1",
        ("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),
        None,  # the model is the name of your deployment
        "recorded: azure-openai-chat; learn.microsoft.com/azure/foundry/openai/api-version-lifecycle",
        ChatVariant(),
    ),
    Vendor(
        "moonshot",
        "https://api.moonshot.ai/v1",
        ("MOONSHOT_API_KEY", "MOONSHOTAI_API_KEY"),
        "kimi-k3",
        "recorded: moonshotai-chat; no forced call, no schema (rig dialects.rs), no strict tools (pi-mono); "
        "platform.moonshot.ai/docs/guide/use-kimi-k2-thinking-model (400 `reasoning_content is missing`); "
        "platform.kimi.ai/docs/api/models-overview (thinking off)",
        _variant(
            parts=MOONSHOT_PARTS,
            required=None,
            strict_tools=False,
            json_schema=False,
            reasoning_off={"thinking": {"type": "disabled"}},
            reasoning_back="all",
            reasoning_owed="calls",
            rules=MOONSHOT,
        ),
    ),
    Vendor(
        "zai",
        "https://api.z.ai/api/paas/v4",
        ("ZAI_API_KEY", "ZHIPU_API_KEY"),
        "glm-4.7",
        "recorded: zai-chat; 400 `Tool choice must be auto` (hindsight#4246), no schema (pydantic-ai); "
        "docs.z.ai/guides/capabilities/thinking-mode (asks for reasoning_content); docs.z.ai/guides/tools/web-search",
        _variant(
            parts=ZAI_PARTS,
            reasoning="thinking",
            reasoning_back="all",
            tools=_with_tools("web_search", "retrieval"),
            unsupported=frozenset({"tool_choice"}),
            json_schema=False,
        ),
    ),
    Vendor(
        "alibaba",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        ("DASHSCOPE_API_KEY", "ALIBABA_API_KEY"),
        "qwen3-max",
        "recorded: alibaba-chat; vercel/ai packages/alibaba",
        _variant(
            parts=ALIBABA_PARTS, reasoning="enable_thinking", reasoning_back="known", rules=ALIBABA
        ),
    ),
    Vendor(
        "nvidia",
        "https://integrate.api.nvidia.com/v1",
        ("NVIDIA_API_KEY",),
        "nvidia/nemotron-3-nano-30b-a3b",
        "pipecat services/nvidia; no strict tools (pi-mono), 422 on unknown fields (garak#748)",
        _variant(strict_tools=False, unsupported=frozenset({"metadata"})),
    ),
    Vendor(
        "databricks",
        "{DATABRICKS_HOST}/serving-endpoints",
        ("DATABRICKS_TOKEN",),
        None,  # the model is the name of a serving endpoint
        "recorded: databricks-chat (usage on every chunk); stream_options is a 400 (braintrust lingua#133)",
        _variant(stream_usage=False, names=False),
    ),
    Vendor(
        "snowflake",
        "https://{SNOWFLAKE_ACCOUNT}.snowflakecomputing.com/api/v2/cortex/v1",
        ("SNOWFLAKE_TOKEN", "SNOWFLAKE_PAT"),
        "claude-sonnet-4-6",
        "recorded: snowflake-chat; litellm snowflake (max_completion_tokens), pydantic-ai (no strict tools)",
        _variant(max_tokens="max_completion_tokens", strict_tools=False),
    ),
    Vendor(
        "venice",
        "https://api.venice.ai/api/v1",
        ("VENICE_API_KEY",),
        "zai-org-glm-4.7",
        "recorded: venice-chat; Venice's own chat skill (the role developer is taken)",
        _variant(developer_role=True),
    ),
    Vendor(
        "sambanova",
        "https://api.sambanova.ai/v1",
        ("SAMBANOVA_API_KEY",),
        "gpt-oss-120b",
        "litellm sambanova; pipecat services/sambanova",
    ),
    Vendor(
        "cohere-compatible",
        "https://api.cohere.ai/compatibility/v1",
        ("COHERE_API_KEY", "CO_API_KEY"),
        "command-a-03-2025",
        "docs.cohere.com/docs/compatibility-api; stream_options is refused (strandsagents.com, model provider cohere); "
        "penalties from 0 to 1 (docs.cohere.com/reference/chat)",
        _variant(
            stream_usage=False,
            bounds={"frequency_penalty": (0, 1), "presence_penalty": (0, 1)},
        ),
    ),
    Vendor(
        "ollama-cloud",
        "https://ollama.com/v1",
        ("OLLAMA_API_KEY",),
        "gpt-oss:120b",
        "recorded: ollama-cloud-chat; ollama/ollama openai/openai.go",
        _variant(parts=OLLAMA_COMPATIBLE_PARTS, unsupported=_NOT_IN_OLLAMA, strict_tools=False),
    ),
    Vendor(
        "cloudflare",
        "https://api.cloudflare.com/client/v4/accounts/{CLOUDFLARE_ACCOUNT_ID}/ai/v1",
        ("CLOUDFLARE_API_KEY", "CLOUDFLARE_API_TOKEN"),
        "@cf/meta/llama-3.3-70b-instruct-fp8-fast",
        "recorded: cloudflare-chat; posit-dev/chatlas _provider_cloudflare.py",
    ),
    Vendor(
        "crusoe",
        "https://api.inference.crusoecloud.com/v1",
        ("CRUSOE_API_KEY",),
        "meta-llama/Llama-3.3-70B-Instruct",
        "recorded: crusoe-chat; pydantic-ai",
    ),
    Vendor(
        "doubleword",
        "https://api.doubleword.ai/v1",
        ("DOUBLEWORD_API_KEY",),
        "openai/gpt-oss-20b",
        "recorded: doubleword-chat",
    ),
    Vendor(
        "minimax",
        "https://api.minimax.io/v1",
        ("MINIMAX_API_KEY",),
        "MiniMax-M2.7",
        "agentscope minimax (max_tokens is deprecated)",
        _variant(max_tokens="max_completion_tokens"),
    ),
    Vendor(
        "deepinfra",
        "https://api.deepinfra.com/v1/openai",
        ("DEEPINFRA_API_KEY",),
        None,
        "models.dev providers/deepinfra",
    ),
    Vendor(
        "nebius",
        "https://api.tokenfactory.nebius.com/v1",
        ("NEBIUS_API_KEY",),
        "openai/gpt-oss-120b",
        "pipecat services/nebius",
    ),
    Vendor(
        "baseten",
        "https://inference.baseten.co/v1",
        ("BASETEN_API_KEY",),
        None,
        "models.dev providers/baseten; pipecat services/baseten",
    ),
    Vendor(
        "inception",
        "https://api.inceptionlabs.ai/v1",
        ("INCEPTION_API_KEY",),
        "mercury-2",
        "models.dev providers/inception",
    ),
    Vendor(
        "writer",
        "https://api.writer.com/v1",
        ("WRITER_API_KEY",),
        "palmyra-x4",
        "recorded: writer-chat; only third parties show this address (the vendor documents /v1/chat)",
        verified=False,
    ),
)

VENDORS: dict[str, Vendor] = {vendor.name: vendor for vendor in _ROWS}
"""The rows by name, in the order in which `LLMClient()` looks for a key."""
