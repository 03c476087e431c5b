"""About how many tokens messages and tools take, without any vendor's tokenizer: one estimate for all.

It errs to the larger side, since a prompt that is too long is refused. Media count by kind, wherever they stand, as the
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
from llmstream.messages import File, HostedTool, ImagePart, Message, Part, Tool
from llmstream.parts import dump_part

_PER_MESSAGE = 4
_BYTES_PER_TOKEN = 3
"""English has 4 bytes of UTF-8 for a token of today's models, Chinese about 3."""
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


def estimate_tools(tools: Iterable[Tool | HostedTool]) -> int:
    """About how many tokens the descriptions of tools take."""
    return sum(_estimate_text(repr(tool)) for tool in tools)


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
