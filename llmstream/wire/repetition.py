"""Retelling: arguments of which a piece tells again all before it. Some servers send every piece so."""

from __future__ import annotations

from llmstream.messages import parse_arguments


class Retelling:
    """What follows such a piece. It may also be the next piece, in which the same words stand by chance.

    Both can't be JSON, so the end tells which it was: objects may hold objects that begin as they do.
    """

    __slots__ = ("_is_whole", "_latest", "_pieces", "_size", "_told")

    def __init__(self, told: str, piece: str) -> None:
        self._told = told
        self._pieces = [piece]
        self._latest = [piece]  # all of the arguments, if pieces are told again
        self._size = len(piece)
        self._is_whole = True  # no piece was without what came before it

    def is_told_by(self, piece: str) -> bool:
        """Whether a piece begins with all that came."""
        return len(piece) >= self._size and piece.startswith("".join(self._latest))

    def add(self, piece: str) -> None:
        """The next piece."""
        self._pieces.append(piece)
        if self.is_told_by(piece):
            self._latest, self._size = [piece], len(piece)
        else:
            self._latest.append(piece)
            self._size += len(piece)
            self._is_whole = False

    def rest(self) -> str:
        """What the arguments are beyond those that were told before."""
        joined = "".join(self._pieces)
        if parse_arguments(self._told + joined) is not None:
            return joined
        latest = "".join(self._latest)
        is_latest = self._is_whole or parse_arguments(latest) is not None
        return latest[len(self._told) :] if is_latest else joined
