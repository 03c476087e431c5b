"""Limits: what may be sent to providers, how fast, and what waits while an endpoint is paused or down.

    client = LLMClient("openai:gpt-5-mini", limiter=LocalLimiter(Rate(requests=500, input_tokens=200_000)))

A limiter knows one process. One that shares its state between processes fits the same protocols.
"""

from __future__ import annotations

from llmstream.limits.local import LocalLimiter
from llmstream.limits.protocols import (
    Asking,
    Endpoint,
    Limiter,
    QueuePlace,
    Reservation,
    Time,
    Wait,
)
from llmstream.limits.rate import Rate
from llmstream.limits.spend_limit import SpendLimit

__all__ = [
    "Asking",
    "Endpoint",
    "Limiter",
    "LocalLimiter",
    "QueuePlace",
    "Rate",
    "Reservation",
    "SpendLimit",
    "Time",
    "Wait",
]
