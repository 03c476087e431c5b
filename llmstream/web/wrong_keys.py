"""Wrong keys: how many each address has sent of late, and how long it is put off.

The first ten are a 401 each. From then on there is one 401 for each pause, and during the pause a 429 that says when it
ends; pauses grow from one second to a minute. A right key is let in at any time, so nobody can lock out its holder, not
even behind the same address. What makes guessing hopeless is a key's length; pauses spare the server and its log.
A request without any key is always a 401, upon which the chat page asks for one, but it counts, too. So does one by
another name or from a page elsewhere, which is always a 403.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from llmstream.web.connections import client_network
from llmstream.web.errors import RefusedError

FREE: Final = 10
"""Wrong keys without a pause: a client that is set up wrongly, and tries again."""
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
FORGOTTEN: Final = 600.0
"""Seconds without a wrong key after which an address begins again."""
MOST_ADDRESSES: Final = 10_000
"""Remembered; some 3 MB. Beyond them the one that has been quiet longest is forgotten."""

_STRANGER = "This server needs a key, and a valid one."
_PUT_OFF = (
    "Too many requests without a valid key came from this address. A valid one is let in at once."
)


@dataclass(slots=True)
class _Sent:
    """Wrong keys from one address."""

    count: int = 0
    last: float = 0.0
    pause_ends: float = 0.0


class RepeatedRefusal(RefusedError):  # noqa: N818  # a kind of refusal
    """A stranger during a pause. The log has a line for the pause, not one for each."""


class WrongKeys:
    """The wrong keys that one server was sent."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._sent: OrderedDict[str, _Sent] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sent)

    def refusal(self, host: str, reason: str = "", *, has_key: bool = True) -> RefusedError:
        """Count one more from this address: how it is refused. `reason` is for the log."""
        now = self._now()
        sent = self._find(client_network(host), now)
        sent.last = now
        if now >= sent.pause_ends:
            return _stranger(RefusedError, "; ".join(filter(None, (reason, _count(sent, now)))))
        if not has_key:
            return _stranger(RepeatedRefusal)
        # Clients of OpenAI and Anthropic would try a 429 again by themselves.
        headers = {"x-should-retry": "false"}
        wait = sent.pause_ends - now
        return RepeatedRefusal(429, "rate_limit", _PUT_OFF, retry_after=wait, headers=headers)

    def is_repeated(self, host: str, problem: RefusedError) -> bool:
        """Count a stranger who is refused for another reason. True: the log has lines enough of that address."""
        now = self._now()
        sent = self._find(client_network(host), now)
        sent.last = now
        if now < sent.pause_ends:
            return True
        problem.reason = "; ".join(filter(None, (problem.reason, _count(sent, now))))
        return False

    def _find(self, network: str, now: float) -> _Sent:
        """What is known of an address, which is now the newest."""
        sent = self._sent.get(network)
        if sent is None or now - sent.last > FORGOTTEN:
            sent = self._sent[network] = _Sent()
        self._sent.move_to_end(network)
        if len(self._sent) > MOST_ADDRESSES:
            self._sent.popitem(last=False)
        return sent


def _count(sent: _Sent, now: float) -> str:
    """Count one more, and begin a pause if there have been too many, which the log is told."""
    sent.count += 1
    if sent.count < FREE:
        return ""
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(sent.count - FREE, 10))
    sent.pause_ends = now + pause
    return f"{sent.count} of late from there: for {pause:g} s further ones have no line, and wrong keys hear 429"


def _stranger(kind: type[RefusedError], reason: str = "") -> RefusedError:
    headers = {"www-authenticate": "Bearer"}
    return kind(401, "authentication", _STRANGER, headers=headers, reason=reason)
