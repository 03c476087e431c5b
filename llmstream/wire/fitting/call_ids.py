"""Call ids that a target takes."""

from __future__ import annotations

from base64 import b32encode
from hashlib import sha256
from itertools import count

from llmstream.wire.fitting.rules import IdRule


class CallIds:
    """Gives each call of one history an id that fits, in the order of the calls.

    An id that fits stays as it is. Any other becomes a hash of itself: the same one in every request. The second call
    under one id becomes a hash too, so no two calls share an id.
    """

    def __init__(self, rule: IdRule) -> None:
        self._rule = rule
        self._uses: dict[str, int] = {}
        self._taken: set[str] = set()

    def take(self, id: str) -> str:
        """The id for the next call."""
        earlier = self._uses.get(id, 0)
        self._uses[id] = earlier + 1
        fits = self._rule.pattern.fullmatch(id) is not None
        if earlier or not fits or id in self._taken:
            id = self._make(id, earlier)
        self._taken.add(id)
        return id

    def _make(self, id: str, earlier: int) -> str:
        rule = self._rule
        for attempt in count():
            digest = sha256(f"{id}\0{earlier}\0{attempt}".encode(errors="surrogatepass")).digest()
            letters = b32encode(digest).decode().lower()
            made = rule.prefix + letters[: rule.length]
            if made not in self._taken:
                return made
        raise AssertionError  # pragma: no cover  # count() doesn't end
