"""Lessons of a refused request: an option that the host doesn't know, or knows by another name.

Hosts of one format differ, and what they take changes with the model and the month. A 400 that names an option is
therefore read once: the request goes out again without it, or with it under its other name, and later requests from
the start. Only what tunes an answer is ever left out; what gives it its meaning (tools, `response_format`, `stop` …)
stays, and the error is the caller's. What the refusals look like is in `llmstream.wire.refusal_words`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from llmstream.checks import as_object
from llmstream.errors import ErrorInfo
from llmstream.options import OPTIONS
from llmstream.wire.outbound import Rendered
from llmstream.wire.pass_through import SAMPLING
from llmstream.wire.refusal_words import Refusal, refusal_of, refuses_streaming

OPTIONAL = frozenset(
    {
        "stream_options",
        "reasoning",
        "think",  # Ollama
        *("p", "k"),  # Cohere
        *(option.name for option in OPTIONS if option.droppable),
        *SAMPLING,
    }
)
"""Options that may be left out: the answer is still one to the question that was asked."""


@dataclass(frozen=True, slots=True)
class OptionPlace:
    """An option that stands in an object of the body."""

    option: str
    """Our name for it."""
    names: tuple[str, ...]
    """The names that refusals have for it."""


_FIELDS = "additionalModelRequestFields"
_TUNING = ("temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "seed")
NESTED = {
    "text.verbosity": OptionPlace("verbosity", ("text.verbosity",)),
    "inferenceConfig.temperature": OptionPlace("temperature", ("temperature",)),
    "inferenceConfig.topP": OptionPlace("top_p", ("topP", "top_p")),
    f"{_FIELDS}.top_k": OptionPlace("top_k", ("topK", "top_k")),
    f"{_FIELDS}.thinking": OptionPlace("reasoning_effort", ("thinking",)),
    f"{_FIELDS}.reasoningConfig": OptionPlace("reasoning_effort", ("reasoningConfig",)),
    f"{_FIELDS}.reasoning_effort": OptionPlace("reasoning_effort", ("reasoning_effort",)),
    "outputConfig.effort": OptionPlace("reasoning_effort", ("outputConfig.effort", "effort")),
    "serviceTier.type": OptionPlace("service_tier", ("serviceTier", "serviceTier.type")),
    **{f"options.{name}": OptionPlace(name, (name,)) for name in _TUNING},  # Ollama
    "generationConfig.temperature": OptionPlace("temperature", ("temperature",)),
    "generationConfig.topP": OptionPlace("top_p", ("top_p",)),
    "generationConfig.topK": OptionPlace("top_k", ("top_k",)),
    "generationConfig.seed": OptionPlace("seed", ("seed",)),
    "generationConfig.frequencyPenalty": OptionPlace(
        "frequency_penalty", ("frequency_penalty", "penalty")
    ),
    "generationConfig.presencePenalty": OptionPlace(
        "presence_penalty", ("presence_penalty", "penalty")
    ),
    "generationConfig.thinkingConfig": OptionPlace(
        "reasoning_effort", ("thinking_config", "thinking_level", "thinking_budget")
    ),
    **{  # Interactions
        f"generation_config.{name}": OptionPlace(name, (name,))
        for name in ("temperature", "top_p", "seed")
    },
    "generation_config.thinking_level": OptionPlace(
        "reasoning_effort", ("thinking_level", "thinking")
    ),
    "generation_config.thinking_summaries": OptionPlace(
        "reasoning_effort", ("thinking_summaries", "thinking")
    ),
    "think": OptionPlace("reasoning_effort", ("think", "thinking")),  # Ollama
    "p": OptionPlace("top_p", ("p", "top_p")),  # Cohere
    "k": OptionPlace("top_k", ("k", "top_k")),  # Cohere
}
"""Likewise, by their places; and those at the top whose names aren't ours."""
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
_ROLE = re.compile(r"\brole|variant|one of|(supported|invalid|unsupported) value", re.I)


@dataclass(frozen=True, slots=True)
class Lesson:
    """One option that a host refused: what it is called, and by what other name it goes, if by any."""

    option: str
    instead: str | None = None
    beside: frozenset[str] | None = None
    """The other fields of the body that it was refused beside; the lesson is for bodies of those fields. None: for
    all."""

    def __str__(self) -> str:
        if self.option == STREAM:
            return "stream: refused by the provider; asked for the whole answer at once"
        place = NESTED.get(self.option)
        name = self.option if place is None else place.option
        change = "dropped" if self.instead is None else f"sent as {self.instead}"
        return f"{name}: refused by the provider; {change}"

    def apply(self, rendered: Rendered) -> bool:
        """Mend a body before it is sent, and say so; False if the lesson doesn't concern it."""
        body = rendered.body
        if self.beside is not None and self.beside != _others(body, self.option):
            return False
        is_changed = _rename_developer(body) if self.option == DEVELOPER else self._change(body)
        if is_changed:
            rendered.warnings.append(str(self))
        return is_changed

    def _change(self, body: dict[str, Any]) -> bool:
        """Take the option out of the body, or rename it; False if it isn't there."""
        found = _take(body, self.option)
        if self.option == STREAM:
            body.pop("stream_options", None)
        if found and self.instead is not None:
            body.setdefault(self.instead, found[0])
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
    if asked_to_stream and refuses_streaming(message):
        return Lesson(STREAM)
    if refusal.kind != "invalid_request" or refusal.status_code not in (400, 422):
        return None
    if re.search(r"\bdeveloper\b", message) and _ROLE.search(message):
        roles = {turn.get("role") for turn in sent.get("messages", ()) if isinstance(turn, Mapping)}
        return Lesson(DEVELOPER, "system") if "developer" in roles else None
    return _find_option(sent, message, known)


def _find_option(sent: Mapping[str, Any], message: str, known: Iterable[Lesson]) -> Lesson | None:
    """The lesson about the first option of the body that the message refuses."""
    nested = [place for place in NESTED if _holds(sent, place)]
    optional = [*(name for name in sent if name in OPTIONAL), *nested]
    renamed = [name for name in sent if name in OTHER_NAME]
    refused = {name: _how_refused(message, name) for name in (*optional, *renamed)}
    unknown = next((name for name, how in refused.items() if how == "always"), None)
    if unknown is None:
        unwanted = next((name for name in optional if refused[name] == "here"), None)
        return None if unwanted is None else Lesson(unwanted, beside=_others(sent, unwanted))
    other = OTHER_NAME.get(unknown)
    if any(lesson.option == other for lesson in known):
        return None  # a host that refuses both names has nothing more to teach
    return Lesson(unknown, other)


def _how_refused(message: str, option: str) -> Refusal | None:
    """How a message refuses an option, under any of its names. "Always" counts more than "here"."""
    place = NESTED.get(option)
    names = (option,) if place is None else place.names
    found: list[Refusal | None] = [refusal_of(message, name) for name in names]
    return "always" if "always" in found else next((how for how in found if how), None)


def _rename_developer(body: Mapping[str, Any]) -> bool:
    """Make the application's messages the system's; False if there are none."""
    turns = body.get("messages", ())
    found = [message for message in turns if message.get("role") == "developer"]
    for message in found:
        message["role"] = "system"
    return bool(found)


def _others(body: Mapping[str, Any], option: str) -> frozenset[str]:
    return frozenset(body) - {option.partition(".")[0]}


def _holds(body: Mapping[str, Any], option: str) -> bool:
    outer, _, inner = option.partition(".")
    return inner in as_object(body.get(outer))


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
    is_prefilled = messages[-1].get("role") == "assistant"
    is_refused = refusal.kind == "invalid_request"
    return is_prefilled and is_refused and bool(_NO_PREFILL.search(refusal.message))
