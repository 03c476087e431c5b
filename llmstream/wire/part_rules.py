"""The images and files that each target takes, in which ways and up to which size: data, with sources.

A part that a target doesn't take is left out of the request with a warning that says why, or refused before any
network with `LLMClient(strict=True)`. Where nobody documents a bound there is none here: the target decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from llmstream.media_types import TEXT_TYPES, essence, type_at
from llmstream.messages import File, ImagePart

Kind: TypeAlias = Literal["image", "pdf", "text", "document", "audio", "video"]
Way: TypeAlias = Literal["data", "url", "s3", "id"]

KINDS: tuple[Kind, ...] = ("image", "pdf", "text", "document", "audio", "video")
WAYS: tuple[Way, ...] = ("data", "url", "s3", "id")
LABELLED = "labelled text"
"""The form of a text file at a target that has no block for it: its text, under its name."""

_NOUNS = {
    "image": "an image",
    "pdf": "a PDF",
    "text": "a text file",
    "document": "a document",
    "audio": "audio",
    "video": "video",
}
_BY = {
    "data": "as data",
    "url": "by its URL",
    "s3": "by its address in S3",
    "id": "by a provider's id",
}
_ADVICE = {"url": "; give its data (llmstream.downloads)", "s3": "; give its data"}
_MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRule:
    """What a target takes of one kind."""

    ways: Mapping[Way, str]
    """How it may be given, and the name of the block that says it so."""
    types: frozenset[str] | None = None
    """The media types that are taken; None: nobody says."""
    most: int | None = None
    """Bytes that one file may have; None: nobody says."""

    def form(self, way: Way) -> str | None:
        """The name of the block; None if parts aren't taken so. An address in S3 is a URL like another."""
        return self.ways.get(way, self.ways.get("url") if way == "s3" else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRules:
    """What a target takes of each kind; a kind that isn't listed is refused."""

    kinds: Mapping[Kind, PartRule]
    source: str
    typed: bool = False
    """Whether a part needs a type, because its block names it."""

    def form(self, part: ImagePart | File) -> str:
        """The name of the block that says a part which isn't refused."""
        rule = self._rule_for(part)
        return (rule and rule.form(way_of(part))) or ""

    def refusal(self, part: ImagePart | File, target: str) -> str | None:
        """Why a part can't go, in words for a warning; None if it can. Constant work, whatever its size."""
        media_type, way = media_type_named(part), way_of(part)
        kind = kind_of(part)
        what = media_type or (_NOUNS[kind] if kind else "a file")
        problem = f"{what} can't go to {target}"
        if self.typed and not media_type:
            return f"{problem} without a media type"
        rule = self._rule_for(part)
        if rule is None:
            return problem if kind else f"{problem} {_BY[way]}"
        return (
            _refused_type(part, rule, problem)
            or _refused_way(way, rule, problem)
            or _refused_size(part, rule, target)
        )

    def _rule_for(self, part: ImagePart | File) -> PartRule | None:
        """The rule for a part. One whose type nobody told goes as documents do."""
        kind = kind_of(part)
        if kind is not None:
            return self.kinds.get(kind)
        ways = (self.kinds.get("document"), self.kinds.get("pdf"))
        return next((rule for rule in ways if rule and rule.form(way_of(part)) is not None), None)


def kind_of(part: ImagePart | File) -> Kind | None:
    """The kind of a part; None if neither its type nor its address tells."""
    if isinstance(part, ImagePart):
        return "image"
    media_type = media_type_named(part)
    top = media_type.partition("/")[0]
    if media_type == "application/pdf":
        return "pdf"
    if top == "text" or media_type in TEXT_TYPES:
        return "text"
    if top in ("audio", "video") or (top == "image" and media_type != "image/svg+xml"):
        return top  # type: ignore[return-value]  # one of the three
    return "document" if media_type else None


def way_of(part: ImagePart | File) -> Way:
    """How a part is given."""
    if part.data is not None:
        return "data"
    if part.url is None:
        return "id"
    return "s3" if part.url.startswith("s3://") else "url"


def media_type_named(part: ImagePart | File) -> str:
    """The type, or that which the end of an address names; empty if nothing tells."""
    known = essence(part.media_type)
    if known or part.url is None or part.data is not None:
        return known
    named = type_at(part.url)
    # The address of an image may end in anything.
    is_misleading = isinstance(part, ImagePart) and not named.startswith("image/")
    return "" if is_misleading else named


def _refused_type(part: ImagePart | File, rule: PartRule, problem: str) -> str | None:
    media_type = media_type_named(part)
    if not media_type or rule.types is None or media_type in rule.types:
        return None
    return f"{problem}, which takes {', '.join(sorted(rule.types))}"


def _refused_way(way: Way, rule: PartRule, problem: str) -> str | None:
    if rule.form(way) is not None:
        return None
    advice = _ADVICE.get(way, "") if "data" in rule.ways else ""
    return f"{problem} {_BY[way]}{advice}"


def _refused_size(part: ImagePart | File, rule: PartRule, target: str) -> str | None:
    size = len(part.data or "") * 3 // 4
    if rule.most is None or size <= rule.most:
        return None
    given, most = size / _MEGABYTE, rule.most / _MEGABYTE
    return f"{given:.1f} MB can't go to {target}, which takes at most {most:g} MB in one"


# --- what each format takes -------------------------------------------------------------------------------


def by(*ways: Way, form: str = "", types: Iterable[str] = (), most: float = 0) -> PartRule:
    """A rule for parts that are given in these ways. `most` is in megabytes."""
    return PartRule(
        ways=dict.fromkeys(ways, form),
        types=frozenset(types) or None,
        most=int(most * _MEGABYTE) or None,
    )


COMMON_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
AS_TEXT = PartRule(ways={"data": LABELLED, "id": "file"})

CHAT_PARTS = PartRules(
    kinds={
        "image": by("data", "url", form="image_url", types=COMMON_IMAGES, most=50),
        "pdf": by("data", "id", form="file", most=50),
        "text": AS_TEXT,
        "document": by("id", form="file"),
        "audio": by("data", form="input_audio", types=("audio/wav", "audio/mpeg")),
    },
    source="openai.types.chat.ChatCompletionContentPart…Param; developers.openai.com/api/docs/guides/images-vision, "
    "…/pdf-files and …/audio",
)
COMPATIBLE_PARTS = PartRules(
    kinds={
        "image": by("data", "url", form="image_url"),
        "pdf": by("data", "id", form="file"),
        "text": AS_TEXT,
        "document": by("data", "id", form="file"),
        "audio": by("data", form="input_audio"),
        "video": by("data", "url", form="video_url"),
    },
    source="the forms that hosts of OpenAI's format share; whether a host and its model take them, it says itself",
)
RESPONSES_PARTS = PartRules(
    kinds={
        "image": by("data", "url", "id", types=COMMON_IMAGES, most=50),
        "pdf": by("data", "url", "id", most=50),
        "text": by("data", "url", "id", most=50),
        "document": by("data", "url", "id", most=50),
    },
    source="openai.types.responses.ResponseInputContentParam; developers.openai.com/api/docs/guides/file-inputs",
)
MESSAGES_PARTS = PartRules(
    kinds={
        # 400 `image exceeds 10 MB maximum` counts the base64.
        "image": by("data", "url", "id", types=COMMON_IMAGES, most=7.5),
        "pdf": by("data", "url", "id", most=32),
        "text": by("data", "id"),
    },
    source="anthropic.types.beta.BetaImageBlockParam, BetaRequestDocumentBlockParam; "
    "platform.claude.com/docs/en/build-with-claude/vision and …/pdf-support",
)
MESSAGES_BY_DATA = PartRules(
    kinds={
        "image": by("data", types=COMMON_IMAGES, most=7.5),
        "pdf": by("data", most=32),
        "text": by("data"),
    },
    source="400 `URL sources are not supported` of Claude at Vertex AI (anthropic-sdk-typescript#1038, "
    "langchain-google#1088) and at Bedrock (pollinations#5862); no ids: "
    "platform.claude.com/docs/en/build-with-claude/files",
)
"""Claude at Google's and Amazon's."""
GENERATE_PARTS = PartRules(
    kinds={
        "image": by(
            "data",
            "url",
            "id",
            types=("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"),
            most=100,
        ),
        "pdf": by("data", "url", "id", most=50),
        "text": by("data", "url", "id", most=100),
        "audio": by("data", "url", "id", most=100),
        "video": by("data", "url", "id", most=100),
    },
    source="ai.google.dev/gemini-api/docs/image-understanding, …/document-processing, …/audio, "
    "…/video-understanding and …/file-input-methods",
)
_OFFICE = (
    *("presentationml.presentation", "wordprocessingml.document", "wordprocessingml.template"),
    "spreadsheetml.sheet",
)
_OPEN = ("presentation", "text", "spreadsheet")
INTERACTIONS_PARTS = PartRules(
    kinds={
        "image": by(
            "data",
            "url",
            "id",
            types=(
                *("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"),
                *("image/gif", "image/bmp", "image/tiff"),
            ),
            most=100,
        ),
        "pdf": by("data", "url", "id", most=50),
        "text": PartRule(ways={"data": LABELLED, "url": "document", "id": "document"}),
        "document": by(
            "data",
            "url",
            "id",
            types=(
                *(f"application/vnd.openxmlformats-officedocument.{name}" for name in _OFFICE),
                *(f"application/vnd.oasis.opendocument.{name}" for name in _OPEN),
                *("application/vnd.ms-powerpoint", "application/msword"),
            ),
            most=50,
        ),
        "audio": by("data", "url", "id", most=100),
        "video": by("data", "url", "id", most=100),
    },
    source="google-genai ImageContent, DocumentContent, AudioContent and VideoContent of the Interactions API; sizes: "
    "ai.google.dev/gemini-api/docs/file-input-methods",
)
COHERE_PARTS = PartRules(
    kinds={
        "image": by("data", "url", types=COMMON_IMAGES, most=20),
        "text": by("data"),
    },
    source="docs.cohere.com/docs/image-inputs and …/reference/chat-stream (documents)",
)
OLLAMA_PARTS = PartRules(
    kinds={"image": by("data"), "text": by("data", form=LABELLED)},
    source="docs.ollama.com/api/chat: `images`, base64",
)
