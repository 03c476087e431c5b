"""Amazon Bedrock's Converse API, as whoever a bearer key or AWS's own credentials say."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit

from llmstream.messages import ChatRequest
from llmstream.providers.api import API
from llmstream.providers.aws import AWSSigner, bedrock_address, find_region
from llmstream.providers.cloud_needs import AWS_REGION_OR_PROFILE, aws_key
from llmstream.providers.config import ProviderConfig
from llmstream.providers.exchange import Outbound
from llmstream.providers.http.exchange import HTTPRequest
from llmstream.providers.http_provider import HTTPProvider, LearnedTraits
from llmstream.providers.provider import ProviderTraits, SchemaSupport
from llmstream.providers.url_checks import is_loopback
from llmstream.wire.bedrock_converse.request import ConverseVariant, render_request, takes_prefill
from llmstream.wire.framing.event_stream import EventStream
from llmstream.wire.outbound import Rendered

KEY = "AWS_BEARER_TOKEN_BEDROCK"
"""docs.aws.amazon.com/bedrock/latest/userguide/api-keys-use.html."""
ENDPOINT = "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"
"""docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html."""
_REGION = replace(
    AWS_REGION_OR_PROFILE,
    variables=(*AWS_REGION_OR_PROFILE.variables, ENDPOINT),
    argument="base_url",
)
_SERVICE = "bedrock"
"""The name under which requests are signed."""
_COUNTED = ("messages", "system", "toolConfig", "additionalModelRequestFields")
_FORCES_CALLS = re.compile(r"claude|nova|mistral-large")
"""docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolChoice.html: `any` and `tool`."""
_TAKES_SCHEMAS = re.compile(r"claude-(opus|sonnet|haiku)-(4-[5-9]|[5-9])")
"""docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html."""


class _ConverseTraits(LearnedTraits):
    def knows_prefill(self, request: ChatRequest) -> bool:
        """Claude before 4.6 takes one."""
        return takes_prefill(request)

    def schema_support(self, model: str) -> SchemaSupport:
        """Claude from 4.5 on takes schemas; few other models can be made to call."""
        name = model.lower()
        return SchemaSupport(
            native=_TAKES_SCHEMAS.search(name) is not None,
            closed_only=True,
            forced_call=_FORCES_CALLS.search(name) is not None,
            forced_reasoning=False,
        )


class BedrockProvider(HTTPProvider):
    """Bedrock. With a bearer key nothing else is needed; without one botocore signs (extra `bedrock`)."""

    api = API(url_variable=ENDPOINT, keys=(KEY,), needs=(_REGION, aws_key(KEY)))
    format = "bedrock-converse"
    default_model = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    names_model = False
    count_member = "inputTokens"

    def __init__(self, config: ProviderConfig) -> None:
        self.name = config.name
        url = os.environ.get(ENDPOINT) if config.base_url is None else config.base_url
        is_keyed = config.api_key is not None or bool(os.environ.get(KEY))
        signs = not (is_keyed or _is_local(url))
        region = find_region(url) if signs or url is None else ""
        self._signer = AWSSigner(_SERVICE, region) if signs else None
        address = bedrock_address(region) if url is None else None
        self.api = replace(type(self).api, url=address, key_needed=not signs)
        super().__init__(config)

    def make_traits(self, **traits: Any) -> ProviderTraits:
        """The traits of the models."""
        return _ConverseTraits(**traits)

    def render(self, request: ChatRequest, given: Mapping[str, str]) -> Rendered:
        """The request for Converse."""
        return render_request(request, ConverseVariant(self.name))

    def outbound(self, request: ChatRequest, rendered: Rendered) -> Outbound:
        """The model in the path; another path where it can't stream."""
        body = dict(rendered.body)
        model = quote(str(body.pop("modelId")), safe="")
        path = self._format.path.format(model=model)
        if not body.pop("stream", False):
            path = path.removesuffix("-stream")
        return Outbound(path, body, headers=rendered.headers, accept=EventStream().content_type)

    def count_outbound(self, rendered: Rendered) -> Outbound:
        """The request as CountTokens takes it."""
        model = quote(str(rendered.body["modelId"]), safe="")
        counted = {name: rendered.body[name] for name in _COUNTED if name in rendered.body}
        body = {"input": {"converse": counted}}
        return Outbound(f"/model/{model}/count-tokens", body, accept="application/json")

    def sign(self, request: HTTPRequest) -> Awaitable[None] | None:
        """Sign with AWS's credentials, unless a bearer key goes along."""
        return None if self._signer is None else self._signer.sign(request)


def _is_local(url: Any) -> bool:
    """Whether it is a server on this machine, which wants no signature."""
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except (AttributeError, TypeError, ValueError):
        return False  # whoever checks the address says what is wrong with it
