"""One hash for each thing that a restructuring must not change.

    python tests/golden.py > tests/golden.txt        # what stands now
    python tests/golden.py --check                   # which lines differ from tests/golden.txt

Hashed: the events of every recording in both modes, every recorded error, the bodies of a fixed corpus of requests for
every format and vendor, every encoder's output, the answers of `create_app` to a fixed list of HTTP requests (with ids
and times masked), `--help`, OpenAPI, and the public names with their signatures. It lives as long as the restructuring.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib
import inspect
import io
import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a script, the folder above is not on the path
    sys.path.insert(0, str(Path(__file__).parent.parent))

from llmstream import LLMClient, RetryPolicy, StreamEvent
from llmstream.arguments import build_request
from llmstream.errors import ErrorInfo
from llmstream.providers.compatible import VENDORS
from llmstream.testing import ScriptedProvider
from llmstream.web import create_app
from llmstream.wire import FORMATS, decoder, encoder
from llmstream.wire.error_body import parse_error
from tests.recordings import FOLDER
from tests.web.serving import fetch, serving

GOLDEN = Path(__file__).parent / "golden.txt"
PIECE = 777
"""Bytes fed at a time."""

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather in a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Bern"}'},
}
HI = [{"role": "user", "content": "hi"}]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
LOOP = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "weather?"},
    {"role": "assistant", "content": "Let me look.", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
]
PARTS = [
    {"type": "text", "text": "what is it?"},
    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
]
REQUESTS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "plain": (HI, {}),
    "system": (
        [{"role": "system", "content": "Be brief."}, *HI],
        {"temperature": 0.5, "top_p": 0.9},
    ),
    "limits": (HI, {"max_tokens": 100, "stop": ["a", "b"], "seed": 7}),
    "effort": (HI, {"reasoning_effort": "high"}),
    "effort none": (HI, {"reasoning_effort": "none"}),
    "tools": (HI, {"tools": TOOLS, "tool_choice": "auto", "parallel_tool_calls": False}),
    "required": (HI, {"tools": TOOLS, "tool_choice": "required"}),
    "named": (
        HI,
        {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "weather"}}},
    ),
    "loop": (LOOP, {"tools": TOOLS}),
    "schema": (
        HI,
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": SCHEMA, "strict": True},
            }
        },
    ),
    "json": (HI, {"response_format": {"type": "json_object"}}),
    "image": ([{"role": "user", "content": PARTS}], {}),
    "metadata": (HI, {"metadata": {"user": "x"}}),
    "own options": (
        HI,
        {"provider_options": {name: {"extra": 1} for name in ("openai", "anthropic", *VENDORS)}},
    ),
}
MASKS = [
    (
        re.compile(
            rb'"(id|message_id|messageId|runId|threadId|request_id|requestId|run_id|thread_id)": ?"[^"]*"'
        ),
        rb'"\1":"ID"',
    ),
    (re.compile(rb'"(created|created_at|timestamp|completed_at)": ?("[^"]*"|[\d.]+)'), rb'"\1":0'),
    (re.compile(rb"nonce(-|=\")[\w-]+"), rb"nonce"),
    (re.compile(rb"(req|chatcmpl|msg|resp)[_-][0-9A-Za-z]{6,}"), rb"\1_x"),
    (re.compile(rb"127\.0\.0\.1:\d+"), rb"HOST"),
]


ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def digest(value: Any) -> str:
    text = (
        value
        if isinstance(value, bytes)
        else json.dumps(value, sort_keys=True, default=repr).encode()
    )
    return hashlib.blake2b(text, digest_size=10).hexdigest()


def events_of(body: bytes, api: str, **options: Any) -> list[StreamEvent]:
    made = decoder(api, **options)
    events = [
        event for at in range(0, len(body), PIECE) for event in made.feed(body[at : at + PIECE])
    ]
    return [*events, *made.finish()]


def recordings() -> Iterator[tuple[str, str, bytes]]:
    """Name, format and bytes of those whose format is built."""
    for path in sorted(Path(FOLDER or "").glob("*/*.expect.json")):
        api = json.loads(path.read_text("utf-8"))["api"]
        if api in FORMATS:
            name = f"{path.parent.name}/{path.name.removesuffix('.expect.json')}"
            yield name, api, path.with_name(path.name.replace(".expect.json", ".sse")).read_bytes()


def decoded() -> Iterator[tuple[str, Any]]:
    for name, api, body in recordings():
        for mode, options in {
            "kept": {},
            "client": {"keep_message": False},
            "raw": {"include_raw": True},
        }.items():
            yield (
                f"events {name} {mode}",
                [event.to_dict() for event in events_of(body, api, **options)],
            )


def encoded() -> Iterator[tuple[str, Any]]:
    from llmstream.web.native_encoders import JsonEncoder, NdjsonEncoder, SseEncoder, TextEncoder

    for name, api, body in recordings():
        events = events_of(body, api)
        for to in FORMATS:
            made = encoder(to)
            yield f"encoder {name} {to}", mask(b"".join(made.feed(event) for event in events))
        for kind in (SseEncoder, NdjsonEncoder, TextEncoder, JsonEncoder):
            own: Any = kind()
            with contextlib.suppress(Exception):  # text is cut by an ERROR
                yield (
                    f"encoder {name} {kind.__name__}",
                    mask(b"".join(own.feed(event) for event in events)),
                )


def refusals() -> Iterator[tuple[str, Any]]:
    cases = json.loads((Path(FOLDER or "") / "errors" / "http-errors.json").read_text("utf-8"))
    for number, case in enumerate(cases):
        info = parse_error(
            case["body"], status=case["status"], headers=case["headers"], provider=case["provider"]
        )
        yield f"error {number:03} {case['provider']}", info.to_dict()


def rendered() -> Iterator[tuple[str, Any]]:
    keys = {"api_key": "a-key-for-nobody"}
    for provider in ("openai", "openai-responses", "anthropic", *VENDORS):
        for variable in (
            re.findall(r"\{(\w+)\}", VENDORS[provider].url) if provider in VENDORS else ()
        ):
            os.environ.setdefault(
                variable, "https://example.org" if "URL" in variable else "example"
            )
        client = LLMClient(f"{provider}:some-model", **keys)
        for name, (messages, options) in REQUESTS.items():
            request = build_request(messages, "some-model", **options)
            made: Any = client._provider.render(request, {})  # type: ignore[attr-defined]  # what is sent is what counts
            yield f"request {provider} {name}", [made.body, made.warnings]


BODIES: list[tuple[str, str, Any]] = [
    ("GET", "/", None),
    ("GET", "/healthz", None),
    ("GET", "/readyz", None),
    ("GET", "/openapi.json", None),
    ("GET", "/v1/models", None),
    ("GET", "/nothing", None),
    ("PUT", "/chat", {}),
    ("POST", "/chat", {"messages": HI}),
    ("POST", "/chat", {"prompt": "hi", "stream": True}),
    ("POST", "/chat", {}),
    ("POST", "/chat", {"prompt": "hi", "nonsense": 1}),
    ("POST", "/streaming_chat", {"query": "hi", "session_id": "x"}),
    ("POST", "/v1/chat/completions", {"model": "scripted:script", "messages": HI}),
    ("POST", "/v1/chat/completions", {"model": "scripted:script", "messages": HI, "stream": True}),
    ("POST", "/v1/chat/completions", {"model": "another", "messages": HI}),
    ("POST", "/v1/chat/completions", {"model": "scripted:script", "messages": []}),
    ("POST", "/v1/messages", {"model": "scripted:script", "max_tokens": 10, "messages": HI}),
    (
        "POST",
        "/v1/messages",
        {"model": "scripted:script", "max_tokens": 10, "messages": HI, "stream": True},
    ),
    ("POST", "/v1/messages", {"model": "scripted:script", "messages": "x"}),
    (
        "POST",
        "/api/chat",
        {"messages": [{"id": "1", "role": "user", "parts": [{"type": "text", "text": "hi"}]}]},
    ),
    (
        "POST",
        "/agui",
        {
            "threadId": "t",
            "runId": "r",
            "state": {},
            "messages": [{"id": "1", **HI[0]}],
            "tools": [],
        },
    ),
]
OUTCOMES: dict[str, Any] = {
    "text": ["Hel", "lo"],
    "refused": ErrorInfo("authentication", "no such key", status_code=401),
    "limited": ErrorInfo("rate_limit", "slow down", status_code=429, retry_after=2),
}


async def answers() -> list[tuple[str, Any]]:
    found = []
    for outcome, attempt in OUTCOMES.items():
        for number, (method, path, body) in enumerate(BODIES):
            provider = ScriptedProvider(attempt if isinstance(attempt, list) else [attempt])
            client = LLMClient(provider=provider, retry=RetryPolicy(max_attempts=1))
            async with serving(create_app(client, heartbeat=None)) as port:
                data = b"" if body is None else json.dumps(body).encode()
                answer = await fetch(port, path, method, data, content_type="application/json")
            found.append((f"http {outcome} {number:02} {method} {path}", shown(*answer)))
    return found


def shown(status: int, headers: dict[str, str], body: bytes) -> list[Any]:
    """An answer without what is another in each run."""
    left_out = ("date", "x-request-id")
    kept = {
        name: mask(value.encode()).decode()
        for name, value in headers.items()
        if name not in left_out
    }
    text = mask(body).decode("utf-8", "replace")
    if text.encode() != body:
        kept.pop("content-length", None)
    return [status, kept, text]


def mask(data: bytes) -> bytes:
    for pattern, shown in MASKS:
        data = pattern.sub(shown, data)
    return data


def helps() -> Iterator[tuple[str, Any]]:
    from llmstream.cli import main

    for words in ([], ["chat"], ["models"], ["serve"]):
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
            main([*words, "--help"])
        yield f"help {' '.join(words)}", said.getvalue()


PACKAGES = [
    "",
    ".errors",
    ".messages",
    ".streams",
    ".tools",
    ".structured",
    ".conversations",
    ".router",
    ".web",
]
PACKAGES += [".web.dialects", ".testing", ".providers", ".wire", ".middleware", ".observe"]


def names() -> Iterator[tuple[str, Any]]:
    for package in PACKAGES:
        module = importlib.import_module(f"llmstream{package}")
        for name in sorted(getattr(module, "__all__", ())):
            value = getattr(module, name)
            try:
                signature = (
                    ADDRESS.sub("", str(inspect.signature(value)))
                    if callable(value)
                    else type(value).__name__
                )
            except ValueError:
                signature = "builtin"
            members = (
                sorted(each for each in vars(value) if each[0] != "_")
                if inspect.isclass(value)
                else []
            )
            yield f"name llmstream{package}.{name}", [signature, members]


def lines() -> Iterator[str]:
    os.environ["COLUMNS"] = "100"
    found = [
        *refusals(),
        *rendered(),
        *asyncio.run(answers()),
        *helps(),
        *names(),
        *decoded(),
        *encoded(),
    ]
    for name, value in found:
        yield f"{name.strip().replace(' ', '·')} {digest(value)}"


def main() -> int:
    if os.environ.get("PYTHONHASHSEED") != "0":  # some texts list a set
        os.execve(
            sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"}
        )
    warnings.simplefilter("ignore")
    logging.disable()
    if FOLDER is None:
        print("LLMSTREAM_WIRE must name the folder of recordings")
        return 2
    now = list(lines())
    if sys.argv[1:] != ["--check"]:
        print("\n".join(now))
        return 0
    before = GOLDEN.read_text("utf-8").splitlines()
    differing = sorted({*now} ^ {*before})
    print(
        "\n".join(f"{'+' if line in {*now} else '-'} {line}" for line in differing)
        or "nothing differs"
    )
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
