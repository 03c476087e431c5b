"""The program between other programs: standard streams, exit codes, JSON."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from llmstream import EventType, StreamEvent
from llmstream.errors import ErrorInfo
from llmstream.messages import FinishReason, ReasoningPart, RefusalPart, Source, Usage
from tests.loopback import answer, cut, refuse

if sys.platform == "win32":
    pytest.skip("no pseudo-terminals", allow_module_level=True)

from tests.cli.starter import starter
from tests.cli.terminal import PROGRAM, Steps, environment, serving
from tests.patience import PATIENCE

CHAT = "openai-chat"


def run(*arguments: str, input: bytes = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
    return starter().run([*arguments], environment(**env), input)


def test_stdout_has_the_answer_alone() -> None:
    with serving(answer(CHAT, "**Hello** 漢 \x1b[1m!", Usage(7, 3))) as server:
        done = run(*server.options, "hi")
        assert done.stdout.decode() == "**Hello** 漢 \x1b[1m!\n"
        assert done.stderr == b""
        assert done.returncode == 0


def test_the_answer_flows_through_a_pipe() -> None:
    steps = Steps("one two three")
    with serving(steps) as server:
        command = [*PROGRAM, *server.options, "hi"]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment()
        ) as process:
            assert process.stdout is not None
            steps.go(2)
            assert os.read(process.stdout.fileno(), 100) == b"one"
            steps.go()
            assert process.stdout.read() == b" two three\n"
        assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "input", "asked"),
    [
        (["sum up"], "text\nof a file\n", "sum up\n\ntext\nof a file"),
        ([], "only this\n", "only this"),
        (["two", "words"], "", "two words"),
        (["--", "chat"], "", "chat"),
        (["--", "--help"], "", "--help"),
        (["what", "does", "--", "-x", "--", "do?"], "", "what does -x -- do?"),
        (["a", "--usage", "b"], "", "a b"),
        (["日本"], "\ufeff語🎉" * 20_000, "日本\n\n" + "語🎉" + "\ufeff語🎉" * 19_999),
    ],
)
def test_the_question_is_the_argument_and_what_is_piped(
    arguments: list[str], input: str, asked: str
) -> None:
    with serving(answer(CHAT, "ok")) as server:
        done = run(*server.options, *arguments, input=input.encode())
        assert done.returncode == 0, done.stderr
        assert server.loopback.requests[0].body["messages"] == [{"role": "user", "content": asked}]


def test_utf_8_split_between_two_writes_and_bytes_that_are_none() -> None:
    with serving(answer(CHAT, "ok")) as server:
        command = [*PROGRAM, *server.options]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
        ) as process:
            assert process.stdin is not None
            for part in (b"a\xe6", b"\xbc", b"\xa2\xff b"):
                process.stdin.write(part)
                process.stdin.flush()
                time.sleep(0.02)
            process.stdin.close()
            process.wait(PATIENCE)
        assert server.loopback.requests[0].body["messages"][0]["content"] == "a漢\ufffd b"


def test_the_system_message_stands_first() -> None:
    with serving(answer(CHAT, "ok")) as server:
        assert run(*server.options, "--system", "Be brief.", "hi").returncode == 0
        messages = server.loopback.requests[0].body["messages"]
        assert [(m["role"], m["content"]) for m in messages] == [
            ("system", "Be brief."),
            ("user", "hi"),
        ]


def test_usage_is_a_line_on_stderr() -> None:
    with serving(answer(CHAT, "ok", Usage(7, 3))) as server:
        assert (
            b"openai:m-1 \xc2\xb7 7 tokens in, 3 out"
            in run(*server.options, "--usage", "hi").stderr
        )


def test_no_stream_shows_the_answer_at_once() -> None:
    steps = Steps("one two", " three", Usage(7, 3))
    with serving(steps) as server:
        command = [*PROGRAM, *server.options, "--no-stream", "--usage", "hi"]
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        ) as process:
            steps.go()
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.read() == b"one two three\n"
            assert b"3 out \xc2\xb7 " in process.stderr.read()
        assert process.returncode == 0


def test_no_stream_holds_the_text_back_until_it_is_whole() -> None:
    steps = Steps("one two three")
    with serving(steps) as server:
        command = [*PROGRAM, *server.options, "--no-stream", "--show-reasoning", "hi"]
        steps.go(3)
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        ) as process:
            assert process.stdout is not None
            server.wait_until(lambda loopback: bool(loopback.requests))
            assert select.select([process.stdout], [], [], 0.3)[0] == []
            steps.go()
            assert process.stdout.read() == b"one two three\n"


def test_no_stream_loses_nothing_but_what_is_not_whole() -> None:
    with serving(answer(CHAT, RefusalPart("I can't."))) as server:
        done = run(*server.options, "--no-stream", "hi")
        assert (done.returncode, done.stdout) == (0, b"I can't.\n")
    items = ReasoningPart("hm"), "Text.", Source(title="Page", url="http://a.b")
    with serving(refuse(503, {}, retry_after="0"), answer("openai-responses", *items)) as server:
        server.options[1] = "openai-responses:m-1"
        done = run(*server.options, "--no-stream", "--show-reasoning", "hi")
        assert (done.returncode, done.stdout) == (0, b"Text.\n")
        told = [line for line in done.stderr.decode().splitlines() if line]
        assert re.fullmatch(r"overloaded, retrying .* \(attempt 2 of 3\)", told[0])
        assert told[1:] == ["hm", "[1] Page http://a.b"]
    with serving(answer(CHAT, "half", ErrorInfo("server", "broke"))) as server:
        done = run(*server.options, "--no-stream", "hi")
        assert (done.returncode, done.stdout) == (75, b"")
        assert b"broke" in done.stderr
    with serving(answer(CHAT, "whole")) as server:
        done = run(*server.options, "--no-stream", "--json", "hi")
        [event] = [StreamEvent.from_dict(json.loads(line)) for line in done.stdout.splitlines()]
        assert (event.type, event.text) == (EventType.MESSAGE_COMPLETE, "whole")


def test_json_lines_are_the_events() -> None:
    items = ReasoningPart("hm"), "one two", Usage(7, 3)
    with serving(refuse(503, {}, retry_after="0"), answer(CHAT, *items)) as server:
        done = run(*server.options, "--json", "hi")
    events = [StreamEvent.from_dict(json.loads(line)) for line in done.stdout.splitlines()]
    assert [event.to_dict() for event in events] == [
        json.loads(line) for line in done.stdout.splitlines()
    ]
    assert [event.type for event in events] == [
        EventType.RETRY,
        EventType.MESSAGE_START,
        EventType.REASONING_DELTA,
        EventType.TEXT_DELTA,
        EventType.TEXT_DELTA,
        EventType.MESSAGE_COMPLETE,
    ]
    assert events[-1].message is not None
    assert events[-1].message.text == "one two"
    assert done.stderr == b""


def test_json_has_the_error_too() -> None:
    with serving(refuse(400, {"error": {"message": "no such thing"}})) as server:
        done = run(*server.options, "--json", "hi")
    assert done.returncode == 1
    [event] = [StreamEvent.from_dict(json.loads(line)) for line in done.stdout.splitlines()]
    assert event.error_info is not None
    assert event.error_info.status_code == 400
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("items", "code"),
    [
        (["ok"], 0),
        (["ok", FinishReason.LENGTH], 3),
        (["ok", FinishReason.CONTENT_FILTER], 3),
        (["ok", ErrorInfo("server", "broke")], 3),
        ([ErrorInfo("quota", "no money")], 1),
        ([ErrorInfo("authentication", "wrong key")], 2),
        ([ErrorInfo("not_found", "no such model")], 2),
    ],
)
def test_exit_codes(items: list[Any], code: int) -> None:
    with serving(answer(CHAT, *items)) as server:
        done = run(*server.options, "hi")
    assert done.returncode == code
    assert (done.stderr == b"") == (code == 0)
    assert b"Traceback" not in done.stderr


def test_a_cut_answer_and_a_server_that_is_busy() -> None:
    with serving(cut(CHAT, 3)) as server:
        done = run(*server.options, "hi")
        assert (done.returncode, done.stdout) == (3, b"one two\n")
    with serving(refuse(503, {}, retry_after="0")) as server:
        done = run(*server.options, "hi")
        assert (done.returncode, done.stdout) == (75, b"")
        assert b"(attempt 3 of 3)" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-m", "openai:x", "hi"], "OPENAI_API_KEY"),
        (["-m", "anthropic:x", "hi"], "ANTHROPIC_API_KEY"),
        (["-m", "nobody:x", "hi"], "unknown provider 'nobody'"),
        (["-m", "some-model", "hi"], 'write "provider:model"'),
        (["-m", "openai:x", "--base-url", "http://example.org/v1", "hi"], "Use https://"),
        (["--bogus", "hi"], "--bogus"),
        (["chat", "about", "cats"], "llmstream -- chat about cats"),
        (["chat", "--json"], "--json"),
        ([], "usage: llmstream"),
    ],
)
def test_wrong_usage_says_what_to_do(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert done.stdout == b""


def test_a_reader_that_closes_the_pipe_ends_it_at_once() -> None:
    steps = Steps("one two three four")
    with serving(steps) as server:
        command = [*PROGRAM, *server.options, "hi"]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        assert process.stdout is not None
        assert process.stderr is not None
        steps.go(2)
        os.read(process.stdout.fileno(), 3)
        process.stdout.close()  # the model is silent: no write can tell
        server.wait_until(lambda loopback: loopback.open == 0)
        assert process.wait(PATIENCE) == 141
        assert process.stderr.read() == b""
        process.stderr.close()


def test_a_pipeline_with_head() -> None:
    with serving(answer(CHAT, "line of text\n" * 5_000)) as server:
        line = f"{' '.join([*PROGRAM, *server.options])} hi </dev/null | head -1; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(
            ["bash", "-c", line],
            capture_output=True,
            env=environment(),
            timeout=PATIENCE,
            check=False,
        )
        assert done.stdout.split(b"\n")[:2] == [b"line of text", b"141"]
        assert done.stderr == b""


@pytest.mark.parametrize(
    ("redirection", "code", "stdout", "stderr"),
    [
        ("2>&-", 0, "ok\n", ""),
        (">&-", 0, "", "tokens"),
        ("<&- >&- 2>&-", 0, "", ""),
        (">/dev/full", 1, "", "llmstream: can't go on: No space left on device\n"),
        ("2>/dev/full", 0, "ok\n", ""),
    ],
)
def test_streams_that_are_closed_or_full(
    redirection: str, code: int, stdout: str, stderr: str
) -> None:
    if "full" in redirection and not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with serving(answer(CHAT, "ok", Usage(7, 3))) as server:
        line = f"{' '.join([*PROGRAM, *server.options])} --usage hi </dev/null {redirection}"
        done = subprocess.run(
            ["bash", "-c", line],
            capture_output=True,
            env=environment(),
            timeout=PATIENCE,
            check=False,
            text=True,
        )
        assert (done.returncode, done.stdout) == (code, stdout)
        assert done.stderr == stderr or (stderr == "tokens" and "7 tokens in" in done.stderr)
        assert done.stderr.count("\n") <= 1


def test_what_argparse_says_into_a_full_stream() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    for option, redirection, code in (("--help", ">/dev/full", 1), ("--bogus", "2>/dev/full", 2)):
        line = f"{' '.join(PROGRAM)} {option} {redirection}"
        done = subprocess.run(
            ["bash", "-c", line],
            capture_output=True,
            env=environment(),
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == code
        assert b"Traceback" not in done.stderr


def test_models_say_what_is_missing_and_never_a_key() -> None:
    done = run("models", LLMSTREAM_MODEL="", OPENAI_API_KEY="sk-secret-value-1234")
    told = done.stdout.decode()
    assert done.returncode == 0
    assert "sk-secret" not in told + done.stderr.decode()
    [openai] = [row for row in told.splitlines() if row.startswith("* ")]
    assert openai.split()[:3] == ["*", "openai", "gpt-5-mini"]
    assert openai.endswith("ready")
    [anthropic] = [row for row in told.splitlines() if " anthropic " in row]
    assert anthropic.endswith("set ANTHROPIC_API_KEY")
    assert b"openai answers when no --model is given" in done.stderr


def test_models_as_json() -> None:
    rows = [
        json.loads(line)
        for line in run("models", "--json", LLMSTREAM_MODEL="simulator").stdout.splitlines()
    ]
    assert [row["name"] for row in rows if row["chosen"]] == ["simulator"]
    members = "name default_model variables missing ready note chosen facts"
    assert set(rows[0]) == {*members.split()}
    facts = {row["name"]: row["facts"] for row in rows}
    assert facts["openai"]["reasoning"] is True
    assert facts["simulator"] == {}
    assert not any("prices" in known for known in facts.values())


def test_help_and_version_load_nothing_heavy() -> None:
    heavy = {
        "asyncio",
        "openai",
        "anthropic",
        "pydantic",
        "httpx2",
        "rich",
        "llmstream.client",
        "llmstream.events",
    }
    script = """
import atexit, sys
atexit.register(lambda: sys.stderr.write("\\n".join(sys.modules)))
from llmstream.cli import main
main(sys.argv[1:])
"""
    for option, said in (("--help", b"exit codes:"), ("--version", b" (llmstream-core)")):
        done = subprocess.run(
            [sys.executable, "-c", script, option],
            capture_output=True,
            env=environment(),
            check=True,
            timeout=PATIENCE,
        )
        assert said in done.stdout
        assert heavy.isdisjoint(done.stderr.decode().split())


def test_an_interrupt_while_modules_load(tmp_path: Path) -> None:
    """Ctrl-C is heard from the first moment on that the program decides anything."""
    script = """
import builtins, sys
from llmstream.cli import main
real = builtins.__import__
def stop(name, *rest):
    if name == "llmstream.cli.ask":
        raise KeyboardInterrupt
    return real(name, *rest)
builtins.__import__ = stop
sys.exit(main(["hi"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, env=environment(), check=False
    )
    assert (done.returncode, done.stderr) == (130, b"")


@pytest.mark.parametrize(("stopped", "code"), [(False, 0), (True, 130)])
def test_an_interrupt_at_the_very_end_changes_nothing(*, stopped: bool, code: int) -> None:
    """Ctrl-C, or another one, when the exit code is known: the program isn't killed by it."""
    script = f"""
import builtins, os, signal, sys
from llmstream.cli import run
real = builtins.__import__
def stop(name, *rest, **options):
    if {stopped} and name == "llmstream.cli.ask":
        raise KeyboardInterrupt
    return real(name, *rest, **options)
def press_again(code):
    os.kill(os.getpid(), signal.SIGINT)
    exit(code)
exit, sys.exit, builtins.__import__ = sys.exit, press_again, stop
sys.argv = ["llmstream", "hi"]
run()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, env=environment(), check=False
    )
    assert done.returncode == code
    assert b"Traceback" not in done.stderr
    assert bool(done.stdout) != stopped


def test_an_interrupt_just_before_they_are_ignored_changes_nothing() -> None:
    """Between the moment at which the exit code is known and the one from which Ctrl-C is ignored."""
    script = """
import os, signal, sys
from llmstream.cli import run
real = signal.signal
def press_first(number, handler):
    if handler is signal.SIG_IGN:
        signal.signal = real
        os.kill(os.getpid(), signal.SIGINT)
    return real(number, handler)
signal.signal = press_first
sys.argv = ["llmstream", "hi"]
run()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, env=environment(), check=False
    )
    assert done.returncode == 0
    assert done.stdout
    assert b"Traceback" not in done.stderr


def test_further_interrupts_after_a_stopped_answer_change_nothing() -> None:
    """Pressed as soon as the answer has been stopped, while the program still has things to do."""
    script = """
import os, signal, sys
from llmstream.cli import ask, run
conclude, play = ask.conclude, ask.play
def press():
    os.kill(os.getpid(), signal.SIGINT)
async def stopped(*rest):
    press()
    await play(*rest)
def concluded(*rest, **options):
    press()
    conclude(*rest, **options)
    press()
ask.play, ask.conclude = stopped, concluded
class Out:
    def __getattr__(self, name):
        return getattr(real, name)
    def flush(self):
        press()
        real.flush()
sys.argv = ["llmstream", "hi"]
real, sys.stdout = sys.stdout, Out()
run()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, env=environment(), check=False
    )
    assert (done.returncode, done.stdout) == (130, b"")
    assert b"Traceback" not in done.stderr
