"""Turns: asked, answered, stored; failed, left, asked again; never doubled, never lost."""

from __future__ import annotations

import asyncio
import gc
import math
from contextlib import aclosing
from types import AsyncGeneratorType

import pytest

from llmstream import (
    ConfigurationError,
    ErrorInfo,
    EventType,
    LLMClient,
    LLMError,
    RetryPolicy,
    Source,
    StreamEvent,
    TextDelta,
    Usage,
)
from llmstream.conversations import (
    ContextPolicy,
    ContextTooLongError,
    ConversationBusyError,
    ConversationClient,
    ConversationRequest,
    Document,
    MemoryStore,
    StoreError,
    StreamingChatRequest,
    TurnError,
)
from llmstream.messages import (
    FinishReason,
    ImagePart,
    Message,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResult,
)
from llmstream.providers import ProviderTraits
from llmstream.providers.provider import Call
from llmstream.testing import ScriptedProvider, VirtualClock
from llmstream.tools import tool
from tests.conversations.talk import ALICE, CUT, begin, enter, read, said, scripted
from tests.grammar_check import check_stream

# --- the usual way ------------------------------------------------------------------------------------------


async def test_a_turn_comes_in_chunks_and_is_remembered(store):
    """Content piece by piece, one last chunk that is complete; the next request holds both messages."""
    provider, client = scripted(["Hel", "lo", Usage(3, 2)], ["fine"], store=store)
    conversation = await begin(client, title="T", system="Be brief.")
    chunks = await read(conversation.chat_stream("hi", turn_id="t-1"))
    assert "".join(chunk.content or "" for chunk in chunks) == "Hello"
    assert [chunk.is_complete for chunk in chunks] == [False, False, False, True]
    first, last = chunks[0].metadata, chunks[-1].metadata
    assert first["start"]["model"] == "script"
    assert first["turn_id"] == last["turn_id"] == "t-1"
    assert first["conversation_id"] == conversation.conversation_id
    assert last["finish"]["finish_reason"] == "stop"
    assert last["finish"]["usage"] == {"input_tokens": 3, "output_tokens": 2}
    await read(conversation.chat_stream("and you?"))
    assert said(provider) == ["system: Be brief.", "user: hi", "assistant: Hello", "user: and you?"]
    assert [turn.state for turn in await conversation.turns()] == ["complete", "complete"]


async def test_chat_gives_the_whole_answer(store):
    """`chat` and a request with stream=False say in one piece what the stream says in many."""
    _, client = scripted(["Hel", "lo", Usage(3, 2)], ["fi", "ne"], store=store)
    conversation = await begin(client)
    answer = await conversation.chat("hi")
    assert answer.message_content == answer.message.text == "Hello"
    assert answer.usage == Usage(3, 2)
    assert answer.finish_reason is FinishReason.STOP
    assert answer.model_dump(mode="json")["message"]["parts"] == [{"type": "text", "text": "Hello"}]
    (chunk,) = await read(conversation.chat_stream("and you?", stream=False))
    assert (chunk.content, chunk.is_complete) == ("fine", True)


async def test_events_follow_the_grammar(store):
    """With the sources of documents among them, which are part of the message; told again, too."""
    _, client = scripted(["see [1]", Source(url="u")], store=store)
    conversation = await begin(client)
    asked = {"turn_id": "t", "context": [Document(content="d")]}
    events = await read(conversation.events("hi", **asked))
    check_stream(events)
    assert [event.source.url for event in events if event.source] == ["u", None]
    again = await read(conversation.events("hi", **asked))
    check_stream(again)
    assert again[0].status.kind == "replayed"
    assert again[-1].message == events[-1].message


async def test_everything_that_is_not_text_is_metadata(store):
    """Reasoning, refusals, retries, statuses and tool calls, each under its own key."""
    status = StreamEvent.from_dict(
        {"type": "status", "status": {"kind": "queued", "message": "3 before you"}}
    )
    provider = ScriptedProvider(
        [ErrorInfo("rate_limit", retry_after=4.0)],
        [status, ReasoningPart("hm", "sig"), "no", ToolCall("c", "f", "{}", input={})],
    )
    client = ConversationClient(LLMClient(provider=provider, clock=VirtualClock()), store=store)
    chunks = await read((await begin(client)).chat_stream("hi"))
    seen = {
        key: chunk.metadata[key] for chunk in chunks if chunk.metadata for key in chunk.metadata
    }
    retry = seen["retry"]
    assert (retry["attempt"], retry["max_attempts"], retry["kind"]) == (2, 3, "rate_limit")
    assert retry["delay"] >= 4.0
    assert seen["status"] == {"kind": "queued", "message": "3 before you"}
    assert seen["reasoning"] == "hm"
    assert seen["tool_call"]["name"] == "f"
    assert not any("opaque" in str(chunk.metadata) for chunk in chunks)


async def test_text_that_is_void_is_announced():
    """A RETRY that discards, and the answer that follows it; what is stored is the new answer alone."""
    provider = ScriptedProvider(["old ", Source(url="old"), CUT], ["new", Source(url="new")])
    client = LLMClient(provider=provider, clock=VirtualClock(), on_interrupt="restart")
    conversation = await begin(ConversationClient(client))
    chunks = await read(conversation.chat_stream("hi"))
    kinds = [chunk.content or next(iter(chunk.metadata)) for chunk in chunks]
    assert kinds == ["start", "old ", "retry", "start", "new", "finish"]
    assert chunks[2].metadata["retry"]["discard"] is True
    assert [source.url for source in chunks[-1].sources] == ["new"]
    assert (await conversation.history())[-1].text == "new"


async def test_options_reach_the_model():
    """Those of the request, and its attachments before its text."""
    provider, client = scripted(["a cat"])
    image = {"type": "image", "url": "https://example.com/a.png"}
    await (await begin(client)).chat(
        "what?", attachments=[image], temperature=0.5, max_tokens=9, stop="x", model="m"
    )
    request = provider.requests[-1]
    assert (request.temperature, request.max_tokens, request.stop, request.model) == (
        0.5,
        9,
        ["x"],
        "m",
    )
    assert request.messages[-1].parts == [
        ImagePart(url="https://example.com/a.png"),
        TextPart("what?"),
    ]


async def test_use_openai_is_taken_and_said_to_have_no_effect():
    """Programs written for another service run, and are told."""
    _, client = scripted(["hi"])
    chunks = await read((await begin(client)).chat_stream("hi", use_openai=True))
    assert "use_openai" in chunks[0].metadata["start"]["warnings"][0]


# --- failures -----------------------------------------------------------------------------------------------


async def test_a_failure_is_a_chunk_and_then_an_exception(store):
    """What came stays; the chunk says how it failed and is no good end; then LLMError, so that nobody misses it."""
    limited = ErrorInfo("rate_limit", "slow down", retry_after=7.0, status_code=429)
    _, client = scripted(["half", Source(url="u"), limited], store=store)
    conversation = await begin(client)
    chunks = []
    with pytest.raises(LLMError) as raised:
        await read(conversation.chat_stream("hi"), chunks)
    assert raised.value.info.kind == "rate_limit"
    assert [chunk.is_complete for chunk in chunks] == [False] * 3
    error = chunks[-1].metadata["error"]
    assert (error["kind"], error["message"], error["retryable"], error["retry_after"]) == (
        "rate_limit",
        "slow down",
        True,
        7.0,
    )
    assert [source.url for source in chunks[-1].sources] == ["u"]
    (turn,) = await conversation.turns()
    assert (turn.state, turn.messages[-1].text, turn.error.kind) == (
        "partial",
        "half",
        "rate_limit",
    )
    assert turn.error.partial is None


async def test_chat_raises_and_keeps_what_came(store):
    """The whole-answer way fails with the same exception."""
    _, client = scripted(["half", CUT], store=store)
    conversation = await begin(client)
    with pytest.raises(LLMError, match="cut off"):
        await conversation.chat("hi")
    assert [message.text for message in await conversation.history()] == ["hi", "half"]


async def test_asking_the_same_again_doubles_nothing(store):
    """After a failure, the same question is the same turn: from `chat_stream` to `chat`, as people fall back."""
    provider, client = scripted(["half", CUT], ["whole"], ["more"], store=store)
    conversation = await begin(client)
    with pytest.raises(LLMError):
        await read(conversation.chat_stream("hi"))
    (failed,) = await conversation.turns()
    answer = await conversation.chat("hi")
    assert said(provider) == ["user: hi"]
    assert answer.turn_id == failed.id
    assert [message.text for message in await conversation.history()] == ["hi", "whole"]
    await conversation.chat("hi")  # answered now, so this is a new turn
    assert said(provider) == ["user: hi", "assistant: whole", "user: hi"]


async def test_retry_asks_the_last_turn_again(store):
    """With its documents and attachments. Not one that was answered."""
    provider, client = scripted([CUT], ["whole"], store=store)
    conversation = await begin(client)
    image = ImagePart(url="https://example.com/a.png")
    with pytest.raises(LLMError):
        await conversation.chat("hi", attachments=[image], context=[Document(content="d")])
    chunks = await read(conversation.retry())
    assert chunks[-1].is_complete
    assert chunks[-1].sources[0].excerpt == "d"
    first, second = provider.requests
    assert first.messages == second.messages
    with pytest.raises(TurnError, match="answered"):
        await read(conversation.retry())


async def test_a_turn_id_is_asked_once(store):
    """Answered before: told again and nobody asked. Another question under it, or a later turn after it: refused."""
    provider, client = scripted([CUT], ["one"], ["two"], [CUT], ["three"], store=store)
    conversation = await begin(client)
    with pytest.raises(LLMError):
        await conversation.chat("hi", turn_id="t")
    await conversation.chat("hi", turn_id="t")
    again = await conversation.chat("hi", turn_id="t")
    assert again.message_content == "one"
    assert len(provider.requests) == 2
    with pytest.raises(TurnError, match="something else"):
        await conversation.chat("ho", turn_id="t")
    await conversation.chat("two?", turn_id="u")
    with pytest.raises(LLMError):
        await conversation.chat("three?", turn_id="v")
    await conversation.chat("four?")
    with pytest.raises(TurnError, match="fork"):
        await conversation.chat("three?", turn_id="v")
    assert [turn.id for turn in await conversation.turns()][:3] == ["t", "u", "v"]


async def test_a_second_failure_loses_nothing_of_the_first(store):
    """Nothing came this time: what had come stays. More came: it replaces that."""
    _, client = scripted(["half", CUT], [CUT], ["other half", CUT], store=store)
    conversation = await begin(client)
    texts = []
    for _ in range(3):
        with pytest.raises(LLMError):
            await conversation.chat("hi", turn_id="t")
        texts.append((await conversation.history())[-1].text)
    assert texts == ["half", "half", "other half"]


async def test_a_partial_answer_goes_on_and_an_empty_one_does_not(store):
    """Its text is sent, not its reasoning or cut calls; a turn of which nothing came is left out."""
    call = StreamEvent.from_dict(
        {"type": "tool_call_delta", "tool_call_delta": {"index": 0, "id": "c", "name": "f"}}
    )
    provider, client = scripted(
        [ReasoningPart("hm"), "half", call, CUT], [CUT], ["rest"], store=store
    )
    conversation = await begin(client)
    for query in ("one", "two"):
        with pytest.raises(LLMError):
            await conversation.chat(query)
    await conversation.chat("go on")
    assert said(provider) == ["user: one", "assistant: half", "user: go on"]
    assert provider.requests[-1].messages[1].parts == [TextPart("half")]
    stored = (await conversation.turns())[0].messages[-1]
    assert stored.reasoning == "hm"
    assert [call.complete for call in stored.tool_calls] == [False]


async def test_wrong_options_are_raised_and_harm_nothing(store):
    """The turn can be asked again, and is not doubled."""
    provider, client = scripted(["fine"], store=store)
    conversation = await begin(client)
    with pytest.raises(ValueError, match="max_tokens"):
        await conversation.chat("hi", max_tokens=-1)
    assert (await conversation.chat("hi")).message_content == "fine"
    assert said(provider) == ["user: hi"]
    assert len(await conversation.turns()) == 1


async def test_what_is_too_long_is_refused_before_anything_happens(store):
    """Nobody is asked, nothing is stored."""
    provider, client = scripted(["fine"], store=store, policy=ContextPolicy(max_tokens=20))
    conversation = await begin(client)
    with pytest.raises(ContextTooLongError, match="20"):
        await conversation.chat("hi " * 100)
    assert not provider.requests
    assert not await conversation.turns()
    await conversation.chat("hi")


async def test_old_turns_are_left_out_of_long_conversations(store):
    """They stay stored."""
    provider, client = scripted(*[["answer"]] * 5, store=store, policy=ContextPolicy(max_tokens=30))
    conversation = await begin(client, system="S")
    for number in range(5):
        await conversation.chat(f"question {number}")
    assert said(provider) == [
        "system: S",
        "user: question 3",
        "assistant: answer",
        "user: question 4",
    ]
    assert len(await conversation.turns()) == 5


# --- leaving ------------------------------------------------------------------------------------------------


async def test_leaving_stops_the_model_and_keeps_what_came(store):
    """At once, however the reader leaves: by closing, or because its task is cancelled."""
    provider, client = scripted(["one ", "two ", "three"], ["one ", "two ", "three"], store=store)
    conversation = await begin(client)
    async with aclosing(conversation.chat_stream("hi")) as chunks:
        async for chunk in chunks:
            if chunk.content == "two ":
                break
    assert provider.closed == 1
    (turn,) = await conversation.turns()
    assert (turn.state, turn.messages[-1].text, turn.error) == ("partial", "one two ", None)

    reached = asyncio.Event()

    async def reader():
        async for chunk in conversation.chat_stream("ho"):
            if chunk.content == "two ":
                reached.set()
                await asyncio.Event().wait()

    task = asyncio.create_task(reader())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await drained()
    assert provider.closed == 2
    turn = (await conversation.turns())[-1]
    assert (turn.state, turn.messages[-1].text) == ("partial", "one two ")


async def test_leaving_an_answer_that_went_on_after_a_cut_keeps_its_text():
    """Both pieces as one; not the call that the cut left unfinished."""
    call = StreamEvent.from_dict(
        {"type": "tool_call_delta", "tool_call_delta": {"index": 0, "id": "c", "name": "f"}}
    )
    provider = ScriptedProvider(["half ", call, CUT], ["rest", "more"])
    model = LLMClient(provider=provider, clock=VirtualClock(), on_interrupt="continue")
    conversation = await begin(ConversationClient(model))
    async with aclosing(conversation.chat_stream("hi")) as chunks:
        async for chunk in chunks:
            if chunk.content == "rest":
                break
    assert (await conversation.history())[-1].parts == [TextPart("half rest")]


async def drained() -> None:
    """Until the loop's hook has closed the generators that were dropped."""
    for _ in range(200):
        await asyncio.sleep(0.001)
        if not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]:
            return


class Slow:
    """A model that says one word, and then nothing until it is told to go on."""

    name = "slow"
    traits = ProviderTraits(default_model="m")

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()

    async def stream(self, request, call: Call):
        yield StreamEvent.from_dict({"type": "message_start", "start": {}})
        yield StreamEvent(EventType.TEXT_DELTA, TextDelta("one"))
        self.asked.set()
        await self.go_on.wait()
        yield StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP)

    async def aclose(self) -> None:
        """Nothing."""


async def test_cancelling_again_and_again_loses_nothing(store):
    """As anyio's cancel scopes do, in which web servers run their streams."""
    provider = Slow()
    client = ConversationClient(LLMClient(provider=provider), store=store)
    conversation = await begin(client)
    task = asyncio.create_task(read(conversation.chat_stream("hi")))
    await provider.asked.wait()
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    assert task.cancelled()
    await client.aclose()
    (turn,) = await conversation.turns()
    assert (turn.state, turn.messages[-1].text) == ("partial", "one")


async def test_a_stream_that_is_never_begun_does_nothing(store):
    """Closing it is fine, and nobody is asked."""
    provider, client = scripted(["one"], store=store)
    conversation = await begin(client)
    chunks = conversation.chat_stream("hi")
    await chunks.aclose()
    assert not provider.requests
    assert not await conversation.turns()


async def test_nothing_is_left_to_the_garbage_collector():
    """Neither a whole answer, nor a failure, nor one that was left makes cycles or leaves tasks."""
    provider = ScriptedProvider(["a", "b"], ["a", CUT], ["a", "b"])
    model = LLMClient(
        provider=provider, retry=RetryPolicy(max_attempts=1)
    )  # real time: what sleeps, goes on sleeping
    conversation = await begin(ConversationClient(model))

    async def three_ways():
        await read(conversation.chat_stream("one"))
        with pytest.raises(LLMError):
            await read(conversation.chat_stream("two"))
        async with aclosing(conversation.chat_stream("three")) as chunks:
            async for chunk in chunks:
                if chunk.content:
                    break

    gc.collect()
    gc.disable()
    try:
        await three_ways()
        live = [each.ag_code for each in gc.get_objects() if isinstance(each, AsyncGeneratorType)]
        assert not [code for code in live if "llmstream/conversations" in code.co_filename]
    finally:
        gc.enable()
    await drained()
    assert asyncio.all_tasks() == {asyncio.current_task()}


# --- two at once --------------------------------------------------------------------------------------------


async def test_a_second_turn_meanwhile_is_refused_or_waits(store):
    """By default soon, saying how long; with wait= in line. Other conversations go on."""
    slow = Slow()
    client = ConversationClient(LLMClient(provider=slow), store=store)
    conversation = await begin(client)
    async with aclosing(conversation.chat_stream("one?")) as first:
        await anext(first)
        with pytest.raises(ConversationBusyError, match="being answered") as busy:
            await conversation.chat("two?")
        assert 0 < busy.value.retry_after <= 30
        _, patient = scripted(["two"], store=store, wait=60)
        context = await enter(patient)
        same = await patient.conversation(
            context.model_copy(update={"conversation_id": conversation.conversation_id})
        )
        await (await patient.start_conversation(context)).chat("elsewhere")
        patient_turn = asyncio.create_task(same.chat("two?"))
        await asyncio.sleep(0)
        slow.go_on.set()
        await read(first)
        with pytest.raises(LLMError, match="script has 1"):
            await patient_turn
    assert [turn.question.text for turn in await conversation.turns()] == ["one?", "two?"]


async def test_after_break_the_next_can_be_asked(store):
    """Though the loop closes the one that was left only some turns later; one that is kept open must be closed."""
    model = LLMClient(provider=ScriptedProvider(["a", "b"], ["c"], ["d", "e"]))
    conversation = await begin(ConversationClient(model, store=store))
    async for chunk in conversation.chat_stream("one?"):
        if chunk.content:
            break
    assert (await conversation.chat("two?")).message_content == "c"
    kept = conversation.chat_stream("three?")
    async for chunk in kept:
        if chunk.content:
            break
    with pytest.raises(ConversationBusyError, match="if you left it, close its stream"):
        await conversation.chat("four?")
    await kept.aclose()
    assert [turn.state for turn in await conversation.turns()] == ["partial", "complete", "partial"]


async def test_many_turns_at_once_stay_in_order():
    """Fifty tasks, one conversation: every turn once, each answer with its question."""
    provider = ScriptedProvider(*[[f"a{number}"] for number in range(50)])
    client = LLMClient(provider=provider, clock=VirtualClock())
    conversation = await begin(ConversationClient(client, wait=10_000))
    answers = await asyncio.gather(*(conversation.chat(f"q{number}") for number in range(50)))
    turns = await conversation.turns()
    assert [turn.messages[1].text for turn in turns] == [f"a{number}" for number in range(50)]
    told = {answer.turn_id: answer.message_content for answer in answers}
    assert told == {turn.id: turn.messages[1].text for turn in turns}
    assert sorted(turn.question.text for turn in turns) == sorted(
        f"q{number}" for number in range(50)
    )


async def test_a_turn_whose_program_died_is_given_up():
    """After its lease: its question is kept, marked, and left out of what is sent; it can be asked again."""
    now = [1000.0]
    store = MemoryStore(now=lambda: now[0])
    slow = Slow()
    conversation = await begin(ConversationClient(LLMClient(provider=slow), store=store))
    first = conversation.chat_stream("one?")
    await anext(first)
    provider, client = scripted(["two"], ["one"], store=store)
    alive = await client.conversation(conversation._context)
    with pytest.raises(ConversationBusyError):
        await alive.chat("two?")
    now[0] += 31
    await alive.chat("two?")
    assert said(provider) == ["user: two?"]
    one, two = await alive.turns()
    assert (one.state, one.error.code, two.state) == ("partial", "abandoned", "complete")
    slow.go_on.set()  # it wasn't dead, only slow: its answer is refused
    with pytest.raises(TurnError, match="lease") as refused:
        await read(first)
    assert refused.value.unsaved.state == "complete"
    assert [turn.state for turn in await alive.turns()] == ["partial", "complete"]


async def test_a_turn_that_takes_long_keeps_its_lease():
    """It is renewed while the model thinks, so nobody takes it over."""
    clock = VirtualClock()
    store = MemoryStore(now=clock.time)
    slow = Slow()
    client = ConversationClient(LLMClient(provider=slow, clock=clock), store=store, lease=30)
    conversation = await begin(client)
    task = asyncio.create_task(read(conversation.chat_stream("one?")))
    await slow.asked.wait()
    await clock.sleep(95)
    with pytest.raises(ConversationBusyError):
        await conversation.chat("two?")
    slow.go_on.set()
    assert (await task)[-1].is_complete


class Full(MemoryStore):
    """A store that takes no answers: the disk is full."""

    async def write(self, conversation_id, lease, position, turn, *, release):
        if release:
            raise StoreError("the disk is full")
        return await super().write(conversation_id, lease, position, turn, release=release)


async def test_what_could_not_be_stored_is_not_called_complete():
    """The text has come, the failure is raised, no chunk says that it is whole; leaving raises nothing."""
    _, client = scripted(["one"], ["one", "two"], store=Full())
    conversation = await begin(client)
    chunks = []
    with pytest.raises(StoreError, match="full") as full:
        await read(conversation.chat_stream("hi"), chunks)
    assert [chunk.content for chunk in chunks] == [None, "one"]
    assert not any(chunk.is_complete for chunk in chunks)
    assert (full.value.unsaved.state, full.value.unsaved.messages[-1].text) == ("complete", "one")
    with pytest.raises(StoreError) as again:
        await conversation.chat("hi", turn_id=full.value.unsaved.id)
    assert again.value.unsaved.messages[-1].text == "onetwo", (
        "the conversation was free, and the answer is not lost"
    )
    assert len(await conversation.turns()) == 1


class Unsure(MemoryStore):
    """Gives the lease, but its reply is lost."""

    async def acquire(self, conversation_id, lease, seconds):
        await super().acquire(conversation_id, lease, seconds)
        raise StoreError("no reply")


async def test_a_lease_whose_reply_was_lost_is_let_go():
    """Others need not wait until it runs out."""
    store = Unsure()
    _, client = scripted(["one"], store=store)
    conversation = await begin(client)
    with pytest.raises(StoreError, match="no reply"):
        await conversation.chat("hi")
    assert await MemoryStore.acquire(store, conversation.conversation_id, "other", 30) == []


async def test_a_deleted_conversation_takes_no_answer(store):
    """And is gone for good."""
    _, client = scripted(["one"], store=store)
    conversation = await begin(client)
    stream = conversation.chat_stream("hi")
    await anext(stream)
    await client.delete_conversation(conversation._context)
    with pytest.raises(TurnError, match="deleted"):
        await read(stream)
    assert await client.conversations(conversation._context) == []


# --- tools --------------------------------------------------------------------------------------------------


@tool
async def weather(city: str) -> str:
    """The weather."""
    return f"sun in {city}"


def call(id: str, city: str) -> ToolCall:
    return ToolCall(id, "weather", f'{{"city": "{city}"}}', input={"city": city})


async def test_all_messages_of_tool_rounds_are_stored(store):
    """And sent with the next turn; in chunks, each step, call and result; whole with `chat`."""
    script = ["Let me see.", call("c-1", "Rome")], ["Sunny."], [call("c-2", "Oslo")], ["Also."]
    provider, client = scripted(*script, store=store, tools=[weather])
    conversation = await begin(client)
    chunks = await read(conversation.chat_stream("Rome?"))
    kinds = [next(iter(chunk.metadata)) if chunk.metadata else chunk.content for chunk in chunks]
    assert kinds == [
        "start",
        "Let me see.",
        "tool_call",
        "tool_result",
        "status",
        "start",
        "Sunny.",
        "finish",
    ]
    assert (await conversation.chat("Oslo?")).message_content == "Also."
    roles = [message.role for message in await conversation.history()]
    assert roles == ["user", "assistant", "tool", "assistant"] * 2
    assert [message.role for message in provider.requests[-1].messages] == roles[:7]
    again = [
        event
        async for event in conversation.events("Oslo?", turn_id=(await conversation.turns())[-1].id)
    ]
    assert [message.role for message in again[-1].messages] == ["assistant", "tool", "assistant"]


async def test_the_sources_of_all_rounds_are_told(store):
    """In chunks, whole and told again; after a RETRY that discards, those of the round before stay."""
    old, new = Source(url="https://example.com/1"), Source(url="https://example.com/2")
    provider = ScriptedProvider(
        [old, call("c-1", "Rome")], [Source(url="void"), "Su", CUT], [new, "Sunny."], [old]
    )
    model = LLMClient(provider=provider, clock=VirtualClock(), on_interrupt="restart")
    conversation = await begin(ConversationClient(model, store=store, tools=[weather]))
    last = (await read(conversation.chat_stream("Rome?", turn_id="t")))[-1]
    again = await conversation.chat("Rome?", turn_id="t")
    assert (
        [source.url for source in last.sources]
        == [source.url for source in again.sources]
        == [old.url, new.url]
    )


async def test_what_json_has_no_word_for_is_stored_as_null(store):
    """NaN, as some models write it into arguments and some servers into what they ran."""
    odd = ToolCall("c-1", "search", '{"x": NaN}', {"x": math.nan}, executed_by="provider")
    result = ToolResult("c-1", [1.5, math.inf, {"score": math.nan}], executed_by="provider")
    ran = StreamEvent(EventType.TOOL_RESULT, tool_result=result)
    _, client = scripted([odd, ran, "found"], ["fine"], store=store)
    conversation = await begin(client)
    assert (await conversation.chat("hi")).message_content == "found"
    kept = (await conversation.history())[-1]
    assert (kept.parts[0].arguments, kept.parts[0].input) == ('{"x": NaN}', {"x": None})
    assert kept.parts[1].content == [1.5, None, {"score": None}]
    assert (await conversation.chat("ho")).message_content == "fine"


async def test_tool_rounds_before_a_failure_are_kept_whole(store):
    """A finished round is sent again with its results; the answer that was cut without a word is not."""
    provider, client = scripted([call("c-1", "Rome")], [CUT], ["so?"], store=store, tools=[weather])
    conversation = await begin(client)
    with pytest.raises(LLMError):
        await read(conversation.chat_stream("Rome?"))
    await conversation.chat("well?")
    sent = provider.requests[-1].messages
    assert [message.role for message in sent] == ["user", "assistant", "tool", "user"]
    assert sent[2].parts == [ToolResult("c-1", "sun in Rome", "weather")]


@pytest.mark.parametrize("tools", [[], [weather]])
async def test_a_cut_answer_is_asked_for_again_where_nobody_has_seen_it(store, tools):
    """With tools as without: `chat`, and a request with stream=False."""
    answers = [["It is ", CUT], ["Sunny."], ["It is ", CUT], ["Rainy."]]
    model = LLMClient(provider=ScriptedProvider(*answers), clock=VirtualClock())
    conversation = await begin(ConversationClient(model, store=store, tools=tools))
    assert (await conversation.chat("Rome?")).message_content == "Sunny."
    (chunk,) = await read(conversation.chat_stream("Oslo?", stream=False))
    assert (chunk.content, chunk.is_complete) == ("Rainy.", True)
    assert [message.text for message in await conversation.history()] == [
        "Rome?",
        "Sunny.",
        "Oslo?",
        "Rainy.",
    ]


@pytest.mark.parametrize("stream", [True, False])
async def test_leaving_while_a_tool_runs_keeps_its_call_out_of_requests(store, stream):
    """The call is stored; without its result no provider would take it."""
    running = asyncio.Event()

    @tool
    async def hang() -> str:
        """Never ends."""
        running.set()
        await asyncio.Event().wait()
        return ""

    script = ["Wait.", ToolCall("c", "hang", "{}", input={})], ["fine"]
    provider, client = scripted(*script, store=store, tools=[hang])
    conversation = await begin(client)
    task = asyncio.create_task(read(conversation.chat_stream("hi", stream=stream)))
    await running.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await drained()
    await conversation.chat("ho")
    assert said(provider) == ["user: hi", "assistant: Wait.", "user: ho"]
    assert (await conversation.history())[1].tool_calls[0].name == "hang"


# --- fork, export, import -----------------------------------------------------------------------------------


async def test_a_fork_goes_its_own_way(store):
    """By number or by the last turn's id; neither sees what the other says."""
    provider, client = scripted(["1"], ["2"], ["2b"], ["3"], store=store)
    conversation = await begin(client, title="T", system="S")
    await conversation.chat("one?")
    await conversation.chat("two?", turn_id="t-2")
    fork = await conversation.fork(1)
    assert (fork.title, fork.system, fork.parent_id) == ("T", "S", conversation.conversation_id)
    await fork.chat("two b?")
    assert said(provider) == ["system: S", "user: one?", "assistant: 1", "user: two b?"]
    await conversation.chat("three?")
    assert said(provider)[-2:] == ["assistant: 2", "user: three?"]
    assert len(await (await conversation.fork("t-2")).turns()) == 2
    assert len(await (await conversation.fork()).turns()) == 3
    assert len(await (await conversation.fork(0)).turns()) == 0
    for impossible in (4, -1, "t-9"):
        with pytest.raises(TurnError):
            await conversation.fork(impossible)


async def test_an_export_is_read_back_as_it_was(store):
    """Into another store, for another user, as text or values; and the conversation goes on."""
    _, client = scripted(
        ["1", Source(url="u"), ReasoningPart("hm", "sig")], ["half", CUT], store=store
    )
    conversation = await begin(client, title="T", system="S", metadata={"a": [1]})
    await conversation.chat("one?", context=[Document(content="d")])
    with pytest.raises(LLMError):
        await conversation.chat("two?")
    exported = await conversation.export()
    assert "alice" not in str(exported)
    provider, other = scripted(["rest"])
    context = await enter(other, ALICE.model_copy(update={"user_id": "carol"}))
    given = {name: exported[name] for name in ("system", "metadata")}
    copy = await other.import_conversation(context, exported, **given)
    assert await copy.export() == exported
    await copy.chat("go on")
    assert said(provider)[-3:] == ["user: two?", "assistant: half", "user: go on"]


# --- arguments ----------------------------------------------------------------------------------------------


async def test_wrong_arguments_are_refused_clearly():
    """Before anything is asked or stored."""
    with pytest.raises(TypeError, match="LLMClient"):
        ConversationClient(object())
    with pytest.raises(ConfigurationError, match="keep_message"):
        ConversationClient(LLMClient(provider=ScriptedProvider(), keep_message=False))
    for lease in (0, math.inf):
        with pytest.raises(ValueError, match="lease"):
            scripted(lease=lease)
    _, client = scripted()
    with pytest.raises(TypeError, match="SessionContext"):
        await client.session({"instance_id": "i"})
    context = await enter(client)
    with pytest.raises(ValueError, match="conversation_id"):
        await client.chat(context, ConversationRequest(query="hi"))
    conversation = await client.start_conversation(context)
    with pytest.raises(TypeError, match="StreamingChatRequest"):
        await client.chat(conversation._context, "hi")
    with pytest.raises(TypeError, match="ChatContext"):
        await client.chat("hi", ConversationRequest(query="hi"))
    with pytest.raises(ValueError, match="use_opnai"):
        StreamingChatRequest(query="hi", use_opnai=True)
    with pytest.raises(ValueError, match="query"):
        StreamingChatRequest(query="")
    with pytest.raises(ValueError, match="attachment"):
        StreamingChatRequest(query="hi", attachments=[{"type": "text", "text": "no"}])
    for wrong, told in (
        ({"titel": "T"}, "titel"),
        ("T", "StartConversation"),
        ({"metadata": {"a": math.nan}}, "JSON"),
    ):
        with pytest.raises(ValueError, match=told):
            await client.start_conversation(context, wrong)
    with pytest.raises(ValueError, match="finite"):
        Document(content="d", score=math.nan)


async def test_without_arguments_it_has_a_client_and_a_store_of_its_own(monkeypatch):
    """As `LLMClient()` has; the client is closed with it."""
    monkeypatch.setenv("LLMSTREAM_MODEL", "simulator")
    async with ConversationClient() as client:
        conversation = await begin(client)
        assert "You said: hi" in (await conversation.chat("hi")).message_content


async def test_retries_of_the_client_are_inside_one_turn():
    """One turn, whatever it took."""
    provider = ScriptedProvider([ErrorInfo("overloaded")], ["fine"])
    client = LLMClient(provider=provider, clock=VirtualClock(), retry=RetryPolicy(max_attempts=2))
    conversation = await begin(ConversationClient(client))
    assert (await conversation.chat("hi")).message == Message(
        "assistant",
        [TextPart("fine")],
        id="script-2",
        model="script",
        provider="scripted",
        finish_reason=FinishReason.STOP,
        usage=Usage(5, 1, estimated=True),
    )
    assert len(await conversation.turns()) == 1
