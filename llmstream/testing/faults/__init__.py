"""The catalogue of faults, by theme. Each is a function that plays it and a line of what a right client makes of it."""

from llmstream.testing.faults import (  # noqa: F401  # importing a theme fills the catalogue
    body,
    connection,
    content,
    ending,
    frames,
    head,
    refusal,
    wild,
)
from llmstream.testing.faults.catalogue import FAULTS, Fault

__all__ = ["FAULTS", "Fault"]
