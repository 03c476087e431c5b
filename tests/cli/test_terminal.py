"""One question on a pseudo-terminal."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llmstream.errors import ErrorInfo
from llmstream.messages import FinishReason, ReasoningPart, RefusalPart, Source, ToolCall, Usage
from tests.loopback import answer, cut, refuse

if sys.platform == "win32":
    pytest.skip("no pseudo-terminals", allow_module_level=True)

from tests.cli.terminal import CTRL_C, CTRL_Z, ENTER, PROGRAM, Steps, Terminal, environment, serving

CHAT = "openai-chat"
LIMITED = {
    "error": {"message": "slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded"}
}


def test_pieces_are_on_the_screen_before_the_end() -> None:
    steps = Steps("one two three", Usage(7, 3))
    with serving(steps) as server:
        terminal = Terminal(*server.options, "hi")
        terminal.wait("waiting")
        steps.go(2)
        terminal.wait("one")
        assert "two" not in terminal.text()
        assert "waiting" not in terminal.text()
        steps.go(1)
        terminal.wait("one two")
        steps.go()
        assert terminal.end() == 0
        assert terminal.rows()[0] == "one two three"
        assert re.fullmatch(
            r"openai:m-1 · 7 tokens in, 3 out · first token after \d+\.\d\d s · [\d.]+ tokens/s",
            terminal.rows()[1],
        )
        assert not terminal.cursor_hidden


def test_the_spinner_moves_and_says_for_how_long() -> None:
    steps = Steps("done")
    with serving(steps) as server:
        terminal = Terminal(*server.options, "hi")
        terminal.wait("waiting")
        first = terminal.rows()[0][0]
        terminal.wait(lambda rows: bool(rows) and rows[0][:1] not in ("", first))
        terminal.wait("waiting 1 s")
        assert len(terminal.rows()) == 1
        steps.go()
        assert terminal.end() == 0
        assert terminal.rows()[0] == "done"


def test_ctrl_c_stops_the_answer_and_closes_the_connection() -> None:
    steps = Steps("one two three")
    with serving(steps) as server:
        terminal = Terminal(*server.options, "hi")
        steps.go(3)
        terminal.wait("one two")
        terminal.send(CTRL_C)
        assert terminal.end() == 130
        server.wait_until(lambda loopback: loopback.open == 0)
        assert [row for row in terminal.rows() if row != "^C"] == ["one two", "stopped"]
        assert not terminal.cursor_hidden


def test_ctrl_c_pressed_many_times_leaves_the_terminal_in_order() -> None:
    steps = Steps("one two three")
    with serving(steps) as server:
        terminal = Terminal(*server.options, "hi")
        steps.go(3)
        terminal.wait("one two")
        for _ in range(3):
            terminal.child.kill(signal.SIGINT)
        assert terminal.end() == 130
        assert terminal.rows() == ["one two", "stopped"]
        assert not terminal.cursor_hidden


def test_ctrl_c_while_waiting() -> None:
    with serving(Steps("one")) as server:
        terminal = Terminal(*server.options, "hi")
        terminal.wait("waiting")
        server.wait_until(lambda loopback: bool(loopback.requests))
        terminal.send(CTRL_C)
        assert terminal.end() == 130
        assert "Traceback" not in terminal.text()
        assert terminal.rows()[-1] == "stopped"


@pytest.mark.slow
def test_a_retry_is_announced_and_counted_down() -> None:
    with serving(refuse(429, LIMITED, retry_after="2"), answer(CHAT, "Hello")) as server:
        terminal = Terminal(*server.options, "hi")
        terminal.wait("rate limited, retrying in 2 s (attempt 2 of 3)")
        terminal.wait(lambda rows: b"rate limited, retrying in 1 s" in terminal.raw)
        assert terminal.end() == 0
        assert [row for row in terminal.rows() if row][:2] == [
            "rate limited, retrying in 2 s (attempt 2 of 3)",
            "Hello",
        ]


@pytest.mark.parametrize("first", [120, 40])
def test_a_resize_draws_the_open_block_anew(first: int) -> None:
    words = " ".join(f"word{n:02}" for n in range(40))
    steps = Steps(f"# Title\n\n{words}", " the end")
    with serving(steps) as server:
        terminal = Terminal(*server.options, "hi", columns=first)
        steps.go(30)
        terminal.wait("word25")
        second = 160 - first
        terminal.resize(second)
        steps.go()
        assert terminal.end() == 0
        shown = [row for row in terminal.text().splitlines() if "word" in row]
        assert re.findall(r"word\d\d", "\n".join(shown)) == words.split()
        assert all(len(row) <= second for row in shown)
        assert max(map(len, shown)) > second - 8
        assert terminal.text().count("Title") == 1


def test_wide_combining_and_joined_characters() -> None:
    text = "漢字かな交じり文 👩‍👩‍👧‍👦 é ไทย ñ " * 8
    steps = Steps(text, "\n\n| 名前 | n |\n|---|---|\n| 漢字 | 1 |\n\nend")
    with serving(steps) as server:
        terminal = Terminal(*server.options, "почему 漢?", columns=50)
        for _ in range(40):
            steps.go(1)
            terminal.read(0.005)
        steps.go()
        assert terminal.end() == 0
        assert server.loopback.requests[0].body["messages"] == [
            {"role": "user", "content": "почему 漢?"}
        ]
        assert terminal.text().count("漢") >= 9
        written = terminal.raw.decode()  # pyte keeps no joined emoji; the bytes must be whole
        assert "👩‍👩‍👧‍👦" in written
        assert "\ufffd" not in written


def test_escape_sequences_in_the_answer_are_shown_and_do_nothing() -> None:
    evil = "a\x1b]52;c;aGk=\x07b\x1b[2Jc\x9b31md\x08e\x00f \x1b]0;title\x1b\\ `\x1b[5m` \x1b[?1049h\rover"
    for extra in ({}, {"TERM": "dumb"}):
        with serving(answer(CHAT, evil, Source(title="t\x1b[2J", url="http://x\x07"))) as server:
            terminal = Terminal(*server.options, "hi", **extra)
            assert terminal.end() == 0
            for sequence in (
                b"\x1b]",
                b"\x1b[2J",
                b"\x1b[5m",
                b"\x1b[?1049h",
                b"\x07",
                b"\x08",
                b"\xc2\x9b",
                b"\x00",
            ):
                assert sequence not in terminal.raw
            assert "a␛]52;c;aGk=␇b␛[2Jc" in terminal.text()
            assert "over" in terminal.text()


def test_escape_sequences_in_errors_and_tool_calls_do_nothing_either() -> None:
    call = ToolCall("c1", "look\x1b[2J", '{"a": "\x1b]52;c;aGk=\x07"}')
    with serving(answer(CHAT, "x", call)) as server:
        terminal = Terminal(*server.options, "hi")
        assert terminal.end() == 0
        assert b"\x1b[2J" not in terminal.raw
        assert b"\x1b]" not in terminal.raw
    with serving(refuse(400, {"error": {"message": "bad\x1b[2J\x07"}})) as server:
        terminal = Terminal(*server.options, "hi")
        assert terminal.end() == 1
        assert b"\x1b[2J" not in terminal.raw


@pytest.mark.slow
def test_markdown_is_rendered_and_finished_blocks_are_written_once() -> None:
    steps = Steps(
        "# Title\n\nSome **bold** text.\n\n- one\n- two\n\n```py\nx = 1\n```\n\n",
        *["and more. "] * 20,
    )
    with serving(steps) as server:
        terminal = Terminal(*server.options, "hi")
        for _ in range(60):
            steps.go(1)
            terminal.read(0.05)
        steps.go()
        assert terminal.end() == 0
        rows = terminal.rows()
        assert rows[0] == "Title"
        assert rows[1:9] == ["", "Some bold text.", "", " • one", " • two", "", "  x = 1", ""]
        assert b"\x1b[1mbold\x1b[0m" in terminal.raw
        assert terminal.raw.count(b"Title") < 10
        assert terminal.raw.count(b"and more") > 20


def test_a_block_taller_than_the_terminal_shows_its_end_and_leaves_everything() -> None:
    lines = [f"line_{n} = {n}" for n in range(200)]
    steps = Steps("```py\n" + "\n".join(lines) + "\n```\n")
    with serving(steps) as server:
        terminal = Terminal(*server.options, "hi", rows=10)
        for _ in range(40):
            steps.go(3)
            terminal.read(0.02)
            assert len(terminal.rows()) <= 10
        steps.go()
        assert terminal.end() == 0
        assert [row.strip() for row in terminal.text().splitlines()][:200] == lines


@pytest.mark.parametrize("length", [20_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_a_long_answer_is_drawn_whole(length: int) -> None:
    paragraph = (
        "Lorem ipsum dolor sit amet, **consectetur** adipiscing elit, sed do `eiusmod` tempor. " * 3
    )
    block = f"## Part\n\n{paragraph}\n\n- one\n- two\n\n```py\nfor x in range(10):\n    print(x)\n```\n\n"
    count = length // len(block) + 1
    with serving(answer(CHAT, *[block] * count)) as server:
        terminal = Terminal(*server.options, "hi")
        assert terminal.end() == 0
        text = terminal.text()
        assert text.count("Part") == text.count("print(x)") == count
        assert text.count("Lorem") == 3 * count
        # Each block is written once, and redrawn a bounded number of times while it is open.
        assert len(terminal.raw) < 20 * count * len(block)


def test_reasoning_is_hidden_unless_asked_for() -> None:
    items = ReasoningPart("let me think"), "42"
    with serving(answer(CHAT, *items)) as server:
        terminal = Terminal(*server.options, "hi")
        assert terminal.end() == 0
        assert terminal.rows()[0] == "42"
        assert "think" not in terminal.text()
        terminal = Terminal(*server.options, "--show-reasoning", "hi")
        assert terminal.end() == 0
        assert terminal.rows()[:3] == ["let me think", "", "42"]
        assert b"\x1b[2mlet" in terminal.raw


def test_without_rich_the_text_is_plain(tmp_path: Path) -> None:
    """An import hook in the child makes rich as good as not installed."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('rich', 'markdown_it', 'pygments'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hide())\n"
    )
    with serving(answer(CHAT, "**bold**\n\n- item")) as server:
        path = f"{tmp_path}:{Path.cwd()}"
        terminal = Terminal(*server.options, "hi", is_child=True, PYTHONPATH=path)
        assert terminal.end() == 0
        assert terminal.rows()[:3] == ["**bold**", "", "- item"]
        assert "tokens" in terminal.rows()[3]


@pytest.mark.parametrize("name", ["dumb", ""])
def test_a_dumb_terminal_gets_no_escape_sequence(name: str) -> None:
    with serving(refuse(503, {}, retry_after="0"), answer(CHAT, "**bold**")) as server:
        terminal = Terminal(*server.options, "hi", TERM=name)
        assert terminal.end() == 0
        assert b"\x1b" not in terminal.raw
        assert "**bold**" in terminal.rows()


def test_no_color() -> None:
    with serving(answer(CHAT, "# T\n\n```py\nx = 'a'\n```\n")) as server:
        terminal = Terminal(*server.options, "hi", NO_COLOR="1")
        assert terminal.end() == 0
        assert not re.search(rb"\x1b\[[0-9;]*[34][0-9]", terminal.raw)


def test_tool_calls_sources_and_refusals_are_shown() -> None:
    call = ToolCall("c1", "search", '{"q": "x"}')
    with serving(
        answer("openai-responses", "Text.", Source(title="Page", url="http://a.b"), call)
    ) as server:
        server.options[1] = "openai-responses:m-1"
        terminal = Terminal(*server.options, "hi")
        assert terminal.end() == 0
        rows = [row for row in terminal.rows() if row]
        assert rows[0] == "Text."
        assert 'tool call: search({"q": "x"})' in rows
        assert "[1] Page http://a.b" in rows
    with serving(answer(CHAT, RefusalPart("I can't help with that."))) as server:
        terminal = Terminal(*server.options, "hi")
        assert terminal.end() == 0
        assert terminal.rows()[0] == "I can't help with that."


def test_a_cut_answer_is_said_to_be_cut() -> None:
    with serving(cut(CHAT, 3, "one two three")) as server:
        terminal = Terminal(*server.options, "hi")
        assert terminal.end() == 3
        assert terminal.rows()[0] == "one two"
        assert terminal.rows()[1].startswith("the answer is not whole: truncated")
    with serving(answer(CHAT, "one two", FinishReason.LENGTH)) as server:
        terminal = Terminal(*server.options, "hi")
        assert terminal.end() == 3
        assert "the answer is not whole: it reached the token limit" in terminal.text()


def test_a_failure_that_may_pass_is_worth_another_try() -> None:
    with serving(refuse(503, {"error": {"message": "busy"}}, retry_after="0")) as server:
        terminal = Terminal(*server.options, "hi")
        assert terminal.end() == 75
        assert "busy" in terminal.text()
        assert "(after 3 attempts)" in terminal.text()


def test_nothing_to_ask_shows_the_help() -> None:
    terminal = Terminal()
    assert terminal.end() == 2
    assert "usage: llmstream" in terminal.text()


def test_without_a_key_it_says_so_in_one_line() -> None:
    terminal = Terminal("hi", LLMSTREAM_MODEL="")
    terminal.wait("no key found")
    assert "UserWarning" not in terminal.text()
    terminal.send(CTRL_C)
    terminal.end()
    assert terminal.text().count("no key found") == 1


def test_ctrl_z_leaves_the_terminal_to_the_shell() -> None:
    steps = Steps("one two three")
    with serving(steps) as server:
        terminal = Terminal(*server.options, "hi", is_child=True)
        steps.go(2)
        terminal.wait("one")
        assert terminal.cursor_hidden
        terminal.send(CTRL_Z)
        terminal.wait(lambda rows: not terminal.cursor_hidden)
        assert os.waitid(os.P_PID, terminal.child.pid, os.WSTOPPED | os.WNOWAIT) is not None
        assert terminal.child.getecho(), "whoever has the terminal now sees what they type"
        terminal.child.kill(signal.SIGCONT)
        assert terminal.child.waitnoecho(10)
        steps.go()
        assert terminal.end() == 0
        assert "one two three" in terminal.rows()


def test_keys_stay_unseen_after_fg() -> None:
    steps = Steps("one two three")
    with serving(steps) as server:
        terminal = Terminal(*server.options, "hi", is_child=True)
        steps.go(2)
        terminal.wait("one")
        assert not terminal.child.getecho()
        terminal.send(CTRL_Z)
        assert os.waitid(os.P_PID, terminal.child.pid, os.WSTOPPED | os.WNOWAIT) is not None
        terminal.child.setecho(True)  # as a shell does
        terminal.child.kill(signal.SIGCONT)
        assert terminal.child.waitnoecho(10)
        steps.go()
        assert terminal.end() == 0
        assert "one two three" in terminal.rows()


def test_a_terminal_that_is_not_the_controlling_one_is_left_alone() -> None:
    with serving(answer(CHAT, "Hello")) as server:
        ours, theirs = os.openpty()
        done = subprocess.run(
            [*PROGRAM, *server.options, "hi"],
            stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env=environment(),
            start_new_session=True, check=False, timeout=60,
        )  # fmt: skip
        os.close(theirs)
        shown = os.read(ours, 65536)
        os.close(ours)
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"Hello" in shown


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_gives_cursor_and_echo_back(number: signal.Signals) -> None:
    steps = Steps("one two three")
    with serving(steps) as server:
        terminal = Terminal(*server.options, "hi")
        steps.go(2)
        terminal.wait("one")
        assert not terminal.child.getecho()
        terminal.child.kill(number)
        assert terminal.end() == 128 + number
        assert not terminal.cursor_hidden
        assert "Traceback" not in terminal.text()


def test_nohup_lets_it_go_on() -> None:
    steps = Steps("one two three")
    with serving(steps) as server:
        program = subprocess.Popen(
            ["nohup", *PROGRAM, *server.options, "hi"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
            env=environment(),
        )  # fmt: skip
        assert program.stdout is not None
        steps.go(2)
        assert program.stdout.read(3) == b"one"
        program.send_signal(signal.SIGHUP)
        steps.go()
        assert program.stdout.read() == b" two three\n"
        assert program.wait(60) == 0
        program.stdout.close()


def test_an_error_event_after_nothing_was_shown() -> None:
    with serving(answer(CHAT, ErrorInfo("quota", "no money left"))) as server:
        terminal = Terminal(*server.options, "hi")
        assert terminal.end() == 1
        assert "no money left" in terminal.text()
        assert ENTER not in terminal.text()
