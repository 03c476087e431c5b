"""Claude and OpenAI's models at Amazon, Google and Microsoft, through client classes of the SDKs, which sign requests.

Each reads its cloud's address and credentials from the variables that the SDK documents.
"""

from __future__ import annotations

from llmstream.providers.anthropic import AnthropicProvider
from llmstream.providers.api import API
from llmstream.providers.openai import OpenAIProvider
from llmstream.providers.sdk_adapter import CloudAdapter

_AMAZON = CloudAdapter(
    "anthropic",
    "AsyncAnthropicBedrock",
    needs="AWS_REGION, and AWS_BEARER_TOKEN_BEDROCK or AWS's credentials (pip install 'anthropic[bedrock]')",
)
_GOOGLE = CloudAdapter(
    "anthropic",
    "AsyncAnthropicVertex",
    needs="CLOUD_ML_REGION, ANTHROPIC_VERTEX_PROJECT_ID and Google's credentials (pip install 'anthropic[vertex]')",
    key_name="access_token",
)
_FOUNDRY = CloudAdapter(
    "anthropic",
    "AsyncAnthropicFoundry",
    needs="ANTHROPIC_FOUNDRY_RESOURCE and ANTHROPIC_FOUNDRY_API_KEY",
)
_OPENAI_AT_AMAZON = CloudAdapter(
    "openai",
    "AsyncBedrockOpenAI",
    needs="AWS_REGION, and AWS_BEARER_TOKEN_BEDROCK or AWS's credentials",
)
_AZURE = CloudAdapter(
    "openai",
    "AsyncAzureOpenAI",
    needs="AZURE_OPENAI_ENDPOINT, OPENAI_API_VERSION, and AZURE_OPENAI_API_KEY or AZURE_OPENAI_AD_TOKEN",
)


class ClaudeAtAmazon(AnthropicProvider):
    """https://github.com/anthropics/anthropic-sdk-python#aws-bedrock."""

    api = API(sdk=_AMAZON, by_sdk=True)
    default_model = "anthropic.claude-sonnet-4-5-20250929-v1:0"


class ClaudeAtGoogle(AnthropicProvider):
    """https://github.com/anthropics/anthropic-sdk-python#google-vertex."""

    api = API(sdk=_GOOGLE, by_sdk=True)
    default_model = "claude-sonnet-4-5@20250929"


class ClaudeAtMicrosoft(AnthropicProvider):
    """https://platform.claude.com/docs/en/build-with-claude/claude-in-microsoft-foundry."""

    api = API(sdk=_FOUNDRY, by_sdk=True)


class OpenAIAtAmazon(OpenAIProvider):
    """https://docs.aws.amazon.com/bedrock/latest/userguide/bedrock-mantle.html."""

    api = API(sdk=_OPENAI_AT_AMAZON, by_sdk=True)
    default_model = "openai.gpt-oss-120b"


class OpenAIAtAzure(OpenAIProvider):
    """https://github.com/openai/openai-python#microsoft-azure-openai, with a deployment's name for the model."""

    api = API(sdk=_AZURE, by_sdk=True)
    default_model = None
