"""`llmstream serve`: the chat page and every API of `llmstream.web.create_app`, until Ctrl-C."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import sys
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

from llmstream.checks import require
from llmstream.cli.arguments import RATE_PREFIX, Options
from llmstream.cli.ask import open_show
from llmstream.cli.turn import UsageError, model_for
from llmstream.errors import ConfigurationError
from llmstream.gateway.limit_options import RATE_LIMITS, SERVER_LIMITS

if TYPE_CHECKING:
    from llmstream.gateway.settings import ServerSettings

KEYS = "LLMSTREAM_SERVE_KEYS"
"""The environment variable with the keys that clients must send, separated by commas: command lines are seen by all."""


def serve(options: Options) -> int:
    """Serve. Raises UsageError."""
    try:
        from llmstream.gateway.app import Generation, open_store
        from llmstream.gateway.process import run
    except ImportError as problem:
        raise UsageError(
            f'serve needs the extra "server": pip install "llmstream-core[server]" ({problem})'
        ) from problem
    keys = _keys()
    require(
        keys or _is_loopback(options.host),
        f"--host {options.host} lets others in: set {KEYS} to the keys that they must send",
        UsageError,
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            settings = _settings(options, keys)
            store = open_store(settings)
            first = Generation(settings, store)
        except (ConfigurationError, TypeError, ValueError) as problem:
            raise UsageError(_explain(problem)) from problem
    show = open_show(options)
    for warning in caught:
        show.warn(str(warning.message))
    listener = _listen(options)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    _announce(repr(first.client), options.host, listener.getsockname()[1], guarded=bool(keys))
    with listener:
        return run(first, store, listener)


def _settings(options: Options, keys: list[str]) -> ServerSettings:
    """What the command line says. Raises ConfigurationError, TypeError or ValueError."""
    from llmstream.gateway.settings import CommandLineModels, ServerSettings, parse_aliases
    from llmstream.limits import Rate
    from llmstream.web import Access, Limits
    from llmstream.web.access import LOOPBACK

    models = CommandLineModels(
        model_for(options.model, options.base_url),
        options.base_url,
        tuple(options.allow_model),
        parse_aliases(options.alias, options.allow_model),
    )
    hosts = [*options.allow_host, *((options.host, *LOOPBACK) if not keys else ())] or None
    rate = options.limits(RATE_LIMITS, RATE_PREFIX)
    return ServerSettings(
        models,
        Access(keys=keys or None, hosts=hosts, origins=options.allow_origin),
        Limits(**options.limits(SERVER_LIMITS)),
        Rate(**rate) if rate else None,
        options.conversations,
    )


def _keys() -> list[str]:
    return [key.strip() for key in os.environ.get(KEYS, "").split(",") if key.strip()]


def _explain(problem: Exception) -> str:
    """What is wrong, and what to write on a command line."""
    text = str(problem)
    advice = "; `llmstream models` lists them" if "no key" in text else ""
    return text.replace(", or pass api_key=", "") + advice


def _listen(options: Options) -> socket.socket:
    from llmstream.web.server import listen

    try:
        return listen(options.host, options.port)
    except (OSError, OverflowError) as problem:
        where = f"{options.host}, port {options.port}"
        why = getattr(problem, "strerror", None) or problem
        raise UsageError(f"can't listen on {where}: {why}") from problem


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def _announce(served: str, host: str, port: int, *, guarded: bool) -> None:
    place = f"[{host}]" if ":" in host else host
    who = "whoever has a key" if guarded else "this machine only"
    sys.stderr.write(
        f"llmstream serves {served} at http://{place}:{port}/ to {who}; Ctrl-C stops it\n"
    )
    sys.stderr.flush()
