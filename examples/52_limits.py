"""Hold all calls to a rate, and share it fairly: the tenant with many calls doesn't keep the other one waiting."""

import asyncio

from llmstream import EventType, LLMClient
from llmstream.limits import LocalLimiter, Rate
from llmstream.testing import ScriptedProvider

LIMITER = LocalLimiter(
    Rate(requests=40, per=1.0),
    key=lambda asking: asking.provider,
    tenant=lambda asking: (asking.request.metadata or {}).get("tenant"),
)


async def ask(client: LLMClient, tenant: str, order: list[str]) -> None:
    """One call. Its wait is announced."""
    messages = [{"role": "user", "content": "hi"}]
    async for event in client.chat_completion(messages, metadata={"tenant": tenant}):
        if event.type == EventType.STATUS:
            print(f"{tenant}: {event.status.kind}")
        elif event.type == EventType.MESSAGE_COMPLETE:
            print(f"{tenant}: {event.type.name}: {event.finish_reason.value}")
            order.append(tenant)


async def main() -> None:
    """Ten calls of one tenant, then two of another."""
    order: list[str] = []
    async with LLMClient(provider=ScriptedProvider(*[["ok"]] * 12), limiter=LIMITER) as client:
        tenants = ["large"] * 10 + ["small"] * 2
        await asyncio.gather(*(ask(client, tenant, order) for tenant in tenants))
    print("answered:", " ".join(order))


if __name__ == "__main__":
    asyncio.run(main())
