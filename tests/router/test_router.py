"""Router: strategies in order, and what becomes of those that fail, hang or block."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import sys
import threading

import pytest

from llmstream import ConfigurationError, ErrorInfo, LLMClient, RetryPolicy
from llmstream.router import Decision, Router, Routes, by_model, by_similarity, rules
from llmstream.testing import ScriptedProvider, VirtualClock
from tests.patience import PATIENCE
from tests.router.routes import AllowedValues

BILLING, SUPPORT, NOT_DEFINED = AllowedValues
SECRET = "my number is 1234"


async def undecided(text):
    return None


async def support(text):
    return SUPPORT


async def hang(text):
    await asyncio.Event().wait()


async def broken(text):
    raise KeyError(text)


async def leave(text):
    sys.exit(text)


def router_of(*strategies, **options):
    return Router(AllowedValues, strategies, **options)


async def test_the_first_that_decides_wins():
    router = router_of(rules({BILLING: ["invoice"]}), undecided, support)
    assert await router.decide("an invoice") == Decision(BILLING, "rules")
    assert await router.decide("else") == Decision(SUPPORT, "support")
    assert await router.classify("else") is SUPPORT


async def test_all_kinds_compose():
    async def embed(texts):
        return [[1.0, 0.0] if len(text) == 1 else [0.0, 1.0] for text in texts]

    client = LLMClient(provider=ScriptedProvider(['{"value": "billing"}']))
    similar = by_similarity(embed, {SUPPORT: ["x"]}, threshold=0.999)
    router = router_of(
        rules({BILLING: ["invoice"]}), lambda text: None, similar, by_model(client, AllowedValues)
    )
    assert await router.decide("my invoice") == Decision(BILLING, "rules")
    assert await router.decide("y") == Decision(SUPPORT, "similarity", 1.0)
    assert await router.decide("something long") == Decision(BILLING, "model")


async def test_when_nobody_decides_it_is_the_default():
    assert await router_of(undecided).decide("x") == Decision(NOT_DEFINED, "default")
    assert await router_of(undecided, default=SUPPORT).decide("x") == Decision(SUPPORT, "default")


async def test_not_defined_is_a_decision():
    async def none_of_these(text):
        return NOT_DEFINED

    assert await router_of(none_of_these, support).decide("x") == Decision(
        NOT_DEFINED, "none_of_these"
    )


async def test_functions_may_be_of_any_kind():
    class Object:
        async def __call__(self, text):
            return Decision("billing", "somebody", 0.5)

    def partly(route, text):
        return route

    assert await router_of(lambda text: "support").classify("x") is SUPPORT
    assert await router_of(lambda text: support(text + text)).classify("x") is SUPPORT
    assert await router_of(functools.partial(partly, BILLING)).decide("x") == Decision(
        BILLING, "partly"
    )
    assert await router_of(Object()).decide("x") == Decision(BILLING, "somebody", 0.5)


async def test_a_function_that_blocks_does_not_block_the_loop():
    inside, go_on = threading.Event(), threading.Event()

    def slow(text):
        inside.set()
        assert go_on.wait(PATIENCE)
        return BILLING

    blocked = asyncio.ensure_future(router_of(slow).classify("x"))
    while not inside.is_set():
        await asyncio.sleep(0)
    assert await router_of(support).classify("meanwhile") is SUPPORT
    assert not blocked.done()
    go_on.set()
    assert await blocked is BILLING


async def test_those_that_hang_keep_no_thread_from_others():
    """More than the loop's pool has threads, which host names and the comparison of vectors need, too."""
    go_on, clock = threading.Event(), VirtualClock()
    in_pool = min(32, (os.cpu_count() or 1) + 4)

    async def embed(texts):
        return [[1.0] for _ in texts]

    def hang(text):
        assert go_on.wait(PATIENCE)

    hung = router_of(hang, timeout=1, clock=clock)
    waiting = [asyncio.ensure_future(hung.decide(str(n))) for n in range(in_pool + 1)]
    await clock.sleep(2)
    assert {(await each).failed for each in waiting} == {("hang: timeout",)}
    assert await asyncio.wait_for(router_of(lambda text: BILLING).classify("x"), 10) is BILLING
    assert (
        await asyncio.wait_for(router_of(by_similarity(embed, {SUPPORT: ["x"]})).classify("x"), 10)
        is SUPPORT
    )
    assert await asyncio.wait_for(asyncio.to_thread(str, 1), PATIENCE) == "1"
    go_on.set()


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(broken, id="KeyError"),
        pytest.param(lambda text: text, id="ConfigurationError"),  # no route
        pytest.param(lambda text: 3, id="ConfigurationError"),
        pytest.param(lambda text: [BILLING], id="ConfigurationError"),
        pytest.param(Decision, id="ConfigurationError"),
        pytest.param(lambda text: next(iter(())), id="RuntimeError"),
        pytest.param(sys.exit, id="RuntimeError"),
        pytest.param(leave, id="SystemExit"),
    ],
)
async def test_one_that_fails_is_logged_without_content_and_passed_over(odd, caplog, request):
    def named(text):
        return odd(text)

    named.__name__ = "broken"
    kind = request.node.callspec.id.rstrip("0123456789")
    with caplog.at_level(logging.WARNING, "llmstream"):
        assert await router_of(named, support).decide(SECRET) == Decision(
            SUPPORT, "support", failed=(f"broken: {kind}",)
        )
        assert (await router_of(named, default=BILLING).decide(SECRET)).route is BILLING
    assert f"strategy broken raised {kind}" in caplog.text
    assert SECRET not in caplog.text
    assert caplog.records[0].exc_info is None


async def test_the_log_says_where_and_what_to_do(caplog):
    async def embed(texts):
        return []

    await router_of(by_similarity(embed, {BILLING: ["x"]}), broken).decide("x")
    similarity, other = (record.getMessage() for record in caplog.records)
    assert similarity.startswith(
        "strategy similarity raised ConfigurationError: embed gave 0 vectors for 1 texts at "
    )
    assert other.startswith("strategy broken raised KeyError at test_router.py:")


async def test_one_that_raises_cancellation_has_failed():
    """It is nobody's cancellation."""

    async def cancelled(text):
        raise asyncio.CancelledError

    decision = await router_of(cancelled, support).decide("x")
    assert decision == Decision(SUPPORT, "support", failed=("cancelled: CancelledError",))


async def test_a_provider_that_fails_leaves_it_to_the_next():
    provider = ScriptedProvider([ErrorInfo("quota")])
    client = LLMClient(provider=provider, retry=RetryPolicy(max_attempts=1))
    decision = await router_of(by_model(client, AllowedValues), support).decide("x")
    assert decision == Decision(SUPPORT, "support", failed=("model: QuotaError",))


async def test_all_together_have_so_much_time():
    clock = VirtualClock()

    async def slow(text):
        await clock.sleep(7)

    async def slower(text):
        await clock.sleep(7)
        return BILLING

    decision = await router_of(
        slow, slower, support, timeout=10, default=NOT_DEFINED, clock=clock
    ).decide("x")
    assert decision == Decision(NOT_DEFINED, "default", failed=("slower: timeout",))
    assert clock.now == 10
    assert await router_of(slow, slower, timeout=None, clock=clock).classify("x") is BILLING
    assert await router_of(slow, slower, timeout=15, clock=clock).classify("x") is BILLING


@pytest.mark.parametrize("raised", [None, RuntimeError])
async def test_one_that_hangs_is_cancelled_and_nothing_is_left(raised):
    clock = VirtualClock()
    ended = []

    async def hangs(text):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(text)
            if raised is not None:
                raise raised

    waiting = asyncio.ensure_future(router_of(hangs, support, timeout=10, clock=clock).decide("x"))
    await clock.sleep(11)
    decision = await waiting
    assert decision.route is NOT_DEFINED
    assert decision.failed[-1] == "hangs: timeout"
    assert ended == ["x"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_who_waits_can_be_cancelled():
    ended = []

    async def hangs(text):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(text)

    waiting = asyncio.ensure_future(router_of(hangs, support).classify("x"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended == ["x"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_requests_do_not_disturb_each_other():
    clock = VirtualClock()

    async def by_text(text):
        if text == "raise":
            raise OSError
        await clock.sleep(100 if text == "hang" else 1)
        return text

    router = router_of(by_text, timeout=5, clock=clock)
    texts = ["billing", "raise", "hang", "support"] * 5
    assert (
        await asyncio.gather(*map(router.classify, texts))
        == [BILLING, NOT_DEFINED, NOT_DEFINED, SUPPORT] * 5
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [("", ValueError), (" \n", ValueError), (None, TypeError), (b"", TypeError)],
)
async def test_what_is_no_request_raises(text, problem):
    with pytest.raises(problem, match="request"):
        await router_of(support).classify(text)


@pytest.mark.parametrize(
    ("options", "problem", "told"),
    [
        ({"routes": Routes}, TypeError, "subclass of Routes"),
        ({"routes": ["billing"]}, TypeError, "subclass of Routes"),
        ({"strategies": []}, TypeError, "strategies must be a list of functions"),
        ({"strategies": support}, TypeError, "strategies must be a list of functions"),
        ({"strategies": ["billing"]}, TypeError, "strategies must be a list of functions"),
        (
            {"default": "sales"},
            ConfigurationError,
            "no route of AllowedValues: billing, support, not_defined",
        ),
        ({"timeout": 0}, ValueError, "timeout must be positive seconds"),
    ],
)
def test_wrong_arguments_raise_at_once(options, problem, told):
    with pytest.raises(problem, match=told):
        Router(**{"routes": AllowedValues, "strategies": [support], **options})
