"""For your own tests: servers and providers that fail as told, a clock that does not make you wait, and checks.

- `FaultServer`: the APIs of all wire formats on the loopback interface, with every fault of `FAULTS` by name. Those of
  the theme `wild` are what real servers send, by public reports; `fault.expected` says what is right.
- `ScriptedProvider`: a provider whose attempts you write down as events; no network.
- `Cassette`: a provider that records real answers, and plays them again without a network.
- `VirtualClock`: waits that end at once, for scripted providers.
- `check_provider`, `check_decoder`: for authors of a provider or a wire format; they raise AssertionError and list
  every rule that is broken.

Nothing here needs a test framework.
"""

from llmstream.testing.cassette import Cassette
from llmstream.testing.clock import VirtualClock
from llmstream.testing.decoders import check_decoder
from llmstream.testing.faults import FAULTS, Fault
from llmstream.testing.providers import check_provider
from llmstream.testing.reply import Received, Reply
from llmstream.testing.scripted_provider import ScriptedProvider
from llmstream.testing.server import FaultServer

__all__ = [
    "FAULTS",
    "Cassette",
    "Fault",
    "FaultServer",
    "Received",
    "Reply",
    "ScriptedProvider",
    "VirtualClock",
    "check_decoder",
    "check_provider",
]
