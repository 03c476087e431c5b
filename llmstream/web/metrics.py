"""Metrics of an app for Prometheus, whose page is `GET /metrics`. Needs the extra `metrics`.

    app = create_app(client, access=Access(keys=KeyFile("keys.txt"), metrics=["prometheus"]))

Labels have values from lists of the server's own, so no client can make a new series: the APIs, the models that are
served ("none" for any other name), HTTP statuses and kinds of errors.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from llmstream.errors import ConfigurationError
from llmstream.web.served_request import RequestObserver, ServedRequest

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["Metrics"]

FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable that has prometheus-client share its values among processes, by files in a folder."""
_SECONDS: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0)
"""Upper ends of the ranges of times: a cached answer's first piece to a long thought's."""
_UNNAMED: Final = "none"


class Metrics(RequestObserver):
    """Counts what an app answers, in a `registry` of prometheus-client; None: one of its own.

    Where PROMETHEUS_MULTIPROC_DIR is set, the page is of all processes that share the folder. Raises ConfigurationError
    without prometheus-client.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
        except ImportError as problem:
            raise ConfigurationError(
                f'metrics need the extra "metrics": pip install "llmstream-core[metrics]" ({problem})'
            ) from None
        self._registry = registry or CollectorRegistry()
        self._requests = Counter(
            "llmstream_requests",
            "Requests that were answered or refused.",
            ("api", "model", "status"),
            registry=self._registry,
        )
        self._tokens = Counter(
            "llmstream_tokens",
            "Tokens of prompts and answers, as providers reported them.",
            ("model", "kind"),
            registry=self._registry,
        )
        self._streams = Gauge(
            "llmstream_streams",
            "Answers that are on their way.",
            ("api",),
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._first_piece = Histogram(
            "llmstream_first_piece_seconds",
            "Time from a request to the first piece of its answer.",
            ("model",),
            registry=self._registry,
            buckets=_SECONDS,
        )
        self._errors = Counter(
            "llmstream_upstream_errors",
            "Answers that failed at a provider, after retries and fallbacks.",
            ("model", "kind"),
            registry=self._registry,
        )

    def answer_begin(self, request: ServedRequest) -> None:
        """One more is on its way."""
        self._streams.labels(request.api).inc()

    def end(self, request: ServedRequest) -> None:
        """Count it."""
        model = request.model or _UNNAMED
        self._requests.labels(request.api, model, str(request.status or 0)).inc()
        if request.is_answering:
            self._streams.labels(request.api).dec()
        if request.usage is not None:
            self._count_tokens(model, "input", request.usage.input_tokens)
            self._count_tokens(model, "output", request.usage.output_tokens)
        if request.first_piece is not None:
            self._first_piece.labels(model).observe(request.first_piece - request.began)
        if request.is_upstream and request.error is not None:
            self._errors.labels(model, request.error).inc()

    def render(self) -> tuple[bytes, str]:
        """The page in Prometheus' text format, and its media type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self._shown()), CONTENT_TYPE_LATEST

    def _count_tokens(self, model: str, kind: str, tokens: int | None) -> None:
        # A provider may report anything; a counter takes no less than 0.
        if tokens is not None and tokens > 0:
            self._tokens.labels(model, kind).inc(tokens)

    def _shown(self) -> Any:
        """The registry to render: the own one, or of all processes."""
        if FOLDER not in os.environ:
            return self._registry
        from prometheus_client import CollectorRegistry
        from prometheus_client.multiprocess import MultiProcessCollector

        shared = CollectorRegistry()
        MultiProcessCollector(shared)  # type: ignore[no-untyped-call]  # it has no types
        return shared
