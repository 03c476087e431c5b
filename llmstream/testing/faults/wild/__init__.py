"""In the wild: what servers send, by the public reports of 2025 and 2026; docs/conformance.md has the kinds."""

from llmstream.testing.faults.wild import (  # noqa: F401  # importing them fills the catalogue
    calls,
    ends,
    frames,
    places,
    refusals,
    repetition,
    responses,
    usage,
)
