"""Fuzz what reads bytes of strangers: `python tests/fuzz.py [--seconds 60] [target …]`.

Each target is a function of any bytes that raises if a promise is broken: only our own types come out, no more comes
out than went in, no text of a stranger makes an error long, no key survives redaction.

With atheris (`pip install atheris`; it has wheels for some Pythons only, so the project does not depend on it) the
bytes are guided by the code's coverage, some 10,000 times a second. Without it hypothesis makes them, guided by how
many kinds of events came out. A failure is printed with its input; `--replay FILE` runs one input again.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import nullcontext, suppress
from copy import deepcopy
from functools import cache, partial
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings, target
from hypothesis import strategies as st

ROOT = Path(__file__).parents[1]
atheris: Any = None
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    with suppress(ImportError):
        import atheris

with atheris.instrument_imports(include=["llmstream"]) if atheris is not None else nullcontext():
    from llmstream import wire
    from llmstream.errors import ErrorInfo
    from llmstream.messages import ReasoningPart, RefusalPart, Source, ToolCall, Usage
    from llmstream.providers.simulator_script import script_events
    from llmstream.wire.error_body import parse_error, redact
    from llmstream.wire.framing.event_stream import EventStream, EventStreamFramer
    from llmstream.wire.framing.sse import SSEFramer
    from llmstream.wire.json_fields import parse_json
    from llmstream.wire.retry_delay import parse_retry_after
    from tests import disturbed, disturbed_native
    from tests.grammar_check import check_calls, check_stream
    from tests.strategies import KINDS

    for _format in wire.FORMATS:
        wire.decoder(_format)  # imports it

PAIRS = {**disturbed.PAIRS, **disturbed_native.PAIRS}
"""By format: an answer as it is documented, and as servers in the wild might send it."""
SHOWN = 1300
"""Characters that an error may have in all: its message has 1,000 at most."""
LONGEST = 16 * 1024
"""Bytes of one input."""
TOO_SLOW = 5
"""Seconds for one input: a hundred times what the slowest takes."""

# --- promises ------------------------------------------------------------------------------------------------


def pieces_of(data: bytes) -> tuple[list[bytes], bytes]:
    """The body that the input stands for, in pieces; its first byte says how large."""
    size = (1, 2, 3, 7, 16, 61, 256, LONGEST)[data[0] % 8] if data else 1
    body = data[1:]
    return [body[at : at + size] for at in range(0, len(body), size)], body


def fuzz_frames(data: bytes) -> AbstractSet[object]:
    """The same frames in any pieces, and no more in them than came."""
    pieces, body = pieces_of(data)
    parser, whole = SSEFramer(), SSEFramer()
    frames = [frame for piece in pieces for frame in parser.feed(piece)] + parser.finish()
    assert frames == whole.feed(body) + whole.finish()
    assert (parser.id, parser.retry, parser.oversized) == (whole.id, whole.retry, False)
    assert sum(len(frame.data) for frame in frames) <= len(body)
    return {(frame.stray, frame.terminated, bool(frame.event), bool(frame.id)) for frame in frames}


def fuzz_messages(data: bytes) -> AbstractSet[object]:
    """The same for AWS event streams; a body of them begins with one that is right."""
    pieces, body = pieces_of(data)
    first = EventStream().frame(body[:40], "chunk")
    parser, whole = EventStreamFramer(), EventStreamFramer()
    frames = [frame for piece in (first, *pieces) for frame in parser.feed(piece)]
    frames += parser.finish()
    assert frames == [*whole.feed(first + body), *whole.finish()]
    assert not parser.oversized
    return {(type(frame), frame.stray) for frame in frames}


def fuzz_decoder(format: str, data: bytes) -> AbstractSet[object]:
    """A legal stream, the same in any pieces, and no more text in it than came."""
    pieces, body = pieces_of(data)
    return check_answer(format, pieces, body)


def check_answer(format: str, pieces: list[bytes], body: bytes) -> set[object]:
    decoder, whole = wire.decoder(format), wire.decoder(format)
    events = [event for piece in pieces for event in decoder.feed(piece)] + decoder.finish()
    assert decoder.ended
    assert (
        decoder.feed(b"data: [DONE]\n\n")
        == decoder.finish()
        == decoder.abort(ErrorInfo("internal"))
        == []
    )
    assert events == whole.feed(body) + whole.finish()
    last = check_stream(events)
    check_calls(events)
    said = sum(len(event.text) for event in events)
    said += sum(
        len(event.tool_call_delta.arguments)
        for event in events
        if event.tool_call_delta is not None
    )
    assert said <= len(body)
    if last.error_info is not None:
        check_error(last.error_info)
    json.dumps([event.to_dict() for event in events])
    return {event.type for event in events} | {last.error_info and last.error_info.kind}


def fuzz_fields(format: str, data: bytes) -> AbstractSet[object]:
    """Frames of a real answer with some of their fields exchanged for others: still a legal stream."""
    choose = Choices(data)
    frames = [json.loads(text) for text in answer_frames(format)]
    frame = wire.FORMATS[format].framing.frame
    body = bytearray()
    for payload in frames:
        doing = choose.below(8)
        if doing == 0:
            continue
        for _ in range(doing - 4):
            disturb(payload, choose)
        body += frame(json.dumps(payload).encode())
        if doing == 1:
            body += frame(json.dumps(frames[choose.below(len(frames))]).encode())
    body += frame(b"[DONE]") if choose.below(2) else b""
    return check_answer(format, [bytes(body)], bytes(body))


def fuzz_disturbed(format: str, data: bytes) -> AbstractSet[object]:
    """An answer whose numbering and order are disturbed means what it means undisturbed."""
    choose = Choices(data)
    said = disturbed.draw(choose.below)
    plain, comes = PAIRS[format]
    body = comes(said, choose.below)
    expected, got = meaning(format, plain(said)), meaning(format, body)
    assert got == expected, f"{got}\nis not\n{expected}\n{body!r}"
    return {len(said.calls), bool(said.text), bool(said.reasoning)}


def meaning(format: str, body: bytes) -> tuple[object, ...]:
    """What an answer says, whatever its calls are called."""
    decoder = wire.decoder(format)
    events = decoder.feed(body) + decoder.finish()
    last = check_stream(events)
    check_calls(events)
    assert last.message is not None, last
    calls = [(call.name, call.input, call.complete) for call in last.message.tool_calls]
    return last.message.reasoning, last.message.text, sorted(map(repr, calls))


def fuzz_error(data: bytes) -> AbstractSet[object]:
    """Any body with any headers is an ErrorInfo that can be shown."""
    status = (
        (None, 300, 400, 401, 404, 409, 413, 418, 424, 429, 500, 503, 529, 599)[data[0] % 14]
        if data
        else None
    )
    names = ("retry-after", "x-amzn-errortype", "x-request-id", "x-should-retry")
    text, *values = data[1:].decode("utf-8", "replace").split("\x1e")
    try:
        body = parse_json(text.encode())
    except ValueError:
        body = text
    info = parse_error(body, status=status, headers=dict(zip(names, values, strict=False)))
    check_error(info)
    assert info.status_code == status
    return {info.kind, info.code is None, info.retry_after is None}


def fuzz_retry_after(data: bytes) -> AbstractSet[object]:
    """None, or a positive finite number of seconds."""
    names = ("retry-after", "retry-after-ms", "date")
    *values, delay = data.decode("latin-1").split("\x1e")
    body = {"error": {"details": [{"retryDelay": delay}]}}
    seconds = parse_retry_after(dict(zip(names, values, strict=False)), body)
    assert seconds is None or (isinstance(seconds, float) and 0 < seconds < math.inf)
    return {seconds is None, seconds and int(math.log10(seconds))}


def fuzz_redact(data: bytes) -> AbstractSet[object]:
    """A key is nowhere in the text, nor its beginning at the text's end."""
    secret, *words = re.sub(r"[^\w.~+/= '\"…-]", "?", data.decode("utf-8", "replace")).split("=")
    if len(secret) < 8 or not re.fullmatch(r"[\w.~+/-]+", secret):
        return set()
    text = "".join(
        secret[: int(word)] if word.isascii() and word.isdigit() else word for word in words
    )
    shown = redact(text, [secret])
    assert secret not in shown
    end = shown.rstrip("'\"…")
    assert not any(end.endswith(secret[:size]) for size in range(4, len(secret)))
    assert len(shown) <= 2 * len(text)
    assert text == shown or "[key]" in shown
    return {shown.count("[key]")}


def check_error(info: ErrorInfo) -> None:
    assert info.kind in KINDS
    assert isinstance(info.retryable, bool)
    assert isinstance(info.message, str)
    assert info.message
    assert len(str(info)) <= SHOWN
    assert info.code is None or isinstance(info.code, str)
    assert info.request_id is None or isinstance(info.request_id, str)
    assert info.retry_after is None or 0 < info.retry_after < math.inf


# --- inputs --------------------------------------------------------------------------------------------------


class Choices:
    """Numbers out of bytes; zeros when they are used up."""

    def __init__(self, data: bytes) -> None:
        self._bytes = iter(data)

    def below(self, end: int) -> int:
        return next(self._bytes, 0) % end


ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 2**63, "", "x", "stop", "end_turn", "error", [], [None], [1, "x"], {}, {"x": None},
    "{", '{"x":1}',
    [{"type": "text", "text": "x"}], [{"index": 0}], [{}], "é\ud83d", {"type": "tool_use"}, {"message": "m",
    "code": 429},
)  # fmt: skip
"""What a field might hold instead."""


def disturb(payload: Any, choose: Choices) -> None:
    """Walk to some place in the payload and put something else there."""
    for _ in range(8):
        keys = list(payload) if isinstance(payload, dict) else list(range(len(payload)))
        if not keys:
            return
        key = keys[choose.below(len(keys))]
        if isinstance(payload[key], (dict, list)) and payload[key] and choose.below(4):
            payload = payload[key]
            continue
        doing = choose.below(8)
        if doing == 0:
            del payload[key]
        elif doing == 1 and isinstance(payload, dict):
            payload[NAMES[choose.below(len(NAMES))]] = payload.pop(key)
        else:
            payload[key] = deepcopy(ODD[choose.below(len(ODD))])
        return


@cache
def answer_frames(format: str) -> list[str]:
    """The frames of an answer that has everything."""
    framing = wire.FORMATS[format].framing
    payloads = (framing.unframe(frame).decode() for frame in framing.split(answer(format)))
    return [payload for payload in payloads if payload.startswith("{")]


@cache
def answer(format: str) -> bytes:
    feed = wire.encoder(format).feed
    script = (
        ReasoningPart("think", signature="c2ln"),
        "Hello, é😀",
        Source(title="t", url="https://a.example/"),
        ToolCall("call-1", "f", '{"x": [1, "y"]}'),
        ToolCall("call-2", "g", "{}"),
        RefusalPart("no"),
        Usage(input_tokens=3, output_tokens=2),
    )
    return b"".join(
        feed(event) for event in script_events(script, id="m1", model="m", format=format)
    )


ERRORS = (
    b'{"error":{"message":"m","type":"server_error","code":"rate_limit_exceeded","param":null}}',
    b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}',
    b'{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{"reason":"R","retryDelay":"4s"}]}}',
    b'{"detail":[{"loc":["body"],"msg":"field required"}]}',
    b'{"error":"text"}',
    b"<html><style>p{}</style><script>x</script><p>502 Bad Gateway",
    b"the prompt is too long: it exceeds the context window",
    b"m\x1e3\x1eThrottlingException:x\x1er\x1etrue",
)
NAMES = (
    "error", "message", "code", "type", "status", "details", "detail", "reason", "retryDelay", "status_code",
    "request_id",
    "error_code", "error_type", "choices", "delta", "content", "tool_calls", "index", "finish_reason", "usage",
    "id", "text",
    "output", "item", "response", "content_block", "arguments", "partial_json", "signature", "thinking",
    "annotations",
)  # fmt: skip
TOKENS = (
    *(f'"{name}":'.encode() for name in NAMES),
    b"data: ", b"event: error\n", b"id: ", b"retry: 5\n", b"\n\n", b"\r\n", b"\r", b": ", b"[DONE]", b"error: ",
    b"\xef\xbb\xbf",
    b"{", b"}", b"[", b"]", b'"', b",", b"null", b"true", b"1e999", b"-0", b"\\ud83d", b"\\u0000", b"\xff",
    b"\x1e", b"429",
    "4²²".encode(), b"<p>", b"<script>", b"<", b"GMT", b"Sat, 21 Nov 2026 10:00:30 ", b"+9999", b"inf", b"s", b"'",
)  # fmt: skip
"""Words of the languages that are read here."""


@cache
def seeds(name: str) -> list[bytes]:
    """Inputs to start from."""
    kind, _, format = name.partition(":")
    if kind in ("frames", "decoder"):
        bodies = [
            answer(format or "openai-chat"),
            b"data: a\r\n\r\nid: 1\revent: e\rdata: b\r\r",
            b"data: [DONE]\n\n",
        ]
        bodies += [b"event: error\ndata: " + body + b"\n\n" for body in ERRORS]
        return [b"\x07" + body for body in (*bodies, *ERRORS)]
    return {
        "messages": [b"\x00{}", b"\x05" + EventStream().frame(b"{}", "x") * 2, b"\x03data: {}\n\n"],
        "fields": [bytes([4] * 40), bytes([5, 0, 0, 1, 2] * 12), bytes(range(60)), bytes([7] * 60)],
        "disturbed": [bytes([n] * 60) for n in range(8)]
        + [bytes(range(n, n + 90)) for n in (0, 7)],
        "error": [bytes([number]) + body for number, body in enumerate(ERRORS)],
        "retry-after": [
            b"3\x1e",
            b"soon\x1e1500\x1e\x1e4.5s",
            b"Sat, 21 Nov 2026 10:00:30 GMT\x1e\x1eSat, 21 Nov 2026 10:00:00 GMT\x1e",
        ],
        "redact": [
            b"sk-canary-0123456789=wrong key =20=: =7",
            b"sk-canary-0123456789='=9='",
            b"aaaaaaaab=9=5",
        ],
    }[kind]


TARGETS: dict[str, Callable[[bytes], object]] = {
    "frames": fuzz_frames,
    "messages": fuzz_messages,
    **{f"decoder:{format}": partial(fuzz_decoder, format) for format in wire.FORMATS},
    **{f"fields:{format}": partial(fuzz_fields, format) for format in wire.FORMATS},
    **{f"disturbed:{format}": partial(fuzz_disturbed, format) for format in PAIRS},
    "error": fuzz_error,
    "retry-after": fuzz_retry_after,
    "redact": fuzz_redact,
}

# --- engines -------------------------------------------------------------------------------------------------


def run_atheris(name: str, seconds: float) -> None:
    """Until a promise is broken or the time is up; ends the process."""
    logging.disable()

    def check(data: bytes) -> None:
        TARGETS[name](data)

    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        for number, data in enumerate(seeds(name)):
            Path(corpus, str(number)).write_bytes(data)
        words = Path(folder, "words")
        quoted = ("".join(f"\\x{byte:02x}" for byte in token) for token in TOKENS)
        words.write_text("".join(f'"{word}"\n' for word in quoted))
        limits = [f"-max_total_time={seconds:.0f}", f"-max_len={LONGEST}", f"-timeout={TOO_SLOW}"]
        atheris.Setup(
            [
                sys.argv[0],
                *limits,
                f"-dict={words}",
                "-verbosity=0",
                "-print_final_stats=1",
                str(corpus),
            ],
            check,
        )
        atheris.Fuzz()


def inputs(name: str) -> st.SearchStrategy[bytes]:
    """Words of the languages, any bytes, and parts of what is known to be right."""
    known = st.sampled_from(seeds(name))
    part = st.tuples(known, st.integers(0, 400), st.integers(0, 400)).map(
        lambda cut: cut[0][cut[1] : cut[1] + cut[2]]
    )
    grains = st.sampled_from(TOKENS) | st.binary(max_size=4) | part
    return known | st.lists(grains, max_size=12).map(b"".join) | st.binary(max_size=80)


def check_with_hypothesis(name: str) -> Callable[[], None]:
    """A hypothesis test of one target, for whatever settings are added."""

    @given(data=inputs(name))
    def check(data: bytes) -> None:
        target(float(len(TARGETS[name](data))))

    return check


def run_hypothesis(name: str, seconds: float) -> int:
    """The same without atheris; gives the number of inputs."""
    logging.disable()
    phases = (Phase.generate, Phase.target, Phase.shrink)
    limits = settings(
        max_examples=500,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=HealthCheck,
    )
    ends, number = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        seed(number)(limits(check_with_hypothesis(name)))()
        number += 1
    return 500 * number


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz what reads bytes of strangers.")
    parser.add_argument(
        "targets", nargs="*", metavar="target", help=f"of {', '.join(TARGETS)}; default: all"
    )
    parser.add_argument("--seconds", type=float, default=10, help="for each target (default: 10)")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one input again")
    parser.add_argument(
        "--engine",
        choices=["atheris", "hypothesis"],
        default="atheris" if atheris else "hypothesis",
    )
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    names = given.targets or list(TARGETS)
    if unknown := set(names) - set(TARGETS):
        parser.error(f"no target {', '.join(sorted(unknown))}; there are: {', '.join(TARGETS)}")
    if given.replay is not None:
        for name in names:
            print(f"{name}: {TARGETS[name](given.replay.read_bytes())}")
        return 0
    if given.here:
        run_atheris(names[0], given.seconds)
    failed = 0
    for name in names:
        print(f"--- {name}", flush=True)
        if given.engine == "hypothesis":
            print(f"{run_hypothesis(name, given.seconds):,} inputs")
            continue
        # libFuzzer ends its process, and an input that fails is written where it runs.
        command = [sys.executable, __file__, "--here", f"--seconds={given.seconds}", name]
        failed += subprocess.run(command, check=False).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
