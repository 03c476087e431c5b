"""OpenCall: a tool call whose arguments are still coming."""

from __future__ import annotations

from typing import Any

from llmstream.messages import ToolCall, parse_arguments


class OpenCall:
    """A tool call that is still being written, or that waits for the calls before it."""

    __slots__ = (
        "_looked_at",
        "chunks",
        "done",
        "executed_by",
        "freeform",
        "id",
        "index",
        "name",
        "provider_data",
        "size",
    )

    def __init__(self, index: int, id: str, name: str) -> None:
        self.index = index
        self.id = id
        self.name = name
        self.chunks: list[str] = []
        self.size = 0
        """Characters of all chunks."""
        self.done = False
        """The provider said that the arguments are all there."""
        self.freeform = False
        """The arguments are any text, not JSON: whole when `done`."""
        self.executed_by: Any = "caller"
        self.provider_data: dict[str, Any] | None = None
        self._looked_at = 0  # the size at which the arguments were last found incomplete

    def is_whole(self) -> bool:
        """Whether the arguments are surely all there. If not, more may come, even after another call began.

        Arguments are parsed again only when they have doubled, so that all looks together take linear time.
        """
        if self.done:
            return True
        if self.size < 2 * self._looked_at:
            return False
        if not self.freeform and self._parse() is not None:
            return True
        self._looked_at = self.size
        return False

    def finish(self, *, cut: bool) -> ToolCall:
        """The call as it is now. `cut`: empty arguments are missing, rather than none."""
        arguments = "".join(self.chunks)
        parsed = parse_arguments(arguments)
        if self.freeform:
            whole = self.done
        else:
            missing = cut and not arguments.strip()
            whole = parsed is not None and not missing
        return ToolCall(
            self.id,
            self.name,
            arguments,
            input=parsed if whole else None,
            complete=whole,
            executed_by=self.executed_by,
            provider_data=self.provider_data,
        )

    def _parse(self) -> dict[str, Any] | None:
        """The arguments as an object; None for none, and for blank ones."""
        arguments = "".join(self.chunks)
        return parse_arguments(arguments) if arguments.strip() else None
