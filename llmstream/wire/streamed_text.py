"""StreamedText: one text of an item in all the forms in which servers tell it: deltas, parts, the whole item."""

from __future__ import annotations

from llmstream.wire.echo import Echo
from llmstream.wire.text_record import TextRecord

_MOST = 64
"""Parts that are compared one by one."""


class StreamedText:
    """What has been told of one text, in parts. It says what a part or the whole text adds."""

    __slots__ = ("_told", "echo", "has_gap", "parts")

    def __init__(self) -> None:
        self.parts = [TextRecord()]
        self.has_gap = False
        """A part began or ended since the last words."""
        self.echo: Echo | None = None
        """Of what a beginning told, as long as the deltas may tell it again."""
        self._told: set[int] = set()  # hashes of the parts that were told as a whole

    def __bool__(self) -> bool:
        return bool(self.parts[0])

    @property
    def record(self) -> TextRecord:
        """The record of the part that goes on."""
        return self.parts[-1]

    def end_part(self) -> None:
        """A part begins or ends here, as the server says."""
        self.has_gap = True
        if self.parts[-1]:
            self.parts.append(TextRecord())

    def rest_of_delta(self, delta: str) -> str:
        """What a delta adds: nothing, as long as it repeats what a beginning told."""
        if self.echo is None:
            return delta
        rest = self.echo.rest(delta)
        if rest:
            self.echo = None
        return rest

    def rest(self, whole: str) -> str | None:
        """What a whole text adds; None if another text has streamed."""
        for part in self.parts:
            rest = part.rest(whole)
            if rest is None:
                return None
            whole = rest
        return whole

    def rest_of_part(self, part: str) -> str:
        """What a whole part adds: nothing, if it was told before or if its deltas said something else."""
        if not part or hash(part) in self._told:
            return ""
        self._told.add(hash(part))
        if self.rest(part) == "":
            return ""
        record = self.parts[-1]
        if record:
            return record.rest(part) or ""
        is_told = any(earlier.rest(part) == "" for earlier in self.parts[-_MOST:-1])
        return "" if is_told else part
