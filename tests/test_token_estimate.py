"""The one token estimate: for conversations, for ModelRouter, and for media wherever they stand."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given

from llmstream import LLMClient, Message
from llmstream.conversations import ContextPolicy, ContextTooLongError, estimate_tokens
from llmstream.messages import File, ImagePart, TextPart, ToolCall, ToolResult
from llmstream.router import Candidate, ModelRouter
from tests.strategies import messages as any_messages

MB = 1_000_000
HEADS = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff\xe0",
    "application/pdf": b"%PDF-1.7\n",
    "audio/mpeg": b"ID3\x03",
    "audio/wav": b"RIFF0000WAVEfmt ",
    "video/mp4": b"\0\0\0\x18ftypmp42",
}


def media(media_type, size):
    """Base64 of `size` bytes that begin as the type does."""
    head = HEADS[media_type]
    return base64.b64encode(head + b"\x07" * (size - len(head))).decode()


def tokens(*parts, role="user"):
    return estimate_tokens(Message(role, list(parts)))


def chosen(message, **options):
    """What ModelRouter takes for the smallest context that has room for the message."""
    sizes = [100, 1_000, 2_000, 5_000, 20_000, 100_000, 1_000_000]
    candidates = [
        Candidate(f"simulator:{size}", cost=size, images=True, files=True, context=size)
        for size in sizes
    ]
    router = ModelRouter(LLMClient("simulator"), candidates)
    return router.choose([message], **options)[0].context


IN_RESULTS = {
    "MCP": lambda kind, data: [{"type": "image", "data": data, "mimeType": kind}],
    "Anthropic": lambda kind, data: [
        {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}
    ],
    "OpenAI chat": lambda kind, data: [
        {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}
    ],
    "OpenAI Responses": lambda kind, data: [
        {"type": "input_file", "filename": "a", "file_data": f"data:{kind};base64,{data}"}
    ],
    "Gemini": lambda kind, data: {"inlineData": {"mimeType": kind, "data": data}},
    "code interpreter": lambda kind, data: {"outputs": [{"image": data}], "logs": ["done"]},
    "a list of base64": lambda kind, data: [data],
}


@pytest.mark.parametrize("shape", IN_RESULTS)
@pytest.mark.parametrize("media_type", HEADS)
def test_media_in_a_tool_result_count_as_they_do_elsewhere(shape, media_type):
    """A picture of 3 MB had been 1,333,380 tokens."""
    data = media(media_type, 3 * MB)
    alone = tokens(File(data=data, media_type=media_type))
    inside = tokens(ToolResult("c", IN_RESULTS[shape](media_type, data)), role="tool")
    assert alone <= inside <= alone + 150


def test_a_result_of_text_counts_as_text():
    """JSON or not; letters and digits without a space aren't media either."""
    for content in ("word " * 600, [{"type": "text", "text": "word " * 600}], ["x" * 3_000]):
        assert 1_000 <= tokens(ToolResult("c", content), role="tool") <= 1_100


def test_media_count_by_kind_and_size():
    """Pictures are all alike; documents, sound and video grow with their size."""
    small, large = 9_999, 5 * MB - 2
    for media_type in HEADS:
        little, much = (tokens(File(data=media(media_type, size))) for size in (small, large))
        assert (little == much) == media_type.startswith("image/")
    assert tokens(ImagePart(data=media("image/png", small))) == 1_604
    assert tokens(File(data=media("application/pdf", small))) == 2_004
    assert tokens(File(data=media("application/pdf", large))) == 200_004
    assert tokens(File(data=media("audio/mpeg", large))) == 12_504
    assert tokens(File(data=media("audio/wav", large))) == 5_004


@pytest.mark.parametrize(
    "file",
    [
        File(url="https://example.org/a.pdf", media_type="application/pdf"),
        File(id="file-1"),
        File(url="https://example.org/a.png", media_type="image/png"),
    ],
)
def test_a_file_that_stands_elsewhere_is_a_page(file):
    """Nobody here knows its size, but nothing it isn't."""
    assert 1_600 <= tokens(file) <= 2_010


def test_a_router_doesnt_choose_a_model_that_a_file_is_too_large_for():
    """Files had been nothing to it."""
    pdf = Message("user", [TextPart("sum it up"), File(data=media("application/pdf", 400_000))])
    assert chosen(Message("user", [TextPart("sum it up")])) == 100
    assert chosen(pdf) == 20_000
    assert chosen(pdf, max_tokens=10_000) == 100_000
    result = ToolResult("c", [{"type": "image", "data": media("image/png", 3 * MB)}])
    assert chosen(Message("tool", [result])) == 2_000


@given(any_messages)
def test_conversations_and_routers_agree(message):
    """For any message: what a conversation's budget counts is what a model must have room for."""
    count = estimate_tokens(message)
    assert ContextPolicy(count).trim([message]) == [message]
    with pytest.raises(ContextTooLongError):
        ContextPolicy(count - 1).trim([message])
    roomy = Candidate("simulator:roomy", cost=2, images=True, files=True, context=count)
    tight = Candidate("simulator:tight", cost=1, images=True, files=True, context=count - 1)
    router = ModelRouter(LLMClient("simulator"), [tight, roomy])
    try:
        assert router.choose([message]) == [roomy]
    except ValueError:  # a file that can't be sent, which routers refuse and conversations keep
        assert any(isinstance(part, File) for part in message.parts)


def test_tools_count_too():
    """Their names, descriptions and schemas."""
    schema = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(200)}}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    hi = Message("user", [TextPart("hi")])
    assert chosen(hi) == 100
    assert chosen(hi, tools=[tool]) == 2_000


def test_a_call_counts_with_its_arguments():
    """As text does."""
    assert 1_000 < tokens(ToolCall("c", "f", '{"a":"' + "x" * 3_000 + '"}')) < 1_100
