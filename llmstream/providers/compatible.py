"""The vendor table: hosts that speak OpenAI's chat completions, one row each.

A row says where the host is, whose key it wants, and where its dialect differs from OpenAI's. A flag stands only where
a recording or the vendor's documentation shows the difference; `source` says which, or that nobody could verify it.
What a row doesn't know is learned from the first 400 that names an option (`llmstream.wire.lessons`).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from typing import Any

from llmstream.errors import ConfigurationError
from llmstream.providers.config import ProviderConfig
from llmstream.providers.openai import OpenAIProvider
from llmstream.wire.openai_chat.request import Dialect


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
    """Where its facts are from: documentation, or a recording."""
    dialect: Dialect = field(default_factory=lambda: _dialect())  # noqa: PLW0108  # defined below
    key_needed: bool = True
    verified: bool = True
    """False: no documentation and no recording could be seen; the row is what others use."""

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The environment variables that are part of the URL."""
        return tuple(re.findall(r"\{(\w+)\}", self.url))

    @property
    def note(self) -> str:
        """What a list of providers says about it."""
        return "" if self.verified else "unverified"

    def base_url(self) -> str:
        """The URL, with what the environment adds to it. Raises ConfigurationError."""
        missing = [name for name in self.placeholders if not os.environ.get(name)]
        if missing:
            raise ConfigurationError(f"{self.name} has no address of its own: set {missing[0]}, or pass base_url=")
        url = re.sub(r"\{(\w+)\}", lambda match: os.environ[match[1]].strip().rstrip("/"), self.url)
        return url if "://" in url else f"https://{url}"

    def create(self, config: ProviderConfig) -> CompatibleProvider:
        """The provider of this row."""
        return CompatibleProvider(self, config)


class CompatibleProvider(OpenAIProvider):
    """A host of the table, over OpenAI's SDK."""

    def __init__(self, vendor: Vendor, config: ProviderConfig) -> None:
        self.key_variables = vendor.key
        self.key_needed = vendor.key_needed
        self.default_model = vendor.default_model
        if config.base_url is None and config.sdk_client is None:
            config = replace(config, base_url=vendor.base_url())
        super().__init__(config, replace(vendor.dialect, name=vendor.name))

    def make_client(self, http_options: dict[str, Any], **options: Any) -> Any:
        """`openai.AsyncOpenAI`, without what its environment variables mean for OpenAI alone."""
        client = super().make_client(http_options, **options)
        client.organization = client.project = client.admin_api_key = None
        client._custom_headers = options.get("default_headers", {})  # noqa: SLF001  # else OPENAI_CUSTOM_HEADERS go along
        return client


def _dialect(**differences: Any) -> Dialect:
    """What the hosts of the family have in common, against OpenAI itself."""
    return Dialect(**{"max_tokens": "max_tokens", "developer_role": False, **differences})


_ROWS = (
    # --- servers of your own: no key unless you gave them one ---
    Vendor(
        "ollama",
        "http://localhost:11434/v1",
        ("OLLAMA_API_KEY",),
        None,
        "recorded: ollama-v1-chat; tool_choice is not among its fields (docs.ollama.com/openai)",
        _dialect(unsupported=frozenset({"tool_choice"}), strict_tools=False),
        key_needed=False,
    ),
    Vendor(
        "llamacpp",
        "http://localhost:8080/v1",
        ("LLAMACPP_API_KEY",),
        None,
        "recorded: llamacpp-chat; github.com/ggml-org/llama.cpp tools/server",
        key_needed=False,
    ),
    Vendor(
        "vllm",
        "http://localhost:8000/v1",
        ("VLLM_API_KEY",),
        None,
        "recorded: vllm-chat; docs.vllm.ai/en/latest/serving/openai_compatible_server",
        key_needed=False,
    ),
    Vendor(
        "lmstudio",
        "http://127.0.0.1:1234/v1",
        ("LMSTUDIO_API_KEY",),
        None,
        "lmstudio.ai/docs/developer/openai-compat",
        key_needed=False,
    ),
    # --- hosts ---
    Vendor(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai/",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        "gemini-2.5-flash",
        "ai.google.dev/gemini-api/docs/openai",
    ),
    Vendor(
        "groq",
        "https://api.groq.com/openai/v1",
        ("GROQ_API_KEY",),
        "openai/gpt-oss-120b",
        "recorded: groq-chat; console.groq.com/docs/openai",
    ),
    Vendor(
        "openrouter",
        "https://openrouter.ai/api/v1",
        ("OPENROUTER_API_KEY",),
        "openrouter/auto",
        "recorded: openrouter-chat; openrouter.ai/docs (usage comes unasked)",
        _dialect(stream_usage=False, reasoning="reasoning"),
    ),
    Vendor(
        "deepseek",
        "https://api.deepseek.com",
        ("DEEPSEEK_API_KEY",),
        "deepseek-v4-flash",
        "recorded: deepseek-chat; api-docs.deepseek.com",
        _dialect(json_schema=False),
    ),
    Vendor(
        "mistral",
        "https://api.mistral.ai/v1",
        ("MISTRAL_API_KEY",),
        "mistral-small-latest",
        "recorded: mistral-chat; docs.mistral.ai/api (seed is random_seed, required is any)",
        _dialect(stream_usage=False, required="any", seed="random_seed"),
    ),
    Vendor(
        "xai",
        "https://api.x.ai/v1",
        ("XAI_API_KEY",),
        "grok-4",
        "recorded: xai-chat; docs.x.ai/docs/api-reference",
    ),
    Vendor(
        "together",
        "https://api.together.xyz/v1",
        ("TOGETHER_API_KEY",),
        "meta-llama/Llama-3.3-70B-Instruct-Turbo",
        "recorded: together-chat; docs.together.ai/docs/openai-api-compatibility",
        _dialect(strict_tools=False),
    ),
    Vendor(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        ("FIREWORKS_API_KEY",),
        "accounts/fireworks/models/gpt-oss-120b",
        "docs.fireworks.ai/tools-sdks/openai-compatibility",
    ),
    Vendor(
        "perplexity",
        "https://api.perplexity.ai",
        ("PERPLEXITY_API_KEY", "PPLX_API_KEY"),
        "sonar",
        "recorded: perplexity-chat (usage on every chunk); docs.perplexity.ai",
        _dialect(stream_usage=False),
    ),
    Vendor(
        "cerebras",
        "https://api.cerebras.ai/v1",
        ("CEREBRAS_API_KEY",),
        "gpt-oss-120b",
        "recorded: cerebras-chat; inference-docs.cerebras.ai/resources/openai",
    ),
    Vendor(
        "huggingface",
        "https://router.huggingface.co/v1",
        ("HF_TOKEN", "HUGGINGFACE_API_KEY"),
        "openai/gpt-oss-120b",
        "recorded: huggingface-router-chat; huggingface.co/docs/inference-providers",
    ),
    Vendor(
        "azure",
        "{AZURE_OPENAI_ENDPOINT}/openai/v1",
        ("AZURE_OPENAI_API_KEY",),
        None,  # the model is the name of your deployment
        "recorded: azure-openai-chat; learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle",
        Dialect(),
    ),
    Vendor(
        "moonshot",
        "https://api.moonshot.ai/v1",
        ("MOONSHOT_API_KEY",),
        "kimi-k3",
        "recorded: moonshotai-chat; platform.moonshot.ai/docs",
        _dialect(required=None, strict_tools=False, json_schema=False),
    ),
    Vendor(
        "zai",
        "https://api.z.ai/api/paas/v4",
        ("ZAI_API_KEY",),
        "glm-4.7",
        "recorded: zai-chat; docs.z.ai/guides/develop/openai",
        _dialect(reasoning="thinking"),
    ),
    Vendor(
        "alibaba",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        ("DASHSCOPE_API_KEY", "ALIBABA_API_KEY"),
        "qwen3-max",
        "recorded: alibaba-chat; alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope",
        _dialect(reasoning="enable_thinking"),
    ),
    Vendor(
        "nvidia",
        "https://integrate.api.nvidia.com/v1",
        ("NVIDIA_API_KEY",),
        "openai/gpt-oss-120b",
        "docs.api.nvidia.com/nim/reference",
        _dialect(strict_tools=False),
    ),
    Vendor(
        "databricks",
        "{DATABRICKS_HOST}/serving-endpoints",
        ("DATABRICKS_TOKEN",),
        None,  # the model is the name of a serving endpoint
        "recorded: databricks-chat (usage on every chunk); docs.databricks.com/machine-learning/foundation-model-apis",
        _dialect(stream_usage=False),
    ),
    Vendor(
        "snowflake",
        "https://{SNOWFLAKE_ACCOUNT}.snowflakecomputing.com/api/v2/cortex/v1",
        ("SNOWFLAKE_TOKEN", "SNOWFLAKE_PAT"),
        "claude-sonnet-4-6",
        "recorded: snowflake-chat; docs.snowflake.com/user-guide/snowflake-cortex/open_ai_sdk",
        _dialect(max_tokens="max_completion_tokens", strict_tools=False),
    ),
    Vendor(
        "venice",
        "https://api.venice.ai/api/v1",
        ("VENICE_API_KEY",),
        "mistral-small-3-2-24b-instruct",
        "recorded: venice-chat; docs.venice.ai/api-reference",
    ),
    Vendor(
        "sambanova",
        "https://api.sambanova.ai/v1",
        ("SAMBANOVA_API_KEY",),
        "gpt-oss-120b",
        "docs.sambanova.ai/cloud/docs/capabilities/openai-compatibility",
    ),
    Vendor(
        "cohere",
        "https://api.cohere.ai/compatibility/v1",
        ("COHERE_API_KEY", "CO_API_KEY"),
        "command-a-03-2025",
        "docs.cohere.com/docs/compatibility-api (stream_options is refused)",
        _dialect(stream_usage=False),
    ),
    Vendor(
        "ollama-cloud",
        "https://ollama.com/v1",
        ("OLLAMA_API_KEY",),
        "gpt-oss:120b",
        "recorded: ollama-cloud-chat; docs.ollama.com/cloud",
        _dialect(unsupported=frozenset({"tool_choice"}), strict_tools=False),
    ),
    Vendor(
        "cloudflare",
        "https://api.cloudflare.com/client/v4/accounts/{CLOUDFLARE_ACCOUNT_ID}/ai/v1",
        ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY"),
        "@cf/meta/llama-3.3-70b-instruct-fp8-fast",
        "recorded: cloudflare-chat; developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility",
    ),
    Vendor(
        "crusoe",
        "https://api.inference.crusoecloud.com/v1",
        ("CRUSOE_API_KEY",),
        "meta-llama/Llama-3.3-70B-Instruct",
        "recorded: crusoe-chat",
    ),
    Vendor(
        "doubleword",
        "https://api.doubleword.ai/v1",
        ("DOUBLEWORD_API_KEY",),
        "openai/gpt-oss-20b",
        "recorded: doubleword-chat",
    ),
    Vendor(
        "writer",
        "https://api.writer.com/v1",
        ("WRITER_API_KEY",),
        "palmyra-x4",
        "recorded: writer-chat; dev.writer.com/api-reference",
    ),
)

VENDORS: dict[str, Vendor] = {vendor.name: vendor for vendor in _ROWS}
"""The rows by name, in the order in which `LLMClient()` looks for a key."""
