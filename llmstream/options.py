"""The options of a call: the one list that every place is held against.

`LLMClient.chat_completion` spells them in its signature, `CallOptions` and `ChatRequest` as
fields. `llmstream.arguments` checks them by this list, and each wire format renders those that it
has. One test fails where a place lacks an option; docs/options.md is made from the list.

`OF_THE_CALL` are the others: they are about the call, not about the answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["number", "whole number", "flag", "text", "shape"]
"""What a value must be. `llmstream.arguments` has a reader for each option of the kind "shape"."""

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra")
"""The words of `reasoning_effort`, from not at all to the most. No vendor knows all of them."""
LEFT_TO_HOST = "default"
"""Groq's word for the effort that the host chooses. Elsewhere that is said by no word at all."""

_TYPES: dict[str, tuple[type[Any], ...]] = {
    "number": (int, float),
    "whole number": (int,),
    "flag": (bool,),
    "text": (str,),
}


@dataclass(frozen=True, slots=True)
class Option:
    """One option. None always means: the provider decides."""

    name: str
    kind: Kind
    wanted: str
    """What a value must be, in an error's words: "a number from -2 to 2"."""
    meaning: str
    low: float = -math.inf
    high: float = math.inf
    words: tuple[str, ...] = ()
    """The words that a text may be; none: any."""
    droppable: bool = False
    """Whether a host that refuses the option is asked again without it: it only tunes an answer."""

    def check(self, value: Any) -> Any:
        """`value`, if it is None or fits. Raises TypeError or ValueError that names the option."""
        if value is None or self.kind == "shape":
            return value
        if not self._has_type(value):
            is_bounded = self.low > -math.inf
            raise (ValueError if is_bounded else TypeError)(self._problem(value))
        if self.kind in ("number", "whole number") and not self._is_in_range(value):
            raise ValueError(self._problem(value))
        if self.words and value not in self.words:
            raise ValueError(self._problem(value))
        return value

    def _problem(self, value: Any) -> str:
        return f"{self.name} must be {self.wanted}, not {value!r}"

    def _has_type(self, value: Any) -> bool:
        if isinstance(value, bool):  # it is an int to Python, but True isn't a number
            return self.kind == "flag"
        return isinstance(value, _TYPES[self.kind])

    def _is_in_range(self, value: float) -> bool:
        return abs(value) < math.inf and self.low <= value <= self.high


OPTIONS = (
    Option("tools", "shape", "a list of tools", "What the model may call."),
    Option(
        "tool_choice",
        "shape",
        "'auto', 'none', 'required' or a tool's name in a dict",
        "Whether it must call one, and which.",
    ),
    Option(
        "parallel_tool_calls",
        "flag",
        "True or False",
        "Whether one answer may hold several calls.",
        droppable=True,
    ),
    Option(
        "response_format",
        "shape",
        "a JSON schema, or a dict as OpenAI takes it",
        "JSON as the answer, of any shape or by a schema.",
    ),
    Option(
        "temperature",
        "number",
        "a number",
        "How freely the next word is chosen; 0: hardly.",
        droppable=True,
    ),
    Option(
        "top_p",
        "number",
        "a number",
        "Only the likeliest words, up to this share of the probability.",
        droppable=True,
    ),
    Option(
        "top_k",
        "whole number",
        "a whole number from -1 on",
        "Only the k likeliest words; 0 or -1: all of them.",
        low=-1,
        droppable=True,
    ),
    Option(
        "frequency_penalty",
        "number",
        "a number from -2 to 2",
        "Above 0: fewer repetitions, the more often a word has come.",
        low=-2,
        high=2,
        droppable=True,
    ),
    Option(
        "presence_penalty",
        "number",
        "a number from -2 to 2",
        "Above 0: fewer words that have come at all.",
        low=-2,
        high=2,
        droppable=True,
    ),
    Option(
        "max_tokens",
        "whole number",
        "a positive whole number",
        "The longest answer, reasoning included.",
        low=1,
    ),
    Option(
        "stop", "shape", "a non-empty string, or a list of them", "Strings that end the answer."
    ),
    Option(
        "seed",
        "whole number",
        "a whole number",
        "The same seed gives the same answer, as far as the host can.",
        droppable=True,
    ),
    Option(
        "reasoning_effort",
        "text",
        f"one of {', '.join(map(repr, (*EFFORTS, LEFT_TO_HOST)))}",
        "How long the model thinks; 'none': not at all. A host that lacks the word gets the nearest.",
        words=(*EFFORTS, LEFT_TO_HOST),
        droppable=True,
    ),
    Option(
        "verbosity",
        "text",
        "a string such as 'low'",
        "How long the answer is: 'low', 'medium', 'high'.",
        droppable=True,
    ),
    Option(
        "service_tier",
        "text",
        "a string such as 'flex'",
        "How fast and at what price: 'auto', 'default', 'flex', 'priority', or the host's own word.",
        droppable=True,
    ),
    Option(
        "metadata",
        "shape",
        "a mapping of strings to strings",
        "Labels that the provider keeps.",
        droppable=True,
    ),
    Option(
        "provider_options",
        "shape",
        "a mapping keyed by provider",
        "Fields of the provider's own body, merged last.",
    ),
)

NAMES = tuple(option.name for option in OPTIONS)
BY_NAME = {option.name: option for option in OPTIONS}
OF_THE_CALL = ("timeouts", "headers", "fallbacks")

_SEVERAL = "one call for each answer"
_RAW = 'provider_options={"openai": {…}}, keyed by the provider'
INSTEAD = {
    "max_completion_tokens": "max_tokens=…",
    "max_output_tokens": "max_tokens=…",
    "max_new_tokens": "max_tokens=…",
    "user": 'metadata={"user_id": …}, or provider_options={"openai": {"user": …}}',
    "timeout": "timeouts=Timeouts(total=…), in seconds",
    "max_retries": "retry=RetryPolicy(max_attempts=…) of LLMClient, which counts the first try",
    "retry": "retry=RetryPolicy(…) of LLMClient",
    "fallback_on": "fallback_on={…} of LLMClient",
    "extra_body": _RAW,
    "extra_headers": "headers={…}",
    "default_headers": "headers={…}",
    "extra_query": "the query in LLMClient(base_url=…)",
    "api_key": "api_key=… of LLMClient",
    "base_url": "base_url=… of LLMClient",
    "functions": "tools=[…]",
    "function_call": "tool_choice=…",
    "stop_sequences": "stop=[…]",
    "system": 'a first message {"role": "system", "content": …}',
    "instructions": 'a first message {"role": "system", "content": …}',
    "input": "messages=[…]",
    "prompt": "messages=[…]",
    "reasoning": "reasoning_effort=…",
    "thinking": 'reasoning_effort=…, or provider_options={"anthropic": {"thinking": {…}}}',
    "response_model": "llmstream.structured.parse(…)",
    "n": _SEVERAL,
    "organization": 'headers={"OpenAI-Organization": …} of LLMClient',
    "project": 'headers={"OpenAI-Project": …} of LLMClient',
    "http_client": "transport=…, or sdk_client=… of LLMClient",
}
"""Names that vendors' SDKs have for what is said otherwise here."""


def unknown_option(name: str) -> str:
    """The words of an error for an option that doesn't exist, with the one to write instead."""
    told = f"there is no option {name!r}; "
    if name in INSTEAD:
        return f"{told}write {INSTEAD[name]}"
    close = get_close_matches(name, (*NAMES, *OF_THE_CALL), 1, 0.75)
    if close:
        return f"{told}did you mean {close[0]!r}?"
    return f"{told}known: {', '.join(NAMES)}. A field of a provider's own body goes into {_RAW}"


def unknown_argument(name: str, parameters: Iterable[str]) -> str:
    """The words of an error for an argument that LLMClient doesn't have. `parameters` are those that it has."""
    told = f"LLMClient has no {name!r}"
    if name in NAMES:
        return f"{told}: it is an option of a call, chat_completion(messages, {name}=…)"
    if name in INSTEAD:
        return f"{told}; write {INSTEAD[name]}"
    known = [each for each in parameters if each != "unknown"]
    close = get_close_matches(name, known, 1)
    return f"{told}; did you mean {close[0]!r}?" if close else f"{told}; known: {', '.join(known)}"
