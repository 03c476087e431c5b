"""The form of an answer: pure, from the client's words to one of the forms on offer.

Precedence, the strongest first:

1. `?mode=stream` or `?mode=batch`; any other mode is NotAcceptableError.
2. `?stream=`: true, 1, yes, on, or false, 0, no, off; anything else is a ValueError.
3. The body's own flag, `"stream": true`.
4. `Accept`, as in RFC 9110, section 12.5.1: the highest q-value wins, the most specific range counts, q=0 forbids.
5. The default mode.

What the client is capable of bounds all of them: the forms that it says it can read, and HTTP/1.0, which can't tell a
text that was cut from one that is whole, so text comes in one piece there.

1 to 3 name a mode; Accept then chooses among its forms. Where it allows only forms of the other mode the flag wins:
OpenAI's own SDK sends `Accept: application/json` with `"stream": true`. Where it allows nothing on offer, or the client
can read nothing of the mode, that is NotAcceptableError, which lists what there is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from llmstream.checks import require


class ResponseMode(StrEnum):
    """Piece by piece as it comes, or whole."""

    STREAM = "stream"
    BATCH = "batch"


class Form(StrEnum):
    """How an answer is written."""

    SSE = "sse"
    NDJSON = "ndjson"
    TEXT = "text"
    JSON = "json"


FORMS = tuple(Form)
"""All forms."""

MEDIA_TYPES: dict[Form, tuple[str, ...]] = {
    Form.SSE: ("text/event-stream",),
    Form.NDJSON: ("application/x-ndjson", "application/ndjson", "application/jsonl"),
    Form.TEXT: ("text/plain",),
    Form.JSON: ("application/json",),
}
"""The media types of each form in Accept, all of one family (`application/*`). The first labels the answer."""

_FORMS = {
    ResponseMode.STREAM: (Form.SSE, Form.NDJSON, Form.TEXT),
    ResponseMode.BATCH: (Form.JSON, Form.TEXT),
}
"""The forms of each mode, in the order in which the server prefers them."""
_WORDS = {
    **dict.fromkeys(("true", "1", "yes", "on", ""), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}
"""The words of `?stream=`."""
_UNCOVERED = -1
_LONGEST = 8192
"""Characters of an Accept that are read: no client has more to say."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The form to send."""

    mode: ResponseMode
    form: Form


_STREAMED_TEXT = Choice(ResponseMode.STREAM, Form.TEXT)


class NotAcceptableError(ValueError):
    """Nothing on offer will do; the message lists what is, and so does `offer` (media types)."""

    def __init__(self, problem: str, offer: Iterable[Form]) -> None:
        self.offer = [MEDIA_TYPES[form][0] for form in offer]
        super().__init__(
            f"{problem}; on offer: {', '.join(self.offer)}, with ?mode=stream or ?mode=batch"
        )


def negotiate(
    *,
    accept: str | None = None,
    mode: str | None = None,
    stream: str | None = None,
    flag: bool | None = None,
    capabilities: Collection[str] | None = None,
    http_version: str = "1.1",
    default: ResponseMode = ResponseMode.STREAM,
    offer: Sequence[Form] = FORMS,
) -> Choice:
    """The form of an answer. `mode` and `stream` are the query's, `flag` the body's; the rules are above.

    `capabilities` are the names of the forms that the client can read (None: it doesn't say). Raises NotAcceptableError
    (HTTP 406), and ValueError (400) for a `stream` or `flag` that is neither true nor false.
    """
    readable = [form for form in offer if capabilities is None or form in capabilities]
    wanted = _explicit(mode, stream, flag, offer)
    modes = [wanted] if wanted else sorted(ResponseMode, key=lambda each: each is not default)
    choices = [Choice(each, form) for each in modes for form in _FORMS[each] if form in readable]
    if http_version == "1.0" and _STREAMED_TEXT in choices:
        choices.remove(_STREAMED_TEXT)
    if not choices:
        raise NotAcceptableError("none of the forms that you can read", offer)
    ranges = parse_accept(accept)
    best = max(choices, key=lambda choice: quality(ranges, choice.form))  # of equals, the first
    if quality(ranges, best.form) > 0:
        return best
    if wanted and any(quality(ranges, form) > 0 for form in offer):
        return choices[0]
    raise NotAcceptableError("Accept allows nothing that can be sent", offer)


def parse_accept(accept: str | None) -> list[tuple[str, float]]:
    """The media ranges of an Accept and their weights, in lower case; nothing at all means `*/*`."""
    ranges = []
    for item in (accept or "")[:_LONGEST].split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                weight = _weight(value.strip())
        if "/" in name:
            ranges.append((name, weight))
    return ranges or [("*/*", 1.0)]


def quality(ranges: Iterable[tuple[str, float]], form: Form) -> float:
    """The weight that the ranges give a form: that of the most specific range that covers it, 0 if none does."""
    weighed = [(_specificity(name, form), weight) for name, weight in ranges]
    specificity, weight = max(weighed, default=(_UNCOVERED, 0.0))
    return 0.0 if specificity == _UNCOVERED else weight


def _specificity(name: str, form: Form) -> int:
    """How closely a media range covers a form."""
    media_types = MEDIA_TYPES[form]
    family = f"{media_types[0].partition('/')[0]}/*"
    closeness = {"*/*": 0, family: 1, **dict.fromkeys(media_types, 2)}
    return closeness.get(name, _UNCOVERED)


def _explicit(
    mode: str | None,
    stream: str | None,
    flag: bool | None,  # noqa: FBT001  # it is the client's word
    offer: Sequence[Form],
) -> ResponseMode | None:
    if mode is not None:
        if mode not in set(ResponseMode):
            raise NotAcceptableError("there is no such mode", offer)
        return ResponseMode(mode)
    given = flag if stream is None else _WORDS.get(stream.lower(), stream)
    if given is None:
        return None
    # It comes out of a client's JSON, or isn't one of the words.
    require(isinstance(given, bool), "stream must be true or false")
    return ResponseMode.STREAM if given else ResponseMode.BATCH


def _weight(value: str) -> float:
    """A q-value from 0 to 1; an invalid weight becomes 0.001."""
    try:
        weight = float(value)
    except ValueError:
        return 0.001
    return min(1.0, weight) if weight >= 0 else 0.001
