"""Inputs by targets: each is sent as the vendor's types want it, becomes labelled text, or is left out and named."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from llmstream import File, ImagePart, LLMClient, Message, TextPart, ToolCall, ToolResult
from llmstream.arguments import build_request
from llmstream.errors import ConfigurationError
from llmstream.message_reader import parse_messages
from llmstream.providers.compatible import VENDORS
from llmstream.wire.formats import FORMATS
from llmstream.wire.part_rules import CHAT_PARTS, KINDS, WAYS, kind_of
from tests import inputs_page
from tests.loopback import Loopback, answer
from tests.wire.vendor_types import check_types

BYTES = {
    "image": (b"\x89PNG\r\n\x1a\n" + bytes(30), "a.png", "image/png"),
    "pdf": (b"%PDF-1.7\n" + bytes(30), "a.pdf", "application/pdf"),
    "text": (b"Forty-two words.", "a.txt", "text/plain"),
    "document": (
        b"PK\x03\x04" + bytes(30),
        "a.docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    "audio": (b"RIFF\x24\0\0\0WAVEfmt " + bytes(30), "a.wav", "audio/wav"),
    "video": (b"\0\0\0\x18ftypmp42" + bytes(30), "a.mp4", "video/mp4"),
}
HOSTS = {name: vendor.variant.parts for name, vendor in VENDORS.items()}
TARGETS = [*inputs_page.FORMATS, *HOSTS]


def given(kind: str, way: str, tmp_path=None) -> ImagePart | File:
    """A part of this kind, given in this way."""
    data, name, media_type = BYTES[kind]
    if way == "path":
        (tmp_path / name).write_bytes(data)
        return (ImagePart if kind == "image" else File).from_path(tmp_path / name)
    if way == "id":
        return File(id="file-9", media_type=media_type)
    if way == "data":
        return File(data=data, media_type=media_type)
    scheme = "s3" if way == "s3" else "https"
    return File(url=f"{scheme}://example.org/{name}")


def rendered(target: str, *parts, role="user"):
    """What one target gets: the format's name, the body, and the warnings."""
    message = Message(role, [TextPart("look"), *parts])
    request = build_request([message], model="claude")
    if target in HOSTS:
        variant = replace(VENDORS[target].variant, name=target)
        return "openai-chat", FORMATS["openai-chat"].render_request(request, variant)
    return target, FORMATS[target].render_request(request)


def rule_of(target: str, kind: str):
    rules = HOSTS[target] if target in HOSTS else inputs_page.FORMATS[target]
    return rules.kinds.get(kind)


@pytest.mark.parametrize("target", TARGETS)
def test_each_input_is_sent_as_the_table_says_or_left_out_and_named(target: str) -> None:
    """What arrives is in the body: the base64, the address, the id, or the text itself."""
    for kind in KINDS:
        data = BYTES[kind][0]
        for way in WAYS:
            part = given(kind, way)
            _, sent = rendered(target, part)
            body = json.dumps(sent.body)
            rule = rule_of(target, kind)
            arrives = {
                "data": base64.b64encode(data).decode(),
                "url": "https://example.org/a.",
                "s3": "s3://example.org/a.",
                "id": "file-9",
            }[way]
            is_there = arrives in body or (kind == "text" and data.decode() in body)
            form = rule.form(way) if rule is not None else None
            assert is_there is (form is not None), (kind, way, body)
            left_out = [each for each in sent.warnings if each.endswith("left out")]
            assert bool(left_out) is not is_there, (kind, way, sent.warnings)


@pytest.mark.slow
@pytest.mark.sdk
@pytest.mark.parametrize("target", TARGETS)
def test_each_body_is_one_that_the_vendor_s_types_take(target: str) -> None:
    own_words = target in HOSTS and HOSTS[target] is not CHAT_PARTS
    for kind in KINDS:
        for way in WAYS:
            format, sent = rendered(target, given(kind, way))
            if not own_words:
                check_types(sent.body, format)


def test_the_types_take_one_of_each() -> None:
    """A cheap representative of the grid."""
    for target in ("openai-chat", "openai-responses", "anthropic-messages"):
        parts = [given(kind, way) for kind in ("image", "pdf", "audio") for way in ("data", "id")]
        format, sent = rendered(target, *parts)
        check_types(sent.body, format)


@pytest.mark.parametrize("kind", KINDS)
def test_a_path_is_its_data(kind: str, tmp_path) -> None:
    read = given(kind, "path", tmp_path)
    assert read.data == base64.b64encode(BYTES[kind][0]).decode()
    assert kind_of(read) == kind


HOSTS_WORDS = {
    ("mistral", "pdf", "url"): {
        "type": "document_url",
        "document_url": "https://example.org/a.pdf",
    },
    ("mistral", "pdf", "id"): {"type": "file", "file_id": "file-9"},
    ("openrouter", "pdf", "url"): {
        "type": "file",
        "file": {"file_data": "https://example.org/a.pdf"},
    },
    ("openrouter", "video", "url"): {
        "type": "video_url",
        "video_url": {"url": "https://example.org/a.mp4"},
    },
    ("vllm", "audio", "url"): {
        "type": "audio_url",
        "audio_url": {"url": "https://example.org/a.wav"},
    },
    ("zai", "pdf", "url"): {"type": "file_url", "file_url": {"url": "https://example.org/a.pdf"}},
    ("openai-chat", "audio", "data"): {
        "type": "input_audio",
        "input_audio": {"data": base64.b64encode(BYTES["audio"][0]).decode(), "format": "wav"},
    },
}


@pytest.mark.parametrize(("target", "kind", "way"), HOSTS_WORDS)
def test_hosts_get_their_own_words(target: str, kind: str, way: str) -> None:
    _, sent = rendered(target, given(kind, way))
    assert sent.body["messages"][0]["content"][1] == HOSTS_WORDS[target, kind, way]


@pytest.mark.parametrize(("target", "kind", "way"), HOSTS_WORDS)
def test_those_words_are_read_back(target: str, kind: str, way: str) -> None:
    """A gateway's client may write any of them."""
    part = given(kind, way)
    _, sent = rendered(target, part)
    (read,) = parse_messages(sent.body["messages"])
    file = read.parts[1]
    assert (file.data, file.url, file.id) == (part.data, part.url, part.id)
    assert way == "id" or kind_of(file) == kind


@pytest.mark.parametrize(
    ("target", "part", "problem"),
    [
        ("anthropic-messages", ImagePart(data=BYTES["image"][0] + bytes(7_900_000)), "7.5 MB can't go to"),
        ("bedrock-converse", ImagePart(data=BYTES["image"][0] + bytes(4_100_000)), "at most 3.75 MB"),
        ("openai-chat", ImagePart(data=b"II*\0" + bytes(60)), "image/tiff can't go to"),
        ("gemini-generate", ImagePart(data=b"GIF89a" + bytes(60)), "which takes image/heic"),
        ("openai-chat", File(data=b"OggS\0" + bytes(60)), "audio/ogg can't go to"),
        ("groq", File(url="https://example.org/x"), "a file can't go to chat completions (groq) by its URL"),
        ("bedrock-converse", File(url="s3://example/x"), "without a media type"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_part_beyond_the_bounds_is_left_out_and_named(target, part, problem) -> None:
    _, sent = rendered(target, part)
    (warning,) = sent.warnings
    assert problem in warning
    assert warning.endswith("; left out")


async def test_a_strict_client_refuses_it_before_any_network() -> None:
    film = [Message("user", [TextPart("look"), given("video", "data")])]
    async with (
        Loopback(answer("openai-chat")) as server,
        LLMClient("openai:m", api_key="k", base_url=server.url("openai"), strict=True) as client,
    ):
        with pytest.raises(ConfigurationError, match=r"video/mp4 can't go to"):
            await client.complete(film)
    assert not server.requests


@pytest.mark.parametrize("target", TARGETS)
def test_a_tool_shows_what_the_table_says(target: str) -> None:
    history = [
        Message("user", [TextPart("draw")]),
        Message("assistant", [ToolCall("call12345", "draw", "{}", {})]),
        Message("tool", [ToolResult("call12345", [TextPart("here"), given("image", "data")])]),
    ]
    request = build_request(history, model="claude")
    variant = (VENDORS[target].variant,) if target in HOSTS else ()
    name = "openai-chat" if target in HOSTS else target
    sent = FORMATS[name].render_request(request, *variant)
    assert base64.b64encode(BYTES["image"][0]).decode() in json.dumps(sent.body)
    assert not [each for each in sent.warnings if each.endswith("left out")]


def test_the_page_is_made_from_the_rules() -> None:
    assert inputs_page.PATH.read_text("utf-8") == inputs_page.render(), (
        "run: python tests/inputs_page.py"
    )


def test_the_page_has_every_format() -> None:
    """A format that another row brings has a row here as well."""
    assert set(inputs_page.FORMATS) == set(FORMATS)
