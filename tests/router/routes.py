"""The routes of these tests, and what they all do with a stream."""

from __future__ import annotations

from contextlib import aclosing

from llmstream.router import Routes


class AllowedValues(Routes):
    BILLING = "billing", "Invoices, payments and refunds"
    SUPPORT = "support", "Something does not work"
    NOT_DEFINED = "not_defined"


async def read(events):
    async with aclosing(events):
        return [event async for event in events]
