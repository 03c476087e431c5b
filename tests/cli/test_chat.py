"""A conversation on a pseudo-terminal."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from llmstream.messages import Message
from tests.loopback import Handler, Reply, Request, answer, refuse

if sys.platform == "win32":
    pytest.skip("no pseudo-terminals", allow_module_level=True)

from tests.cli.terminal import (
    CTRL_C,
    CTRL_D,
    ENTER,
    PROGRAM,
    UP,
    Server,
    Steps,
    Terminal,
    environment,
    serving,
)

CHAT = "openai-chat"


def chat(server: Server, *options: str, **env: str) -> Terminal:
    terminal = Terminal("chat", *server.options, *options, **env)
    terminal.wait(lambda rows: rows[-1:] == [">"])
    return terminal


def say(terminal: Terminal, line: str, shown: str) -> None:
    terminal.wait(lambda rows: bool(rows) and rows[-1].startswith(">"))
    prompts = terminal.text().count("\n>")
    terminal.send(line + ENTER)
    terminal.wait(
        lambda rows: (
            rows[-1] == ">" and terminal.text().count("\n>") > prompts and shown in terminal.text()
        )
    )


def asked(server: Server) -> list[tuple[str, str]]:
    return [(m["role"], m["content"]) for m in server.loopback.requests[-1].body["messages"]]


def echo() -> Handler:
    async def handler(request: Request, reply: Reply) -> None:
        await answer(CHAT, f"<{request.body['messages'][-1]['content']}>")(request, reply)

    return handler


def test_a_conversation_is_sent_whole_over_one_connection() -> None:
    with serving(echo()) as server:
        terminal = chat(server, "--system", "Be brief.")
        assert terminal.rows()[0] == "openai:m-1 · /help for commands, Ctrl-D leaves"
        say(terminal, "one", "<one>")
        say(terminal, "漢字 é", "<漢字 é>")
        terminal.send(CTRL_D)
        assert terminal.end() == 0
        assert asked(server) == [
            ("system", "Be brief."),
            ("user", "one"),
            ("assistant", "<one>"),
            ("user", "漢字 é"),
        ]
        assert server.loopback.connections == 1


def test_ctrl_c_stops_the_answer_and_the_chat_goes_on() -> None:
    steps = Steps("one two three")
    with serving(steps, echo()) as server:
        terminal = chat(server)
        terminal.send("count" + ENTER)
        steps.go(3)
        terminal.wait("one two")
        terminal.send(CTRL_C)
        terminal.wait("stopped")
        server.wait_until(lambda loopback: loopback.open == 0)
        say(terminal, "go on", "<go on>")
        assert asked(server) == [("user", "count"), ("assistant", "one two"), ("user", "go on")]
        terminal.send("/quit" + ENTER)
        assert terminal.end() == 0


def test_what_is_typed_during_an_answer_waits_for_the_prompt() -> None:
    steps = Steps("one two three")
    with serving(steps, echo()) as server:
        terminal = chat(server)
        terminal.send("count" + ENTER)
        steps.go(3)
        terminal.wait("one two")
        terminal.send("typed ahead")
        steps.go()
        terminal.wait(lambda rows: rows[-1] == "> typed ahead")
        assert terminal.rows()[2] == "one two three"
        terminal.send(ENTER)
        terminal.wait("<typed ahead>")
        terminal.wait(lambda rows: rows[-1] == ">")
        terminal.send(CTRL_D)
        assert terminal.end() == 0


def test_ctrl_c_pressed_many_times_stops_only_the_answer() -> None:
    steps = Steps("one two three")
    with serving(steps, echo()) as server:
        terminal = chat(server)
        terminal.send("count" + ENTER)
        steps.go(3)
        terminal.wait("one two")
        for _ in range(5):
            terminal.child.kill(signal.SIGINT)
            terminal.read(0.005)
        terminal.wait("stopped")
        terminal.wait(lambda rows: rows[-1] == ">")
        say(terminal, "", "stopped")  # a late one is heard at the prompt
        say(terminal, "go on", "<go on>")
        assert asked(server) == [("user", "count"), ("assistant", "one two"), ("user", "go on")]
        terminal.send(CTRL_D)
        assert terminal.end() == 0


def test_ctrl_c_before_the_first_word_leaves_no_trace() -> None:
    with serving(Steps("one"), echo()) as server:
        terminal = chat(server)
        terminal.send("count" + ENTER)
        terminal.wait("waiting")
        server.wait_until(lambda loopback: bool(loopback.requests))
        terminal.send(CTRL_C)
        terminal.wait("stopped")
        say(terminal, "again", "<again>")
        assert asked(server) == [("user", "again")]
        terminal.send(CTRL_D)
        assert terminal.end() == 0


def test_ctrl_c_at_the_prompt_says_how_to_leave() -> None:
    with serving(echo()) as server:
        terminal = chat(server)
        terminal.send("half a line")
        terminal.wait("> half a line")
        hint = "/quit or Ctrl-D leaves"
        for _ in range(
            10
        ):  # CPython's readline misses a signal that comes just before it waits for a key
            terminal.send(CTRL_C)
            with suppress(AssertionError):
                terminal.wait(hint, 2)
                break
        terminal.wait(hint)
        say(terminal, "hi", "<hi>")
        assert asked(server) == [("user", "hi")]
        terminal.send(CTRL_D)
        assert terminal.end() == 0


def test_the_arrow_keys_bring_back_what_was_said() -> None:
    pytest.importorskip("readline")
    with serving(echo()) as server:
        terminal = chat(server)
        say(terminal, "one", "<one>")
        terminal.send(UP + " more")
        terminal.wait("> one more")
        say(terminal, "", "<one more>")
        terminal.send(CTRL_D)
        assert terminal.end() == 0


def test_retry_asks_again_without_the_last_answer() -> None:
    with serving(
        answer(CHAT, "first"), answer(CHAT, "second"), refuse(400, {}), answer(CHAT, "third")
    ) as server:
        terminal = chat(server)
        say(terminal, "/retry", "nothing was asked yet")
        say(terminal, "hi", "first")
        say(terminal, "/retry", "second")
        assert asked(server) == [("user", "hi")]
        say(terminal, "/retry", "invalid_request")
        say(terminal, "and?", "third")
        assert asked(server) == [("user", "hi"), ("assistant", "second"), ("user", "and?")]
        terminal.send(CTRL_D)
        assert terminal.end() == 0


def test_a_failed_turn_leaves_no_trace_and_can_be_tried_again() -> None:
    with serving(refuse(400, {"error": {"message": "bad luck"}}), echo()) as server:
        terminal = chat(server)
        say(terminal, "hi", "bad luck")
        say(terminal, "/retry", "<hi>")
        assert asked(server) == [("user", "hi")]
        terminal.send(CTRL_D)
        assert terminal.end() == 0


def test_the_model_can_be_changed_but_not_to_nonsense() -> None:
    with serving(echo()) as server:
        terminal = chat(server, OPENAI_API_KEY="")
        say(terminal, "/model", "openai:m-1")
        say(terminal, "/model nobody:x", "unknown provider 'nobody'")
        say(terminal, "/model anthropic:x", "ANTHROPIC_API_KEY")
        say(terminal, "/model openai:m-2", "from now on: openai:m-2")
        say(terminal, "hi", "<hi>")
        assert server.loopback.requests[-1].body["model"] == "m-2"
        say(terminal, "/model simulator", "from now on: simulator")
        say(terminal, "really?", "You said: really?")
        assert len(server.loopback.requests) == 1
        terminal.send(CTRL_D)
        assert terminal.end() == 0


def test_an_address_alone_belongs_to_the_model_of_the_environment() -> None:
    with serving(echo()) as server:
        terminal = Terminal(
            "chat", *server.options[2:], LLMSTREAM_MODEL="groq:llama3", GROQ_API_KEY="k"
        )
        say(terminal, "/model", "groq:llama3")
        say(terminal, "/model simulator", "from now on: simulator")
        say(terminal, "/model groq:other", "from now on: groq:other")
        say(terminal, "hi", "<hi>")
        assert server.loopback.requests[-1].body["model"] == "other"
        terminal.send(CTRL_D)
        assert terminal.end() == 0


def test_the_instructions_can_be_changed() -> None:
    with serving(echo()) as server:
        terminal = chat(server)
        say(terminal, "/system", "no instructions")
        say(terminal, "/system Be brief.", "Be brief.")
        say(terminal, "hi", "<hi>")
        assert asked(server)[0] == ("system", "Be brief.")
        say(terminal, "/system off", "no instructions")
        say(terminal, "ho", "<ho>")
        assert asked(server)[0] == ("user", "hi")
        terminal.send(CTRL_D)
        assert terminal.end() == 0


def test_a_conversation_can_be_saved(tmp_path: Path) -> None:
    with serving(echo()) as server:
        terminal = chat(server, "-s", "Be brief.")
        say(terminal, "hi 漢", "<hi 漢>")
        as_json, as_text = tmp_path / "talk.json", tmp_path / "talk.md"
        say(terminal, f"/save {as_json}", "saved:")
        say(terminal, f"/save {as_text}", "talk.md")
        assert {stat.S_IMODE(file.stat().st_mode) for file in (as_json, as_text)} == {0o600}
        data = json.loads(as_json.read_text())
        assert data["model"] == "openai:m-1"
        messages = [Message.from_dict(message) for message in data["messages"]]
        assert [(m.role, m.text) for m in messages] == [
            ("system", "Be brief."),
            ("user", "hi 漢"),
            ("assistant", "<hi 漢>"),
        ]
        assert "## User\n\nhi 漢\n" in as_text.read_text()
        say(terminal, f"/save {as_json}", "exists; /save! overwrites it")
        say(terminal, "/save talk.txt", "must end in .json or .md")
        say(terminal, "/save /no/such/folder/talk.md", "talk.md")
        say(terminal, "/save ~nosuchuser/talk.md", "not saved: Could not determine home directory")
        os.mkfifo(tmp_path / "pipe.md")
        say(terminal, f"/save! {tmp_path / 'pipe.md'}", "is not a file")
        say(terminal, "more", "<more>")
        say(terminal, f"/save! {as_json}", "saved:")
        assert len(json.loads(as_json.read_text())["messages"]) == 5
        terminal.send(CTRL_D)
        assert terminal.end() == 0


def test_help_unknown_commands_and_questions_that_begin_with_a_slash() -> None:
    with serving(echo()) as server:
        terminal = chat(server)
        say(terminal, "/help", "/retry")
        say(terminal, "/bogus", "there is no /bogus")
        say(terminal, "/Bogus", "there is no /Bogus")
        say(terminal, "/Model openai:m-3", "from now on: openai:m-3")
        say(terminal, "/etc/hosts?", "</etc/hosts?>")
        say(terminal, "//help", "</help>")
        terminal.send("/Quit now" + ENTER)
        assert terminal.end() == 0


def test_pasted_lines_are_one_question() -> None:
    readline = pytest.importorskip("readline")
    if "libedit" in (readline.__doc__ or ""):
        pytest.skip("libedit knows no bracketed paste")
    with serving(echo()) as server:
        terminal = chat(server)
        terminal.send("\x1b[200~one\ntwo\x1b[201~" + ENTER)
        terminal.wait(lambda rows: "<one two>" in rows and rows[-1] == ">")
        assert asked(server) == [("user", "one\ntwo")]
        terminal.send(CTRL_D)
        assert terminal.end() == 0


def test_questions_from_a_pipe() -> None:
    with serving(answer(CHAT, "first"), echo(), refuse(503, {}, retry_after="0")) as server:
        command = [*PROGRAM, "chat", *server.options]
        done = subprocess.run(
            command,
            input=b"one\n\ntwo\nthree\n",
            capture_output=True,
            env=environment(),
            check=False,
            timeout=60,
        )
        assert done.stdout == b"first\n<two>\n"
        assert done.returncode == 75


def test_bytes_from_a_pipe_that_are_not_utf_8() -> None:
    with serving(echo()) as server:
        done = subprocess.run(
            [*PROGRAM, "chat", *server.options],
            input=b"a\xffb\n",
            capture_output=True,
            env=environment(PYTHONIOENCODING="utf-8:strict"),
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stdout.decode()) == (0, "<a\ufffdb>\n")
