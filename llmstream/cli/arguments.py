"""The command line. Imports argparse and little else, so that `--help` is instant."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from llmstream import __version__
from llmstream.gateway.limit_options import (
    HTTP_LIMITS,
    KEPT_LIMITS,
    RATE_LIMITS,
    SERVER_LIMITS,
    LimitOption,
    Number,
)

Add = Callable[..., Any]
"""A parser's or a group's `add_argument`."""
COMMANDS = ("chat", "forget", "keys", "models", "serve")
_WITH_WORDS = frozenset({"forget", "keys"})
"""Commands that take further words."""
_USAGE = """llmstream [options] question …
       … | llmstream [options] [question …]
       llmstream chat [options]
       llmstream forget NAME --conversations FILE
       llmstream keys new NAME
       llmstream models [--json]
       llmstream serve [--host ADDRESS] [--port NUMBER] [options]"""
_DESCRIPTION = (
    "Ask a language model and read the answer as it comes. Piped text is added to the question."
)
_SERVE = "a chat page and APIs; keys (--keys, LLMSTREAM_SERVE_KEYS) let others in"
_REPEATED = (
    ("--allow-model", "NAME", "another model that may be asked for"),
    ("--alias", "NAME=MODEL", "a name of your own for a model, such as fast=openai:gpt-5-mini"),
    ("--allow-host", "NAME", "a name that the server goes by"),
    ("--allow-origin", "URL", "pages from there may use it"),
    ("--metrics", "NAME", "the key of this name may read /metrics"),
    ("--hosted-tool", "NAME", "a tool of the provider's that clients may use, such as web_search"),
)
LIMITS = (
    (SERVER_LIMITS, ""),
    (HTTP_LIMITS, "http_"),
    (RATE_LIMITS, "rate_"),
    (KEPT_LIMITS, "kept_"),
)
"""The limits that are flags, and what the names of these begin with."""
_EPILOG = """\
A question that is itself a command: llmstream -- chat

stdout carries the answer alone; notices, errors and the closing line go to stderr.

exit codes:
  0    the whole answer
  1    it failed
  2    wrong usage or configuration: arguments, no key, unknown model
  3    the answer is not whole: cut by the network, a token limit or a filter
  75   nothing was shown, and it is worth trying again later
  130  stopped by Ctrl-C
  141  whoever read the answer closed the pipe
"""


class Options(argparse.Namespace):
    """The parsed command line."""

    words: list[str]
    command: str | None
    """One of COMMANDS; None asks the question that `words` are. Those of `keys` and `forget` begin with it."""
    model: str | None
    system: str | None
    base_url: str | None
    json: bool
    no_stream: bool
    show_reasoning: bool
    usage: bool
    host: str
    port: int
    allow_model: list[str]
    alias: list[str]
    allow_host: list[str]
    allow_origin: list[str]
    metrics: list[str]
    hosted_tool: list[str]
    conversations: str | None
    config: str | None
    keys: str | None
    audit: str | None
    audit_json: bool
    check: bool
    workers: int

    def limits(self) -> list[dict[str, Any]]:
        """Of each of LIMITS those that were given, by their fields."""
        return [self._given(options, prefix) for options, prefix in LIMITS]

    def _given(self, options: Sequence[LimitOption], prefix: str) -> dict[str, Any]:
        given = vars(self)
        names = [option.name for option in options]
        return {name: given[prefix + name] for name in names if prefix + name in given}


def parse_arguments(argv: Sequence[str]) -> Options:
    """The options. Wrong ones, `--help` and `--version` end the program (argparse's SystemExit: 2, 0, 0)."""
    parser = _parser()
    before, *behind = _split_at_dashes(list(argv))
    options = parser.parse_intermixed_args(before, Options())
    options.command = None
    if options.words and options.words[0] in COMMANDS and not behind:
        options.command, *rest = options.words
        if rest and options.command not in _WITH_WORDS:
            ask = " ".join(options.words)
            parser.error(
                f'{options.command} takes no other words; to ask "{ask}": llmstream -- {ask}'
            )
    if options.command in ("chat", "serve") and (options.json or options.no_stream):
        parser.error("--json and --no-stream go with a single question")
    for words in behind:
        options.words = [*options.words, *words]
    return options


def _split_at_dashes(argv: list[str]) -> list[list[str]]:
    """Split the words at the first `--`: argparse would look for options behind it."""
    if "--" not in argv:
        return [argv]
    end = argv.index("--")
    return [argv[:end], argv[end + 1 :]]


def help_text() -> str:
    """The text of `--help`."""
    return _parser().format_help()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llmstream",
        usage=_USAGE,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_asking(parser.add_argument)
    _add_serving(parser.add_argument_group("serve", _SERVE).add_argument)
    # Another project owns the name `llmstream` on the package index.
    version = f"llmstream {__version__} (llmstream-core)"
    parser.add_argument("--version", action="version", version=version)
    return parser


def _add_asking(add: Add) -> None:
    question = f"the question, or a command: {', '.join(COMMANDS)}"
    add("words", nargs="*", metavar="question", help=question)
    model = '"provider:model", such as openai:gpt-5-mini (default: LLMSTREAM_MODEL)'
    add("-m", "--model", metavar="NAME", help=model)
    add("-s", "--system", metavar="TEXT", help="instructions that stand before the question")
    add("--base-url", metavar="URL", help="another server that speaks the provider's format")
    add("--json", action="store_true", help="every event as a line of JSON")
    add("--no-stream", action="store_true", help="show the answer only when it is whole")
    add("--show-reasoning", action="store_true", help="show the model's reasoning, too")
    usage = "the closing line (tokens, times) even where stderr is not a terminal"
    add("--usage", action="store_true", help=usage)


def _add_serving(add: Add) -> None:
    host = "where to listen (127.0.0.1: only this machine)"
    add("--host", metavar="ADDRESS", default="127.0.0.1", help=host)
    port = "0: any that is free (default: 8000)"
    add("--port", metavar="NUMBER", type=int, default=8000, help=port)
    for name, metavar, meaning in _REPEATED:
        add(name, metavar=metavar, action="append", default=[], help=meaning)
    keys = (
        "lines NAME:SHA256, as `llmstream keys new NAME` prints them; a change is in force at once"
    )
    add("--keys", metavar="FILE", help=keys)
    audit = 'a line for each request, with the key\'s name, in this file ("-": on stderr)'
    add("--audit", metavar="FILE", help=audit)
    add("--audit-json", action="store_true", help="those lines as JSON")
    config = "models, keys' variables, aliases and limits in a TOML file; SIGHUP reads it again"
    add("--config", metavar="FILE", help=config)
    check = "say what is wrong with the file and the flags, and end"
    add("--check", action="store_true", help=check)
    workers = "processes that share the port and the limits (default: 1)"
    add("--workers", metavar="NUMBER", type=int, default=1, help=workers)
    conversations = "keep conversations in this SQLite file (default: in memory)"
    add("--conversations", metavar="FILE", help=conversations)
    for options, prefix in LIMITS:
        for option in options:
            _add_limit(add, option, prefix)


def _add_limit(add: Add, option: LimitOption, prefix: str) -> None:
    def parse(text: str) -> Number:
        try:
            return option.parse(text)
        except ValueError as problem:
            raise argparse.ArgumentTypeError(str(problem)) from problem

    flag = f"--{prefix}{option.name}".replace("_", "-")
    meaning = f"{option.meaning} (default: {option.shown_default})"
    # Absent unless it is given: None stands for no limit.
    add(flag, metavar=option.unit, type=parse, default=argparse.SUPPRESS, help=meaning)
