"""`llmstream chat`: a conversation. Ctrl-C stops the answer, not the chat."""

from __future__ import annotations

import asyncio
import importlib
import re
import sys
from collections.abc import Callable
from contextlib import suppress

from llmstream.cli.arguments import Options
from llmstream.cli.ask import clean, conclude, open_show
from llmstream.cli.interrupt import stoppable
from llmstream.cli.screen import is_terminal
from llmstream.cli.transcript_file import save
from llmstream.cli.turn import CallOutcome, UsageError, model_for, open_client, play
from llmstream.errors import ConfigurationError
from llmstream.messages import Message, Role, TextPart
from llmstream.providers.registry import default_model, parse_model

_HELP = """\
/model [name]     which model answers; with a name, another one from now on
/system [text]    the instructions; with a text, new ones from now on; "/system off" removes them
/retry            ask the last question again
/save file        write the conversation to a new .json or .md file; /save! overwrites
/quit             leave; so does Ctrl-D
Ctrl-C stops an answer; what was shown of it stays in the conversation. A question that begins with /: write //."""


def chat(options: Options) -> int:
    """Talk until /quit or the end of the input. With piped input each line is a question; the last one's exit code."""
    with suppress(ImportError):
        importlib.import_module("readline").parse_and_bind("set enable-bracketed-paste on")
    with asyncio.Runner() as runner:
        talk = Chat(options, runner)
        try:
            return talk.run()
        finally:
            runner.run(talk.client.aclose())


class Chat:
    """The conversation and its commands. One event loop for all turns, so that connections stay open between them."""

    def __init__(self, options: Options, runner: asyncio.Runner) -> None:
        self._options = options
        self._runner = runner
        self._seen: set[str] = set()
        self._interactive = is_terminal(sys.stdin)
        self._show = open_show(options, self._seen)
        self._system = options.system
        self._history: list[Message] = []
        self._asked: tuple[str, list[Message]] | None = None
        """The last question, and the history that it was asked with."""
        self._code = 0
        self.client = open_client(options.model, options.base_url, self._show)
        self.model = _full_name(options.model, options.base_url)
        self._home = self.model.partition(":")[0]
        """The provider that `--base-url` belongs to."""
        self._commands: dict[str, Callable[[str], None]] = {
            "/model": self._change_model,
            "/system": self._change_system,
            "/retry": self._retry,
            "/save": lambda path: self._save(path, overwrite=False),
            "/save!": lambda path: self._save(path, overwrite=True),
            "/help": self._help,
        }

    def run(self) -> int:
        """Until the end of the input or /quit."""
        if self._interactive:
            self._say(f"{self.model} · /help for commands, Ctrl-D leaves")
        interrupted = False
        while True:
            try:
                if interrupted:
                    interrupted = False
                    sys.stderr.write("\n")
                    self._say("/quit or Ctrl-D leaves")
                line = clean(self._read()).strip()
                if line.partition(" ")[0].lower() == "/quit":
                    break
                if line:
                    self._take(line)
            except EOFError:
                if self._interactive:
                    sys.stderr.write("\n")
                break
            except KeyboardInterrupt:
                if not self._interactive:
                    raise
                interrupted = True  # said above, where another Ctrl-C is heard as well
        return 0 if self._interactive else self._code

    def _read(self) -> str:
        if self._interactive and is_terminal(sys.stdout):
            return input("> ")  # with readline, where Python has it
        if self._interactive:
            sys.stderr.write("> ")
            sys.stderr.flush()
        if not (line := sys.stdin.readline()):
            raise EOFError
        return line

    def _take(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word.lower() in self._commands:
            self._commands[word.lower()](rest.strip())
        elif re.fullmatch(r"/[A-Za-z]+!?", word):
            self._say(f"there is no {word}; /help lists the commands")
        else:
            self._ask(line.removeprefix("/") if line.startswith("//") else line)

    # --- asking --------------------------------------------------------------------------------------------

    def _ask(self, question: str) -> None:
        self._asked = question, list(self._history)
        messages = [*self._start(), *self._history, _message("user", question)]
        outcome, self._show = CallOutcome(), open_show(self._options, self._seen)
        refused = None
        with stoppable() as stop:
            try:
                self._runner.run(stop.over(play(outcome, self.client, messages, self._show)))
            except UsageError as problem:
                refused = str(problem)
            finally:
                self._show.end()
            if refused is not None:
                self._code = 2
                self._show.fail(refused)
                return
            conclude(outcome, self._show, usage=self._options.usage or is_terminal(sys.stderr))
            self._code = outcome.code
            self._remember(outcome, question)

    def _remember(self, outcome: CallOutcome, question: str) -> None:
        """Keep a whole answer, or the shown part of one that was stopped; a failed turn leaves no trace."""
        if outcome.message is not None:
            answer = outcome.message
        elif outcome.last is None and outcome.text:
            answer = _message("assistant", outcome.text)
        else:
            return
        self._history += [_message("user", question), answer]

    def _retry(self, rest: str) -> None:
        if self._asked is None:
            self._say("nothing was asked yet")
            return
        question, before = self._asked
        now, self._history = self._history, list(before)
        self._ask(question)
        if self._history == before:  # it failed: what was there before is better than nothing
            self._history = now
            self._asked = question, before

    # --- other commands ------------------------------------------------------------------------------------

    def _change_model(self, name: str) -> None:
        if not name:
            self._say(self.model)
            return
        try:
            base_url = self._options.base_url if parse_model(name)[0] == self._home else None
            client = open_client(name, base_url, self._show)
        except (UsageError, ConfigurationError) as problem:
            self._show.fail(str(problem))
        else:
            self._runner.run(self.client.aclose())
            self.client, self.model = client, _full_name(name, base_url)
            self._say(f"from now on: {self.model}")

    def _change_system(self, text: str) -> None:
        if text:
            self._system = None if text == "off" else text
        self._say(self._system or "no instructions")

    def _save(self, path: str, *, overwrite: bool) -> None:
        try:
            save(path, self.model, [*self._start(), *self._history], overwrite=overwrite)
        except (OSError, ValueError) as problem:
            self._show.fail(f"not saved: {problem}")
        else:
            self._say(f"saved: {path}")

    def _help(self, rest: str) -> None:
        for line in _HELP.splitlines():
            sys.stderr.write(line + "\n")

    # --- small things --------------------------------------------------------------------------------------

    def _start(self) -> list[Message]:
        return [_message("system", self._system)] if self._system else []

    def _say(self, text: str) -> None:
        self._show.note(text)


def _message(role: Role, text: str) -> Message:
    return Message(role, [TextPart(text)])


def _full_name(model: str | None, base_url: str | None) -> str:
    """`provider:model` as far as it is known before anybody answers."""
    meant = model_for(model, base_url)
    provider, name = default_model()[:2] if meant is None else parse_model(meant)
    return f"{provider}:{name}" if name else provider
