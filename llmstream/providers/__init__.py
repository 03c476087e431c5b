"""Where requests go. `register` adds a provider of your own; `Provider` says what one must do."""

from llmstream.clock import Clock
from llmstream.providers.config import ProviderConfig
from llmstream.providers.provider import Call, Provider, ProviderTraits, SchemaSupport
from llmstream.providers.registry import names, register
from llmstream.providers.timeouts import UNSET, Timeouts
from llmstream.providers.url_checks import public_hosts_only

__all__ = [
    "UNSET",
    "Call",
    "Clock",
    "Provider",
    "ProviderConfig",
    "ProviderTraits",
    "SchemaSupport",
    "Timeouts",
    "names",
    "public_hosts_only",
    "register",
]
