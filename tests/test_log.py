"""Nothing foreign in a log record can forge another one, and nobody has to configure logging to see a failure."""

from __future__ import annotations

import ast
import io
import logging
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmstream
from llmstream.log import escape, get_logger

PACKAGE = Path(llmstream.__file__).parent
METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
HOSTILE = (
    "ok\r\n2030-01-01 root: all fine\x1b]52;c;aGk=\x07\x9b31m\x7f\x00"
    "\u2028\u2029\u202e\u2066\ufeff\ud800%s%(a)s{}"
)
foreign = st.one_of(st.text(st.characters(exclude_categories=()), max_size=30), st.just(HOSTILE))


def log_calls():
    """Every log call of the package: where it is, and its format."""
    for file in sorted(PACKAGE.rglob("*.py")):
        text = file.read_text("utf-8")
        for node in ast.walk(ast.parse(text if "logger" in text else "")):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            owner = node.func.value
            if (
                node.func.attr in METHODS
                and isinstance(owner, ast.Name)
                and owner.id.endswith("logger")
            ):
                yield (
                    f"{file.relative_to(PACKAGE)}:{node.lineno}",
                    node.args[node.func.attr == "log"],
                )


CALLS = list(log_calls())
FORMATS = sorted({form.value for _, form in CALLS if isinstance(form, ast.Constant)} | {"told"})


@pytest.fixture
def written():
    """Logs by a logger of the library; gives the text that the plainest of handlers writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger = get_logger("llmstream.test")
    logger.addHandler(handler)
    logger.propagate = False

    def write(*args, **options) -> str:
        stream.seek(0)
        stream.truncate()
        logger.error(*args, **options)
        return stream.getvalue()

    yield write
    logger.removeHandler(handler)
    logger.propagate = True


def test_every_logger_of_the_package_escapes() -> None:
    assert len(CALLS) > 20
    for file in PACKAGE.rglob("*.py"):
        if file.name not in (
            "log.py",
            "server.py",
            "server_log.py",
        ):  # these two filter what uvicorn itself logs
            assert "getLogger" not in file.read_text("utf-8"), (
                f"{file}: get_logger escapes what is foreign"
            )


@pytest.mark.parametrize(("where", "form"), CALLS, ids=[where for where, _ in CALLS])
def test_every_format_is_a_constant_or_a_name_for_one(where, form) -> None:
    """A text that was put together before the call would not be escaped."""
    assert isinstance(form, ast.Name) or (isinstance(form, ast.Constant) and "%r" not in form.value)


@pytest.mark.parametrize("form", FORMATS)
def test_whatever_is_logged_it_is_one_line_of_printable_characters(form, written) -> None:
    kinds = form.replace("%%", "").split("%")[1:]

    @given(st.lists(foreign, min_size=len(kinds), max_size=len(kinds)))
    def check(texts) -> None:
        arguments = [
            text if kind.startswith("s") else 1 for kind, text in zip(kinds, texts, strict=True)
        ]
        line = written(form, *arguments)
        assert line.endswith("\n")
        assert line[:-1].isprintable()
        line.encode()

    check()


class Unprintable:
    def __str__(self) -> str:
        raise ValueError(HOSTILE)


class HostileError(Exception):
    """An exception with anything in it."""


@pytest.mark.parametrize(
    "value", [HostileError(HOSTILE), [HOSTILE], {"a": HOSTILE}, HOSTILE.encode(errors="replace")]
)
def test_values_of_any_type_are_escaped(value, written) -> None:
    line = written("%s", value)
    assert line[:-1].isprintable()
    assert "all fine" in line
    assert "Unprintable" in written("%s and %s", Unprintable(), HOSTILE)
    assert len(written("%s", "x" * 10**6)) < 2000
    assert written("%d %g %s %s", 3, 0.5, None, True) == "ERROR 3 0.5 None True\n"


@given(foreign)
def test_escaping_keeps_what_can_be_read_and_can_be_read_back(text) -> None:
    shown = escape(text)
    assert shown.isprintable()
    assert escape(shown) == shown
    if text.isprintable():
        assert shown == text
    if "\\" not in text:
        assert (
            "".join(
                each if len(each) == 1 else ast.literal_eval(f"'{each}'") for each in _units(shown)
            )
            == text
        )


def _units(shown: str):
    """The characters, and the escapes as one each."""
    place = 0
    while place < len(shown):
        lengths = {"x": 4, "u": 6, "U": 10}
        length = lengths.get(shown[place + 1], 2) if shown[place] == "\\" else 1
        yield shown[place : place + length]
        place += length


@given(foreign, foreign)
def test_no_line_of_a_traceback_looks_like_a_record(words, note) -> None:
    record = logging.LogRecord("llmstream.test", logging.ERROR, "", 0, "%s", (words,), None)
    problem = HostileError(words)
    problem.add_note(note)
    group = ExceptionGroup(words, [KeyError(words), problem])
    group.__cause__ = problem
    record.exc_info = (type(group), group, None)
    assert get_logger("llmstream.test").filter(record)
    text = logging.Formatter("%(message)s").format(record)
    first, *lines = text.split("\n")
    assert first.isprintable()
    assert any("KeyError" in line for line in lines)
    assert all(line.isprintable() and line.startswith("  ") for line in lines)
    assert len(text.splitlines()) == 1 + len(lines)


def test_a_traceback_of_any_size_is_kept_short(written) -> None:
    problem = HostileError("\n" * 10**6 + "x" * 10**6)
    problem.__cause__ = KeyError("the cause")
    text = written("it failed", exc_info=problem)
    assert "the cause" in text
    assert len(text) < 100_000


# --- who sees it ----------------------------------------------------------------------------------------------

TALK = """
import logging, sys, warnings
from llmstream.log import get_logger
for part in ("client", "providers", "router", "conversations", "tools", "web"):
    get_logger(f"llmstream.{part}").warning("%s said", part)
get_logger("llmstream.web").info("not worth a line")
"""
NOBODY = ["providers said", "router said", "conversations said", "tools said", "web said"]
ALL = ["client said", *NOBODY]


def stderr_of(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stderr.splitlines()


@pytest.mark.parametrize(
    ("before", "seen"),
    [
        ("", NOBODY),
        ("import logging; logging.basicConfig(format='%(message)s')", ALL),
        ("import logging; logging.getLogger('llmstream').addHandler(logging.StreamHandler())", ALL),
        ("import logging; logging.getLogger('llmstream').addHandler(logging.NullHandler())", []),
        ("import logging; logging.basicConfig(format='%(message)s', level='ERROR')", []),
        (
            "import logging; logging.basicConfig(format='%(message)s', level='INFO')",
            [*ALL, "not worth a line"],
        ),
        pytest.param(
            "import logging.config, uvicorn.config; logging.config.dictConfig(uvicorn.config.LOGGING_CONFIG)",
            NOBODY,
            marks=pytest.mark.skipif(
                find_spec("uvicorn") is None, reason="uvicorn is not installed (the extra `server`)"
            ),
        ),
    ],
)
def test_what_is_wrong_on_a_server_is_seen_once_whoever_configured_what(before, seen) -> None:
    assert stderr_of(f"{before}\n{TALK}") == seen
    if before:
        assert stderr_of(f"import llmstream, llmstream.log\n{before}\n{TALK}") == seen, (
            "configured later"
        )


def test_a_script_is_told_by_events_alone() -> None:
    code = """
import asyncio
from llmstream import ErrorInfo, EventType, LLMClient, RetryPolicy, StreamEvent
from llmstream.testing import ScriptedProvider
provider = ScriptedProvider([ErrorInfo("rate_limit", "slow down")], [ErrorInfo("authentication", "no")])
async def main():
    client = LLMClient(provider=provider, retry=RetryPolicy(base_delay=0.001))
    events = [event async for event in client.chat_completion([{"role": "user", "content": "hi"}])]
    assert events[-1].error_info.kind == "authentication"
asyncio.run(main())
"""
    assert stderr_of(code) == []


def test_a_mistake_in_a_provider_is_seen_with_its_traceback() -> None:
    code = """
import asyncio
from llmstream import LLMClient
class Mine:
    name = "mine"
    async def stream(self, request, call):
        yield {}["no such key"]
    async def aclose(self): pass
async def main():
    client = LLMClient("m", provider=Mine())
    events = [event async for event in client.chat_completion([{"role": "user", "content": "hi"}])]
    assert events[-1].error_info.kind == "internal"
asyncio.run(main())
"""
    first, second, *_, last = stderr_of(code)
    assert (first, second) == (
        "the provider mine raised KeyError",
        "  Traceback (most recent call last):",
    )
    assert last == "  KeyError: 'no such key'"
