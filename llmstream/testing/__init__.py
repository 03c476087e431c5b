"""For your own tests: providers that do what you say, and a clock that does not make you wait."""

from llmstream.testing.clock import VirtualClock
from llmstream.testing.scripted import ScriptedProvider

__all__ = ["ScriptedProvider", "VirtualClock"]
