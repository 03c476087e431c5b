"""`llmstream "question"`: one question, one answer, an exit code."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TextIO

from llmstream.cli.arguments import Options, help_text
from llmstream.cli.interrupt import stoppable
from llmstream.cli.screen import DIM, can_draw, is_terminal
from llmstream.cli.show import JsonShow, Show
from llmstream.cli.turn import USAGE, CallOutcome, When, open_client, play
from llmstream.client import LLMClient
from llmstream.messages import Message, TextPart


def ask(options: Options) -> int:
    """Ask, show, and give the exit code. Raises UsageError and BrokenPipeError."""
    question = read_question(options.words, sys.stdin)
    if not question:
        sys.stderr.write(help_text())
        return USAGE
    show = open_show(options)
    client = open_client(options.model, options.base_url, show)
    messages = [Message("user", [TextPart(question)])]
    if options.system:
        messages.insert(0, Message("system", [TextPart(options.system)]))
    outcome = CallOutcome()
    when: When = "streaming" if not options.no_stream else "batch" if options.json else "whole"
    with stoppable(ends_program=True) as stop:
        try:
            asyncio.run(stop.over(_answer(outcome, client, messages, show, when)))
        finally:
            show.end()
        conclude(outcome, show, usage=options.usage or is_terminal(sys.stderr), quiet=options.json)
    return outcome.code


async def _answer(
    outcome: CallOutcome, client: LLMClient, messages: Sequence[Message], show: Show, when: When
) -> None:
    try:
        await play(outcome, client, messages, show, when)
    finally:
        await client.aclose()


def conclude(outcome: CallOutcome, show: Show, *, usage: bool, quiet: bool = False) -> None:
    """After the answer: what went wrong, and the closing line. Quiet: the events have said it."""
    if quiet:
        return
    problem, closing = outcome.problem(), outcome.closing_line()
    if problem is not None:
        show.fail(problem)
    if closing is not None and usage:
        show.note(closing, DIM)


def open_show(options: Options, seen: set[str] | None = None) -> Show:
    """The right way to show an answer here: JSON, Markdown on a terminal where rich is installed, else plain."""
    out, err = sys.stdout, sys.stderr
    if options.json:
        return JsonShow(out, err)
    if can_draw(out):
        with suppress(ImportError):  # rich is an extra
            from llmstream.cli.painter import MarkdownShow

            return MarkdownShow(out, err, reasoning=options.show_reasoning, seen=seen)
    return Show(out, err, reasoning=options.show_reasoning, seen=seen)


def read_question(words: Sequence[str], stdin: TextIO | None) -> str:
    """The argument, a blank line, and what is piped in. Bytes that are not UTF-8 become U+FFFD."""
    parts = [clean(" ".join(words))]
    if stdin is not None and not is_terminal(stdin):
        parts.append(stdin.buffer.read().decode("utf-8-sig", "replace").rstrip("\r\n"))
    return "\n\n".join(part for part in parts if part.strip())


def clean(text: str) -> str:
    """Text from the command line or a prompt: bytes that were not UTF-8 become U+FFFD."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
