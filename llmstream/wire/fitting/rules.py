"""The rules of a target for histories: data, with a source for each rule."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, StrEnum

from llmstream.wire.part_rules import PartRules
from llmstream.wire.reasoning import Owed


@dataclass(frozen=True, slots=True)
class IdRule:
    """Which call ids a target takes, and what an id that doesn't fit becomes."""

    said: str
    """The rule in words."""
    pattern: re.Pattern[str]
    prefix: str = "call_"
    """What an id of ours begins with."""
    length: int = 24
    """How many letters and digits follow the prefix."""

    def __str__(self) -> str:
        return self.said


ANY_ID = IdRule("any", re.compile(r"(?s).{1,512}"))
"""Nobody documents a bound. An empty id can't be answered anywhere."""
ID_OF_40 = IdRule("at most 40 characters", re.compile(r"(?s).{1,40}"))
"""OpenAI's chat completions: 400 `string_above_max_length` beyond 40 (newer models: 64)."""
ID_OF_64 = IdRule("at most 64 characters", re.compile(r"(?s).{1,64}"))
"""OpenAI Responses: `call_id` has 1 to 64 characters (platform.openai.com/docs/api-reference/responses/create)."""
ANTHROPIC_ID = IdRule(
    "at most 64 letters, digits, _ and -", re.compile(r"[a-zA-Z0-9_-]{1,64}"), prefix="toolu_"
)
"""Anthropic: 400 `tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'`. The length is our own bound."""
BEDROCK_ID = IdRule(
    "at most 64 letters, digits and _.:-", re.compile(r"[a-zA-Z0-9_.:-]{1,64}"), prefix="tooluse_"
)
"""Amazon: botocore ToolUseId."""
MISTRAL_ID = IdRule("nine letters and digits", re.compile(r"[a-zA-Z0-9]{9}"), prefix="", length=9)
"""Mistral: 400 `Tool call id was … but must be a-z, A-Z, 0-9, with a length of 9`."""


class SystemPlace(StrEnum):
    """Where a target takes system messages."""

    ANYWHERE = "anywhere"
    """Each stays where it stands."""
    FRONT = "front"
    """One message, the first. The templates of Qwen and others raise for any other."""
    ABOVE = "above"
    """Apart from the turns; those amid the turns are moved there."""
    AFTER_USER = "after_user"
    """The first ones apart from the turns; later ones behind a user's turn, one for each turn.

    platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages: it follows a user turn, and is
    followed by an assistant's turn or by nothing.
    """


class Blank(Enum):
    """Which texts a target doesn't take."""

    EMPTY = "empty"
    """Those without any character."""
    SPACE = "space"
    """Those of white space alone, too: Anthropic's 400 `text content blocks must contain non-whitespace text`."""


@dataclass(slots=True, kw_only=True)
class HistoryRules:
    """What one target takes."""

    format: str
    label: str
    """What warnings call the target."""
    host: str
    """The name of the provider. What another provider signed doesn't go to it, though the format is the same."""
    model: str
    ids: IdRule
    system: SystemPlace = SystemPlace.ANYWHERE
    system_files: bool = False
    """Whether a system message may show pictures and files; else they are the user's.

    OpenAI's chat: 400 `Image URLs are only allowed for messages with role 'user'`. The types of Anthropic, Bedrock and
    Cohere have text alone there, and so has Google's `systemInstruction` by its documentation.
    """
    user_first: bool = False
    """Whether a user's message must be the first beside the system's.

    Anthropic: 400 `messages: first message must use the "user" role`. Gemini: 400 `Please ensure that function call
    turn comes immediately after a user turn`. Templates of Gemma, Llama 2 and Mistral raise `Conversation roles must
    alternate user/assistant/user/assistant/...`.
    """
    blank: Blank = Blank.EMPTY
    unsigned_reasoning: bool = False
    """Whether reasoning that nobody signed goes back."""
    own_reasoning: bool = False
    """Whether unsigned reasoning goes back to the provider alone that wrote it: the target owes it to nobody."""
    signed_reasoning: bool = False
    """Whether reasoning goes back that this format and this host signed."""
    shared_signatures: re.Pattern[str] | None = None
    """Models whose signatures hold wherever the format is spoken, and at which no others do."""
    owed: Owed | None = None
    """Which of the assistant's messages must have unsigned reasoning, even if it is blank."""
    reasoning_leads: bool = False
    """Whether reasoning at the end of an assistant's message is refused.

    Anthropic: 400 `The final block in an assistant message cannot be thinking`. Responses: see `reasoning_pairs`.
    """
    reasoning_pairs: bool = False
    """Whether each piece of reasoning needs another item behind it.

    Responses: 400 `Item 'rs_…' of type 'reasoning' was provided without its required following item`.
    """
    freeform_calls: bool = True
    """Whether a call's arguments may be any text, where this format made it so."""
    hosted_calls: bool = True
    """Whether the format has a place for calls that the provider ran, and for their results."""
    call_data: bool = True
    """Whether what this format's hosts add to a call goes back, to the host that added it."""
    assistant_files: bool = False
    """Whether files that the provider's own tools made are in the items of those tools already."""
    returned_files: bool = False
    """Whether files that the target itself made go back to it. Gemini goes on with its pictures so."""
    parts: PartRules
    """The images and files that it takes."""
    trims_last_text: bool = False
    """Whether an assistant's last text may not end with white space (Claude before 4.6)."""
    keeps_orphans: bool = False
    """Whether results without a call go along: the server has the calls (Responses' `previous_response_id`)."""


def is_same_host(rules: HistoryRules, provider: str | None, model: str | None) -> bool:
    """Whether what this provider and model signed may go to the target. A dict says neither: then it may."""
    shared = rules.shared_signatures
    if shared is not None and model is not None:
        made_it = shared.search(model.lower()) is not None
        takes_it = shared.search(rules.model.lower()) is not None
        if made_it or takes_it:
            return made_it and takes_it
    return provider in (None, rules.host)
