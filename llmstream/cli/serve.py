"""`llmstream serve`: the chat page and every API of `llmstream.web.create_app`, until Ctrl-C."""

from __future__ import annotations

import logging
import os
import socket
import sys
import warnings
from functools import partial
from typing import TYPE_CHECKING

from llmstream.checks import require, require_value
from llmstream.cli.arguments import Options
from llmstream.cli.ask import open_show
from llmstream.cli.screen import RED, one_line, styled
from llmstream.cli.turn import USAGE, UsageError, model_for
from llmstream.errors import ConfigurationError
from llmstream.log import get_logger
from llmstream.providers.url_checks import is_loopback

if TYPE_CHECKING:
    from llmstream.gateway.process import ServerProcess
    from llmstream.gateway.settings import SettingsSource
    from llmstream.gateway.supervisor import Supervisor

_PLAIN_HTTP = (
    "llmstream: keys and prompts travel over plain http: whoever is in between can read them. "
    "Put a proxy with TLS in front of it (docs/serving.md)"
)


def serve(options: Options) -> int:
    """Serve, or only check what would be served. Raises UsageError."""
    try:
        from llmstream.gateway.config_flaws import ConfigFileError
        from llmstream.gateway.process import ServerProcess
        from llmstream.gateway.server_store import ServerStore
    except ImportError as problem:
        raise UsageError(
            f'serve needs the extra "server": pip install "llmstream-core[server]" ({problem})'
        ) from problem
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            source = _source(options)
            text = source.read()
            process: ServerProcess | Supervisor
            if source.workers > 1:
                process = _supervisor(source, text, options.conversations)
            else:
                process = ServerProcess(source, text, ServerStore(options.conversations))
        except ConfigFileError as problem:
            return _report(problem)
        except (ConfigurationError, TypeError, ValueError) as problem:
            raise UsageError(_explain(problem)) from problem
    show = open_show(options)
    for warning in caught:
        show.warn(str(warning.message))
    if options.check:
        sys.stderr.write(f"{options.config or 'the command line'} is fine: {process.gateway!r}\n")
        return 0
    listener = _listen(options)
    which = " [%(process)d]" if options.workers > 1 else ""
    words = f"%(asctime)s{which} %(name)s: %(message)s"
    logging.basicConfig(level=logging.WARNING, format=words)
    get_logger("llmstream.gateway").setLevel(logging.INFO)
    announce = partial(_announce, process, options, listener.getsockname()[1])
    with listener:
        return process.run(listener, announce)


def _supervisor(source: SettingsSource, text: str, conversations: str | None) -> Supervisor:
    """The supervisor of several workers. Raises ConfigurationError or ValueError for settings that they can't share."""
    can_fork = hasattr(os, "fork")
    require(can_fork, "--workers needs a system that can fork processes; this one can't")
    problem = (
        f"--workers {source.workers}: conversations in memory belong to one process. "
        "Keep them in a file that all workers share: --conversations chats.db"
    )
    path = require_value(conversations, problem)
    from llmstream.gateway.server_store import ServerStore
    from llmstream.gateway.supervisor import Supervisor

    ServerStore(path)  # raises for what is no file
    return Supervisor(source, text, path)


def _source(options: Options) -> SettingsSource:
    """Where the settings come from. Raises ConfigurationError, TypeError or ValueError."""
    from llmstream.gateway.access_options import KEYS, AccessOptions, parse_keys
    from llmstream.gateway.settings import CommandLineModels, SettingsSource, parse_aliases

    require(options.workers >= 1, f"--workers must be 1 or more, not {options.workers}")
    given = [name for name in ("model", "base_url", "allow_model", "alias") if vars(options)[name]]
    if options.config is not None and given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ValueError(f"{flags}: with --config the models and aliases stand in the file")
    models = CommandLineModels(
        model_for(options.model, options.base_url),
        options.base_url,
        tuple(options.allow_model),
        parse_aliases(options.alias, options.allow_model),
    )
    access = AccessOptions(
        options.host,
        options.allow_host,
        options.allow_origin,
        parse_keys(os.environ.get(KEYS, "")),
        options.keys,
        options.metrics,
    )
    limits, http, rate, kept = options.limits()
    return SettingsSource(
        access,
        models,
        limits,
        http,
        rate,
        options.config,
        options.workers,
        options.audit,
        options.audit_json,
        tuple(options.hosted_tool),
        kept,
    )


def _report(problem: Exception) -> int:
    """All that is wrong in a file, in a line each."""
    for line in str(problem).splitlines():
        sys.stderr.write(styled(f"llmstream: {one_line(line)}", RED, sys.stderr) + "\n")
    return USAGE


def _explain(problem: Exception) -> str:
    """The text of an error, with a command line's advice in place of the library's."""
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


def _announce(process: ServerProcess | Supervisor, options: Options, port: int) -> None:
    place = f"[{options.host}]" if ":" in options.host else options.host
    served = repr(process.gateway)
    is_guarded = process.gateway.settings.access.keys is not None
    who = "whoever has a key" if is_guarded else "this machine only"
    sys.stderr.write(
        f"llmstream serves {served} at http://{place}:{port}/ to {who}; Ctrl-C stops it\n"
    )
    if is_guarded and not is_loopback(options.host):
        sys.stderr.write(styled(_PLAIN_HTTP, RED, sys.stderr) + "\n")
    sys.stderr.flush()
