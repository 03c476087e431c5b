"""The public API as a type checker sees it. Checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, assert_type

from pydantic import BaseModel
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from llmstream import (
    AnyEvent,
    ErrorInfo,
    EventType,
    File,
    FinishReason,
    ImagePart,
    LLMClient,
    LLMError,
    Message,
    RetryPolicy,
    Source,
    StreamEvent,
    TextDelta,
    TextPart,
    Timeouts,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
    structured,
)
from llmstream.conversations import (
    ChatContext,
    ChatResponse,
    CitationSource,
    Conversation,
    ConversationClient,
    ConversationRequest,
    Document,
    MemoryStore,
    RedisStore,
    Session,
    SessionContext,
    SQLiteStore,
    Store,
    StreamingChatRequest,
    StreamingChunk,
    Turn,
)
from llmstream.limits import Rate
from llmstream.providers import (
    Call,
    Provider,
    ProviderConfig,
    ProviderTraits,
    SchemaSupport,
    register,
)
from llmstream.router import (
    Candidate,
    Decision,
    Dispatcher,
    ModelRouter,
    Router,
    RouterWithDispatcher,
    Routes,
    by_model,
    by_similarity,
    rules,
)
from llmstream.streams import (
    Flow,
    buffer,
    coalesce,
    collect,
    guard,
    map_text,
    progress,
    record,
    replay,
    tee,
    text,
    transform,
)
from llmstream.testing import ScriptedProvider, VirtualClock
from llmstream.tools import FunctionTool, run_tools, tool
from llmstream.web import (
    Access,
    AuditLog,
    Choice,
    EventStreamResponse,
    Form,
    KeyFile,
    KeyLimits,
    Limits,
    Metrics,
    RequestObserver,
    ResponseMode,
    ServedRequest,
    choose,
    create_app,
    negotiate,
    respond,
    send_events,
)
from llmstream.wire import decoder, encoder


async def the_loop() -> None:
    client = LLMClient()
    async for event in client.chat_completion(
        messages=[{"role": "user", "content": "what's up?"}], stream=True
    ):
        assert_type(event, AnyEvent)
        if event.type == EventType.TEXT_DELTA:
            assert_type(event.text_delta.content, str)
        elif event.type == EventType.MESSAGE_COMPLETE:
            assert_type(event.finish_reason, FinishReason)
            assert_type(event.usage, Usage | None)
        elif event.type == EventType.ERROR:
            assert_type(event.error, str)
            assert_type(event.error_info, ErrorInfo)
        assert_type(event.text, str)


async def the_ways_to_ask() -> None:
    timeouts = Timeouts(first_token=30, total=None)
    assert_type(timeouts.idle, float | None)
    async with LLMClient(
        "openai:gpt-5-mini", api_key="k", retry=RetryPolicy(max_attempts=1), timeouts=timeouts
    ) as client:
        history: list[Message | dict[str, Any]] = [
            Message("system", [TextPart("Be brief.")]),
            {"role": "user", "content": [{"type": "text", "text": "What is this?"}]},
            Message("user", [ImagePart(url="https://example.com/a.png")]),
            Message(
                "user",
                [ImagePart(data=b"GIF89a"), File(data=memoryview(b"%PDF-1.7"), name="a.pdf")],
            ),
        ]
        message = await client.complete(
            history, tools=[Tool("look")], tool_choice="auto", max_tokens=10
        )
        assert_type(message, Message)
        assert_type(message.tool_calls, list[ToolCall])
        assert_type(message.sources, list[Source])
        history += [message, Message("tool", [ToolResult(message.tool_calls[0].id, "a cat")])]
        async with client.stream(history) as stream:
            async for event in stream:
                assert_type(event, AnyEvent)
            async for piece in stream.text():
                assert_type(piece, str)
            assert_type(await stream.message(), Message)


def the_values() -> None:
    assert_type(ImagePart(data=b"GIF89a").data, str | None)
    assert_type(ImagePart.from_path("a.png"), ImagePart)
    assert_type(File.from_path("a.pdf", media_type="application/pdf"), File)
    event = StreamEvent(type=EventType.TEXT_DELTA, text_delta=TextDelta(content="hi"))
    assert_type(StreamEvent.from_dict(event.to_dict()), StreamEvent)
    try:
        event.raise_for_error()
    except LLMError as problem:
        assert_type(problem.info, ErrorInfo)


class Words:
    """A Transformer that somebody else wrote."""

    def feed(self, text: str) -> str:
        return text

    def finish(self) -> str:
        return ""


async def the_operators(client: LLMClient) -> None:
    events = client.chat_completion([Message("user", [TextPart("hi")])])
    for flow in (
        buffer(events, high=8, on_pause=lambda: None),
        coalesce(events, "word", seconds=0.1),
        guard(events, lambda text: [(0, 1, None)], hold=8),
        map_text(events, str.upper),
        progress(events),
        record(events, "answer.jsonl"),
        replay("answer.jsonl", speed=2),
        transform(events, Words),
        *tee(events, 3),
    ):
        assert_type(flow, Flow[AnyEvent])
    async for piece in text(coalesce(events, by="line")):
        assert_type(piece, str)
    assert_type(await collect(buffer(events)), Message)


@tool
async def weather(city: str) -> str:
    return city


@tool(name="plus", strict=True)
def add(a: float, b: float) -> float:
    return a + b


def subtract(a: float, b: float) -> float:
    return a - b


async def the_tools(client: LLMClient) -> None:
    async def confirm(call: ToolCall) -> bool:
        return call.name == "weather"

    assert_type(weather, FunctionTool)
    assert_type(add, FunctionTool)
    messages = [{"role": "user", "content": "hi"}]
    tools: list[Callable[..., Any] | dict[str, Any]] = [
        weather,
        add,
        subtract,
        {"type": "web_search"},
    ]
    async for event in run_tools(
        client, messages, tools, confirm=confirm, timeout=None, temperature=0.5
    ):
        assert_type(event, AnyEvent)
        assert_type(event.messages, list[Message] | None)


class Recipe(BaseModel):
    title: str


@dataclass
class Point:
    x: float


class Movie(TypedDict):
    title: str


async def the_values_of_an_answer(client: LLMClient) -> None:
    messages = [Message("user", [TextPart("hi")])]
    assert_type(await structured.parse(client, messages, Recipe, repair=True, max_tokens=9), Recipe)
    assert_type(await structured.parse(client, messages, Point, mode="tool"), Point)
    assert_type(await structured.parse(client, messages, Movie), Movie)
    assert_type(await structured.parse(client, messages, list[Recipe]), list[Recipe])
    assert_type(await structured.parse(client, messages, {"type": "object"}), Any)
    async for partial in structured.objects(structured.ask(client, messages, Recipe), Recipe):
        assert_type(partial, structured.Partial[Recipe])
        assert_type(partial.value.title, str)
        assert_type(partial.result, Recipe | None)
        assert_type(partial.completed[0].path, tuple[str | int, ...])


async def the_conversations(client: LLMClient, redis: Redis) -> None:
    stores: list[Store] = [MemoryStore(), SQLiteStore("chats.db"), RedisStore(redis, ttl=60.0)]
    conversations = ConversationClient(client, store=stores[0])
    session = await conversations.session(
        SessionContext(instance_id="i", user_id="u", project_id="p")
    )
    assert_type(session, Session)
    context = ChatContext(session_id=session.session_id, token=session.token)
    conversation = await conversations.start_conversation(context=context, request={"title": "T"})
    assert_type(conversation, Conversation)
    request = StreamingChatRequest(
        query="hi", use_openai=True, stream=True, context=[Document(content="d")]
    )
    async for chunk in conversations.chat_stream(context=context, request=request):
        assert_type(chunk, StreamingChunk)
        assert_type(chunk.content, str | None)
        assert_type(chunk.sources, list[CitationSource] | None)
        assert_type(chunk.is_complete, bool)
        assert_type(chunk.metadata, dict[str, Any] | None)
    response = await conversations.chat(context=context, request=ConversationRequest(query="hi"))
    assert_type(response, ChatResponse)
    assert_type(response.message_content, str)
    assert_type([source.relevance_score for source in response.sources], list[float | None])
    assert_type(conversation.chat_stream("hi"), AsyncGenerator[StreamingChunk, None])
    assert_type(conversation.events("hi"), AsyncGenerator[AnyEvent, None])
    assert_type(await conversation.fork(1), Conversation)
    assert_type(await conversation.turns(), list[Turn])


class AllowedValues(Routes):
    BILLING = "billing", "Invoices"
    NOT_DEFINED = "not_defined"


async def the_routing(client: LLMClient) -> None:
    dispatcher = Dispatcher(AllowedValues)

    @dispatcher.handler(AllowedValues.BILLING)
    async def billing(request: str) -> AsyncGenerator[str, None]:
        yield request

    assert_type(billing("hi"), AsyncGenerator[str, None])

    async def embed(texts: Sequence[str]) -> list[list[float]]:
        return [[1.0] for _ in texts]

    examples = {AllowedValues.BILLING: ["Where is my invoice?"]}
    strategies = [rules(examples), by_similarity(embed, examples), by_model(client, AllowedValues)]
    assert_type(await Router(AllowedValues, strategies).decide("hi"), Decision[AllowedValues])
    router_w = RouterWithDispatcher(AllowedValues, strategies, dispatcher)
    assert_type(await router_w.classify("hi"), AllowedValues)
    async for event in await router_w.route_request("hi"):
        assert_type(event, AnyEvent)
    models = ModelRouter(client, [Candidate("openai:gpt-5-mini", cost=0.2)], prefer="speed")
    async for event in models.chat_completion(
        [{"role": "user", "content": "hi"}], conversation="c", temperature=0.5
    ):
        assert_type(event, AnyEvent)


async def the_serving(client: LLMClient, request: Request, websocket: WebSocket) -> None:
    choice = choose(request, flag=True)
    assert_type(choice, Choice)
    assert_type(
        negotiate(accept="text/plain", offer=[Form.TEXT], default=ResponseMode.BATCH).form, Form
    )
    events = client.chat_completion(
        [{"role": "user", "content": "hi"}], choice.mode is ResponseMode.STREAM
    )
    assert_type(respond(request, events, choice=choice, heartbeat=None), Response)
    assert_type(respond(request, run_tools(client, [], [weather])), Response)
    response: Response = EventStreamResponse(events, write_timeout=5)
    response.headers["x-mine"] = "1"
    assert_type(await send_events(websocket, events), bool)
    access = Access(
        keys=["a-key-of-a-client"], hosts=["chat.example.com"], origins=["https://app.example.com"]
    )
    assert_type(
        create_app(client, models={"fast": "openai:gpt-5-mini"}, access=access, limits=Limits()),
        Starlette,
    )
    limits = {"ann": KeyLimits(models=["fast"], rate=Rate(requests=60))}
    guarded = Access(keys=KeyFile("keys.txt"), key_limits=limits, metrics=["prometheus"])
    watching = [Watching(), AuditLog("audit.log", as_json=True), Metrics()]
    assert_type(create_app(client, access=guarded, observers=watching), Starlette)


class Watching(RequestObserver):
    def end(self, request: ServedRequest) -> None:
        assert_type(request.key, str | None)
        assert_type(request.usage, Usage | None)


class ThirdTraits(ProviderTraits):
    def schema_support(self, model: str) -> SchemaSupport:
        return SchemaSupport(native=model != "m")


class Third:
    """A provider that somebody else wrote."""

    name = "third"
    traits = ThirdTraits(default_model="m")

    def __init__(self, config: ProviderConfig) -> None:
        self.config = config

    async def stream(self, request: Any, call: Call) -> AsyncGenerator[StreamEvent, None]:
        yield StreamEvent(EventType.MESSAGE_COMPLETE)

    async def aclose(self) -> None:
        pass


def the_extensions() -> None:
    provider: Provider = Third(ProviderConfig("third"))
    register("third", Third)
    LLMClient(provider=provider, model="m")
    LLMClient(provider=ScriptedProvider(["a"], [ErrorInfo("rate_limit")]), clock=VirtualClock())
    assert_type(decoder("openai-chat").feed(b""), list[StreamEvent])
    assert_type(encoder("openai-chat").feed(StreamEvent(EventType.MESSAGE_COMPLETE)), bytes)
