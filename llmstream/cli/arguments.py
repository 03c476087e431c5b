"""The command line. Imports argparse and nothing else, so that `--help` is instant."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from llmstream import __version__

COMMANDS = ("chat", "models", "serve")
_USAGE = """llmstream [options] question …
       … | llmstream [options] [question …]
       llmstream chat [options]
       llmstream models [--json]
       llmstream serve [--host ADDRESS] [--port NUMBER] [options]"""
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
    """One of COMMANDS; None asks the question that `words` are."""
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
    allow_host: list[str]
    allow_origin: list[str]
    conversations: str | None


def parse_arguments(argv: Sequence[str]) -> Options:
    """The options. Wrong ones, `--help` and `--version` end the program (argparse's SystemExit: 2, 0, 0)."""
    parser = _parser()
    argv = list(argv)
    # argparse would look for options behind it.
    end = argv.index("--") if "--" in argv else len(argv)
    options = parser.parse_intermixed_args(argv[:end], Options())
    options.words = [*options.words, *argv[end + 1 :]]
    options.command = None
    if options.words and options.words[0] in COMMANDS and end == len(argv):
        options.command, *rest = options.words
        if rest:
            ask = " ".join(options.words)
            parser.error(
                f'{options.command} takes no other words; to ask "{ask}": llmstream -- {ask}'
            )
    if options.command in ("chat", "serve") and (options.json or options.no_stream):
        parser.error("--json and --no-stream go with a single question")
    return options


def help_text() -> str:
    """What `--help` prints."""
    return _parser().format_help()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llmstream",
        usage=_USAGE,
        description="Ask a language model and read the answer as it comes. Piped text is added to the question.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "words",
        nargs="*",
        metavar="question",
        help="the question, or a command: chat, models, serve",
    )
    add(
        "-m",
        "--model",
        metavar="NAME",
        help='"provider:model", such as openai:gpt-5-mini (default: LLMSTREAM_MODEL)',
    )
    add("-s", "--system", metavar="TEXT", help="instructions that stand before the question")
    add("--base-url", metavar="URL", help="another server that speaks the provider's format")
    add("--json", action="store_true", help="every event as a line of JSON")
    add("--no-stream", action="store_true", help="show the answer only when it is whole")
    add("--show-reasoning", action="store_true", help="show the model's reasoning, too")
    add(
        "--usage",
        action="store_true",
        help="the closing line (tokens, times) even where stderr is not a terminal",
    )
    serving = parser.add_argument_group(
        "serve", "a chat page and APIs; keys in LLMSTREAM_SERVE_KEYS let others in"
    )
    more = serving.add_argument
    more(
        "--host",
        metavar="ADDRESS",
        default="127.0.0.1",
        help="where to listen (127.0.0.1: only this machine)",
    )
    more(
        "--port",
        metavar="NUMBER",
        type=int,
        default=8000,
        help="0: any that is free (default: 8000)",
    )
    more(
        "--allow-model",
        metavar="NAME",
        action="append",
        default=[],
        help="another model that may be asked for",
    )
    more(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="a name that the server goes by",
    )
    more(
        "--allow-origin",
        metavar="URL",
        action="append",
        default=[],
        help="pages from there may use it",
    )
    more(
        "--conversations",
        metavar="FILE",
        help="keep conversations in this SQLite file (default: in memory)",
    )
    add("--version", action="version", version=f"llmstream {__version__}")
    return parser
