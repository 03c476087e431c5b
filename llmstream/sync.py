"""SyncLLMClient: LLMClient for programs without an event loop, with the same names, blocking.

    with SyncLLMClient("openai:gpt-5-mini") as client:
        for event in client.chat_completion([{"role": "user", "content": "What's up?"}]):
            print(event.text, end="", flush=True)

It may be used by any number of threads at once, after a fork, and in a notebook. All clients of a process share one
event loop in a thread of its own (`llmstream.loop_thread`); answers aren't read ahead, so memory stays flat.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Generator, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, cast

from llmstream.answer_stream import AnswerEnd
from llmstream.client import LLMClient
from llmstream.client_arguments import CallOptions, ClientSettings, checked_options
from llmstream.events.any_event import AnyEvent
from llmstream.loop_thread import END, Puller, current_loop
from llmstream.messages import ChatRequest, Message
from llmstream.streams.text import TextReader

if TYPE_CHECKING:
    from llmstream.messages import Usage

__all__ = ["SyncLLMClient", "SyncStream"]

T = TypeVar("T")
Messages = Sequence[Message | Mapping[str, Any]] | ChatRequest


class SyncLLMClient:
    """Talks to one model, or to any that `model=` names per call, and waits for what it says.

    Takes what `LLMClient` takes. `async_client` is the one that it drives; `run` and `iterate` do with it what has no
    method here, such as `client.run(structured.parse(client.async_client, messages, Recipe))`.

    Safe for any number of threads. Keep one: it is expensive to make. A forked child may go on with it, over
    connections of its own; an answer that was begun before can't be read on there. Close it with `close()`, or `with`;
    the interpreter's end closes the connections too. Where an event loop runs, as in an `async def`, use `LLMClient`:
    this one would hold everything else up.
    """

    def __init__(self, model: str | None = None, **settings: Unpack[ClientSettings]) -> None:
        given = cast("dict[str, Any]", settings)
        try:
            self.async_client = LLMClient(model, **given)
        finally:
            # A traceback may show the locals of a frame that raises, and one may be a key.
            given.clear()

    def __repr__(self) -> str:
        return f"Sync{self.async_client!r}" if hasattr(self, "async_client") else "SyncLLMClient()"

    def chat_completion(
        self,
        messages: Messages,
        stream: bool = True,  # noqa: FBT001, FBT002  # as LLMClient has it
        **options: Unpack[CallOptions],
    ) -> Generator[AnyEvent, None, None]:
        """Ask the model. Yields deltas and one terminal event; with `stream=False` only the terminal event.

        Takes the options of `LLMClient.chat_completion`, and raises as it does: TypeError, ValueError or
        ConfigurationError for wrong arguments, at the first step. Everything else is an ERROR event. To stop early,
        close the generator or let it go.
        """
        checked = checked_options(options)
        batches = self.async_client.batches(messages, stream, **checked)
        for batch in self._pull(batches):
            yield from cast("Sequence[AnyEvent]", batch)

    def stream(self, messages: Messages, **options: Unpack[CallOptions]) -> SyncStream:
        """The same call as a context manager: `with client.stream(…) as stream: for event in stream`.

        Leaving the block closes the connection, however it is left.
        """
        return SyncStream(self.chat_completion(messages, **checked_options(options)))

    def complete(self, messages: Messages, **options: Unpack[CallOptions]) -> Message:
        """The whole answer as a Message. Takes `chat_completion`'s options; raises LLMError."""
        return self.run(self.async_client.complete(messages, **checked_options(options)))

    def count_tokens(self, messages: Messages, **options: Unpack[CallOptions]) -> Usage:
        """The tokens that a prompt would take; see `LLMClient.count_tokens`."""
        return self.run(self.async_client.count_tokens(messages, **checked_options(options)))

    def run(self, awaitable: Awaitable[T]) -> T:
        """Wait for what an awaitable returns or raises, in the loop that all clients share."""
        return current_loop().run(awaitable)

    def iterate(self, source: AsyncIterable[T]) -> Generator[T, None, None]:
        """The items of an async iterable, such as `run_tools(client.async_client, …)`, read in the same loop."""
        yield from self._pull(source)

    def close(self) -> None:
        """Close the connections; streams that still run end in an ERROR with the code "closed"."""
        self.run(self.async_client.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _pull(self, source: AsyncIterable[T]) -> Iterator[T]:
        puller = Puller(source, current_loop())
        try:
            while (item := puller.pull()) is not END:
                yield item
        finally:
            puller.close()


class SyncStream:
    """One call's events, closed with the block that it is opened in.

    Iterate over it or over `text()`, and call `message()` at any time for the whole answer.
    """

    def __init__(self, events: Generator[AnyEvent, None, None]) -> None:
        self._events = events
        self._end = AnswerEnd()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[AnyEvent]:
        return self

    def __next__(self) -> AnyEvent:
        return self._end.note(next(self._events))

    def close(self) -> None:
        """Stop, and close the connection."""
        self._events.close()

    def text(self) -> Iterator[str]:
        """Only the answer's text, as it comes (`llmstream.streams.text`). Raises LLMError where there is an ERROR."""
        reader = TextReader()
        for event in self:
            if piece := reader.read(event):
                yield piece
        reader.check_end()

    def message(self) -> Message:
        """The whole answer, once it is there. Raises LLMError where the stream has an ERROR."""
        for _ in self:
            pass
        return self._end.message()
