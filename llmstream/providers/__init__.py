"""Providers, which answer requests. `register` adds one of your own; `Provider` says what one must do.

`SimulatorProvider` pretends to answer, from a script of `ScriptItem`s if you like. A provider over HTTP is a subclass
of `HTTPProvider`, whose `API` says where and how its requests are sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmstream.clock import Clock
from llmstream.lazy_names import lazy_names
from llmstream.providers.config import ProviderConfig
from llmstream.providers.provider import Call, Provider, ProviderTraits, SchemaSupport
from llmstream.providers.registry import create, names, register
from llmstream.providers.timeouts import UNSET, Timeouts
from llmstream.providers.url_checks import public_hosts_only

if TYPE_CHECKING:
    from llmstream.providers.api import API
    from llmstream.providers.channel import Channel
    from llmstream.providers.exchange import Outbound
    from llmstream.providers.http.exchange import HTTPRequest
    from llmstream.providers.http_provider import HTTPProvider
    from llmstream.providers.simulator import SimulatorProvider
    from llmstream.providers.simulator_script import ScriptItem

_HOME = {
    "api": ("API",),
    "channel": ("Channel",),
    "exchange": ("Outbound",),
    "http.exchange": ("HTTPRequest",),
    "http_provider": ("HTTPProvider",),
    "simulator": ("SimulatorProvider",),
    "simulator_script": ("ScriptItem",),
}

__all__ = [
    "API",
    "UNSET",
    "Call",
    "Channel",
    "Clock",
    "HTTPProvider",
    "HTTPRequest",
    "Outbound",
    "Provider",
    "ProviderConfig",
    "ProviderTraits",
    "SchemaSupport",
    "ScriptItem",
    "SimulatorProvider",
    "Timeouts",
    "create",
    "names",
    "public_hosts_only",
    "register",
]

__getattr__, __dir__ = lazy_names(__name__, _HOME)
