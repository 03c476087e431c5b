"""The sentences in which real hosts refuse an option, as patterns. Each has an example, which a test holds it against.

`OPTION` stands for the option's name, `THING` for "parameter" and the like, `TAKEN` for "supported" and the like. The
option has to stand beside the refusing words: a text that only mentions it teaches nothing, nor does a list of what is
allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

Refusal = Literal["always", "here"]
"""The host doesn't know the option at all; or it takes none beside the other options of this request."""

_THING = r"(?:request )?(?:parameter|argument|field|property|option|key|keyword|name|input)s?"
_TAKEN = r"(?:supported|permitted|allowed|accepted|recogni[sz]ed)"
_NOT = r"(?:can ?not|can'?t|may not|must not|should not)"


@dataclass(frozen=True, slots=True)
class Phrase:
    """One way to say it."""

    example: str
    """With `seed` as the option, or about streaming."""
    pattern: str


ALWAYS = (
    Phrase(
        "Unrecognized request argument supplied: seed",
        r"(?:unsupported|unknown|unrecogni[sz]ed|unexpected|invalid|extra) THING(?: supplied)?\W+OPTION\W",
    ),
    Phrase(
        "Parameter 'seed' is not supported with this model.",
        r"(?<!with )(?<!and )(?<!or )OPTION\W{0,2}(?: THING)? (?:is|are) (?:not TAKEN|unTAKEN|unknown)",
    ),
    Phrase(
        "This model does not support the parameter seed.",
        r"(?:does ?n[o']t|can ?not) (?:support|accept|allow|recogni[sz]e)(?: the)?(?: THING)?\W+OPTION\W",
    ),
    Phrase(
        "Unsupported value: 'seed' does not support 7. Only the default is supported.",
        r"unsupported value\W+OPTION\W.{0,200}only the default",
    ),
    Phrase(
        "{'type': 'extra_forbidden', 'loc': ['body', 'seed']}",
        r"extra_forbidden\W+loc\W+(?:body\W+)?OPTION\W",
    ),
    Phrase(
        "Extra inputs are not permitted, field: 'seed'",
        r"extra inputs are not permitted\W+(?:field\W+)?OPTION\W",
    ),
    Phrase(
        "seed: Extra inputs are not permitted",
        r"(?<!\.)(?:body\.)?OPTION\W+extra inputs are not permitted",
    ),
    Phrase("`seed` is deprecated for this model.", r"OPTION\W{0,2} is deprecated for this model"),
    Phrase("seed is not enabled for models/gemini-x.", r"OPTION\W{0,2} is not enabled for "),
)
HERE = (
    Phrase(
        "The 'seed' parameter is only allowed when 'store' is enabled.",
        r"(?<!with )(?<!and )(?<!or )OPTION\W{0,2}(?: THING)? (?:is|are) only "
        r"(?:TAKEN|valid|available) (?:when|if|with)",
    ),
    Phrase(
        "`seed` may only be set to 1 when thinking is enabled.",
        r"OPTION\W{0,2}(?: THING)? (?:may|can) only be (?:set|used|specified)\b.{0,60}? (?:when|if|with|while) ",
    ),
    Phrase(
        "seed is not supported when reasoning is enabled",
        r"(?<!with )(?<!and )(?<!or )OPTION\W{0,2}(?: THING)? (?:is|are) (?:not TAKEN|unTAKEN) "
        r"(?:when|while|if|unless|with|together with|in combination with) ",
    ),
    Phrase(
        "`seed` must be greater than 0 or unset when thinking is enabled.",
        r"OPTION\W{0,2}(?: THING)? must be (?:.{1,60}? or )?unset (?:when|while|if|unless|with) ",
    ),
    Phrase(
        "The 'seed' parameter requires 'store' to be enabled.",
        r"(?<!with )(?<!and )(?<!or )OPTION\W{0,2}(?: THING)? requires \W?[\w.]{1,40}\W{1,2}to be "
        r"(?:set|enabled|true|specified|provided|present|on)\b",
    ),
    Phrase(
        "You cannot use 'seed' with 'thinking'",
        rf"{_NOT} (?:use|combine|set|specify|pass|send)(?: the)?(?: THING)? \W?OPTION\W{{0,2}}(?: THING)? "
        r"(?:together )?(?:with|when|while|if|unless|alongside) ",
    ),
    Phrase(
        "Only one of `temperature` and `seed` may be specified",
        r"only one of .{1,80}?(?:and|or) \W?OPTION\W{0,2} (?:may|can|should|must) be ",
    ),
    Phrase(
        "'seed' cannot be used with 'thinking'",
        rf"OPTION\W{{0,2}}(?: THING)? {_NOT} be (?:used|set|specified|combined|provided)(?: together)? "
        r"(?:when|while|if|unless|with|alongside) ",
    ),
    Phrase(
        "seed is incompatible with extended thinking",
        r"OPTION\W{0,2}(?: THING)? (?:is|are) (?:incompatible|not compatible) with ",
    ),
    Phrase(
        "`temperature` and `seed` cannot both be specified for this model.",
        rf"\w\W{{1,2}}and \W?OPTION\W{{0,2}} (?:{_NOT} (?:both )?be|are not TAKEN) "
        r"(?:specified|set|used|together)",
    ),
    Phrase(
        "temperature and seed are mutually exclusive",
        r"and \W?OPTION\W{0,2} are mutually exclusive",
    ),
)
"""Said of the request as it stands. Leaving the option out mends it; of two that exclude each other, the second."""
STREAMING = (
    Phrase(
        "Streaming responses are currently not available",
        r"stream(ing)?\b\W+((mode|responses?|output|requests?|true)\W+)?((is|are)\W+)?(currently\W+)?"
        r"(disabled|(not|un)\W?(supported|available|allowed|implemented|enabled))",
    ),
    Phrase("This model doesn't support streaming", r"does ?n[o'](t| t) support stream"),
    Phrase(
        "Unsupported value: 'stream' does not support true with this model.",
        r"stream\b\W+does ?n[o'](t| t) support true",
    ),
    Phrase("stream must be set to false", r"stream\b\W+must be\W+(set to\W+)?false"),
    Phrase("This endpoint only supports non-streaming requests", r"only (supports? )?non-?stream"),
    Phrase(
        "Tool calling is not supported in streaming mode",
        r"(not|un)\W?supported (for|in|with|when|while) (the )?stream(ing)?\b",
    ),
    Phrase("Your organization must be verified to stream", r"must be verified to stream\b"),
)
"""The host, or the model, doesn't stream."""

_STREAMING = tuple(re.compile(form.pattern, re.I) for form in STREAMING)
_CONDITIONAL = re.compile(
    r"\b(together|both|combin\w+|when|while|unless|must be|at most|at least|up to|limit|less than|max\w* \w*of)\b",
    re.I,
)
"""The host knows the option, but not so, or not here."""
_BOUNDED = re.compile(r"\b(at most|at least|up to|limit|less than|max\w* \w*of|between)\b", re.I)
"""The value is wrong, which is for the caller to mend."""
# "Only the default is supported" is a sentence of its own, and belongs to the one before.
_SENTENCE_END = re.compile(r"(?<=[.;!?])\s+(?!Only the default)")


def refuses_streaming(message: str) -> bool:
    """Whether a message says that nothing is streamed here."""
    found = any(pattern.search(message) for pattern in _STREAMING)
    return found or refusal_of(message, "stream") == "always"


def refusal_of(message: str, option: str) -> Refusal | None:
    """How a message refuses the option; None: it doesn't."""
    sentences = [f"{sentence} " for sentence in _SENTENCE_END.split(f"{message} ")]
    if any(_is_unknown(sentence, option) for sentence in sentences):
        return "always"
    if any(_is_unwanted_here(sentence, option) for sentence in sentences):
        return "here"
    return None


def _is_unknown(sentence: str, option: str) -> bool:
    if _CONDITIONAL.search(sentence):
        return False
    return any(pattern.search(sentence) for pattern in _patterns(ALWAYS, option))


def _is_unwanted_here(sentence: str, option: str) -> bool:
    if _BOUNDED.search(sentence):
        return False
    return any(pattern.search(sentence) for pattern in _patterns(HERE, option))


@cache
def _patterns(forms: tuple[Phrase, ...], option: str) -> tuple[re.Pattern[str], ...]:
    return tuple(_compiled(forms, option))


def _compiled(forms: tuple[Phrase, ...], option: str) -> Iterator[re.Pattern[str]]:
    words = re.escape(option).replace("_", "[_ ]?")  # some hosts say reasoningEffort
    for form in forms:
        pattern = form.pattern.replace("THING", _THING).replace("TAKEN", _TAKEN)
        yield re.compile(pattern.replace("OPTION", rf"\b{words}\b"), re.I | re.S)
