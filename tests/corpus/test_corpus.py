"""Every case of the corpus: what it means, however it is cut, encoded again, over every transport and in both modes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from llmstream import EventType, LLMClient, RetryPolicy, StreamEvent, wire
from llmstream.messages import ChatRequest, Message
from llmstream.providers.config import TRANSPORTS
from llmstream.testing import check_decoder
from llmstream.wire.formats import FORMATS
from tests.corpus.answers import Answer, answers, meaning
from tests.grammar_check import check_calls, check_stream
from tests.loopback import Handler, Loopback, Reply, Request
from tests.recordings import bytewise, decode, random_cuts, two_way

CASES = answers()
each = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.format}-{case.name}")
each_format = pytest.mark.parametrize("format", FORMATS)


def events_of(case: Answer, pieces: Any = None) -> list[StreamEvent]:
    return decode(lambda: wire.decoder(case.format), pieces or [case.body])


@each
def test_it_means_what_its_file_says(case: Answer) -> None:
    events = events_of(case)
    check_stream(events)
    check_calls(events)
    assert meaning(events) == case.means


@each
def test_it_means_the_same_however_it_is_cut(case: Answer) -> None:
    events = events_of(case)
    assert events_of(case, bytewise(case.body)) == events
    for seed in range(5):
        assert events_of(case, random_cuts(case.body, seed)) == events


@pytest.mark.slow
@each
def test_it_means_the_same_cut_at_any_place(case: Answer) -> None:
    events = events_of(case)
    assert all(events_of(case, pieces) == events for pieces in two_way(case.body))


@each
def test_its_decoder_keeps_the_rules_in_every_prefix(case: Answer) -> None:
    """However much of it came, there is one true end, and what came before it is the beginning of the whole."""
    whole = "".join(event.text for event in events_of(case))
    step = max(1, len(case.body) // 60)
    for size in range(0, len(case.body), step):
        events = events_of(case, [case.body[:size]])
        check_stream(events)
        assert whole.startswith("".join(event.text for event in events))


@pytest.mark.slow
@each_format
def test_the_decoder_keeps_the_rules(format: str) -> None:
    bodies = [
        case.body
        for case in answers(format)
        if case.means.get("error", {}).get("kind") != "truncated"
    ]
    check_decoder(lambda: wire.decoder(format), bodies, mutations=100)


@each
def test_it_survives_the_encoder(case: Answer) -> None:
    """Encoded and decoded again, the events are the same, but for the warning that a document wasn't streamed."""
    events = events_of(case)
    encoder = FORMATS[case.format].make_encoder()
    again = events_of(case, [encoder.feed(event) for event in events])
    if events[-1].type is EventType.ERROR:
        assert again.pop().error_info.kind == events.pop().error_info.kind
    for event in events:
        if event.start is not None:
            event.start.warnings = ()
    assert again == events


@each
def test_its_message_goes_on_in_every_format(case: Answer) -> None:
    """The answer as part of a history renders for every format, and its words and calls are found again there."""
    message = events_of(case)[-1].message
    if message is None:
        return
    wanted = [(call.id, call.name, call.input or {}) for call in message.tool_calls]
    for row in FORMATS.values():
        body = row.render_request(ChatRequest([Message("user", "x"), message], "m")).body
        if {"continuationToken", "continuation_token"} & body.keys():
            continue  # the same request goes on, without what it has brought
        told = row.parse_request(body).messages
        said = "".join(each.text + each.refusal for each in told)
        assert said == "x" + message.text + message.refusal
        calls = [call for each in told for call in each.tool_calls]
        assert [(call.id, call.name, call.input or {}) for call in calls] == wanted


MODES = {"stream": (), "batch": ("order", "kept")}
"""The two modes, and what the one event of batch mode can't say."""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("transport", TRANSPORTS)
@each_format
async def test_it_means_the_same_over_the_network(format: str, transport: str, mode: str) -> None:
    """Over each transport and in both modes, in pieces of any size."""
    cases = answers(format)
    provider = FORMATS[format].provider
    async with (
        Loopback(*map(player, cases)) as server,
        LLMClient(
            f"{provider}:m",
            api_key="k",
            base_url=server.url(provider),
            transport=transport,
            retry=RetryPolicy(max_attempts=1),
        ) as client,
    ):
        for case in cases:
            asked = client.chat_completion(
                [{"role": "user", "content": "x"}], stream=mode == "stream"
            )
            events = [event async for event in asked]
            found, means = meaning(events), dict(case.means)
            if "model" not in means:  # the provider names it, where the format doesn't
                assert found.pop("model", "m") == "m"
            if found.get("usage", {}).get("estimated"):  # what nobody told is counted
                assert means.pop("usage", {}).items() <= found.pop("usage").items()
            assert without(found, MODES[mode]) == without(means, MODES[mode])
            if mode == "stream":
                check_stream(events)
            else:
                assert [event.text for event in events] == [
                    events[0].message.text if events[0].message else ""
                ]


def player(case: Answer) -> Handler:
    async def play(request: Request, reply: Reply) -> None:
        await reply.head(content_type=case.content_type)
        for piece in random_cuts(case.body, len(case.body)):
            if piece:
                await reply.send(piece)
        await reply.end()

    return play


def without(means: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: value for name, value in means.items() if name not in names}


def test_every_format_has_cases() -> None:
    """A new format needs these: text, calls, an error, a cut, a limit, and a document or a reason why it has none."""
    for format in FORMATS:
        found = answers(format)
        reasons = {case.means.get("finish_reason") for case in found}
        assert reasons >= {"stop", "length", "tool_calls"}, format
        kinds = {case.means["error"]["kind"] for case in found if "error" in case.means}
        assert "truncated" in kinds, format
        assert len(kinds) > 1, format
        assert any(letter > "\u0080" for case in found for letter in case.means.get("text", "")), (
            format
        )


@pytest.mark.parametrize("broken", [b"", b"{}", b'{"shows": "x"}\n====\ndata: 1'])
def test_a_file_without_a_line_between_its_parts_is_told(broken: bytes, tmp_path: Any) -> None:
    from tests.corpus.answers import read

    (tmp_path / "case.txt").write_bytes(broken)
    with pytest.raises(ValueError, match="no line ====="):
        read(tmp_path / "case.txt")
