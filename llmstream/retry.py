"""When to try again, and how long to wait first: pure, so that it can be tested without a clock.

The policy decides; `LLMClient` waits. Delays follow "full jitter"
(https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from llmstream.errors import ErrorInfo


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a call is tried. Attempts count the first try; delays are in seconds."""

    max_attempts: int = 3
    base_delay: float = 0.5
    max_delay: float = 8.0
    max_retry_after: float = 60.0
    """The longest wait taken from a server; one that asks for more fails at once, with `retry_after` on the error."""

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValueError("max_attempts counts the first try: it must be at least 1")
        if min(self.base_delay, self.max_delay, self.max_retry_after) < 0:
            raise ValueError("delays must not be negative")

    def delay(self, attempts: int, error: ErrorInfo, rng: Random, *, left: float | None = None) -> float | None:
        """Seconds to wait after `attempts` tries that ended in `error`; None: give up.

        `left` is what remains of the call's total time. The server's own delay is honoured, plus up to a tenth
        (at most a second), so that clients told the same do not come back together.
        """
        if not error.retryable or attempts >= self.max_attempts:
            return None
        if error.retry_after is not None:
            if error.retry_after > self.max_retry_after:
                return None
            delay = error.retry_after + rng.uniform(0, min(1.0, error.retry_after / 10))
        else:
            delay = rng.uniform(0, min(self.max_delay, self.base_delay * 2 ** min(attempts - 1, 30)))
        return None if left is not None and delay >= left else delay
