"""Which provider a model string means, and providers of one's own."""

from __future__ import annotations

import pytest

from llmstream import ConfigurationError, LLMClient
from llmstream.providers import ProviderConfig, ProviderTraits, names, register, registry
from llmstream.testing import ScriptedProvider

QUESTION = [{"role": "user", "content": "hi"}]


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    for variable in (
        "LLMSTREAM_MODEL",
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
    ):
        monkeypatch.delenv(variable, raising=False)


def echo(config: ProviderConfig) -> ScriptedProvider:
    provider = ScriptedProvider(["from ", config.name])
    provider.name = config.name
    return provider


async def test_a_registered_provider_is_a_name_like_any_other() -> None:
    register("mine", echo)
    assert "mine" in names()
    message = await LLMClient("mine:m-7").complete(QUESTION)
    assert (message.text, message.provider, message.model) == ("from mine", "mine", "m-7")


async def test_a_call_may_go_to_another_provider() -> None:
    register("one", echo)
    register("two", echo)
    client = LLMClient("one:a")
    message = await client.complete(QUESTION, model="two:b")
    assert (message.text, message.model) == ("from two", "b")
    assert (await client.complete(QUESTION, model="c")).model == "c"


def test_a_provider_without_a_default_model_wants_one() -> None:
    class Nameless(ScriptedProvider):
        traits = ProviderTraits()

    register("bare", lambda config: Nameless())
    with pytest.raises(ConfigurationError, match="no default model"):
        LLMClient("bare")


@pytest.mark.parametrize("name", ["", "Mine", "a:b", "a b"])
def test_a_provider_name_can_stand_in_a_model_string(name: str) -> None:
    with pytest.raises(ConfigurationError, match="provider name"):
        register(name, echo)


@pytest.mark.parametrize(
    ("model", "meant"),
    [
        ("openai:gpt-5-mini", ("openai", "gpt-5-mini")),
        ("openai-responses:gpt-5", ("openai-responses", "gpt-5")),
        ("openai:ft:gpt-4o:org::id", ("openai", "ft:gpt-4o:org::id")),
        ("anthropic", ("anthropic", None)),
        ("anthropic/claude-x", ("anthropic", "claude-x")),
        ("gpt-5", ("openai", "gpt-5")),
        ("o3-mini", ("openai", "o3-mini")),
        ("claude-sonnet-4-5", ("anthropic", "claude-sonnet-4-5")),
        ("gemini-3", ("gemini", "gemini-3")),
    ],
)
def test_model_strings(model: str, meant: tuple[str, str | None]) -> None:
    assert registry.parse_model(model) == meant


@pytest.mark.parametrize("model", ["antropic:claude-x", "llama3", "openai:", "meta/llama-3"])
def test_an_unknown_model_or_provider_says_which_there_are(model: str) -> None:
    with pytest.raises(ConfigurationError, match=r"alibaba, anthropic, .*, zai|names no model"):
        LLMClient(model)


async def test_a_misspelt_provider_in_a_call_does_not_reach_the_vendor() -> None:
    client = LLMClient("openai:gpt-5", api_key="k")
    with pytest.raises(ConfigurationError, match="antropic"):
        await client.complete(QUESTION, model="antropic:claude-x")


def test_a_model_and_a_provider_must_agree() -> None:
    with pytest.raises(ConfigurationError, match="another provider"):
        LLMClient("openai:gpt-5", provider="anthropic")


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("OPENAI_API_KEY", "openai"),
        ("ANTHROPIC_API_KEY", "anthropic"),
        ("ANTHROPIC_AUTH_TOKEN", "anthropic"),
    ],
)
def test_the_first_provider_with_a_key_is_the_default(
    variable: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "sk-123")
    assert repr(LLMClient()).startswith(f"LLMClient({name}:")


def test_the_environment_may_name_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMSTREAM_MODEL", "simulator:quiet")
    assert repr(LLMClient()) == "LLMClient(simulator:quiet)"


async def test_without_a_key_the_stand_in_says_so_three_times(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(registry.importlib.util, "find_spec", lambda name: None)
    with pytest.warns(UserWarning, match="simulator") as warned:
        client = LLMClient()
    assert warned[0].filename == __file__
    assert "simulator" in caplog.text
    events = [event async for event in client.chat_completion(QUESTION)]
    assert events[0].start is not None
    assert "simulator" in events[0].start.warnings[0]
    assert events[-1].start == events[0].start
    with pytest.raises(ConfigurationError, match="LLMSTREAM_MODEL"):
        LLMClient(strict=True)


@pytest.mark.parametrize(
    "options", [{"api_key": "k"}, {"base_url": "https://a.example"}, {"sdk_client": object()}]
)
@pytest.mark.parametrize("provider", ["simulator", ScriptedProvider()])
def test_a_provider_without_an_endpoint_takes_none(
    provider: object, options: dict[str, object]
) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        LLMClient(provider=provider, **options)  # type: ignore[arg-type]  # that is the point
