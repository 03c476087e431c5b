"""What `import llmstream` loads, and what it does not."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

needs_starlette = pytest.mark.skipif(
    find_spec("starlette") is None, reason="starlette is not installed (the extra `server`)"
)
HEAVY = ("openai", "anthropic", "pydantic", "httpx2", "httpcore2", "anyio", "jiter", "asyncio")


def loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_no_sdk_and_nothing_heavy() -> None:
    assert loaded_by("import llmstream").isdisjoint(HEAVY)


def test_the_events_and_values_load_no_sdk_either() -> None:
    modules = loaded_by(
        "from llmstream import EventType, StreamEvent, TextDelta, Message, LLMError"
    )
    assert modules.isdisjoint(HEAVY)


def test_the_client_class_loads_no_sdk_until_one_is_made() -> None:
    modules = loaded_by("from llmstream import LLMClient")
    assert modules.isdisjoint({"openai", "anthropic", "pydantic", "httpx2"})
    assert modules.isdisjoint({"llmstream.streams", "llmstream.structured"})  # operators and types


def test_a_client_loads_no_sdk_until_one_is_asked_for() -> None:
    for provider, other in (("openai", "anthropic"), ("anthropic", "openai")):
        code = (
            f"from llmstream import LLMClient; client = LLMClient('{provider}:m', api_key='k')\n"
            "print(*(f'made:{name}' for name in sys.modules)); client.get_client()"
        )
        modules = loaded_by(code)
        assert "made:llmstream.client" in modules
        assert modules.isdisjoint({"made:openai", "made:anthropic", "made:pydantic"})
        assert provider in modules
        assert other not in modules


def test_the_simulator_needs_no_sdk() -> None:
    modules = loaded_by("from llmstream import LLMClient; LLMClient('simulator')")
    assert modules.isdisjoint({"openai", "anthropic", "pydantic", "httpx2"})


@needs_starlette
def test_answering_a_request_loads_no_more_than_starlette_and_the_events() -> None:
    modules = loaded_by(
        "from llmstream.web import respond, choose, send_events, EventStreamResponse"
    )
    assert "starlette.responses" in modules
    assert modules.isdisjoint(
        {
            "openai",
            "anthropic",
            "pydantic",
            "httpx2",
            "uvicorn",
            "llmstream.conversations",
            "llmstream.streams",
        }
    )


@needs_starlette
def test_what_the_web_gives_is_the_same_whatever_was_loaded_before() -> None:
    """`negotiate` is a function, and a module of the same name."""
    for before in ("llmstream.web.negotiation", "llmstream.web.app", "llmstream.web"):
        code = f"import {before}, llmstream.web as w; print(*(type(getattr(w, n)).__name__ for n in w.__all__))"
        assert "module" not in loaded_by(code)


def test_importing_touches_neither_network_nor_disk() -> None:
    code = """
import sys
def watch(event, args):
    if event.startswith('socket.') or (event == 'open' and args[1] not in (None, 'r', 'rb')):
        raise SystemExit(f'{event} {args}')
sys.dont_write_bytecode = True
sys.addaudithook(watch)
import llmstream.client, llmstream.testing
"""
    assert "llmstream.client" in loaded_by(code)
