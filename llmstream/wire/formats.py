"""The wire formats: one row each. Whatever lists formats reads it: providers, simulator, fault server, checks, tests.

A format of your own is one more row:

    FORMATS["my-format"] = Format("my-format", decoder="my_package.decode:MyDecoder", …)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from llmstream.errors import ConfigurationError
from llmstream.messages import ChatRequest

if TYPE_CHECKING:
    from llmstream.wire.event_decoder import Decoder
    from llmstream.wire.framing.framer import Framing
    from llmstream.wire.outbound import Encoder, Rendered
    from llmstream.wire.specimen import Specimen


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One wire format: its parts, and where it is spoken.

    Each part is named "module:name", and imported when it is first needed. Using one that is None raises
    ConfigurationError.
    """

    name: str
    decoder: str
    """A subclass of Decoder. It also has the framing."""
    encoder: str | None = None
    """A class that makes the bytes of an answer from events."""
    render: str | None = None
    """`render_request(request, variant) -> Rendered`."""
    parse: str | None = None
    """`parse_request(body) -> ChatRequest`."""
    specimen: str | None = None
    """What a server says in this format where it doesn't stream an answer: for fault servers and checks."""
    provider: str
    """The provider that speaks it."""
    base_path: str = ""
    """How a base URL ends."""
    path: str
    """The path of a request below its base URL, with `{model}` where the model stands in it."""
    whole_path: str | None = None
    """The path for an answer that isn't streamed, where the path says so."""

    def load(self) -> None:
        """Import the decoder now, so that the import doesn't fall into a request."""
        self._part("decoder")

    def make_decoder(self, **options: Any) -> Decoder:
        """A decoder for one answer. Options: `include_raw`, `keep_message`, `max_frame` (bytes)."""
        decoder: Decoder = self._part("decoder")(**options)
        return decoder

    def make_encoder(self) -> Encoder:
        """An encoder for one answer."""
        encoder: Encoder = self._part("encoder")()
        return encoder

    @property
    def framing(self) -> Framing:
        """How its answers are framed."""
        framing: Framing = self._part("decoder").framing
        return framing

    @property
    def render_request(self) -> Callable[..., Rendered]:
        """A request as a body. The first argument is the ChatRequest, the second how a host differs."""
        render: Callable[..., Rendered] = self._part("render")
        return render

    @property
    def parse_request(self) -> Callable[[Mapping[str, Any]], ChatRequest]:
        """The request that a body means. It raises TypeError or ValueError that name the place."""
        parse: Callable[[Mapping[str, Any]], ChatRequest] = self._part("parse")
        return parse

    @property
    def samples(self) -> Specimen:
        """What a server says in this format where it doesn't stream an answer."""
        samples: Specimen = self._part("specimen")
        return samples

    def is_path(self, path: str) -> bool:
        """Whether a request to `path` is one in this format. Its query and what stands before it don't count."""
        return self._match(path) is not None

    def model_in(self, path: str) -> str | None:
        """The model that a request's path names; None where it stands in the body."""
        found = self._match(path)
        return unquote(found["model"]) if found and "model" in found.groupdict() else None

    def _match(self, path: str) -> re.Match[str] | None:
        asked = path.partition("?")[0]
        found = (_match(known, asked) for known in (self.path, self.whole_path) if known)
        return next(filter(None, found), None)

    def _part(self, name: str) -> Any:
        place: str | None = getattr(self, name)
        if place is None:
            raise ConfigurationError(
                f"the wire format {self.name!r} has no {name}; name one in its row"
            )
        return _load(place)


@cache  # a request needs several parts
def _load(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)


def _matches(known: str, path: str) -> bool:
    pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(known))
    return re.search(f"{pattern}$", path) is not None


def _match(known: str, path: str) -> re.Match[str] | None:
    pattern = re.escape(known).replace(re.escape("{model}"), "(?P<model>[^/]+)")
    return re.search(f"{pattern}$", path)


def _built_in(name: str, package: str, classes: str, **where: Any) -> Format:
    package = f"llmstream.wire.{package}"
    return Format(
        name=name,
        decoder=f"{package}.decode:{classes}Decoder",
        encoder=f"{package}.encode:{classes}Encoder",
        render=f"{package}.request:render_request",
        parse=f"{package}.request:parse_request",
        specimen=f"{package}.specimen:SPECIMEN",
        **where,
    )


_ROWS = (
    _built_in(
        "openai-chat",
        "openai_chat",
        "Chat",
        provider="openai",
        base_path="/v1",
        path="/chat/completions",
    ),
    _built_in(
        "openai-responses",
        "openai_responses",
        "Responses",
        provider="openai-responses",
        base_path="/v1",
        path="/responses",
    ),
    _built_in(
        "anthropic-messages",
        "anthropic_messages",
        "Messages",
        provider="anthropic",
        path="/v1/messages",
    ),
    _built_in(
        "bedrock-converse",
        "bedrock_converse",
        "Converse",
        provider="bedrock",
        path="/model/{model}/converse-stream",
    ),
    _built_in(
        "ollama-native",
        "ollama_native",
        "Ollama",
        provider="ollama",
        path="/api/chat",
    ),
    _built_in(
        "cohere-v2",
        "cohere_v2",
        "Cohere",
        provider="cohere",
        path="/v2/chat",
    ),
    _built_in(
        "gemini-generate",
        "gemini_generate",
        "Generate",
        provider="gemini",
        base_path="/v1beta",
        path="/models/{model}:streamGenerateContent",
        whole_path="/models/{model}:generateContent",
    ),
    _built_in(
        "gemini-interactions",
        "gemini_interactions",
        "Interactions",
        provider="gemini-interactions",
        base_path="/v1beta",
        path="/interactions",
    ),
)
FORMATS: dict[str, Format] = {row.name: row for row in _ROWS}
"""All formats by name."""


def find_format(name: str) -> Format:
    """The row of a format. ConfigurationError names those that there are."""
    if name not in FORMATS:
        raise ConfigurationError(f"no wire format {name!r}; there are: {', '.join(FORMATS)}")
    return FORMATS[name]


def format_of(provider: str) -> Format:
    """The row of the format that a provider speaks; KeyError if none has that name."""
    for row in FORMATS.values():
        if row.provider == provider:
            return row
    raise KeyError(provider)


def format_at(path: str) -> Format:
    """The row of the format that a request to this path asks for; KeyError if there is none."""
    for row in FORMATS.values():
        if row.is_path(path):
            return row
    raise KeyError(path)
