"""AWS as botocore knows it: whose credentials sign a request, and which region is asked.

botocore is the extra `bedrock`, and is imported when it is first needed. A bearer key needs none of it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import threading
from typing import TYPE_CHECKING, Any

from llmstream.checks import require, require_value
from llmstream.errors import ConfigurationError

if TYPE_CHECKING:
    from llmstream.providers.http.exchange import HTTPRequest

_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
"""docs.aws.amazon.com/sdkref/latest/guide/feature-region.html; botocore reads the second alone."""
_REGION = re.compile(r"[a-z]{2,}(-[a-z0-9]+)+")
_OF_AN_ADDRESS = re.compile(r"bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.")
_SIGNED = "content-type"
"""The header that is signed beside those of the signature itself: a proxy may change the others."""


def has_botocore() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("botocore") is not None


def find_region(url: str | None) -> str:
    """The region that an address names, or the environment. Raises ConfigurationError."""
    named = _OF_AN_ADDRESS.search(url or "")
    region = named[1] if named else next(filter(None, map(os.environ.get, _VARIABLES)), None)
    if region is None and has_botocore():
        region = _new_session().get_config_variable("region")
    problem = "no region for bedrock: set AWS_REGION, or pass base_url="
    region = require_value(region, problem, ConfigurationError)
    require(_REGION.fullmatch(region), f"AWS has no region {region!r}", ConfigurationError)
    return str(region)


def bedrock_address(region: str) -> str:
    """Where Bedrock is in a region (docs.aws.amazon.com/general/latest/gr/bedrock.html)."""
    china = ".cn" if region.startswith("cn-") else ""
    return f"https://bedrock-runtime.{region}.amazonaws.com{china}"


class AWSSigner:
    """Signs requests (Signature Version 4) with the credentials that botocore finds.

    They are looked for when the first request is signed, in a thread, since that may ask the network. Raises
    ConfigurationError without botocore.
    """

    def __init__(self, service: str, region: str) -> None:
        require(
            has_botocore(),
            "no key for bedrock: set AWS_BEARER_TOKEN_BEDROCK, or pass api_key=; to sign with AWS's own "
            "credentials: pip install 'llmstream-core[bedrock]'",
            ConfigurationError,
        )
        self._service = service
        self._region = region
        self._lock = threading.Lock()
        self._credentials: Any = None

    async def sign(self, request: HTTPRequest) -> None:
        """Add the signature to the headers. Raises what botocore raises if it has no credentials."""
        await asyncio.to_thread(self._sign, request)

    def _sign(self, request: HTTPRequest) -> None:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        known = {name: value for name, value in request.headers.items() if name.lower() == _SIGNED}
        signed = AWSRequest(request.method, request.url, known, request.content)
        SigV4Auth(self._frozen(), self._service, self._region).add_auth(signed)
        replaced = {name.lower() for name in signed.headers}
        for name in list(request.headers):
            if name.lower() in replaced:
                del request.headers[name]
        request.headers.update(signed.headers.items())

    def _frozen(self) -> Any:
        """The credentials of now: botocore renews those that expire."""
        from botocore.exceptions import NoCredentialsError

        with self._lock:
            if self._credentials is None:
                self._credentials = _new_session().get_credentials()
        if self._credentials is None:
            raise NoCredentialsError
        return self._credentials.get_frozen_credentials()


def _new_session() -> Any:
    from botocore.session import Session

    return Session()
