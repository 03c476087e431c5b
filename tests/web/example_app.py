"""The example that is a chat page in FastAPI, as a module."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from unittest import mock

PATH = Path(__file__).parents[2] / "examples" / "47_chat_page.py"


def load_example():
    """A fresh copy, whose client asks the simulator."""
    spec = spec_from_file_location("chat_page_example", PATH)
    module = module_from_spec(spec)
    with mock.patch.dict("os.environ", {"LLMSTREAM_MODEL": "simulator"}):
        spec.loader.exec_module(module)
    return module
