"""ItemWriter: the words of output items, as events. Which item an event belongs to is `decode.py`'s to find out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from llmstream.events.types import EventType, Status, StreamEvent
from llmstream.messages import File, Source, parse_arguments
from llmstream.parts import dump_part
from llmstream.wire.echo import Echo
from llmstream.wire.event_decoder import Decoder
from llmstream.wire.open_calls import OpenCall, as_name, content_of
from llmstream.wire.openai_responses import members
from llmstream.wire.openai_responses.item_content import ItemContent
from llmstream.wire.openai_responses.item_forms import CALLS, CUSTOM, as_words, filled_items
from llmstream.wire.openai_responses.item_table import Item
from llmstream.wire.openai_responses.items import FORMAT, PICTURE_CALL, PREVIEW, parse_call
from llmstream.wire.openai_responses.values import moved, parse_annotation
from llmstream.wire.speech import Speech

_KINDS = ("reasoning", "text", "refusal")
"""The texts of an item, in the order in which they are told."""


class ItemWriter(Decoder):
    """The half of the decoder that knows items. It tells what wasn't told of them."""

    format = FORMAT

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._speaker: Item | None = None  # the message whose text goes on
        self._phase: str | None = None  # its phase
        self._in_turns = False  # a text went on after another
        self._length = 0  # characters of the text before its stretch
        self._record_size = 0  # characters of its record before its stretch
        self._speech = Speech()
        self._spoken: set[Item | None] = (
            set()
        )  # messages whose speech streams; None: not known whose
        # By type, those of the items that the provider's tools made, and the first piece of each.
        self._tool_items: Counter[str] = Counter()
        self._tool_pieces: defaultdict[str, dict[Any, tuple[str, dict[str, Any]]]] = defaultdict(
            dict
        )
        self._previews: dict[
            str, str
        ] = {}  # the last picture of each that isn't finished, by item id

    # --- texts ---------------------------------------------------------------------------------------------

    def _begin_item(self, state: Item, item: dict[str, Any], read: ItemContent) -> None:
        """What an item has when it begins. Its deltas may tell that again."""
        if read.type in CALLS:
            self._begin_call(state, item)
            state.begun = read.arguments
        for kind in _KINDS:
            whole = getattr(read, kind)
            text = getattr(state, kind)
            if whole and not text:
                self._tell(kind, whole, state)
                text.echo = Echo(whole)
        self._add_files(read.files, state)
        self._add_annotations(self._placed(read, state), state)

    def _end_message(self, state: Item, read: ItemContent) -> None:
        self._learn_phase(state, read.phase)
        if not state.whole:
            return
        for kind in _KINDS:
            whole = getattr(read, kind)
            if whole:
                self._tell(kind, getattr(state, kind).rest(whole) or "", state)
        self._add_files(read.files, state)
        self._add_sounds(read.sounds, state)
        self._add_annotations(self._placed(read, state), state)

    def _learn_phase(self, state: Item, phase: str | None) -> None:
        """The phase of a message, which may come after its text."""
        if not phase or phase == state.phase:
            return
        state.phase = phase
        self._settle_half()
        self._end_stretch()
        if state.spans:
            length = self._length
            phases = [[phase, length - start, length - end] for start, end in state.spans]
            self._opaque(phases=phases, understood=False)
        if state is self._speaker:
            self._phase = phase

    def _add_to_done(self, item: dict[str, Any], state: Item, read: ItemContent) -> None:
        """What a finished item has beyond what it had when it was finished."""
        if read.type == "message":
            self._end_message(state, read)
        elif read.type == "reasoning":
            self._end_reasoning(item, state, read)
        elif state.call is not None and read.type in CALLS:
            self._add_late(state.call, read.arguments)
            self._note_call(state.call, _notes_in(item))

    def _tell(self, kind: str, content: str, state: Item) -> None:
        if kind == "text" and content:
            self._go_on(state)
            self._text(content)
        elif kind == "refusal":
            self._tell_refusal(content, state)
        elif kind == "reasoning":
            self._think(content, state)

    def _tell_refusal(self, content: str, state: Item) -> None:
        if told := self._refusal(content):
            state.refusal.record.chunks.append(told)

    def _go_on(self, state: Item) -> None:
        """The text that follows is this item's."""
        record = state.text.record
        if record is self._record:
            return
        self._end_stretch()
        if record:
            self._in_turns = True
        else:
            record.part = self._texts.begin(state)
            if not state.whole:
                self._texts.end(state)  # nobody will say that it's over
        self._record_text(record)
        self._record_size = record.size
        if state is self._speaker:
            return
        self._speaker = state
        if state.phase or self._phase:
            self._phase = state.phase
            self._opaque(phase=state.phase)

    def _end_stretch(self) -> None:
        """What has come of the text that goes on is its message's."""
        size = self._record.size - self._record_size
        if self._speaker is None or not size:
            return
        start, end = self._length, self._length + size
        spans = self._speaker.spans
        if spans and spans[-1][1] == start:
            start, _ = spans.pop()
        spans.append((start, end))
        self._length, self._record_size = end, self._record_size + size

    def _add_files(self, files: Iterable[File], state: Item) -> None:
        """The files of a part or an item, of which some may have been told."""
        for file in files:
            if (shown := repr(file)) not in state.files:
                state.files.add(shown)
                self._file(file)

    def _add_sounds(self, sounds: Iterable[File], state: Item) -> None:
        """Speech that hasn't streamed."""
        if self._spoken.isdisjoint({state, None}):
            self._add_files(sounds, state)

    def _placed(self, read: ItemContent, state: Item) -> list[tuple[int, Any]]:
        """The annotations of an item, each with the characters of the answer's text before its part."""
        if not read.annotations:
            return []
        start = self._start_of(state)
        return [(start + before, annotation) for before, annotation in read.annotations]

    def _start_of(self, state: Item) -> int:
        """The characters of the answer's text before that of a message."""
        if state.spans:
            return state.spans[0][0]
        return self._length if state is self._speaker else self._text_size()

    def _end_of(self, state: Item) -> int:
        """The characters of the answer's text up to the end of a message's."""
        is_over = state is not self._speaker and bool(state.spans)
        return state.spans[-1][1] if is_over else self._text_size()

    def _text_size(self) -> int:
        """The characters of all text that has come."""
        if self._speaker is None:
            return self._length
        return self._length + self._record.size - self._record_size

    def _add_annotations(self, placed: Iterable[tuple[int, Any]], state: Item) -> None:
        """The citations of a part or an item, of which some may have streamed.

        They come with the characters of the answer's text before their part.
        """
        told = Counter(state.sources)
        for before, annotation in placed if state.whole else ():
            for source in self._sources_in(annotation):
                if told[repr(source)] > 0:
                    told[repr(source)] -= 1
                else:
                    self._cite(source, before, state)

    def _cite(self, source: Source, before: int, state: Item) -> None:
        state.sources[repr(source)] += 1
        placed = moved(source, before)
        if self._in_turns:  # nobody can tell yet which characters of the message these are
            placed = replace(placed, start=None, end=None)
        self._source(placed)

    def _sources_in(self, annotations: Any) -> Iterator[Source]:
        """The sources that annotations name, be they a list or one."""
        for annotation in filled_items(annotations):
            source = parse_annotation(annotation)
            if source is not None:
                yield source
            else:
                kind = f"annotation.{annotation.get('type')}"
                self._unread.note(kind, members.without_names(annotation))

    # --- reasoning -----------------------------------------------------------------------------------------

    def _think(self, content: str, state: Item) -> None:
        if not content:
            return
        text, start = state.reasoning, self._reasoned
        if text.has_gap and text:
            self._reasoning("\n\n")
            text.parts[-1].chunks.append("\n\n")
        text.has_gap = False
        text.record.chunks.append(self._reasoning(content))
        state.thought = (state.thought[0] if state.thought else start, self._reasoned)

    def _end_reasoning(self, item: dict[str, Any], state: Item, read: ItemContent) -> None:
        if state.whole:
            self._think_rest(state, read)
        signature = as_words(item.get("encrypted_content"))
        if not signature or state.signature:
            return  # Copilot encrypts the same anew each time
        state.signature = signature
        id = as_words(item.get("id")) or None
        self._seal(state.thought, signature=signature, id=id)

    def _think_rest(self, state: Item, read: ItemContent) -> None:
        """What streamed as a summary may stand in the item as content, and with or without blank lines."""
        text = state.reasoning
        if not text:
            self._think(read.reasoning, state)
            return
        rests = {form: text.rest(form) for form in read.reasoning_forms}
        form = next((form for form, rest in rests.items() if rest is not None), None)
        if form is None:
            return
        text.has_gap = False
        self._think(rests[form] or "", state)
        for texts in read.untold_reasonings(form):
            text.end_part()
            self._think("\n\n".join(texts), state)

    # --- calls ---------------------------------------------------------------------------------------------

    def _begin_call(self, state: Item, item: dict[str, Any]) -> OpenCall:
        name = as_name(item.get("name"))
        call = state.call
        if call is None:
            id = as_words(item.get("call_id")) or as_words(item.get("id"))
            call = state.call = self._open_call(id, name)
        elif name.startswith(call.name):  # it came late, or in pieces
            call.name = name or call.name
            call.id = call.id or as_words(item.get("call_id")) or as_words(item.get("id"))
        if call.index is None:
            call.freeform = item["type"] == CUSTOM
            self._call_delta(call, "", named=True)
        call.freeform = call.freeform or item["type"] == CUSTOM
        self._note_call(call, _notes_in(item))
        return call

    def _add_arguments(self, call: OpenCall, whole: str) -> None:
        """The arguments as a whole, of which some may have streamed."""
        told = call.arguments
        if (not call.name and whole) or (not call.chunks and parse_arguments(whole)):
            call.forget()  # nothing of it was told: a placeholder, or the end of arguments that began elsewhere
            told = ""
        if whole.startswith(told):
            self._call_delta(call, whole[len(told) :])
        elif call.grows_to(whole):
            self._call_delta(call, whole)
        elif content_of("", call.unquoted(whole)) != content_of("", told):
            self._unread.note("arguments", whole)

    def _add_late(self, call: OpenCall, whole: str) -> None:
        """The arguments of a finished call that had none, if it wasn't told yet."""
        if not parse_arguments(call.arguments) and not call.freeform and call in self._calls:
            self._add_arguments(call, whole)

    def _end_call(self, item: dict[str, Any], state: Item, read: ItemContent) -> None:
        if state.call is not None and not state.call.name:
            state.call.forget()
        call = self._begin_call(state, item)
        self._add_arguments(call, read.arguments)
        # Cut arguments that are no JSON are over, too; those that might be JSON wait for the finish reason.
        call.done = item.get("status") != "incomplete" or (
            not call.freeform and parse_arguments(call.arguments) is None
        )

    def _keep_tool_piece(self, kind: str, payload: dict[str, Any]) -> None:
        """A piece of a tool's call or outcome. Its item has all of it, if that comes."""
        tool, _, rest = kind.split(".")[1].partition("_call_")
        item = f"{tool}_call_output" if rest.startswith("output_") else f"{tool}_call"
        place = payload.get("item_id") or payload.get("output_index")
        self._tool_pieces[item].setdefault(place, (kind, members.without_names(payload)))

    def _note_tool_pieces(self) -> None:
        """The pieces of items that never came. Ids change: they are counted."""
        for item, pieces in self._tool_pieces.items():
            for kind, said in islice(pieces.values(), self._tool_items[item], None):
                self._unread.note(kind, said)

    def _provider_call(self, item: dict[str, Any]) -> None:
        parsed, result, file = parse_call(item)
        call = self._open_call(parsed.id, parsed.name, by_provider=True)
        call.chunks.append(parsed.arguments)
        call.provider_data, call.done = parsed.provider_data, True
        self._flush_calls()
        if result is not None:
            result.tool_call_id = call.id
            self._tool_result(result)
        if file is not None:
            self._file(file)
        if item["type"] == PICTURE_CALL and (file is not None or item.get("status") == "failed"):
            self._forget_preview(item.get("id"))

    def _preview(self, id: Any, data: Any) -> None:
        """A picture that isn't finished. It counts if no finished one comes."""
        shown = self._previews[as_words(id)] = as_words(data)
        if shown:
            picture = File(data=shown)
            picture.media_type = picture.media_type or "image/png"
            told: dict[str, Any] = {"format": FORMAT, "type": PREVIEW, "item_id": as_words(id)}
            told["file"] = dump_part(picture)
            status = Status("preview", "a picture that isn't finished", told)
            self._out.append(StreamEvent(EventType.STATUS, status=status))

    def _forget_preview(self, id: Any) -> None:
        """The picture is finished, or there will be none. An id that isn't known is another one of the first."""
        known = id if id in self._previews else next(iter(self._previews), None)
        self._previews.pop(known or "", None)

    def _add_previews(self) -> None:
        """The pictures that were never finished."""
        for id, data in self._previews.items():
            if data:
                self._file(File(id or None, media_type="image/png", data=data))
        self._previews.clear()


def _notes_in(item: dict[str, Any]) -> dict[str, Any]:
    """What goes back with a call."""
    notes = {name: item[name] for name in ("namespace", "caller") if item.get(name)}
    return {**notes, "type": CUSTOM} if item["type"] == CUSTOM else notes
