"""by_similarity: compare a request with examples, by the embeddings that a function of yours gives."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import mul
from typing import Any, Generic, TypeAlias

from llmstream.checks import require, require_list
from llmstream.errors import ConfigurationError
from llmstream.router.decision import Decision, Strategy
from llmstream.router.routes import R, Routes
from llmstream.thread import in_thread

Embed: TypeAlias = Callable[[Sequence[str]], Awaitable[Iterable[Iterable[float]]]]
"""A vector for each text, in their order, all of one length."""

_EQUAL = 1e-9  # cosines that differ by less are a tie: rounding alone makes them differ


def by_similarity(
    embed: Embed, examples: Mapping[R, Sequence[str]], *, threshold: float = 0.75
) -> Strategy[R]:
    """A strategy: the route with the example most like the request, by the cosine of their embeddings.

    No decision below `threshold` (above 0, at most 1; it depends on the embedding model), for a tie between routes, or
    for a text whose vector is zero. `embed` is an async function such as a call of an embeddings API. The examples are
    embedded once, with the first request; if that fails it is tried again with the next. The comparison runs in a
    thread.

    Raises ConfigurationError, when asked, for vectors that can't be compared: of different lengths, of another number
    than the texts, with values that are no finite numbers, or a zero vector for an example.
    """
    require(0 < threshold <= 1, f"threshold must be above 0 and at most 1, not {threshold!r}")
    known = _Examples(embed, examples)

    async def similarity(text: str) -> Decision[R] | None:
        await known.ready()
        (vector,) = await _embed(embed, [text], known.length)
        best, is_tie = await in_thread(partial(known.nearest, vector))
        if best is None or is_tie:
            return None
        is_near = best.score is not None and best.score >= threshold
        return best if is_near else None

    return similarity


class _Examples(Generic[R]):
    """The examples' vectors, each of length 1."""

    def __init__(self, embed: Embed, examples: Mapping[R, Sequence[str]]) -> None:
        self._embed = embed
        self._pairs = [
            (route, text) for route in examples for text in _check(route, examples[route])
        ]
        require(
            self._pairs,
            'by_similarity needs examples: {AllowedValues.BILLING: ["Where is my invoice?"]}',
        )
        self._vectors: list[list[float]] = []
        self._turn: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    @property
    def length(self) -> int:
        """Numbers in a vector."""
        return len(self._vectors[0])

    async def ready(self) -> None:
        """Embed them, unless that is done; one at a time."""
        if self._vectors:
            return
        loop = asyncio.get_running_loop()
        if self._turn is None or self._turn[0] is not loop:  # a lock belongs to its loop
            self._turn = (loop, asyncio.Lock())
        async with self._turn[1]:
            if not self._vectors:
                self._vectors = await self._embed_all()

    async def _embed_all(self) -> list[list[float]]:
        vectors = await _embed(self._embed, [text for _, text in self._pairs], None)
        for (route, _), vector in zip(self._pairs, vectors, strict=True):
            require(
                any(vector),
                f"embed gave a zero vector for an example of {route.value!r}",
                ConfigurationError,
            )
        return vectors

    def nearest(self, vector: list[float]) -> tuple[Decision[R] | None, bool]:
        """The nearest example's route with the cosine, and whether another route is as near."""
        if not any(vector):
            return None, False
        best: dict[R, float] = {}
        for (route, _), example in zip(self._pairs, self._vectors, strict=True):
            cosine = min(1.0, sum(map(mul, example, vector)))
            best[route] = max(cosine, best.get(route, -1.0))
        route = max(best, key=best.__getitem__)
        nearest = [score for score in best.values() if score >= best[route] - _EQUAL]
        return Decision(route, score=best[route]), len(nearest) > 1


async def _embed(embed: Embed, texts: list[str], length: int | None) -> list[list[float]]:
    """The vectors of `texts`, of length 1 (a zero vector stays zero); `length` is what the examples have."""
    given = await embed(texts)
    try:
        vectors = [[float(number) for number in vector] for vector in given]
    except (TypeError, ValueError):
        raise ConfigurationError("embed must give a list of numbers for each text") from None
    require(
        len(vectors) == len(texts),
        f"embed gave {len(vectors)} vectors for {len(texts)} texts",
        ConfigurationError,
    )
    lengths = {len(vector) for vector in vectors}
    if length is not None:
        lengths.add(length)
    require(
        len(lengths) <= 1 and 0 not in lengths,
        f"embed gave vectors of different lengths: {sorted(lengths)}",
        ConfigurationError,
    )
    return [_unit(vector) for vector in vectors]


def _unit(vector: list[float]) -> list[float]:
    norm = math.hypot(*vector)
    require(
        math.isfinite(norm),
        "embed gave a vector with values that are not finite, or too large",
        ConfigurationError,
    )
    return [number / norm for number in vector] if norm else vector


def _check(route: Routes, examples: Any) -> Sequence[str]:
    given = require_list(
        examples, f"the examples of {route!r} must be a list of texts, not {examples!r}"
    )
    for each in given:
        require(
            isinstance(each, str) and each.strip(),
            f"an example of {route!r} must be a text, not {each!r}",
        )
    return given
