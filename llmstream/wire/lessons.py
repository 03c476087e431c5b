"""What a refused request teaches about the host: an option it doesn't know, or knows by another name.

Hosts of one format differ, and what they take changes with the model and the month. A 400 that names an option is
therefore read once: the request goes out again without it, or with it under its other name, and later requests from
the start. Only what tunes an answer is ever left out; what gives it its meaning (tools, `response_format`, `stop` …)
stays, and the error is the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from llmstream.errors import ErrorInfo
from llmstream.wire.rendered import Rendered

OPTIONAL = frozenset(
    {
        "stream_options",
        "temperature",
        "top_p",
        "seed",
        "parallel_tool_calls",
        "reasoning_effort",
        "reasoning",
        "metadata",
    }
)
"""Options that may be left out: the answer is still one to the question that was asked."""
OTHER_NAME = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""Options that hosts know by one of two names."""
DEVELOPER = "role developer"

PREFILL = "prefill: refused by the provider; asked to go on instead"
_NO_PREFILL = re.compile(r"prefill|(must|should) (end|be) with a user|last (message|role) (must|should|to) be", re.I)
_REFUSED = re.compile(
    r"unsupported|not supported|does ?n[o']t support|unknown|unrecogni[sz]ed|unexpected|not permitted|not allowed"
    r"|forbidden|extra (input|field)",
    re.I,
)
_KNOWN_BUT_WRONG = re.compile(r"supported (values|levels)|must be|one of|between|maximum|minimum", re.I)
"""The host knows the option, and says what it would take: that is for the caller to mend."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """One option that a host refused: what it is called, and by what other name it goes, if by any."""

    option: str
    instead: str | None = None

    def __str__(self) -> str:
        return f"{self.option}: refused by the provider; {f'sent as {self.instead}' if self.instead else 'dropped'}"

    def apply(self, rendered: Rendered) -> None:
        """Mend a body before it is sent, and say so; nothing if the lesson doesn't concern it."""
        body = rendered.body
        if self.option == DEVELOPER:
            found = [message for message in body.get("messages", ()) if message.get("role") == "developer"]
            for message in found:
                message["role"] = "system"
        else:
            found = [body.pop(self.option)] if self.option in body else []
            if found and self.instead is not None:
                body[self.instead] = found[0]
        if found:
            rendered.warnings.append(str(self))


def learn(sent: Mapping[str, Any], refusal: ErrorInfo, known: Iterable[Lesson] = ()) -> Lesson | None:
    """The lesson in the refusal of the body `sent`, given those `known` already; None: nothing to learn."""
    if refusal.kind != "invalid_request" or refusal.status_code not in (400, 422):
        return None
    message = refusal.message
    if not _REFUSED.search(f"{refusal.code} {message}") or _KNOWN_BUT_WRONG.search(message):
        return None
    if "developer" in message and "role" in message:
        roles = {turn.get("role") for turn in sent.get("messages", ()) if isinstance(turn, Mapping)}
        return Lesson(DEVELOPER, "system") if "developer" in roles else None
    option = _named(message, sent)
    other = OTHER_NAME.get(option or "")
    if option is None or any(lesson.option == other for lesson in known):
        return None  # a host that refuses both names has nothing more to teach
    return Lesson(option, other)


def refuses_prefill(sent: Mapping[str, Any], refusal: ErrorInfo) -> bool:
    """Whether what was refused is the beginning of the answer that the body `sent` ends with."""
    messages = sent.get("messages") or [{}]
    prefilled = messages[-1].get("role") == "assistant"
    return prefilled and refusal.kind == "invalid_request" and bool(_NO_PREFILL.search(refusal.message))


def _named(text: str, sent: Mapping[str, Any]) -> str | None:
    """The option of the body that the text names first."""
    found = [
        (match.start(), option)
        for option in sent
        if (option in OPTIONAL or option in OTHER_NAME) and (match := re.search(rf"\b{option}\b", text))
    ]
    return min(found)[1] if found else None
