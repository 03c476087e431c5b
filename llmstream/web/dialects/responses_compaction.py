"""Compaction: a conversation made short, so that it fits the model again.

A request whose input ends in `compaction_trigger`, and `POST /v1/responses/compact`, are answered with one `compaction`
item. The model writes a summary; the item carries it sealed, as OpenAI's carries its own. In a later input it stands
for what was summarised. Formats: https://platform.openai.com/docs/api-reference/responses/compact, and Codex 0.171.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from llmstream.checks import require
from llmstream.errors import ErrorInfo
from llmstream.events.transcript import Transcript
from llmstream.events.types import EventType, StreamEvent, error, opaque
from llmstream.messages import ChatRequest, Message, TextPart, ToolChoice
from llmstream.web.dialects.provider_data import seal, unseal
from llmstream.wire.openai_responses.items import FORMAT

_KIND = "compaction_trigger"
TRIGGER = {"type": _KIND}
_PROMPT = """\
Summarise this conversation for a model that will go on with it and sees nothing of it but your summary. Say what \
the user asked for, in their words where those matter; what was decided, and why; what was done, and what came of it \
(files, commands, results, errors); and what is left to do. Write the summary and nothing else."""
_PREFIX = "This is a summary of the conversation so far. Go on from it.\n\n"
_ENDS = frozenset({EventType.MESSAGE_START, EventType.ERROR})


def take_trigger(items: Any) -> tuple[Any, bool]:
    """The input without the trigger that it ends in, and whether there was one. Raises ValueError for one elsewhere."""
    if not isinstance(items, list):
        return items, False
    places = [index for index, item in enumerate(items) if _type_of(item) == _KIND]
    if not places:
        return items, False
    first = places[0]
    require(first == len(items) - 1, f"input[{first}]: a {_KIND} must be the last item")
    return items[:-1], True


def with_summaries(items: Any) -> Any:
    """The input with each summary of ours in words; another server's stays as it is.

    Raises ValueError for one that was changed.
    """
    if not isinstance(items, list):
        return items
    return [_in_words(item, f"input[{index}]") for index, item in enumerate(items)]


def _in_words(item: Any, where: str) -> Any:
    sealed = item.get("encrypted_content") if _type_of(item) == "compaction" else None
    kept = unseal(sealed) if isinstance(sealed, str) else None
    if kept is None:
        return item
    summary = kept.get("summary")
    problem = f"{where}.encrypted_content: it was changed since this server made it"
    require(isinstance(summary, str), problem)
    content = [{"type": "input_text", "text": f"{_PREFIX}{summary}"}]
    return {"type": "message", "role": "user", "content": content}


def _type_of(item: Any) -> Any:
    return item.get("type") if isinstance(item, Mapping) else None


def ask_for_summary(request: ChatRequest) -> ChatRequest:
    """The request that has the model write the summary: it calls nothing, and answers in plain words."""
    asked = Message("user", [TextPart(_PROMPT)])
    choice = ToolChoice("none") if request.tools else None
    messages = [*request.messages, asked]
    return replace(request, messages=messages, tool_choice=choice, response_format=None)


class Summary:
    """One answer whose words are the summary: nothing of it leaves but the item that carries it."""

    custom: frozenset[str] = frozenset()

    def __init__(self, response_id: str) -> None:
        self._id = f"cmp_{response_id.partition('_')[2]}"
        self._transcript = Transcript()

    def restore(self, event: StreamEvent) -> Iterator[StreamEvent]:
        """The item before the end, or an ERROR if nothing was written."""
        if event.type in _ENDS:
            yield event
        elif event.type is not EventType.MESSAGE_COMPLETE:
            self._transcript.add(event)
        elif text := self._transcript.message().text.strip():
            sealed = seal({"summary": text})
            item = {"type": "compaction", "id": self._id, "encrypted_content": sealed}
            yield opaque(FORMAT, item=item)
            yield event
        else:
            yield error(ErrorInfo("invalid_output", "The model wrote no summary."))


def user_messages(items: list[Any]) -> list[dict[str, Any]]:
    """The user's messages of an input, as items of an output."""
    users = [
        item for item in items if _type_of(item) in (None, "message") and item.get("role") == "user"
    ]
    return [_as_output(item, index) for index, item in enumerate(users)]


def _as_output(item: Mapping[str, Any], index: int) -> dict[str, Any]:
    content = item.get("content")
    if isinstance(content, str):
        content = [{"type": "input_text", "text": content}]
    id = item.get("id") or f"msg_{index}"
    return {"type": "message", "id": id, "status": "completed", "role": "user", "content": content}
