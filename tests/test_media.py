"""Images and files: what goes out over all three formats, and what never does."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import (
    EventType,
    File,
    ImagePart,
    LLMClient,
    Message,
    StreamEvent,
    TextPart,
    ToolCall,
    ToolResult,
)
from llmstream.conversations import StreamingChatRequest
from llmstream.media import checked, file_name
from llmstream.media_types import contradicts, sniff
from llmstream.message_reader import parse_messages
from llmstream.parts import dump_part, load_part
from llmstream.router.requirements import needs_of
from llmstream.testing import ScriptedProvider
from llmstream.web.dialects.ag_ui import AgUi
from llmstream.web.dialects.ai_sdk import AiSdk
from llmstream.web.dialects.anthropic_messages import AnthropicMessages
from llmstream.web.dialects.openai_chat import OpenAIChat
from llmstream.wire.openai_responses.request import parse_request as parse_responses
from tests.loopback import APIS, Loopback, answer

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))
PDF = b"%PDF-1.7\n" + bytes(range(64))
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(64))
TEXT = "naïve,text\n1,2\n".encode()
WITH_PARTS = [name for name in APIS if name not in ("bedrock", "cohere", "ollama")]
"""Those that take files as they are given. The others' own tests have what they make of them."""
api = pytest.mark.parametrize("provider", WITH_PARTS)


def encoded(data):
    return base64.b64encode(data).decode()


def wrapped(data):
    return base64.encodebytes(data).decode()


def url_of(media_type, data):
    return f"data:{media_type};base64,{encoded(data)}"


def picture(provider, data, media_type):
    """How each format says an image."""
    if provider == "anthropic":
        source = {"type": "base64", "media_type": media_type, "data": encoded(data)}
        return {"type": "image", "source": source}
    if provider == "gemini":
        return {"inlineData": {"mimeType": media_type, "data": encoded(data)}}
    if provider == "gemini-interactions":
        return {"type": "image", "mime_type": media_type, "data": encoded(data)}
    url = url_of(media_type, data)
    if provider == "openai":
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "input_image", "image_url": url}


def document(provider, data, media_type, name):
    """How each format says a file."""
    if provider == "anthropic":
        source = {"type": "base64", "media_type": media_type, "data": encoded(data)}
        if media_type.startswith("text/"):
            source = {"type": "text", "media_type": "text/plain", "data": data.decode()}
        return {"type": "document", "source": source, **({"title": name} if name else {})}
    if provider == "gemini":
        return picture(provider, data, media_type)
    if not provider.endswith("responses") and media_type.startswith("text/"):
        # OpenAI's files are PDF, and plain text isn't among Google's documents.
        return {"type": "text", "text": f"[Document: {name}]\n{data.decode()}"}
    if provider == "gemini-interactions":
        return {"type": "document", "mime_type": media_type, "data": encoded(data)}
    fields = {"filename": name or "file.pdf", "file_data": url_of(media_type, data)}
    return (
        {"type": "file", "file": fields}
        if provider == "openai"
        else {"type": "input_file", **fields}
    )


async def sent(provider, *contents):
    """The content of the user message of each request body that a server on the loopback got."""
    async with Loopback(answer(APIS[provider])) as server:
        async with LLMClient(f"{provider}:m", api_key="k", base_url=server.url(provider)) as client:
            for content in contents:
                message = (
                    {"role": "user", "content": content} if isinstance(content[0], dict) else None
                )
                await client.complete([message or Message("user", content)])
        bodies = [request.body for request in server.requests]
    return [content_of(last_of(body)) for body in bodies]


def last_of(body):
    """The last message of a request body."""
    return (body.get("messages") or body.get("input") or body.get("contents"))[-1]


def content_of(message):
    return message["parts"] if "parts" in message else message["content"]


# --- what goes out ----------------------------------------------------------------------------------------

FORMS = {
    "bytes": lambda: ImagePart(data=PNG),
    "bytearray": lambda: ImagePart(data=bytearray(PNG)),
    "memoryview": lambda: ImagePart(data=memoryview(PNG)),
    "every other byte of a memoryview": lambda: ImagePart(
        data=memoryview(bytes(x for b in PNG for x in (b, 0)))[::2]
    ),
    "base64": lambda: ImagePart(data=encoded(PNG)),
    "base64 in lines": lambda: ImagePart(data=wrapped(PNG)),
    "base64 after a blank line": lambda: ImagePart(data="\r\n" + wrapped(PNG)),
    "base64 without padding": lambda: ImagePart(data=encoded(PNG).rstrip("=")),
    "base64 in the alphabet of URLs": lambda: ImagePart(
        data=base64.urlsafe_b64encode(PNG).decode()
    ),
    "base64 in bytes": lambda: ImagePart(data=base64.b64encode(PNG)),
    "a data URL as url": lambda: ImagePart(url=url_of("image/png", PNG)),
    "a data URL as data": lambda: ImagePart(data=url_of("image/png", PNG)),
    "a data URL in bytes": lambda: ImagePart(data=url_of("image/png", PNG).encode()),
    "a data URL without a type": lambda: ImagePart(url=f"data:;base64,{encoded(PNG)}"),
    "a data URL in capitals": lambda: ImagePart(url=f"DATA:image/PNG;BASE64,{encoded(PNG)}"),
    "an escaped data URL": lambda: ImagePart(
        url="data:image/png," + "".join(f"%{byte:02x}" for byte in PNG)
    ),
    "a data URL with parameters": lambda: ImagePart(
        url=f"data:image/png;name=a.png;base64,{encoded(PNG)}"
    ),
    "any image": lambda: ImagePart(data=PNG, media_type="image/*"),
    "a type that says nothing": lambda: ImagePart(data=PNG, media_type="application/octet-stream"),
    "another name of the type": lambda: ImagePart(data=PNG, media_type="image/x-png"),
    "a file": lambda: File(data=PNG, name="a.png"),
    "a dict": lambda: {"type": "image_url", "image_url": {"url": url_of("image/png", PNG)}},
    "a dict with base64 in lines": lambda: {
        "type": "image_url",
        "image_url": "data:image/png;base64," + wrapped(PNG),
    },
    "a file in a dict": lambda: {
        "type": "file",
        "file": {"file_data": url_of("image/png", PNG), "filename": "a.png"},
    },
}


@api
async def test_an_image_is_sent_as_one_however_it_was_given(provider):
    """The request bodies that a server gets are the same for bytes and each form of base64."""
    contents = [[make()] for make in FORMS.values()]
    for form, content in zip(FORMS, await sent(provider, *contents), strict=True):
        assert content == [picture(provider, PNG, "image/png")], form


@api
async def test_files_go_out_as_the_format_takes_them(provider, tmp_path):
    """PDF and text, from bytes, base64, and from a path."""
    for name, data in (("a.pdf", PDF), ("a.txt", TEXT), ("b.jpg", JPEG), ("no_extension", PNG)):
        (tmp_path / name).write_bytes(data)
    parts = [
        File(data=PDF),
        File(data=wrapped(PDF), name="x.pdf"),
        File.from_path(tmp_path / "a.pdf"),
        File(data=TEXT, media_type="text/plain", name="t"),
        File.from_path(str(tmp_path / "a.txt")),
        ImagePart.from_path(tmp_path / "b.jpg"),
        ImagePart.from_path(str(tmp_path / "no_extension")),
    ]
    (content,) = await sent(provider, parts)
    assert content == [
        document(provider, PDF, "application/pdf", None),
        document(provider, PDF, "application/pdf", "x.pdf"),
        document(provider, PDF, "application/pdf", "a.pdf"),
        document(provider, TEXT, "text/plain", "t"),
        document(provider, TEXT, "text/plain", "a.txt"),
        picture(provider, JPEG, "image/jpeg"),
        picture(provider, PNG, "image/png"),
    ]


@api
async def test_urls_that_a_provider_reads_itself_go_out_as_they_are(provider):
    """https, and the schemes of vendors' own stores."""
    urls = [
        "https://example.org/a.png?sig=%2Bx&y=1",
        "http://127.0.0.1:9/a",
        "gs://bucket/a.png",
        "s3://bucket/a b"[:-2],
    ]
    contents = await sent(provider, *([ImagePart(url=url)] for url in urls))
    assert [
        url for content, url in zip(contents, urls, strict=True) if url in json.dumps(content)
    ] == urls


@api
async def test_a_picture_beside_a_tools_result_is_the_users(provider):
    """No format takes it in a message of the tool."""
    async with Loopback(answer(APIS[provider])) as server:
        async with LLMClient(f"{provider}:m", api_key="k", base_url=server.url(provider)) as client:
            call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            history = [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "tool_calls": [call]},
            ]
            await client.complete(
                [*history, Message("tool", [ToolResult("c", "see"), ImagePart(data=PNG)])]
            )
        body = server.requests[0].body
    last = last_of(body)
    assert "user" in (last.get("role"), last.get("type", "")[:4])
    assert content_of(last)[-1] == picture(provider, PNG, "image/png")


async def test_text_that_anthropic_cant_take_as_it_is_is_named():
    """Other types of text go as plain text; what isn't UTF-8 is replaced."""
    async with Loopback(answer("anthropic-messages")) as server:
        async with LLMClient(
            "anthropic:m", api_key="k", base_url=server.url("anthropic")
        ) as client:
            parts = [
                File(data=TEXT, name="a.csv"),
                File(data=b"caf\xe9 au lait", media_type="text/plain"),
            ]
            events = [event async for event in client.chat_completion([Message("user", parts)])]
        first, second = server.requests[0].body["messages"][0]["content"]
    assert first["source"] == {"type": "text", "media_type": "text/plain", "data": TEXT.decode()}
    assert second["source"]["data"] == "caf\ufffd au lait"
    assert len(events[0].start.warnings) == 2


@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_arrive_as_they_were(data):
    """With a declared type that has no first bytes of its own, whatever the form."""
    for given_ in (data, encoded(data), wrapped(data), encoded(data).rstrip("=")):
        part = checked(File(data=given_, media_type="application/x-own"))
        assert base64.b64decode(part.data, validate=True) == data


# --- what doesn't -----------------------------------------------------------------------------------------

PATHS = [
    "/home/ann/cat.png",
    "./cat.png",
    "../cat.png",
    "~/cat.png",
    "cat.png",
    "C:\\cat.png",
    "C:/cat.png",
    "\\\\server\\cat.png",
    "//host/cat.png",
    "file:///home/ann/cat.png",
    "file:cat.png",
    "FILE:///C:/cat.png",
    "blob:https://example.org/1",
]
WRONG = {
    "nothing": ({}, ValueError, "has nothing to send"),
    "empty bytes": ({"data": b""}, ValueError, "data is empty"),
    "an empty string": ({"data": ""}, ValueError, "data is empty"),
    "blanks": ({"data": " \n"}, ValueError, "data is empty"),
    "an empty url": ({"url": ""}, ValueError, "url must begin with"),
    "padding alone": ({"data": "===="}, ValueError, "isn't base64"),
    "words": ({"data": "no base64"}, ValueError, "isn't base64"),
    "base64 whose plus a form made a space": ({"data": "QUJD QUJD"}, ValueError, "isn't base64"),
    "a question": ({"data": "what is this?"}, ValueError, "isn't base64"),
    "bytes as str shows them": ({"data": str(PNG)}, ValueError, "isn't base64"),
    "base64 of an impossible length": ({"data": "QUJDR"}, ValueError, "isn't base64"),
    "base64 with something in between": (
        {"data": encoded(PNG)[:12] + "==" + encoded(PNG)},
        ValueError,
        "isn't base64",
    ),
    "base64 that isn't ASCII": ({"data": "ÄÖÜß"}, ValueError, "isn't base64"),
    "base64 with half a character": ({"data": "\ud800"}, ValueError, "isn't base64"),
    "a path as data": ({"data": "/home/ann/cat.png"}, ValueError, r"from_path\(path\)"),
    "a Path as data": ({"data": Path("cat.png")}, TypeError, r"from_path\(path\)"),
    "a Path as url": ({"url": Path("cat.png")}, TypeError, r"from_path\(path\)"),
    "a number": ({"data": 5}, TypeError, "data must be bytes or base64 in a string, not int"),
    "a list of bytes": ({"data": list(PNG)}, TypeError, "data must be bytes or base64"),
    "a URL as data": (
        {"data": "https://example.org/a.png"},
        ValueError,
        "data holds a URL: give it as url=",
    ),
    "bytes as url": ({"url": PNG}, TypeError, "give the bytes as data="),
    "both": ({"url": "https://example.org/a.png", "data": PNG}, ValueError, "both data and url"),
    "a url without a host": ({"url": "https:///a.png"}, ValueError, "no host"),
    "a url with a port and no host": ({"url": "http://:80/a.png"}, ValueError, "no host"),
    "a url without a scheme": (
        {"url": "example.org:80/a.png"},
        ValueError,
        "url must begin with https://",
    ),
    "a url with a line break": (
        {"url": "https://example.org/a.png\n"},
        ValueError,
        "percent-encode",
    ),
    "a url with half a character": (
        {"url": "https://example.org/\ud800"},
        ValueError,
        "lone surrogate",
    ),
    "a data URL without data": ({"url": "data:image/png;base64,"}, ValueError, "data is empty"),
    "a data URL without a comma": (
        {"url": "data:image/png;base64"},
        ValueError,
        "a data URL that can't be read",
    ),
    "a data URL without base64": ({"url": "data:image/png;base64,%%%"}, ValueError, "isn't base64"),
    "another type": (
        {"data": PNG, "media_type": "image/jpeg"},
        ValueError,
        "image/jpeg, but the bytes are image/png",
    ),
    "a data URL of another type": (
        {"url": url_of("image/jpeg", PNG)},
        ValueError,
        "but the bytes are image/png",
    ),
    "a page as an image": (
        {"data": b"<!DOCTYPE html><title>404</title>", "media_type": "image/png"},
        ValueError,
        "but the bytes are text/html",
    ),
    "base64 of base64": (
        {"data": encoded(encoded(PNG).encode()), "media_type": "image/png"},
        ValueError,
        "but the bytes are text/plain",
    ),
    "no type": (
        {"data": PNG, "media_type": "png"},
        ValueError,
        "must be of the form 'image/png', not 'png'",
    ),
    "a type that isn't a string": (
        {"data": PNG, "media_type": 5},
        TypeError,
        "media_type must be a string",
    ),
    "bytes of no known type": (
        {"data": b"\x00\x01\x02"},
        ValueError,
        "the type of the .* is unknown",
    ),
    **{f"the path {path}": ({"url": path}, ValueError, r"from_path\(path\)") for path in PATHS},
}
ONLY_IMAGES = {
    "a PDF": ({"data": PDF}, ValueError, "application/pdf isn't an image: give it as a File"),
    "a type that isn't an image's": (
        {"data": b"\x00", "media_type": "text/plain"},
        ValueError,
        "give it as a File",
    ),
    "text": ({"url": "data:,hello"}, ValueError, "give it as a File"),
}


async def never_sent(provider, ask, problem, match):
    """A server on the loopback sees no connection at all."""
    async with Loopback(answer(APIS[provider])) as server:
        async with LLMClient(f"{provider}:m", api_key="k", base_url=server.url(provider)) as client:
            with pytest.raises(problem, match=match) as caught:
                await ask(client)
        assert server.requests == []
    assert type(caught.value) is problem


@api
@pytest.mark.parametrize("wrong", [*WRONG, *ONLY_IMAGES])
async def test_an_image_that_cant_be_sent_never_is(provider, wrong):
    """It raises where it is made."""
    given_, problem, match = (WRONG | ONLY_IMAGES)[wrong]

    async def ask(client):
        await client.complete([Message("user", [TextPart("what?"), ImagePart(**given_)])])

    await never_sent(provider, ask, problem, match)


@api
@pytest.mark.parametrize("wrong", WRONG)
async def test_a_file_that_cant_be_sent_never_is(provider, wrong):
    """It raises at the first step of the call, and names the place: making one never raises, for models make them."""
    given_, problem, match = WRONG[wrong]
    file = File(**given_)

    async def ask(client):
        await anext(client.chat_completion([Message("user", [TextPart("what?"), file])]))

    await never_sent(provider, ask, problem, r"^messages\[0\]\.parts\[1\]: .*" + match)


@api
@pytest.mark.parametrize("wrong", [name for name in WRONG if set(WRONG[name][0]) == {"url"}])
async def test_an_image_in_a_dict_that_cant_be_sent_never_is(provider, wrong):
    """In OpenAI's shape, as a dict and as a bare string."""
    given_, problem, match = WRONG[wrong]
    for image in (given_["url"], given_):

        async def ask(client, image=image):
            content = [{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": image}]
            await client.complete([{"role": "user", "content": content}])

        if isinstance(image, dict | str):
            await never_sent(
                provider, ask, problem, r"^messages\[0\]\.content\[1\]\.image_url: .*" + match
            )


@api
@pytest.mark.parametrize(
    ("part", "match"),
    [
        ({"type": "image_url", "image_url": {}}, r"image_url\.url is missing"),
        ({"type": "file", "file": {}}, r"\.file: File has nothing to send"),
        ({"type": "file", "file": {"file_data": "not base64!"}}, r"\.file: data isn't base64"),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,"}},
            r"\.file: data is empty",
        ),
        (
            {"type": "file", "file": {"file_data": url_of("application/pdf", PNG)}},
            "the bytes are image/png",
        ),
        ({"type": "file", "file": {"file_data": "/tmp/a.pdf"}}, r"File\.from_path\(path\)"),
    ],
)
async def test_a_part_in_a_dict_that_cant_be_sent_never_is(provider, part, match):
    async def ask(client):
        await client.complete([{"role": "user", "content": [part]}])

    await never_sent(provider, ask, ValueError, match)


@api
async def test_what_was_changed_or_stored_is_checked_too(provider):
    """A stored message is read as it is, and a part may be changed: both are looked at when they are sent."""
    changed = ImagePart(data=PNG)
    changed.data = "no base64"
    retyped = checked(ImagePart(data=PNG))
    retyped.media_type = "image/gif"
    stored = {"role": "user", "parts": [{"type": "image", "data": "b'\\x89PNG'"}]}
    empty = {"role": "user", "parts": [{"type": "image"}]}
    typed = {"role": "user", "parts": [{"type": "image", "data": [1, 2]}]}
    for message, match in (
        (Message("user", [changed]), "isn't base64"),
        (Message("user", [retyped]), "image/gif, but the bytes are image/png"),
        (stored, "isn't base64"),
        (empty, "nothing to send"),
        (typed, "data must be bytes or base64"),
    ):

        async def ask(client, message=message):
            await client.complete([message])

        await never_sent(provider, ask, ValueError, match)


def asked_about(content):
    call = ToolCall("c", "look", "{}", {})
    messages = [Message("user", "hi"), Message("assistant", [call])]
    return [*messages, Message("tool", [ToolResult("c", content)])]


@pytest.mark.parametrize("content", [PNG, ["see", PNG], [ImagePart(data=PNG), "see"]])
@api
async def test_a_tools_result_of_bytes_is_refused(provider, content):
    async def ask(client):
        await client.complete(asked_about(content))

    await never_sent(
        provider, ask, TypeError, r"messages\[2\]\.parts\[0\]: a tool's result is text, JSON, or a"
    )


@pytest.mark.parametrize("lone", [True, False])
@api
async def test_a_tools_result_may_show_an_image(provider, *, lone):
    """Each format has its own place for it: in the result, or behind the results as the user's."""
    image = ImagePart(data=PNG)
    content = image if lone else [TextPart("Look."), image]
    async with Loopback(answer(APIS[provider])) as server:
        async with LLMClient(f"{provider}:m", api_key="k", base_url=server.url(provider)) as client:
            await client.complete(asked_about(content))
        body = server.requests[0].body
    shown = picture(provider, PNG, "image/png")
    if provider == "gemini":
        told = last_of(body)["parts"]
        response = told[0]["functionResponse"]
        assert response["parts"] == [shown]
        assert response["response"] == {"result": "" if lone else "Look."}
        return
    *_, called, last = body.get("messages") or body["input"]
    if provider == "openai":
        assert called["content"] == ("The tool shows what follows." if lone else "Look.")
        assert last == {"role": "user", "content": [shown]}
        return
    blocks = {
        "anthropic": lambda: last["content"][0]["content"],
        "openai-responses": lambda: last["output"],
        "gemini-interactions": lambda: last["result"],
    }[provider]()
    assert blocks[-1] == shown
    assert [block["text"] for block in blocks[:-1]] == ([] if lone else ["Look."])


PLACES = {
    "openai": (
        OpenAIChat(),
        lambda url: {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
            ]
        },
        r"messages[0].content[0].image_url: ",
    ),
    "responses": (
        parse_responses,
        lambda url: {
            "input": [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]
        },
        "input[0].content[0]: ",
    ),
    "responses, a file": (
        parse_responses,
        lambda url: {
            "input": [{"role": "user", "content": [{"type": "input_file", "file_url": url}]}]
        },
        "input[0].content[0]: ",
    ),
    "anthropic": (
        AnthropicMessages(),
        lambda url: {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image", "source": {"type": "url", "url": url}}],
                }
            ]
        },
        "messages[0].content[0].source: ",
    ),
    "anthropic, a file": (
        AnthropicMessages(),
        lambda url: {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "document", "source": {"type": "url", "url": url}}],
                }
            ]
        },
        "messages[0].content[0].source: ",
    ),
    "AI SDK": (
        AiSdk(),
        lambda url: {
            "messages": [
                {"role": "user", "parts": [{"type": "file", "url": url, "mediaType": "image/png"}]}
            ]
        },
        "messages[0].parts[0]: ",
    ),
    "AG-UI": (
        AgUi(),
        lambda url: {
            "threadId": "t",
            "runId": "r",
            "messages": [
                {
                    "id": "1",
                    "role": "user",
                    "content": [{"type": "image", "source": {"type": "url", "value": url}}],
                }
            ],
        },
        "messages[0].content[0].source: ",
    ),
}


@pytest.mark.parametrize(
    "wrong", ["/tmp/a.png", "file:///tmp/a.png", "data:image/png;base64,?", ""]
)
@pytest.mark.parametrize("place", PLACES)
def test_a_gateway_names_the_place(place, wrong):
    """A body that a client sent is refused as the vendor's own server would, before anybody is asked."""
    reader, body, where = PLACES[place]
    parse = reader if callable(reader) else reader.parse
    with pytest.raises(ValueError, match="^" + re.escape(where)):
        parse({"model": "m", "max_tokens": 9, **body(wrong)})


def test_a_file_that_a_model_made_comes_back_from_an_app():
    """The AI SDK sends the assistant's files with the history."""
    made = {"type": "file", "url": "sandbox:/mnt/a.png", "mediaType": "image/png"}
    messages = [
        {"role": "user", "parts": [{"type": "text", "text": "draw"}]},
        {"role": "assistant", "parts": [made, {"type": "text", "text": "Here."}]},
    ]
    (_, answer_) = AiSdk().parse({"messages": messages}).request.messages
    assert answer_.parts == [
        File(media_type="image/png", url="sandbox:/mnt/a.png"),
        TextPart("Here."),
    ]
    assert parse_messages([answer_]) == [answer_]


def test_no_error_shows_what_was_given():
    """A picture, and a URL with a signature in it, are nobody's business in a log."""
    secret = "c2VjcmV0c2VjcmV0"
    for given_ in (
        {"data": secret + "!"},
        {"url": f"/a?sig={secret}"},
        {"url": f"https://user:{secret}@/a"},
        {"url": f"data:image/png;base64,{secret}!"},
    ):
        with pytest.raises(ValueError, match=r"\w") as caught:
            ImagePart(**given_)
        assert secret not in str(caught.value)


def test_from_path_raises_where_the_file_cant_be_sent(tmp_path):
    (tmp_path / "page.png").write_bytes(b"<!doctype html><p>404")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "data.bin").write_bytes(b"\x00\x01")
    with pytest.raises(ValueError, match="text/html isn't an image"):
        ImagePart.from_path(tmp_path / "page.png")
    for kind in (ImagePart, File):
        with pytest.raises(ValueError, match="data is empty"):
            kind.from_path(tmp_path / "empty.png")
        with pytest.raises(ValueError, match=r"type of the \w+ is unknown"):
            kind.from_path(tmp_path / "data.bin")
        with pytest.raises(FileNotFoundError):
            kind.from_path(tmp_path / "none.png")
    assert File.from_path(tmp_path / "data.bin", media_type="application/x-own").name == "data.bin"


# --- types ------------------------------------------------------------------------------------------------

SIGNATURES = [
    ("image/png", PNG),
    ("image/jpeg", JPEG),
    ("image/gif", b"GIF87a"),
    ("image/gif", b"GIF89a"),
    ("image/webp", b"RIFF\x24\0\0\0WEBPVP8 "),
    ("image/bmp", b"BM\x46\0\0\0\0\0\0\0\x36"),
    ("image/tiff", b"II*\0"),
    ("image/tiff", b"MM\0*"),
    ("image/avif", b"\0\0\0\x20ftypavif"),
    ("image/heic", b"\0\0\0\x18ftypheic"),
    ("application/pdf", PDF),
    ("audio/wav", b"RIFF\x24\0\0\0WAVEfmt "),
    ("audio/mpeg", b"ID3\x03\0"),
    ("audio/mpeg", b"\xff\xfb\x90"),
    ("audio/flac", b"fLaC\0"),
    ("audio/ogg", b"OggS\0\x02"),
    ("audio/mp4", b"\0\0\0\x20ftypM4A "),
    ("video/mp4", b"\0\0\0\x20ftypisom"),
    ("video/quicktime", b"\0\0\0\x14ftypqt  "),
    ("video/webm", b"\x1aE\xdf\xa3"),
    ("application/zip", b"PK\x03\x04\x14"),
    ("text/html", b"\n<!DOCTYPE html>"),
]


@pytest.mark.parametrize(
    ("media_type", "head"), SIGNATURES, ids=[f"{t} {h[:4]!r}" for t, h in SIGNATURES]
)
def test_the_first_bytes_show_the_type(media_type, head):
    assert sniff(head) == media_type
    assert File(data=head).media_type == File(data=encoded(head)).media_type == media_type
    assert File(data=wrapped(head + bytes(200))).media_type == media_type


@pytest.mark.parametrize(
    "text",
    [
        b"BMW and others",
        b"ID3 tags are",
        b"RIFFs",
        b"MM. hello",
        b"%PDF",
        b"OggSound",
        b"fLa",
        b"PK",
        b"GIF8",
    ],
)
def test_a_text_is_no_file_of_another_kind(text):
    assert sniff(text) is None
    assert checked(File(data=text + b" and so on", name="a.txt")).media_type == "text/plain"


@pytest.mark.parametrize(
    ("name", "data", "media_type"),
    [
        (
            "a.docx",
            b"PK\x03\x04",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        ("a.zip", b"PK\x03\x04", "application/zip"),
        ("a.png", b"PK\x03\x04", "application/zip"),
        ("a.jpg", PNG, "image/png"),
        ("A.CSV", b"a,b", "text/csv"),
        ("main.ts", b"const a = 1", "text/plain"),
        ("Makefile", b"all:\n", "text/plain"),
        ("main.rs", "fn größe()".encode(), "text/plain"),
        ("a.json", b"{}", "application/json"),
        ("a.svg", b"<svg>", "image/svg+xml"),
        ("x", b"\x00\x01", None),
        (None, b"plain words", None),
    ],
)
def test_else_the_name_does(name, data, media_type):
    assert File(name=name, data=data).media_type == media_type


@pytest.mark.parametrize(
    ("declared", "sniffed"),
    [
        ("image/jpeg", "image/jpeg"),
        ("application/vnd.ms-excel.sheet", "application/zip"),
        ("audio/webm", "video/webm"),
        ("audio/mp4", "video/mp4"),
        ("video/ogg", "audio/ogg"),
        ("text/markdown", "text/html"),
        ("application/xhtml+xml", "text/html"),
        ("application/x-own", None),
    ],
)
def test_types_that_the_same_bytes_may_be(declared, sniffed):
    assert not contradicts(declared, sniffed)


@pytest.mark.parametrize(
    ("declared", "sniffed"),
    [
        ("image/png", "image/jpeg"),
        ("image/svg+xml", "image/png"),
        ("application/pdf", "application/zip"),
        ("application/pdf", "text/html"),
        ("text/plain", "application/pdf"),
        ("application/json", "text/html"),
        ("audio/wav", "image/webp"),
    ],
)
def test_types_that_they_may_not(declared, sniffed):
    assert contradicts(declared, sniffed)


def test_a_file_of_a_known_type_without_a_name_gets_one_where_it_must_have_one():
    """OpenAI's formats refuse data without a name, and ask for a file_id instead."""
    assert file_name(File(data=PDF)) == "file.pdf"
    assert file_name(File(data=b"x", media_type="text/plain; charset=utf-8")) == "file.txt"
    assert file_name(File(data=b"x", media_type="application/x-nobody")) == "file"
    assert file_name(File(name="own", data=PDF)) == "own"


# --- values -----------------------------------------------------------------------------------------------

junk = (
    st.none()
    | st.text(max_size=12)
    | st.sampled_from(["data:,", "data:", "DATA:;base64,%", "/tmp/x", "data:\ud800,"])
)


@given(st.none() | st.text(max_size=6), junk, junk, junk, junk)
def test_what_a_model_sent_never_raises_and_is_kept(id, name, media_type, data, url):
    """A File of any strings is an event's, and comes back from a store and the wire of events as it was."""
    file = File(id, name, media_type, data, url)
    assert load_part(dump_part(file)) == file
    event = StreamEvent(EventType.FILE, file=file)
    assert StreamEvent.from_dict(event.to_dict()) == event


@given(
    st.fixed_dictionaries(
        {}, optional={"url": junk, "data": junk, "media_type": junk, "detail": junk}
    )
)
def test_a_stored_image_is_read_as_it_was(fields):
    """Whatever an earlier version had let through: no store is closed to its owner."""
    given_ = {name: value for name, value in fields.items() if value is not None}
    message = Message.from_dict({"role": "user", "parts": [{"type": "image", **given_}]})
    assert message.to_dict()["parts"] == [{"type": "image", **given_}]


async def test_a_file_that_a_model_made_goes_back_in_its_message():
    """Another vendor's link, type or base64 must not end the conversation."""
    made = [
        File(id="f", url="sandbox:/mnt/data/a.png"),
        File(data="?", media_type="image/png"),
        File(name="x"),
    ]
    first = ScriptedProvider([*(StreamEvent(EventType.FILE, file=file) for file in made), "Here."])
    message = await LLMClient(provider=first).complete([{"role": "user", "content": "draw"}])
    assert [part for part in message.parts if isinstance(part, File)] == made
    for provider in WITH_PARTS:
        async with Loopback(answer(APIS[provider])) as server:
            async with LLMClient(
                f"{provider}:m", api_key="k", base_url=server.url(provider)
            ) as client:
                await client.complete([Message("user", "draw"), message, Message("user", "again")])
            assert "sandbox" not in json.dumps(server.requests[0].body)


@pytest.mark.parametrize("part", [ImagePart(data=PNG), checked(File(data=PDF, name="a.pdf"))])
def test_parts_are_plain_values(part):
    """Copies are equal, and base64 that was read once isn't read again."""
    for twin in (
        copy.copy(part),
        copy.deepcopy(part),
        pickle.loads(pickle.dumps(part)),
        load_part(dump_part(part)),
    ):
        assert twin == part
        assert repr(twin) == repr(part)
        assert checked(twin) is twin
    assert checked(part) is part
    assert set(dump_part(part)) == {
        "type",
        "data",
        "media_type",
        *(["name"] if part.type == "file" else []),
    }


async def test_a_conversation_refuses_an_attachment_before_it_keeps_it():
    """An attachment stands at the border: a ValidationError, which the web answers with 4xx."""
    for wrong in (
        {"type": "image", "url": "/tmp/a.png"},
        {"type": "file"},
        File(data="?"),
        {"type": "image", "data": 5},
    ):
        with pytest.raises(ValueError, match="attachments"):
            StreamingChatRequest(query="what?", attachments=[wrong])
    assert (
        StreamingChatRequest(query="what?", attachments=[ImagePart(data=PNG)])
        .attachments[0]
        .media_type
        == "image/png"
    )


def test_a_router_of_models_refuses_it_too():
    """It looks at the messages before any provider does."""
    with pytest.raises(ValueError, match="isn't base64"):
        needs_of([Message("user", [File(data="?")])], {})
    assert needs_of([Message("user", [File(data=PNG)])], {}).images
