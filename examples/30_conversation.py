"""Conversations: a session, a turn in chunks, its sources, and a failure that falls back to a whole answer.

`LLMClient()` is the simulator here when no key is set; where an answer has to cite or to fail, it follows a script.
"""

import asyncio
from typing import Any

from llmstream import LLMClient, LLMError
from llmstream.conversations import (
    ChatContext,
    ChatRequest,
    ConversationClient,
    Document,
    SessionContext,
    StreamingChatRequest,
)
from llmstream.providers import SimulatorProvider
from llmstream.testing import FaultServer

QUESTION = "Explain the different tax regimes in Mexico for technology companies"
FOUND = [
    Document(
        title="Income tax act",
        url="https://example.com/isr",
        content="Companies pay 30%.",
        score=0.92,
    ),
    Document(
        title="VAT act",
        url="https://example.com/iva",
        content="The general rate is 16%.",
        score=0.87,
    ),
    Document(title="Fishing rules", content="Nets of over 100 m need a permit.", score=0.11),
]


async def begin(client: ConversationClient) -> ChatContext:
    """A session, and a conversation in it."""
    session = await client.session(
        SessionContext(
            instance_id="capital-edge-instance-001", user_id="user-123", project_id="project-456"
        )
    )
    context = ChatContext(session_id=session.session_id, token=session.token)
    conversation = await client.start_conversation(
        context=context, request={"title": "Streaming example"}
    )
    return ChatContext(
        session_id=session.session_id,
        conversation_id=conversation.conversation_id,
        token=session.token,
    )


async def basic_usage() -> None:
    """The answer as it comes."""
    async with LLMClient() as model, ConversationClient(model) as client:
        request = StreamingChatRequest(query=QUESTION, stream=True)
        print("Streaming response:")
        async for chunk in client.chat_stream(context=await begin(client), request=request):
            if chunk.content:
                print(chunk.content, end="", flush=True)
            if chunk.is_complete and chunk.metadata:
                print(f"\n\nMESSAGE_COMPLETE: {chunk.metadata['finish']['finish_reason']}")
                for source in chunk.sources or []:
                    print(f"- {source.title}")


async def streaming_with_sources() -> dict[str, Any]:
    """What the application found goes in; what the answer cites comes out with the last chunk."""
    model = LLMClient(
        provider=SimulatorProvider(script=[["Profits are taxed at 30% [1], sales at 16% [2]."]])
    )
    full_content = ""
    all_sources = []
    async with ConversationClient(model) as client:
        request = StreamingChatRequest(query=QUESTION, context=FOUND)
        async for chunk in client.chat_stream(context=await begin(client), request=request):
            if chunk.content:
                full_content += chunk.content
                print(chunk.content, end="", flush=True)
            if chunk.sources:
                all_sources.extend(chunk.sources)
            if chunk.is_complete:
                print("\n\nResponse complete. Processing sources...")
                for source in all_sources:
                    print(f"\nSource: {source.title} [{source.number}]")
                    print(f"Relevance: {source.relevance_score}")
                    if source.content_excerpt:
                        print(f"Excerpt: {source.content_excerpt}")
    return {
        "content": full_content,
        "sources": [
            {"title": source.title, "relevance": source.relevance_score} for source in all_sources
        ],
    }


async def streaming_with_error_handling() -> None:
    """A server really resets the connection in the middle. What it was is told by kind, not by words."""
    async with (
        FaultServer("reset-mid-answer", "ok") as server,
        LLMClient("openai:m", api_key="any-key-will-do", base_url=server.url("openai")) as model,
        ConversationClient(model) as client,
    ):
        context = await begin(client)
        request = StreamingChatRequest(query=QUESTION)
        try:
            async for chunk in client.chat_stream(context=context, request=request):
                if chunk.content:
                    print(chunk.content, end="", flush=True)
        except LLMError as stream_error:
            print(f"\nError during streaming: {stream_error}")
            if stream_error.info.kind in ("connection", "truncated"):
                print("The connection broke. This could be due to network issues.")
            elif stream_error.info.kind == "timeout":
                print(f"Too slow: {stream_error.info.code}. The response might be too large.")
            print("\nAttempting to get a non-streaming response instead...")
            response = await client.chat(context=context, request=ChatRequest(query=request.query))
            print(f"\nFallback response: {response.message_content}")
        conversation = await client.conversation(context)
        print(f"{len(await conversation.history())} messages in the conversation")


async def main() -> None:
    """One after another."""
    await basic_usage()
    print("\n--- sources ---\n")
    result = await streaming_with_sources()
    print(
        f"\n{len(result['content'])} characters, {len(result['sources'])} of {len(FOUND)} documents cited"
    )
    print("\n--- a failure ---\n")
    await streaming_with_error_handling()


if __name__ == "__main__":
    asyncio.run(main())
