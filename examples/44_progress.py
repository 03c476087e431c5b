"""Long work without words: its progress streams through the same responses, and so do its end and its failure."""

import asyncio
import json
import logging
import sys
from collections.abc import AsyncGenerator

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmstream import ErrorInfo, EventType, FinishReason, Status, StreamEvent, TextDelta
from llmstream.web import respond, running

FILES = ["laws.pdf", "rates.pdf", "forms.pdf", "annex.pdf"]


async def index(*, broken: bool) -> AsyncGenerator[StreamEvent, None]:
    """Work in steps. Any event may be told; the last one says whether it went well."""
    for done, name in enumerate(FILES, 1):
        await asyncio.sleep(0.05)  # what takes long
        if broken and done == 3:
            yield StreamEvent(
                EventType.ERROR, error_info=ErrorInfo("server", f"{name} can't be read")
            )
            return
        status = Status("progress", f"read {name}", {"done": done, "total": len(FILES)})
        yield StreamEvent(EventType.STATUS, status=status)
    yield StreamEvent(
        EventType.TEXT_DELTA, text_delta=TextDelta(f"{len(FILES)} files are indexed.")
    )
    yield StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP)


async def work(request: Request) -> Response:
    """As server-sent events, NDJSON, text or JSON, as the client likes."""
    return respond(request, index(broken="broken" in request.query_params))


app = Starlette(routes=[Route("/index", work, methods=["POST"])])


async def follow(http: httpx2.AsyncClient, url: str) -> None:
    """A progress bar."""
    async with http.stream("POST", url) as response:
        async for frame in httpx2.EventSource(response):
            event = StreamEvent.from_dict(json.loads(frame.data))
            if event.status is not None and event.status.data is not None:
                done, total = event.status.data["done"], event.status.data["total"]
                print(f"[{'#' * done}{'.' * (total - done)}] {event.status.message}")
            elif event.type == EventType.TEXT_DELTA:
                print(event.text)
            elif event.type == EventType.ERROR and event.error_info:
                print(f"ERROR: {event.error} (look for {event.error_info.request_id} in the log)")
            else:
                print(f"{event.type.name}: {event.finish_reason}")


async def main() -> None:
    """Once well, once not, and once for somebody who only wants the result."""
    async with running(app) as url, httpx2.AsyncClient(timeout=60) as http:
        await follow(http, f"{url}/index")
        await follow(http, f"{url}/index?broken")
        answer = await http.post(f"{url}/index", headers={"accept": "text/plain"})
        print(f"as text: {answer.text}")


if __name__ == "__main__":
    # The server logs what failed; without this, on stderr.
    logging.basicConfig(stream=sys.stdout, format="log: %(message)s")
    asyncio.run(main())
