"""Images and files as Converse's blocks, and back.

Specification: botocore's ImageBlock, DocumentBlock, VideoBlock, AudioBlock, and
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html for names. Bytes and addresses in
S3 are taken, other addresses aren't.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llmstream.checks import as_object
from llmstream.media import parse_media
from llmstream.messages import File, ImagePart
from llmstream.wire.bedrock_converse.blocks import FORMATS, media_type_of
from llmstream.wire.part_rules import PartRules, by, media_type_named

S3 = "s3://"
_NAMES = {
    kind: {media_type: name for name, media_type in names.items()}
    for kind, names in FORMATS.items()
}
_TEXT = "txt"
_NOT_IN_A_NAME = re.compile(r"[^0-9A-Za-z\s()\[\]-]+")
_LONGEST_NAME = 200
_UNNAMED = "document"


def image_block(image: ImagePart | File) -> dict[str, Any] | None:
    """An image as Converse takes it; None if it doesn't."""
    name = _NAMES["image"].get(media_type_named(image))
    source = _source(image)
    return None if name is None or source is None else {"format": name, "source": source}


def file_block(file: File, names: set[str]) -> tuple[str, dict[str, Any]]:
    """A file that isn't refused: the kind of its block, and the block. `names`: those of the documents before it."""
    kind, format = _kind_of(file)
    block = {"format": format, "source": _source(file)}
    if kind == "document":
        block["name"] = _name_for(file, names)
    return kind, block


CONVERSE_PARTS = PartRules(
    kinds={
        "image": by("data", "s3", types=FORMATS["image"].values(), most=3.75),
        "pdf": by("data", "s3", most=4.5),
        "text": by("data", "s3", most=4.5),
        "document": by("data", "s3", types=FORMATS["document"].values(), most=4.5),
        "audio": by("data", "s3", types=FORMATS["audio"].values()),
        "video": by("data", "s3", types=FORMATS["video"].values()),
    },
    source="botocore ImageBlock, DocumentBlock, AudioBlock, VideoBlock; "
    "docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html (sizes)",
    typed=True,
)


def _kind_of(file: File) -> tuple[str, str]:
    """The kind of block for a file, and the name of its format."""
    media_type = media_type_named(file)
    found = ((kind, names[media_type]) for kind, names in _NAMES.items() if media_type in names)
    return next(found, ("document", _TEXT))


def _source(part: ImagePart | File) -> dict[str, Any] | None:
    if part.data is not None:
        return {"bytes": part.data}
    if part.url is not None and part.url.startswith(S3):
        return {"s3Location": {"uri": part.url}}
    return None


def _name_for(file: File, names: set[str]) -> str:
    """A name that Converse takes, and that no document before it has."""
    stem, _, ending = (file.name or "").rpartition(".")
    is_format = stem and any(ending.lower() in formats for formats in FORMATS.values())
    given = _NOT_IN_A_NAME.sub("-", stem if is_format else file.name or "")
    base = " ".join(given.split())[: _LONGEST_NAME - 8] or _UNNAMED
    name, number = base, 1
    while name in names:
        number += 1
        name = f"{base} {number}"
    names.add(name)
    return name


# --- in ---------------------------------------------------------------------------------------------------

_SAID = frozenset({"format", "source", "name"})


def parse_block(kind: str, block: Mapping[str, Any], where: str) -> ImagePart | File | None:
    """A block as a part; None if none of ours can say all of it. Raises ValueError."""
    source = as_object(block.get("source"))
    said = {name for name, value in block.items() if value is not None}
    place = as_object(source.get("s3Location"))
    given = {"data": source.get("bytes"), "url": place.get("uri")}
    is_known = len(source) == 1 and place.keys() <= {"uri"} and any(given.values())
    if said - _SAID or not is_known:
        return None
    media_type = media_type_of(kind, block.get("format"))
    if kind == "image":
        return parse_media(ImagePart, where, media_type=media_type, **given)
    return parse_media(File, where, name=block.get("name"), media_type=media_type, **given)
