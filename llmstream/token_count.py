"""Token counts of prompts before they are sent: the provider's own where it has one, else our estimate."""

from __future__ import annotations

import asyncio

from llmstream.log import get_logger
from llmstream.messages import ChatRequest, Usage
from llmstream.providers.provider import Call, CountsTokens
from llmstream.targets import Target
from llmstream.tasks import within
from llmstream.usage_estimate import estimate_prompt

logger = get_logger("llmstream.client")

PATIENCE = 5.0
"""Seconds for a provider's count: an estimate that comes is worth more than a count that doesn't."""


async def count_prompt(target: Target, request: ChatRequest, call: Call) -> Usage:
    """The tokens of a prompt; `estimated` says who counted. Raises StrictError as the request itself would."""
    counted = await _ask(target, request, call)
    if counted is not None:
        return Usage(input_tokens=counted)
    # A large prompt takes a tenth of a second, in which a server's streams would stand still.
    return Usage(input_tokens=await asyncio.to_thread(estimate_prompt, request), estimated=True)


async def _ask(target: Target, request: ChatRequest, call: Call) -> int | None:
    provider = target.provider
    if not isinstance(provider, CountsTokens):
        return None
    try:
        return await within(PATIENCE, call.clock, provider.count_tokens(request, call))
    except TimeoutError:
        logger.warning("%s didn't count a prompt within %s s", provider.name, PATIENCE)
        return None
