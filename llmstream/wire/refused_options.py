"""Lessons of a refused request: an option that the host doesn't know, or knows by another name.

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
from llmstream.options import OPTIONS
from llmstream.wire.outbound import Rendered

OPTIONAL = frozenset(
    {"stream_options", "reasoning", *(option.name for option in OPTIONS if option.droppable)}
)
"""Options that may be left out: the answer is still one to the question that was asked."""
NESTED = ("text.verbosity",)
"""Likewise, where they stand in an object of the body."""
OTHER_NAME = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""Options that hosts know by one of two names."""
DEVELOPER = "role developer"

STREAM = "stream"
OURS = frozenset({"stream_options", STREAM, *OTHER_NAME})
"""Options that the caller never sees, or whose meaning stays: changed even where `strict` allows no other change."""

PREFILL = "prefill: refused by the provider; asked to go on instead"
_NO_PREFILL = re.compile(
    r"prefill|(must|should) (end|be) with a user|last (message|role) (must|should|to) be", re.I
)
_NO_STREAM = re.compile(
    r"stream(ing)?\b\W+((mode|responses?|output|requests?|true)\W+)?((is|are)\W+)?(currently\W+)?(disabled|(not|un)\W?"
    r"(supported|available|allowed|implemented|enabled))|does ?n[o'](t| t) support stream"
    r"|stream\b\W+does ?n[o'](t| t) support true|stream\b\W+must be\W+(set to\W+)?false|only (supports? )?non-?stream"
    r"|(not|un)\W?supported (for|in|with|when|while) (the )?stream(ing)?\b|must be verified to stream\b",
    re.I,
)
_ROLE = re.compile(r"\brole|variant|one of|(supported|invalid|unsupported) value", re.I)
_THING = r"(?:request )?(?:parameter|argument|field|property|option|key|keyword|name|input)s?"
_TAKEN = r"(?:supported|permitted|allowed|accepted|recogni[sz]ed)"
_REFUSED = (
    # What real hosts say, with the option itself beside the refusing words: a text that only mentions it teaches
    # nothing, nor does a list of what is allowed.
    rf"(?:unsupported|unknown|unrecogni[sz]ed|unexpected|invalid|extra) {_THING}(?: supplied)?\W+OPTION\W",
    rf"(?<!with )(?<!and )(?<!or )OPTION\W{{0,2}}(?: {_THING})? (?:is|are) (?:not {_TAKEN}|un{_TAKEN}|unknown)",
    rf"(?:does ?n[o']t|can ?not) (?:support|accept|allow|recogni[sz]e)(?: the)?(?: {_THING})?\W+OPTION\W",
    r"unsupported value\W+OPTION\W.*only the default",
    r"extra_forbidden\W+loc\W+(?:body\W+)?OPTION\W",
    r"extra inputs are not permitted\W+(?:field\W+)?OPTION\W",
    r"(?<!\.)(?:body\.)?OPTION\W+extra inputs are not permitted",
    r"OPTION\W{0,2} is deprecated for this model",
)
_NOT_ALWAYS = re.compile(
    r"\b(together|both|combin\w+|when|while|unless|must be|at most|at least|up to|limit|less than|max\w* \w*of)\b",
    re.I,
)
"""The host knows the option, but not so, or not here: that is for the caller to mend."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """One option that a host refused: what it is called, and by what other name it goes, if by any."""

    option: str
    instead: str | None = None

    def __str__(self) -> str:
        if self.option == STREAM:
            return "stream: refused by the provider; asked for the whole answer at once"
        name = self.option.rpartition(".")[2]
        change = "dropped" if self.instead is None else f"sent as {self.instead}"
        return f"{name}: refused by the provider; {change}"

    def apply(self, rendered: Rendered) -> bool:
        """Mend a body before it is sent, and say so; False if the lesson doesn't concern it."""
        body = rendered.body
        if self.option == DEVELOPER:
            found = [
                message
                for message in body.get("messages", ())
                if message.get("role") == "developer"
            ]
            for message in found:
                message["role"] = "system"
        else:
            found = _take(body, self.option)
            if self.option == STREAM:
                body.pop("stream_options", None)
            if found and self.instead is not None:
                body.setdefault(self.instead, found[0])
        if found:
            rendered.warnings.append(str(self))
        return bool(found)


class Lessons:
    """What one provider has learned, by model: what one model refuses another of the same host may take.

    A lesson counts once an answer came to a request that followed it; one that did not help is forgotten.
    """

    def __init__(self) -> None:
        self._known: dict[str, dict[Lesson, bool]] = {}  # whether it has proved right
        self._unprefilled: set[str] = set()

    def takes_prefill(self, model: str) -> bool:
        """Whether nothing was learned against it."""
        return model not in self._unprefilled

    def apply(self, model: str, rendered: Rendered) -> list[str]:
        """Mend a body before it is sent. Gives the changes that a strict caller does not allow."""
        changed = [lesson for lesson in self._known.get(model, ()) if lesson.apply(rendered)]
        return [str(lesson) for lesson in changed if lesson.option not in OURS]

    def answered(self, model: str) -> None:
        """An answer came: what was changed for it was right."""
        if known := self._known.get(model):
            self._known[model] = dict.fromkeys(known, True)

    def learn(
        self, model: str, sent: Mapping[str, Any], refusal: ErrorInfo, *, strict: bool
    ) -> str | None:
        """What to do otherwise after this refusal of the body `sent`, in words; None: nothing was learned."""
        if refuses_prefill(sent, refusal):
            self._unprefilled.add(model)
            return PREFILL
        known = self._known.get(model, {})
        lesson = learn(sent, refusal, known)
        if lesson is None or (strict and lesson.option not in OURS):
            if refusal.kind == "invalid_request":
                self._known[model] = {each: True for each, proved in known.items() if proved}
            return None
        self._known[model] = known | {lesson: known.get(lesson, False)}
        return str(lesson)


def learn(
    sent: Mapping[str, Any], refusal: ErrorInfo, known: Iterable[Lesson] = ()
) -> Lesson | None:
    """The lesson in the refusal of the body `sent`, given those `known` already; None: nothing to learn."""
    message = refusal.message
    asked_to_stream = refusal.status_code in (400, 405, 422, 501) and STREAM in sent
    if asked_to_stream and (_NO_STREAM.search(message) or _refuses(message, STREAM)):
        return Lesson(STREAM)
    if refusal.kind != "invalid_request" or refusal.status_code not in (400, 422):
        return None
    if re.search(r"\bdeveloper\b", message) and _ROLE.search(message):
        roles = {turn.get("role") for turn in sent.get("messages", ()) if isinstance(turn, Mapping)}
        return Lesson(DEVELOPER, "system") if "developer" in roles else None
    candidates = [name for name in sent if name in OPTIONAL or name in OTHER_NAME]
    candidates += [name for name in NESTED if _holds(sent, name)]
    option = next((name for name in candidates if _refuses(message, name)), None)
    other = OTHER_NAME.get(option or "")
    if option is None or any(lesson.option == other for lesson in known):
        return None  # a host that refuses both names has nothing more to teach
    return Lesson(option, other)


def _holds(body: Mapping[str, Any], option: str) -> bool:
    outer, _, inner = option.partition(".")
    return isinstance(body.get(outer), Mapping) and inner in body[outer]


def _take(body: dict[str, Any], option: str) -> list[Any]:
    """Remove an option from the body, and the object it stood in if that is empty then; [] if it isn't there."""
    if option in body:
        return [body.pop(option)]
    if not _holds(body, option):
        return []
    outer, _, inner = option.partition(".")
    rest = dict(body[outer])  # the caller's own may be in it
    value = rest.pop(inner)
    if rest:
        body[outer] = rest
    else:
        del body[outer]
    return [value]


def refuses_prefill(sent: Mapping[str, Any], refusal: ErrorInfo) -> bool:
    """Whether what was refused is the beginning of the answer that the body `sent` ends with."""
    messages = sent.get("messages") or [{}]
    prefilled = messages[-1].get("role") == "assistant"
    return (
        prefilled
        and refusal.kind == "invalid_request"
        and bool(_NO_PREFILL.search(refusal.message))
    )


def _refuses(message: str, option: str) -> bool:
    """Whether a sentence of the message says that the option is not taken at all."""
    words = re.escape(option).replace("_", "[_ ]?")  # some hosts say reasoningEffort
    name = rf"\b{words}\b"
    pattern = re.compile("|".join(form.replace("OPTION", name) for form in _REFUSED), re.I | re.S)
    # "Only the default is supported" is a sentence of its own, and belongs to the one before.
    sentences = re.split(r"(?<=[.;!?])\s+(?!Only the default)", f"{message} ")
    return any(
        pattern.search(f"{sentence} ") and not _NOT_ALWAYS.search(sentence)
        for sentence in sentences
    )
