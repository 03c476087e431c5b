"""Routers: a request goes to one of your handlers (Router, Dispatcher), or to one of several models (ModelRouter).

    class AllowedValues(Routes):
        BILLING = "billing", "Invoices, payments and refunds"
        NOT_DEFINED = "not_defined"

    dispatcher = Dispatcher(AllowedValues)

    @dispatcher.handler(AllowedValues.BILLING)
    async def billing(request: str) -> AsyncIterator[str]: ...

    strategies = [rules({AllowedValues.BILLING: ["invoice", "refund"]}), by_model(client, AllowedValues)]
    router = RouterWithDispatcher(AllowedValues, strategies, dispatcher)
    async for event in await router.route_request("Where is my invoice?"): ...

The answer is one stream of StreamEvents, which begins with STATUS(kind="routed") and has one end, whatever the
handler does.
"""

from llmstream.router.by_model import by_model
from llmstream.router.by_similarity import Embed, by_similarity
from llmstream.router.decision import Decision, Strategy
from llmstream.router.dispatch import Dispatcher, Handler
from llmstream.router.model_router import Candidate, ModelRouter, Prefer
from llmstream.router.router import Router, RouterWithDispatcher
from llmstream.router.routes import Routes
from llmstream.router.rules import rules

__all__ = [
    "Candidate",
    "Decision",
    "Dispatcher",
    "Embed",
    "Handler",
    "ModelRouter",
    "Prefer",
    "Router",
    "RouterWithDispatcher",
    "Routes",
    "Strategy",
    "by_model",
    "by_similarity",
    "rules",
]
