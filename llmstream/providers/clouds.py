"""Claude and OpenAI's models at Amazon, Google and Microsoft, through client classes of the SDKs, which sign requests.

Each reads its cloud's address and credentials from the variables that the SDK documents.
"""

from __future__ import annotations

from llmstream.providers.anthropic import AnthropicProvider
from llmstream.providers.api import API
from llmstream.providers.cloud_needs import (
    AWS_REGION,
    AWS_REGION_OR_PROFILE,
    GOOGLE_TOKEN,
    Need,
    aws_key,
    aws_region_or_address,
)
from llmstream.providers.openai import OpenAIProvider
from llmstream.providers.sdk_adapter import CloudAdapter
from llmstream.wire.part_rules import MESSAGES_BY_DATA

_BEARER = "AWS_BEARER_TOKEN_BEDROCK"
_INSTALL_AWS = "pip install 'anthropic[bedrock]'"


def _asked_by(
    package: str, name: str, *needs: Need, install: str = "", key_name: str = "api_key"
) -> API:
    """An API that this class of an SDK asks."""
    adapter = CloudAdapter(package, name, needs=needs, install=install, key_name=key_name)
    return API(sdk=adapter, needs=needs, by_sdk=True)


class ClaudeAtAmazon(AnthropicProvider):
    """https://github.com/anthropics/anthropic-sdk-python#aws-bedrock."""

    api = _asked_by(
        "anthropic",
        "AsyncAnthropicBedrock",
        AWS_REGION_OR_PROFILE,
        aws_key(_BEARER),
        install=_INSTALL_AWS,
    )
    default_model = "anthropic.claude-sonnet-4-5-20250929-v1:0"
    parts = MESSAGES_BY_DATA


class ClaudeAtMantle(AnthropicProvider):
    """https://docs.aws.amazon.com/bedrock/latest/userguide/bedrock-mantle.html."""

    api = _asked_by(
        "anthropic",
        "AsyncAnthropicBedrockMantle",
        Need((*AWS_REGION.variables, "ANTHROPIC_BEDROCK_MANTLE_BASE_URL"), "base_url"),
        aws_key(_BEARER, "ANTHROPIC_AWS_API_KEY"),
        install=_INSTALL_AWS,
    )
    default_model = None


class ClaudePlatformAtAmazon(AnthropicProvider):
    """https://platform.claude.com/docs/en/build-with-claude/claude-platform-on-aws."""

    api = _asked_by(
        "anthropic",
        "AsyncAnthropicAWS",
        aws_region_or_address(AWS_REGION, "ANTHROPIC_AWS_BASE_URL", "ANTHROPIC_AWS_API_KEY"),
        Need(("ANTHROPIC_AWS_WORKSPACE_ID",)),
        aws_key("ANTHROPIC_AWS_API_KEY"),
        install="pip install 'anthropic[aws]'",
    )


class ClaudeAtGoogle(AnthropicProvider):
    """https://github.com/anthropics/anthropic-sdk-python#google-vertex."""

    api = _asked_by(
        "anthropic",
        "AsyncAnthropicVertex",
        Need(("CLOUD_ML_REGION",)),
        Need(("ANTHROPIC_VERTEX_PROJECT_ID",)),
        GOOGLE_TOKEN,
        install="pip install 'anthropic[vertex]'",
        key_name="access_token",
    )
    default_model = "claude-sonnet-4-5@20250929"
    parts = MESSAGES_BY_DATA


class ClaudeAtMicrosoft(AnthropicProvider):
    """https://platform.claude.com/docs/en/build-with-claude/claude-in-microsoft-foundry."""

    api = _asked_by(
        "anthropic",
        "AsyncAnthropicFoundry",
        Need(("ANTHROPIC_FOUNDRY_RESOURCE", "ANTHROPIC_FOUNDRY_BASE_URL"), "base_url"),
        Need(("ANTHROPIC_FOUNDRY_API_KEY",), "api_key"),
    )


class OpenAIAtAmazon(OpenAIProvider):
    """https://docs.aws.amazon.com/bedrock/latest/userguide/bedrock-mantle.html."""

    api = _asked_by(
        "openai",
        "AsyncBedrockOpenAI",
        aws_region_or_address(AWS_REGION_OR_PROFILE, "AWS_BEDROCK_BASE_URL", _BEARER),
        aws_key(_BEARER),
    )
    default_model = "openai.gpt-oss-120b"


class OpenAIAtAzure(OpenAIProvider):
    """https://github.com/openai/openai-python#microsoft-azure-openai, with a deployment's name for the model."""

    api = _asked_by(
        "openai",
        "AsyncAzureOpenAI",
        Need(("AZURE_OPENAI_ENDPOINT",), "base_url"),
        Need(("OPENAI_API_VERSION",)),
        Need(("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN"), "api_key"),
    )
    default_model = None
