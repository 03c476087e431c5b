"""The catalogue of faults, by theme. Each is a function that plays it and a line of what a right client makes of it."""

from llmstream.testing.faults import body, connection, content, ending, frames, head, refusal
from llmstream.testing.faults.catalogue import FAULTS, Fault, describe

__all__ = [
    "FAULTS",
    "Fault",
    "body",
    "connection",
    "content",
    "describe",
    "ending",
    "frames",
    "head",
    "refusal",
]
