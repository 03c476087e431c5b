"""A client gets no more tokens than the server's bound, and is told that it asked for more."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import LLMClient
from llmstream.messages import ChatRequest, Message
from llmstream.testing import ScriptedProvider
from llmstream.web import Limits, create_app
from llmstream.web.token_bound import MOST_TOKENS, bound_tokens
from tests.example_counts import examples
from tests.web.serving import fetch, serving
from tests.web.test_conversation_endpoints import begin
from tests.web.test_hosted_tools import AGUI, CHAT, MESSAGES, RESPONSES, post

ASKED: list[tuple[str, dict[str, Any], str]] = [
    ("/v1/chat/completions", CHAT, "max_tokens"),
    ("/v1/chat/completions", CHAT, "max_completion_tokens"),
    ("/v1/chat/completions", RESPONSES, "max_output_tokens"),
    ("/v1/responses", RESPONSES, "max_output_tokens"),
    ("/v1/responses/compact", RESPONSES, "max_output_tokens"),
    ("/v1/messages", MESSAGES, "max_tokens"),
    ("/chat", {"prompt": "hi"}, "max_tokens"),
]


@pytest.mark.parametrize(("path", "body", "name"), ASKED)
async def test_more_than_the_bound_is_lowered_and_named(path, body, name) -> None:
    """As an attacker asks, and as Claude Code does where the operator allows little."""
    for limits, asked, got in (
        (Limits(), 10**9, MOST_TOKENS),
        (Limits(), 128_000, 128_000),
        (Limits(max_tokens=500), 32_000, 500),
        (Limits(max_tokens=500), 500, 500),
        (Limits(max_tokens=None), 10**9, 10**9),
    ):
        provider = ScriptedProvider(["Yes."])
        async with serving_of(provider, limits) as port:
            status, headers, _ = await post(port, path, {**body, name: asked})
        assert (status, provider.requests[0].max_tokens) == (200, got)
        named = f"max_tokens: this server allows no more than {got}; lowered"
        assert (named in headers.get("x-llmstream-warnings", "")) == (asked > got)


async def test_a_bound_holds_for_clients_that_name_no_number() -> None:
    """Leaving the option out is no way around it, in a kept conversation neither."""
    bodies = [(path, body) for path, body, _ in ASKED if path != "/v1/messages"]
    bodies += [("/agui", AGUI)]
    for limits, got in ((Limits(max_tokens=500), 500), (Limits(), None)):
        provider = ScriptedProvider(*[["Yes."]] * 10)
        async with serving_of(provider, limits) as port:
            for path, body in bodies:
                assert (await post(port, path, body))[0] == 200, path
            own = await begin(port)
            assert (await post(port, "/chat", {**own, "prompt": "hi", "model": None}))[0] == 200
            query = "&".join(f"{name}={value}" for name, value in own.items())
            await fetch(port, f"/api/chat/stream-http?query=hi&{query}")
            await fetch(port, "/streaming_chat", "POST", b'{"request": "hi"}')
        assert len(provider.requests) == len(bodies) + 3
        assert {request.max_tokens for request in provider.requests} == {got}


async def test_in_a_kept_conversation_it_is_lowered_and_named_too() -> None:
    provider = ScriptedProvider(["Yes."])
    async with serving_of(provider, Limits(max_tokens=500)) as port:
        own = await begin(port)
        asked = {**own, "prompt": "hi", "max_tokens": 10**9, "model": None}
        status, headers, _ = await post(port, "/chat", asked)
    assert (status, provider.requests[0].max_tokens) == (200, 500)
    assert "max_tokens: this server allows" in headers["x-llmstream-warnings"]


async def test_under_strict_more_than_the_bound_is_a_400() -> None:
    provider = ScriptedProvider(["Yes."])
    app = create_app(LLMClient(provider=provider, strict=True), limits=Limits(max_tokens=500))
    async with serving(app) as port:
        for path, body, name in ASKED[:1] + ASKED[5:]:
            status, _, answer = await post(port, path, {**body, name: 501})
            assert (status, "no more than 500" in str(answer)) == (400, True), path
    assert provider.requests == []


BUDGETS = {
    "thinking": "budget_tokens",
    "reasoning": "max_tokens",
    "chat_template_kwargs": "thinking_budget",
}
NUMBERS = st.none() | st.integers() | st.floats(allow_nan=False) | st.just("1000000")


@examples(100)
@given(
    st.integers(2, 10**6),
    st.none() | st.integers(1, 10**400),
    st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(["min_tokens", "thinking_budget", "user"], NUMBERS),
            **{
                name: st.fixed_dictionaries({"effort": st.text()}, optional={inner: NUMBERS})
                for name, inner in BUDGETS.items()
            },
        },
    ),
)
def test_no_number_of_tokens_is_above_the_bound(most, asked, members) -> None:
    request = ChatRequest([Message("user", [])], "m", max_tokens=asked)
    request.format_options = {"openai-chat": dict(members)}
    warnings = bound_tokens(request, most)
    assert (request.max_tokens or 0) <= most
    kept = request.format_options["openai-chat"]
    outer = [kept.get(name) for name in ("min_tokens", "thinking_budget")]
    inner = [kept.get(name, {}).get(number) for name, number in BUDGETS.items()]
    assert all(value is None or value <= most for value in outer)
    assert all(value is None or value < most for value in inner)
    assert kept.get("user") == members.get("user")
    changed = (request.max_tokens != asked and asked is not None) or kept != members
    assert bool(warnings) == changed
    assert bound_tokens(request, most) == []


def test_what_multiplies_an_answer_is_refused_or_left_out() -> None:
    """`n`, `logprobs` are refused; members of other servers that multiply are on no list."""
    from llmstream.web.dialects import OpenAIChat
    from llmstream.wire.pass_through import PASSED

    for name, value in (("n", 2), ("n", 10**9), ("logprobs", True), ("n", "2")):
        with pytest.raises(ValueError, match=f"{name}: .* is not supported here"):
            OpenAIChat().parse({**CHAT, "model": "m", name: value})
    multipliers = {"best_of", "top_logprobs", "prompt_logprobs", "use_beam_search", "num_beams"}
    ask = OpenAIChat().parse({**CHAT, "model": "m", **dict.fromkeys(multipliers, 50)})
    assert sorted(warning.partition(":")[0] for warning in ask.warnings) == sorted(multipliers)
    assert ask.request.format_options == {}
    assert not multipliers & set().union(*PASSED.values())


def serving_of(provider: ScriptedProvider, limits: Limits):
    return serving(create_app(LLMClient(provider=provider), limits=limits))
