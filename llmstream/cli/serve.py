"""`llmstream serve`: the chat page and every API of `llmstream.web.create_app`, until Ctrl-C."""

from __future__ import annotations

import ipaddress
import logging
import os
import sys
from contextlib import suppress

from llmstream.checks import require
from llmstream.cli.arguments import Options
from llmstream.cli.ask import open_show
from llmstream.cli.turn import UsageError, open_client
from llmstream.client import LLMClient
from llmstream.conversations import ConversationClient
from llmstream.errors import ConfigurationError

KEYS = "LLMSTREAM_SERVE_KEYS"
"""The environment variable with the keys that clients must send, separated by commas: command lines are seen by all."""


def serve(options: Options) -> int:
    """Serve. Raises UsageError."""
    try:
        from llmstream.web import Access, Limits, create_app
        from llmstream.web.access import LOOPBACK
        from llmstream.web.server import listen, make_server
    except ImportError as problem:
        raise UsageError(
            f'serve needs the extra "server": pip install "llmstream-core[server]" ({problem})'
        ) from problem
    keys = [key.strip() for key in os.environ.get(KEYS, "").split(",") if key.strip()]
    require(
        keys or _is_loopback(options.host),
        f"--host {options.host} lets others in: set {KEYS} to the keys that they must send",
        UsageError,
    )
    client = open_client(options.model, options.base_url, open_show(options))
    hosts = [*options.allow_host, *((options.host, *LOOPBACK) if not keys else ())] or None
    limits = Limits()
    try:
        kept = options.conversations
        conversations = None if kept is None else ConversationClient(client, store=kept)
        access = Access(keys=keys or None, hosts=hosts, origins=options.allow_origin)
        models = _models(client, options.allow_model)
        app = create_app(
            client, models=models, access=access, limits=limits, conversations=conversations
        )
    except (ConfigurationError, TypeError) as problem:
        raise UsageError(str(problem).replace(", or pass api_key=", "")) from problem
    try:
        listener = listen(options.host, options.port)
    except (OSError, OverflowError) as problem:
        where = f"{options.host}, port {options.port}"
        raise UsageError(
            f"can't listen on {where}: {getattr(problem, 'strerror', None) or problem}"
        ) from problem
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    server = make_server(app, max_message=limits.max_body)
    _say(client, options.host, listener.getsockname()[1], guarded=bool(keys))
    # uvicorn raises the signal that ended it once more.
    with (
        listener,
        suppress(KeyboardInterrupt, SystemExit),
    ):
        server.run(sockets=[listener])
    return 0 if server.started else 1


def _models(client: LLMClient, allowed: list[str]) -> dict[str, str] | None:
    if not allowed:
        return None
    own = client.target(None)
    return {name: name for name in (f"{own.provider.name}:{own.model}", *allowed)}


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def _say(client: LLMClient, host: str, port: int, *, guarded: bool) -> None:
    place = f"[{host}]" if ":" in host else host
    who = "whoever has a key" if guarded else "this machine only"
    sys.stderr.write(
        f"llmstream serves {client!r} at http://{place}:{port}/ to {who}; Ctrl-C stops it\n"
    )
    sys.stderr.flush()
