"""Images and files for a model: bytes or base64, their types, and what can't be sent.

An ImagePart is checked when it is made. A File may come from a model too, and what a server sent must not raise:
it is checked when a request with it is read (`checked`). Neither touches the network.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias, TypeVar
from urllib.parse import urlsplit

from llmstream.base64_text import encode, head_of, is_data_url, parse_base64, parse_data_url
from llmstream.cache_marks import Cache, check_cache
from llmstream.checks import as_text, check_unicode, require
from llmstream.media_types import (
    contradicts,
    essence,
    extension_of,
    is_text_in_place_of,
    sniff,
    type_at,
    type_by_name,
)

_Bytes = (bytes, bytearray, memoryview)
Data: TypeAlias = str | bytes | bytearray | memoryview

_MEDIA_TYPE = re.compile(r"(?:[\w.+-]+/(?:[\w.+-]+|\*))?")
# Bounded: a picture's base64 begins as a scheme does, and goes on for megabytes.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{1,63})://")
_UNREADABLE = "is a data URL that can't be read: write 'data:image/png;base64,' and then base64"


class _Media:
    """Remembers the base64 that was found right, so that a long history isn't read again for each request."""

    __slots__ = ("_right",)
    _right: str

    def remember(self, data: str | None) -> None:
        """Note that this base64 was found right."""
        if data is not None:
            self._right = data

    def remembers(self, data: str) -> bool:
        """Whether this very string was found right."""
        return getattr(self, "_right", None) is data


@dataclass(slots=True)
class ImagePart(_Media):
    """An image for the model: a `url`, or `data`, which is bytes or base64 and is kept as base64.

    The `media_type` is found from the bytes where it isn't given. A data URL may stand in either place.

    Raises TypeError or ValueError for an image that can't be sent: nothing or both given, no base64, a path in `url`,
    a type that isn't an image's, is unknown, or contradicts the bytes.
    """

    type: ClassVar[str] = "image"
    url: str | None = None
    data: str | None = None
    media_type: str | None = None
    detail: str | None = None
    cache: Cache | None = None
    """Keep the prompt up to here in the provider's cache."""
    provider_data: dict[str, Any] | None = None
    """Opaque; goes back only to the wire format named in it (`provider_data["format"]`)."""

    if TYPE_CHECKING:  # what may be given is more than what is kept

        def __init__(  # noqa: PLR0917  # as it was: its fields in their order
            self,
            url: str | None = None,
            data: Data | None = None,
            media_type: str | None = None,
            detail: str | None = None,
            cache: Cache | None = None,
            provider_data: dict[str, Any] | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        _take(self)
        _check(self)

    @classmethod
    def from_path(
        cls,
        path: str | os.PathLike[str],
        *,
        media_type: str | None = None,
        detail: str | None = None,
    ) -> Self:
        """Read an image from a file, at once. Raises OSError, and ValueError if it isn't an image."""
        return cls(data=Path(path).read_bytes(), media_type=media_type, detail=detail)

    @classmethod
    def stored(cls, data: Mapping[str, Any]) -> Self:
        """An image as it was stored: unchanged, and not checked before it is sent."""
        part = cls.__new__(cls)
        for f in fields(cls):
            setattr(part, f.name, data.get(f.name, f.default))
        return part


@dataclass(slots=True)
class File(_Media):
    """A file given to the model, or made by it: `data`, a `url`, or the provider's `id`.

    `data` is bytes or base64, and kept as base64. The `media_type` is found from the bytes, else from the `name`,
    where it isn't given. A file that can't be sent raises ValueError when a request is made with it, before any
    network: nothing or both `data` and `url` given, no base64, a path in `url`, a type that is unknown or contradicts
    the bytes.
    """

    type: ClassVar[str] = "file"
    id: str | None = None
    name: str | None = None
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    cache: Cache | None = None
    """Keep the prompt up to here in the provider's cache."""
    provider_data: dict[str, Any] | None = None
    """Opaque; goes back only to the wire format named in it (`provider_data["format"]`)."""

    if TYPE_CHECKING:  # what may be given is more than what is kept

        def __init__(  # noqa: PLR0917  # as it was: its fields in their order
            self,
            id: str | None = None,
            name: str | None = None,
            media_type: str | None = None,
            data: Data | None = None,
            url: str | None = None,
            cache: Cache | None = None,
            provider_data: dict[str, Any] | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        _take(self)

    @classmethod
    def from_path(
        cls, path: str | os.PathLike[str], *, media_type: str | None = None, name: str | None = None
    ) -> Self:
        """Read a file at once. Its name is the path's last part, if none is given.

        Raises OSError, and ValueError if its type is unknown or contradicts the bytes.
        """
        return checked(
            cls(name=name or Path(path).name, media_type=media_type, data=Path(path).read_bytes())
        )

    @property
    def is_image(self) -> bool:
        """Whether it is a picture that models take as an image, which drawings in SVG aren't."""
        kind = essence(self.media_type)
        if not kind and self.data is None and isinstance(self.url, str):
            kind = type_at(self.url)
        return kind.startswith("image/") and kind != "image/svg+xml" and bool(self.data or self.url)


M = TypeVar("M", bound=ImagePart | File)


def checked(part: M, where: str = "") -> M:
    """The part as it can be sent: itself, or a copy with strict base64 and its media type.

    Raises TypeError or ValueError, which begin with `where`.
    """
    ready = copy(part)
    try:
        _take(ready)
        _check(ready)
    except (TypeError, ValueError) as problem:
        raise type(problem)(f"{where}: {problem}" if where else str(problem)) from None
    if ready != part:
        return ready
    part.remember(part.data)
    return part


def parse_media(kind: type[M], where: str, **given: Any) -> M:
    """A part of a request that somebody sent. Raises TypeError or ValueError that begin with `where`."""
    try:
        return checked(kind(**given))
    except (TypeError, ValueError) as problem:
        raise type(problem)(f"{where}: {problem}") from None


def is_address(value: Any) -> bool:
    """Whether a text is an address on the web."""
    return isinstance(value, str) and value[:8].lower().startswith(("https://", "http://"))


def data_url(part: ImagePart | File) -> str:
    """The part's base64 as a data URL."""
    return f"data:{part.media_type or 'application/octet-stream'};base64,{part.data}"


def file_name(file: File) -> str:
    """The file's name; OpenAI's formats want one wherever they get data."""
    return file.name or f"file{extension_of(file.media_type)}"


def _take(part: ImagePart | File) -> None:
    """Make bytes and data URLs base64, and find the type. What can't be read is left for the check."""
    given: Any = part.data
    if isinstance(given, _Bytes):
        declared = part.media_type if isinstance(part.media_type, str) else None
        part.data = encode(bytes(given), declared)
    _take_data_url(part)
    if isinstance(part.media_type, str | None):
        _settle_type(part)


def _take_data_url(part: ImagePart | File) -> None:
    """Take a data URL apart, whether it was given as `url` or as `data`."""
    if part.data is not None and part.url is not None:
        return
    url: Any = part.url if part.data is None else part.data
    found = parse_data_url(url) if is_data_url(url) else None
    if found is None:
        return
    media_type, data = found
    part.url, part.data = None, data
    part.media_type = part.media_type or media_type


def _settle_type(part: ImagePart | File) -> None:
    """Write the media type plainly, or find it. Parameters stay where a file's type has some."""
    plain = essence(part.media_type)
    if not plain:
        if isinstance(part.data, str):
            part.media_type = _find_type(part, part.data) or part.media_type or None
        return
    _, semicolon, parameters = (part.media_type or "").partition(";")
    part.media_type = plain if isinstance(part, ImagePart) else plain + semicolon + parameters


def _find_type(part: ImagePart | File, data: str) -> str | None:
    head = head_of(data)
    sniffed = sniff(head)
    name = as_text(part.name) if isinstance(part, File) else None
    if name is None or not data:
        return sniffed
    by_name = type_by_name(name, head)
    if sniffed is None or by_name is None:
        return sniffed or by_name
    # Documents are ZIP archives inside. Otherwise the bytes count more than the name.
    is_document = sniffed == "application/zip" and not contradicts(by_name, sniffed)
    return by_name if is_document else sniffed


def _check(part: ImagePart | File) -> None:
    """Raise TypeError or ValueError unless the part can be sent. Makes its base64 strict."""
    kind = type(part).__name__
    for f in fields(part):
        if f.name != "provider_data":
            _check_field(kind, f.name, getattr(part, f.name))
    check_cache(part.cache, kind)
    require(
        part.url is None or part.data is None, f"{kind} has both data and url: give one of them"
    )
    if part.data is not None:
        _settle_data(part, part.data)
    elif part.url is not None:
        _check_url(kind, part.url)
    elif not isinstance(part, File) or not part.id:
        raise ValueError(
            f"{kind} has nothing to send: give data=, url=, or read a file by {kind}.from_path(path)"
        )
    _check_type(part)


def _settle_data(part: ImagePart | File, data: str) -> None:
    if not part.remembers(data):
        part.data = data = _check_data(type(part).__name__, data)
        part.remember(data)
    if not essence(part.media_type):
        part.media_type = _find_type(part, data) or part.media_type


def _check_field(kind: str, name: str, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise TypeError(_wrong_kind(kind, name, value))
    if name != "data":
        check_unicode(value, name)


def _wrong_kind(kind: str, name: str, value: Any) -> str:
    """The problem of a field that isn't a string, and what to give instead."""
    if name in ("data", "url") and isinstance(value, os.PathLike):
        return f"{name} must not be a path: {kind}.from_path(path) reads a file"
    given = type(value).__name__
    if name == "data":
        return f"data must be bytes or base64 in a string, not {given}"
    if name == "url" and isinstance(value, bytes | bytearray):
        return f"url must be a string, not {given}: give the bytes as data="
    return f"{name} must be a string, not {given}"


def _check_data(kind: str, data: str) -> str:
    require(data.strip(), "data is empty")
    require(not is_data_url(data), f"data {_UNREADABLE}")
    require(not _SCHEME.match(data), "data holds a URL: give it as url=")
    try:
        return parse_base64(data)
    except ValueError:
        raise ValueError(
            f"data isn't base64: give bytes, or base64 in a string; a file is read by {kind}.from_path(path)"
        ) from None


def _check_url(kind: str, url: str) -> None:
    require(not is_data_url(url), f"url {_UNREADABLE}")
    scheme = _SCHEME.match(url)
    if scheme is None or scheme[1].lower() in ("file", "blob"):
        raise ValueError(
            f"url must begin with https:// or another scheme that the provider can read; "
            f"a file on this machine is read by {kind}.from_path(path)"
        )
    require(
        not re.search(r"[\s\0-\x1f\x7f]", url),
        "url has a space or control character: percent-encode it",
    )
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    require(
        scheme[1].lower() not in ("http", "https") or host,
        "url has no host: write https://host/path",
    )


def _check_type(part: ImagePart | File) -> None:
    declared = essence(part.media_type)
    require(
        _MEDIA_TYPE.fullmatch(declared),
        f"media_type must be of the form 'image/png', not {part.media_type!r}",
    )
    sniffed = None if part.data is None else _sniff(part.data, declared)
    known = declared or sniffed or ""
    if isinstance(part, ImagePart):
        is_image = known.partition("/")[0] in ("", "image")
        require(is_image, f"{known} isn't an image: give it as a File")
    if declared:
        require(
            not contradicts(declared, sniffed),
            f"media_type is {declared}, but the bytes are {sniffed}: leave media_type out, or correct it",
        )
    elif part.data is not None:
        _check_unknown_type(part)


def _check_unknown_type(part: ImagePart | File) -> None:
    require(
        not isinstance(part, ImagePart),
        "the type of the image is unknown: give media_type=, such as 'image/png'",
    )
    require(
        part.media_type,
        "the type of the file is unknown: give File a media_type= or a name= with an extension",
    )


def _sniff(data: str, declared: str) -> str | None:
    """The type that the bytes show; text where they should be something else."""
    head = head_of(data)
    if is_text_in_place_of(declared, head):
        return sniff(head) or "text/plain"
    return sniff(head)
