"""Clients of Responses as they are by default, against `llmstream serve` before a provider of each format."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
import pytest_asyncio
from pydantic import BaseModel

from llmstream import Usage
from tests.web.dialects.node import require_node
from tests.web.dialects.served import CALLS, TEXT, Served, served

pytestmark = [
    pytest.mark.sdk,
    pytest.mark.asyncio(loop_scope="module"),  # one program for all clients
    pytest.mark.filterwarnings("ignore"),  # of libraries that nobody here wrote
]
AGENT = [
    ["Let me look.", *CALLS, Usage(input_tokens=9, output_tokens=4)],
    ["It is blue.", Usage(input_tokens=20, output_tokens=3)],
]
INPUTS = [call.input for call in CALLS]
PLAYED = ("text", "tools", "reasoning", "length", "empty-answer", "midway", "refused", "nobody")
BUSY = "The model is overloaded just now."
TOLD = "Too many requests just now."


class Place(BaseModel):
    city: str


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["openai", "openai-responses", "anthropic"]
)
async def at(request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    async with served(request.param, AGENT) as program:
        yield program


def check_results_went_up(at: Served) -> None:
    """Both results arrived, each with its call, in the provider's own words."""
    sent = json.dumps(at.upstream.bodies("agent")[-1])
    assert sent.count("blue") >= 2
    assert all(sent.count(f'"{call.id}"') == 2 for call in CALLS)


async def test_openai_python(at: Served) -> None:
    tool: Any = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
    client = openai.AsyncOpenAI(api_key="k", base_url=f"{at.url}/v1", max_retries=0)
    async with client:

        async def read(scenario: str, input: Any = "hi") -> Any:
            async with client.responses.stream(
                model=at.model(scenario), input=input, tools=[tool]
            ) as stream:
                return await stream.get_final_response()

        text = await read("text")
        assert (text.output_text, text.status) == (TEXT, "completed")
        assert (text.usage.total_tokens, text.usage.input_tokens_details.cached_tokens) == (10, 2)
        whole = await client.responses.create(model=at.model("text"), input="hi")
        assert (whole.output_text, whole.usage) == (TEXT, text.usage)
        parsed = await client.responses.parse(model=at.model("json"), input="hi", text_format=Place)
        assert parsed.output_parsed == Place(city="Paris")

        said = await read("agent")
        calls = [item for item in said.output if item.type == "function_call"]
        assert [json.loads(call.arguments) for call in calls] == INPUTS
        results = [
            {"type": "function_call_output", "call_id": call.call_id, "output": "blue"}
            for call in calls
        ]
        history = [{"role": "user", "content": "hi"}, *said.output, *results]
        assert (await read("agent", history)).output_text == "It is blue."
        check_results_went_up(at)

        thought = await read("reasoning")
        assert thought.output[0].summary[0].text == "Hm, thinking"
        await read("text", [*thought.output, {"role": "user", "content": "and?"}])
        assert '"c2ln"' in json.dumps(at.upstream.bodies("text")[-1])
        cut = await client.responses.create(model=at.model("length"), input="hi")
        assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")
        with pytest.raises(openai.APIError, match=BUSY):
            await read("midway")
        with pytest.raises(openai.RateLimitError, match=TOLD):
            await read("refused")
        with pytest.raises(openai.NotFoundError):
            await read("nobody")

        async with client.responses.connect() as socket:
            await socket.response.create(model=at.model("text"), input="hi")
            async for event in socket:
                if event.type == "response.completed":
                    assert event.response.output_text == TEXT
                    break

        stream = await client.responses.create(model=at.model("stall"), input="hi", stream=True)
        await anext(aiter(stream))
        await at.upstream.server.busy()
        await stream.close()
        await at.upstream.server.idle()


async def test_openai_javascript(at: Served) -> None:
    require_node()
    seen = await at.play("responses.mjs", *PLAYED, "json", "empty")
    text = seen["text"]
    assert text["text"] == text["added"]["output_text"] == text["whole"]["output_text"] == TEXT
    assert text["last"]["usage"]["total_tokens"] == 10
    for answer in (seen["tools"]["added"], seen["tools"]["whole"]):
        calls = [item for item in answer["output"] if item["type"] == "function_call"]
        assert [json.loads(call["arguments"]) for call in calls] == INPUTS
    assert seen["reasoning"]["whole"]["output"][0]["summary"][0]["text"] == "Hm, thinking"
    assert seen["json"] == {"parsed": {"city": "Paris"}}
    assert seen["length"]["last"]["status"] == "incomplete"
    assert seen["empty-answer"]["last"]["status"] == "completed"
    assert (seen["midway"]["text"], BUSY in seen["midway"]["error"]["message"]) == (
        "Half an ",
        True,
    )
    names = {name: seen[name]["error"]["name"] for name in ("refused", "nobody", "empty")}
    assert [*names.values()] == ["RateLimitError", "NotFoundError", "BadRequestError"]
    assert "secret" not in json.dumps(seen)


async def test_the_ai_sdk(at: Served) -> None:
    require_node()
    seen = await at.play("agents.mjs", *PLAYED[2:], "text", "agent", "json")
    assert (seen["text"]["text"], seen["text"]["finish"]) == (TEXT, "stop")
    assert seen["text"]["usage"]["totalTokens"] == 10
    assert (seen["reasoning"]["reasoning"], seen["reasoning"]["text"]) == ("Hm, thinking", "Yes.")
    assert seen["agent"] == {"text": "It is blue.", "steps": 2, "again": TEXT}
    check_results_went_up(at)
    told = json.dumps(at.upstream.bodies("text")[-1])
    assert "Let me look." in told
    assert "It is blue." in told
    assert seen["json"] == {"object": {"city": "Paris"}}
    assert seen["length"]["finish"] == "length"
    assert (seen["midway"]["text"], BUSY in seen["midway"]["error"]["message"]) == (
        "Half an ",
        True,
    )
    assert TOLD in seen["refused"]["error"]["message"]
    assert seen["nobody"]["error"]["status"] == 404


async def test_openai_agents(at: Served) -> None:
    agents = pytest.importorskip("agents", reason='pip install "llmstream-core[agents]"')
    agents.set_tracing_disabled(disabled=True)

    @agents.function_tool
    def weather(city: str) -> str:
        """The weather in a city."""
        return f"{city} is blue"

    client = openai.AsyncOpenAI(api_key="k", base_url=f"{at.url}/v1", max_retries=0)
    async with client:

        def agent(scenario: str, **options: Any) -> Any:
            model = agents.OpenAIResponsesModel(at.model(scenario), client)
            return agents.Agent(name="a", model=model, tools=[weather], **options)

        answer = await agents.Runner.run(agent("agent"), "hi")
        assert answer.final_output == "It is blue."
        check_results_went_up(at)
        streamed = agents.Runner.run_streamed(agent("agent"), "hi")
        kinds = [event.type async for event in streamed.stream_events()]
        assert streamed.final_output == "It is blue."
        assert "raw_response_event" in kinds
        again = await agents.Runner.run(
            agent("text"), [*answer.to_input_list(), {"role": "user", "content": "and?"}]
        )
        assert again.final_output == TEXT
        place = await agents.Runner.run(agent("json", output_type=Place), "hi")
        assert place.final_output == Place(city="Paris")


async def test_pydantic_ai(at: Served) -> None:
    pydantic_ai = pytest.importorskip("pydantic_ai", reason='pip install "llmstream-core[agents]"')
    from pydantic_ai.models import infer_model
    from pydantic_ai.providers.openai import OpenAIProvider

    # With a client of its own it would share one that nobody closes.
    client = openai.AsyncOpenAI(api_key="k", base_url=f"{at.url}/v1")
    provider = OpenAIProvider(openai_client=client)

    def agent(scenario: str, **options: Any) -> Any:
        name = f"openai:{at.model(scenario)}"  # Responses are its default
        model = infer_model(name, provider_factory=lambda _: provider)
        made = pydantic_ai.Agent(model, **options)

        @made.tool_plain
        def weather(city: str) -> str:
            """The weather in a city."""
            return f"{city} is blue"

        return made

    async with client:
        answer = await agent("agent").run("hi")
        assert answer.output == "It is blue."
        check_results_went_up(at)
        assert answer.usage.input_tokens == 29
        async with agent("agent").run_stream("hi") as streamed:
            assert await streamed.get_output() in ("Let me look.", "It is blue.")
        again = await agent("text").run("and?", message_history=answer.all_messages())
        assert again.output == TEXT
        thought = await agent("reasoning").run("hi")
        assert thought.output == "Yes."
        place = await agent("json", output_type=pydantic_ai.NativeOutput(Place)).run("hi")
        assert place.output == Place(city="Paris")
