"""Words for how long a model thinks: which of them each model knows, and the nearest where it lacks one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from llmstream.options import EFFORTS, LEFT_TO_HOST

Words = tuple[str, ...] | Mapping[str, str]
"""The words that are taken; or for each word of ours the one that is sent."""

_NONE = EFFORTS[0]
_RANK = {word: rank for rank, word in enumerate(EFFORTS)}
COMMON: Words = ("none", "low", "medium", "high")
"""What most hosts of the compatible family know."""


@dataclass(frozen=True, slots=True)
class ModelWords:
    """The words that the models of one family know, wherever they are served."""

    models: str
    """A pattern, searched in the model's name in lower case."""
    words: Words
    whom: str
    """The models, for people: docs/options.md lists them."""
    source: str


_OPENAI = "openai.types.shared.ReasoningEffort and developers.openai.com/api/docs/guides/reasoning"
_CODEX = "openai/codex models.json: the codex models think always"
_CLAUDE = "platform.claude.com/docs/en/build-with-claude/effort"
TABLE = (
    ModelWords(
        r"(^|[/:.])(gpt-3|gpt-4|chatgpt-)|\bgpt-5-chat",
        (),
        "gpt-3.5, gpt-4 and their like, gpt-5-chat: they don't reason",
        "400 `Unsupported parameter: 'reasoning.effort' is not supported with this model`",
    ),
    ModelWords(r"(^|[/:])o\d+(-|$)", ("low", "medium", "high"), "OpenAI o-series", _OPENAI),
    ModelWords(
        r"\bgpt-oss",
        ("low", "medium", "high"),
        "gpt-oss",
        "openai/gpt-oss README, reasoning levels",
    ),
    ModelWords(r"\bgpt-5-pro", ("high",), "gpt-5-pro", _OPENAI),
    ModelWords(r"\bgpt-5\.\d+-pro", ("medium", "high", "xhigh"), "gpt-5.x-pro", _OPENAI),
    ModelWords(
        r"\bgpt-5(\.1)?-codex(?!-max)",
        ("low", "medium", "high"),
        "gpt-5-codex, gpt-5.1-codex",
        _CODEX,
    ),
    ModelWords(
        r"\bgpt-5\.[1-5]-codex",
        ("low", "medium", "high", "xhigh"),
        "gpt-5.1-codex-max, gpt-5.2-codex and later",
        _CODEX,
    ),
    ModelWords(
        r"\bgpt-5(?!\.|-chat)", ("minimal", "low", "medium", "high"), "gpt-5, -mini, -nano", _OPENAI
    ),
    ModelWords(r"\bgpt-5\.1(?!\d)", ("none", "low", "medium", "high"), "gpt-5.1", _OPENAI),
    ModelWords(
        r"\bgpt-5\.[2-5](?!\d)",
        ("none", "low", "medium", "high", "xhigh"),
        "gpt-5.2 to 5.5",
        _OPENAI,
    ),
    ModelWords(
        r"\bgpt-(5\.|[6-9])",
        ("none", "low", "medium", "high", "xhigh", "max"),
        "gpt-5.6 and later",
        "the API's list of gpt-5.6's options (anomalyco/opencode#36141)",
    ),
    ModelWords(
        r"claude-[a-z-]{0,20}4[.-]6(?!\d)",
        ("none", "low", "medium", "high", "max"),
        "Claude 4.6",
        _CLAUDE,
    ),
    ModelWords(
        r"claude",
        ("none", "low", "medium", "high", "xhigh", "max"),
        "Claude 4.7 and later",
        _CLAUDE,
    ),
)
_PATTERNS = tuple((re.compile(row.models), row.words) for row in TABLE)


def words_of(model: str) -> Words | None:
    """The words that a model knows; None: its name doesn't tell."""
    name = model.lower()
    return next((words for pattern, words in _PATTERNS if pattern.search(name)), None)


def fit_effort(effort: str, known: Words | None, where: str, warnings: list[str]) -> str | None:
    """The word to send, with a warning if it is another one. None: leave the option out.

    `known`: None, if nobody can tell; then the word goes as it is.
    """
    if known is None or effort in known:
        return known[effort] if isinstance(known, Mapping) else effort
    if effort == LEFT_TO_HOST or (effort == _NONE and not known):
        return None
    if not known:
        warnings.append(f"reasoning_effort: {where} doesn't reason; dropped")
        return None
    fitting = _nearest(effort, known)
    warnings.append(f"reasoning_effort: {where} has no {effort!r}; sent as {fitting!r}")
    return fitting


def _nearest(effort: str, known: Words) -> str:
    """The known word that is nearest; of two that are as near, the one that thinks less.

    A model that should think is never told not to.
    """
    candidates = [word for word in known if word in _RANK]
    if effort != _NONE:
        candidates = [word for word in candidates if word != _NONE]
    return min(candidates, key=lambda word: (abs(_RANK[word] - _RANK[effort]), _RANK[word]))
