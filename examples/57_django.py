"""Django sends an answer as it comes: the same view under WSGI and, with an `async def`, under ASGI."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, StreamingHttpResponse
from django.test import AsyncClient, Client
from django.urls import path

from llmstream import LLMClient, SyncLLMClient

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of an example")  # noqa: S106  # it opens nothing
django.setup()
blocking = SyncLLMClient()
awaited = LLMClient()


def messages_of(request: HttpRequest) -> list[dict[str, str]]:
    """The question of a request, as messages."""
    return [{"role": "user", "content": request.GET.get("q", "")}]


def under_wsgi(request: HttpRequest) -> StreamingHttpResponse:
    """A view that blocks its thread. Django reads it in its own threads under ASGI, but then all at once."""

    def pieces() -> Iterator[str]:
        with blocking.stream(messages_of(request)) as stream:
            yield from stream.text()
            yield f"\nMESSAGE_COMPLETE: {stream.message().finish_reason}\n"

    return StreamingHttpResponse(pieces(), content_type="text/plain")


async def under_asgi(request: HttpRequest) -> StreamingHttpResponse:
    """A view in the server's own event loop."""

    async def pieces() -> AsyncIterator[str]:
        async with awaited.stream(messages_of(request)) as stream:
            async for piece in stream.text():
                yield piece

    return StreamingHttpResponse(pieces(), content_type="text/plain")


urlpatterns = [path("wsgi", under_wsgi), path("asgi", under_asgi)]
wsgi, asgi = get_wsgi_application(), get_asgi_application()


async def ask_asgi() -> str:
    """What the ASGI view answers."""
    answer = await AsyncClient().get("/asgi", {"q": "What's up?"})
    return "".join([piece.decode() async for piece in answer.streaming_content])


if __name__ == "__main__":
    print(b"".join(Client().get("/wsgi", {"q": "What's up?"}).streaming_content).decode())
    print(asyncio.run(ask_asgi()))
