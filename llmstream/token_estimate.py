"""About how many tokens messages and tools take, without any vendor's tokenizer: one estimate for all.

Of prompts it errs to the larger side, since one that is too long is refused. Of answers, which are only counted to be
paid, it errs to neither. Media count by kind, wherever they stand, as the
larger of what the vendors document:

- an image: 1,600. Anthropic counts width x height / 750, at most about 1,600 (platform.claude.com, "Vision"); OpenAI 85
  and 170 a tile, 1,445 for the most tiles (platform.openai.com, "Images and vision"); Gemini 258 a tile.
- a document: 2,000 a page, and a page for every 50 kB. Anthropic counts 1,500 to 3,000 a page ("PDF support"), Gemini
  258 and the page's text (ai.google.dev, "Document understanding").
- sound and video: one for every 400 bytes. Gemini counts 32 a second of sound, about 300 of video ("Understand and
  count tokens"), which is that at 100 kbit/s and at 1 Mbit/s. Uncompressed sound: one for every 1,000 bytes.
- a file that stands elsewhere, and so has no size here: one page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from llmstream.base64_text import head_of
from llmstream.media_types import essence, sniff
from llmstream.messages import (
    File,
    HostedTool,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    Tool,
    ToolCall,
)
from llmstream.parts import dump_part

_PER_MESSAGE = 4
_BYTES_PER_TOKEN = 3
"""English has 4 bytes of UTF-8 for a token of today's models, Chinese about 3."""
_WEIGHTS = {
    "letter": 0.112,
    "digit": 0.7,
    "space": 0.7,
    "line": 0.45,
    "sign": 0.38,
    "accent": 1.1,
    "cyrillic": 0.19,
    "arabic": 0.25,
    "indic": 0.22,
    "dash": 1.5,
    "kana": 0.62,
    "han": 0.93,
    "hangul": 0.52,
    "wide": 0.4,
    "emoji": 2.5,
}
"""Tokens for a character of an answer, by its kind.

Fitted to the counts that vendors reported for 36 recorded answers (OpenAI, Anthropic, Gemini, DeepSeek, Mistral, Qwen,
Llama, Grok), and outside of Latin to o200k_base, OpenAI's vocabulary, on texts of our own. A space stands for its word.
"""
_KINDS = {name: bytes([code]) for code, name in enumerate(_WEIGHTS)}
_SPANS = (
    ("sign", b"!", b"\x7f"),
    ("line", b"\0", b"\x1f"),
    ("space", b" ", b" "),
    ("digit", b"0", b"9"),
    ("letter", b"A", b"Z"),
    ("letter", b"a", b"z"),
    ("accent", b"\xc2", b"\xcd"),
    ("cyrillic", b"\xce", b"\xd5"),  # and Greek
    ("arabic", b"\xd6", b"\xdf"),  # and Hebrew
    ("indic", b"\xe0", b"\xe1"),  # and Thai, Georgian
    ("dash", b"\xe2", b"\xe2"),  # and curly quotes, arrows
    ("kana", b"\xe3", b"\xe3"),
    ("han", b"\xe4", b"\xe9"),
    ("hangul", b"\xea", b"\xed"),
    ("wide", b"\xee", b"\xef"),
    ("emoji", b"\xf0", b"\xf4"),
)
"""Kinds by the first byte of a character in UTF-8. Of two spans the later one counts."""
_PER_CALL = 8
"""Of an answer's tool call, beside its name and its arguments."""
_PER_IMAGE = 1_600
_PER_PAGE = 2_000
_BYTES_PER_PAGE = 50_000
_RAW_SOUND = ("audio/wav", "audio/aiff", "audio/pcm", "audio/l16")
_BYTES_PER_TOKEN_OF = {
    "text": _BYTES_PER_TOKEN,
    "audio": 400,
    "video": 400,
    **dict.fromkeys(_RAW_SOUND, 1_000),
}
"""By the media type, or else by its first word."""
_TYPE_NAMES = ("media_type", "mediaType", "mimeType", "mime_type")
"""What formats call the media type that stands beside base64."""
_DATA_URL = re.compile(r"data:([^,;]*)[^,]*;base64,", re.IGNORECASE)
_SHORTEST = 64
"""Characters of base64 from which on it is looked at: there is no shorter picture."""
_LONGEST_HEAD = 256
"""Characters before the base64 of a data URL."""


def estimate_tokens(message: Message) -> int:
    """About how many tokens a message takes, without any vendor's tokenizer; mostly too many rather than too few.

    One for every 3 bytes of UTF-8 of all its parts, 4 for the message. Images count as 1,600, documents as 2,000 for
    every 50 kB, in tool results too. On 22 recorded answers that is 1.4 times the vendor's own count (median; 0.6 to
    2.0): leave a margin where the budget is the model's limit, or give a real tokenizer's count.
    """
    return _PER_MESSAGE + sum(map(_estimate_part, message.parts))


def estimate_text(text: str) -> float:
    """About how many tokens a text of an answer takes. That of two texts is the sum, so it never falls as a text grows.

    Half of 17 recorded answers in plain text are within 5 % of the vendor's own count, and all within 21 %.
    Vocabularies differ: Claude Opus 4.8 counts 1.5 to 1.8 times as many. Of code it's about 1.4 times too many.
    """
    kinds = text.encode(errors="replace").translate(_KIND_OF_BYTE)
    return sum(weight * kinds.count(_KINDS[kind]) for kind, weight in _WEIGHTS.items())


def estimate_answer(parts: Iterable[Part]) -> float:
    """About how many tokens a model took to write these parts. Those of reasoning that it hides aren't among them."""
    return sum(map(_estimate_written, parts))


def estimate_tools(tools: Iterable[Tool | HostedTool]) -> int:
    """About how many tokens the descriptions of tools take."""
    return sum(_estimate_text(repr(tool)) for tool in tools)


def _estimate_written(part: Part) -> float:
    """The tokens of one part of an answer; 0 for what a provider's tools or search added."""
    if isinstance(part, TextPart | ReasoningPart | RefusalPart):
        return estimate_text(part.text)
    if isinstance(part, ToolCall):
        return _PER_CALL + estimate_text(part.name) + estimate_text(part.arguments)
    return _estimate_part(part) if isinstance(part, File) else 0.0


def _kind_of_byte() -> bytes:
    table = bytearray(b"\xff" * 256)  # the later bytes of a character count nothing
    for kind, first, last in _SPANS:
        for byte in range(first[0], last[0] + 1):
            table[byte] = _KINDS[kind][0]
    return bytes(table)


_KIND_OF_BYTE = _kind_of_byte()


def _estimate_part(part: Part) -> int:
    if isinstance(part, ImagePart):
        return _PER_IMAGE
    if isinstance(part, File):
        return _estimate_file(part)
    text = getattr(part, "text", None)
    if isinstance(text, str):
        return _estimate_text(text)
    media: list[int] = []
    rest = _take_media(dump_part(part), media)
    return sum(media) + _estimate_text(json.dumps(rest, ensure_ascii=False, default=str))


def _estimate_text(text: str) -> int:
    return -(-len(text.encode(errors="replace")) // _BYTES_PER_TOKEN)


# --- media ------------------------------------------------------------------------------------------------


def _estimate_file(file: File) -> int:
    if isinstance(file.data, str):
        return _estimate_media(essence(file.media_type), len(file.data))
    return _PER_IMAGE if file.is_image else _PER_PAGE


def _estimate_media(media_type: str, encoded: int) -> int:
    """The tokens of `encoded` characters of base64."""
    size = encoded * 3 // 4
    kind = media_type.partition("/")[0]
    if kind == "image":
        return _PER_IMAGE
    bytes_per_token = _BYTES_PER_TOKEN_OF.get(media_type) or _BYTES_PER_TOKEN_OF.get(kind)
    if bytes_per_token is not None:
        return -(-size // bytes_per_token)
    return _PER_PAGE * max(1, -(-size // _BYTES_PER_PAGE))


def _take_media(value: Any, media: list[int]) -> Any:
    """JSON without the base64 of media in it, whose tokens are added to `media`."""
    if isinstance(value, Mapping):
        declared = next(_declared_types(value), "")
        return {key: _take_media_field(each, declared, media) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_take_media_field(each, "", media) for each in value]
    return value


def _take_media_field(value: Any, declared: str, media: list[int]) -> Any:
    if not isinstance(value, str):
        return _take_media(value, media)
    media_type = _type_of(value, declared)
    if not media_type:
        return value
    head = value.find(",", 0, _LONGEST_HEAD) + 1  # 0 without one: base64 has no comma
    media.append(_estimate_media(media_type, len(value) - head))
    return ""


def _declared_types(value: Mapping[Any, Any]) -> Iterator[str]:
    for name in _TYPE_NAMES:
        declared = value.get(name)
        if isinstance(declared, str):
            yield essence(declared)


def _type_of(value: str, declared: str) -> str:
    """The media type of a string that is base64 or a data URL; `""` if it is neither."""
    if len(value) < _SHORTEST:
        return ""
    url = _DATA_URL.match(value[:_LONGEST_HEAD])
    if url is not None:
        return essence(url[1]) or "application/octet-stream"
    head = head_of(value)
    if not head:
        return ""
    return declared or sniff(head) or ""
