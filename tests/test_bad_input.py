"""Mistakes of the caller: each is an exception that says what to do, before any network."""

from __future__ import annotations

import inspect
import math

import pytest

from llmstream import ConfigurationError, LLMClient, Message, Timeouts, Tool
from llmstream.message_reader import parse_messages
from llmstream.providers import registry
from llmstream.testing import ScriptedProvider

HI = [{"role": "user", "content": "hi"}]
KEYS = (
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "LLMSTREAM_MODEL",
    "OPENAI_BASE_URL",
)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    """No key, no model and no address from the machine that runs the tests."""
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


def refused(problem, match, *args, **options):
    """Constructing a client like this fails so."""
    with pytest.raises(problem, match=match):
        LLMClient(*args, **options)


# --- the client ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "variable"),
    [
        ("openai:m", "OPENAI_API_KEY"),
        ("openai-responses:m", "OPENAI_API_KEY"),
        ("anthropic:m", "ANTHROPIC"),
    ],
)
def test_a_missing_key_names_the_variable(model, variable):
    """Without a key the error names what to set."""
    refused(ConfigurationError, f"no key.*{variable}", model)


@pytest.mark.parametrize(
    ("key", "match"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("k\n", "line break"),
        ("k\r\nx: y", "line break"),
        ("ké", "character"),
        (b"k", "must be a string"),
        (5, "must be a string"),
    ],
)
def test_a_key_that_cant_be_sent_is_refused(key, match):
    """A line break at its end, or what is no header value, is named; the key itself is not shown."""
    refused(ConfigurationError, match, "openai:m", api_key=key)


def test_a_bad_key_in_the_environment_names_its_variable(monkeypatch):
    """The same for a key from the environment."""
    monkeypatch.setenv("OPENAI_API_KEY", "k\n")
    refused(ConfigurationError, "OPENAI_API_KEY.*line break", "openai:m")


@pytest.mark.parametrize(
    ("model", "match"),
    [
        ("nobody:m", "unknown provider 'nobody'.*openai"),
        ("llama-4", 'provider:model"'),
        ("openai:", "names no model"),
        ("", "must be a string"),
        (5, "must be a string"),
        (["openai:m"], "must be a string"),
    ],
)
def test_a_model_that_nobody_has_is_refused(model, match):
    """A model string that names no provider shows the form and those there are."""
    refused(ConfigurationError, match, model)


def test_an_unknown_provider_is_refused():
    """`provider=` by a name that isn't there lists those that are."""
    refused(ConfigurationError, "unknown provider 'nobody'.*anthropic", "m", provider="nobody")


def test_a_format_that_is_not_built_yet_is_refused():
    """A bare Gemini name is understood and says that there is no such provider yet."""
    if "gemini" not in registry.names():
        refused(ConfigurationError, "gemini.*there are", "gemini-3-pro")


def test_a_model_in_the_environment_is_checked_too(monkeypatch):
    """LLMSTREAM_MODEL is a model string like any other."""
    monkeypatch.setenv("LLMSTREAM_MODEL", "nobody:m")
    refused(ConfigurationError, "nobody")


def test_a_stand_in_is_refused_under_strict():
    """Without any key, `strict=True` refuses to pretend."""
    refused(ConfigurationError, "no key found", strict=True)


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("ftp://a.example", "https://.*not 'ftp'"),
        ("a.example/v1", "https://"),
        ("", "https://"),
        ("https://", "https://"),
        ("http://a.example/v1", "plain http.*allow_insecure_http"),
        ("http://10.0.0.1/v1", "plain http"),
        ("http://localhost.evil.example", "plain http"),
        ("https://user:pw@a.example/v1", "user name or password"),
        ("https://user@a.example/v1", "user name or password"),
        ("https://[::1", "can't be read"),
    ],
)
def test_a_base_url_that_would_leak_is_refused(url, match):
    """No foreign scheme, no key over plain http to another machine, no password in the address."""
    refused(ConfigurationError, match, "openai:m", api_key="k", base_url=url)
    refused(ConfigurationError, match, "anthropic:m", api_key="k", base_url=url)


@pytest.mark.parametrize(
    "url",
    [
        *(
            f"http://127.0.0.1:1/{odd}"
            for odd in ("\t", "\n", "\x00", "a b", "\x7f", "\u2028", "\ud800")
        ),
        "http://127.0.0.1\t:1",
        "\thttp://127.0.0.1:1",
        " http://127.0.0.1:1",
        "ht\ttp://127.0.0.1:1",
        "http://local\nhost:1",
        "http://127.0.0.1:80:90",
        "http://[::1]:1:2",
        "http://[::1]x:1",
        "http://[::1]2",
        "https://[a.example]",
        "https://[v1.a]:1",
        "http://localhost:1/" + "x" * 70_000,
        "http://127.0.0.1:1/?",
        "http://127.0.0.1:1/#",
    ],
    ids=lambda url: repr(url)[:40],
)
@pytest.mark.parametrize("transport", ["httpx2", "aiohttp"])
def test_an_address_that_nobody_could_ask_is_refused_when_it_is_given(url, transport):
    """HTTP clients raise exceptions of their own for some of them, `urlsplit` reads over others."""
    for model in ("openai:m", "anthropic:m"):
        refused(
            ConfigurationError, "base_url", model, api_key="k", base_url=url, transport=transport
        )


def test_the_environments_address_is_checked_too(monkeypatch):
    """The SDK reads OPENAI_BASE_URL itself; it is held to the same rule."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://a.example/v1")
    refused(ConfigurationError, "plain http", "openai:m", api_key="k")


@pytest.mark.parametrize(
    "url", ["http://localhost:1/v1", "http://127.0.0.1:1", "http://[::1]:1", "https://a.example"]
)
def test_an_address_that_is_safe_is_taken(url):
    """This machine by http, any by https."""
    assert "openai" in repr(LLMClient("openai:m", api_key="k", base_url=url))


def test_plain_http_is_taken_when_asked_for():
    """`allow_insecure_http=True` is the way to say so."""
    assert LLMClient("openai:m", api_key="k", base_url="http://a.example", allow_insecure_http=True)


@pytest.mark.parametrize(
    ("url", "given", "told"),
    [
        ("http://a.example:8000/v1", {"api_key": "canary-1"}, "a.example:8000"),
        ("http://10.0.0.5/v1", {"api_key": "canary-1"}, "10.0.0.5"),
        ("http://a.example", {"api_key": "none", "headers": {"x-key": "canary-1"}}, "a.example"),
        ("http://a.example", {"api_key": "none"}, None),
        ("http://localhost:8000", {"api_key": "canary-1"}, None),
        ("http://[::1]:8000", {"api_key": "canary-1"}, None),
        ("https://a.example", {"api_key": "canary-1"}, None),
    ],
)
def test_a_key_over_plain_http_is_told_in_the_log(url, given, told, caplog):
    """Which is stderr, where nobody configured logging. It shows no key."""
    LLMClient("openai:m", base_url=url, allow_insecure_http=True, **given)
    lines = [line for line in caplog.messages if "plain http" in line]
    assert len(lines) == (told is not None)
    assert told is None or f"to {told}, and" in lines[0]
    assert "canary" not in caplog.text


@pytest.mark.parametrize(
    ("headers", "match"),
    [
        ({"x": "a\r\ny: b"}, "value of header 'x'"),
        ({"x": "é"}, "value of header 'x'"),
        ({"x y": "a"}, "header name"),
        ({"x:": "a"}, "header name"),
        ({"": "a"}, "header name"),
        ({"x": 5}, "strings"),
        ({5: "x"}, "strings"),
    ],
)
async def test_a_header_that_cant_be_sent_is_refused(headers, match):
    """Names and values that no header can hold are refused, on the client and per call."""
    refused(ConfigurationError, match, "openai:m", api_key="k", headers=headers)
    await asked(ConfigurationError, match, headers=headers)


def test_what_belongs_to_a_provider_object_is_set_there():
    """A Provider object brings its own key and address."""
    refused(
        ConfigurationError,
        "api_key, base_url",
        provider=ScriptedProvider(),
        api_key="k",
        base_url="https://a.example",
    )


def test_an_sdk_client_must_be_one():
    """`sdk_client` takes the vendor's async client, nothing else."""
    refused(ConfigurationError, "sdk_client", "openai:m", sdk_client=object())


@pytest.mark.parametrize("name", ["connect", "first_token", "idle", "progress", "total"])
@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_a_timeout_is_positive(name, value):
    """Zero, negative and NaN are no limits; None is."""
    with pytest.raises(ValueError, match=f"timeouts.{name} must be positive seconds or None"):
        Timeouts(**{name: value})
    assert getattr(Timeouts(**{name: None}), name) is None


# --- the call ------------------------------------------------------------------------------------------------


async def asked(problem, match, messages=HI, **options):
    """Asking like this fails so, at the first step, and nothing was sent."""
    provider = ScriptedProvider(["never"])
    events = LLMClient(provider=provider).chat_completion(messages, **options)
    with pytest.raises(problem, match=match):
        await anext(events)
    assert provider.requests == []


@pytest.mark.parametrize(
    ("messages", "problem", "match"),
    [
        ([], ValueError, "messages is empty"),
        ("hi", TypeError, "messages must be a list such as"),
        ({"role": "user", "content": "hi"}, TypeError, "must be a list such as"),
        (Message("user", "hi"), TypeError, "must be a list such as"),
        (None, TypeError, "must be a list"),
        (iter(HI), TypeError, "must be a list"),
        (["hi"], TypeError, r"messages\[0\] must be a dict or a Message"),
        ([{"content": "hi"}], ValueError, r"messages\[0\]\.role must be one of"),
        (
            [{"role": "bot", "content": "hi"}],
            ValueError,
            r"messages\[0\]\.role must be one of.*'bot'",
        ),
        ([{"role": "user"}], ValueError, r"messages\[0\]\.content is missing"),
        ([{"role": "user", "content": 5}], TypeError, r"messages\[0\]\.content must be a list"),
        ([{"role": "user", "content": [{"type": "text"}]}], TypeError, "text must be a string"),
        ([{"role": "user", "content": "\ud800"}], ValueError, "surrogate"),
        ([{"role": "tool", "content": "x"}], ValueError, "tool_call_id is missing"),
        (
            [{"role": "assistant", "tool_calls": [{"id": "x"}]}],
            ValueError,
            r"tool_calls\[0\] needs",
        ),
        (
            [
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "x", "function": {"name": "f", "arguments": {"x": 1}}}],
                }
            ],
            TypeError,
            "arguments must be a string of JSON",
        ),
    ],
)
async def test_messages_that_cant_be_read_are_refused(messages, problem, match):
    """The error names the place and what was expected."""
    await asked(problem, match, messages)


@pytest.mark.parametrize(
    ("options", "problem", "match"),
    [
        ({"tools": {"name": "f"}}, TypeError, "tools must be a list"),
        ({"tools": ["f"]}, TypeError, r"tools\[0\] must be a Tool or a dict"),
        (
            {"tools": [len]},
            TypeError,
            r"run_tools\(client, messages, \[function\]\) takes functions",
        ),
        (
            {"tools": [{"type": "function", "function": {}}]},
            ValueError,
            r"tools\[0\]: a function tool needs a name",
        ),
        (
            {"tools": [{"name": "f", "parameters": {"x": {1, 2}}}]},
            TypeError,
            r"\(f\): parameters can't be written",
        ),
        (
            {"tools": [Tool("f", {"default": object()})]},
            TypeError,
            r"\(f\): parameters can't be written as JSON",
        ),
        ({"tools": [Tool("f", "object")]}, TypeError, r"\(f\): parameters must be a JSON schema"),
        (
            {"tools": [{"type": "web_search", "x": object()}]},
            TypeError,
            r"tools\[0\] can't be written as JSON",
        ),
        (
            {"tool_choice": "sometimes"},
            ValueError,
            "tool_choice must be 'auto', 'none', 'required'",
        ),
        ({"tool_choice": 5}, ValueError, "tool_choice must be"),
        ({"tool_choice": {"type": "function"}}, ValueError, "tool_choice must be"),
        ({"response_format": "xml"}, ValueError, "response_format must be"),
        ({"response_format": {"type": "json_schema"}}, ValueError, "schema is missing"),
        (
            {"response_format": {"type": "object", "x": object()}},
            TypeError,
            "response_format can't be written",
        ),
        ({"response_format": int}, ValueError, "response_format must be"),
        ({"stop": ""}, TypeError, "stop must be a non-empty string"),
        ({"stop": ["a", ""]}, TypeError, "stop must be a non-empty string"),
        ({"stop": [5]}, TypeError, "stop must be"),
        ({"stop": 5}, TypeError, "stop must be"),
        ({"max_tokens": 0}, ValueError, "max_tokens must be a positive whole number"),
        ({"max_tokens": -1}, ValueError, "max_tokens must be"),
        ({"max_tokens": 1.5}, ValueError, "max_tokens must be"),
        ({"max_tokens": "10"}, ValueError, "max_tokens must be"),
        ({"max_tokens": True}, ValueError, "max_tokens must be"),
        (
            {"provider_options": {"temperature": 1}},
            TypeError,
            "provider_options is keyed by provider",
        ),
        (
            {"provider_options": {"openai": {"x": object()}}},
            TypeError,
            r"provider_options\['openai'\] can't be written",
        ),
        ({"timeouts": 30}, TypeError, "timeouts must be a Timeouts"),
        ({"model": 5}, TypeError, "model must be a string"),
        ({"model": ""}, TypeError, "model must be a string"),
        ({"model": "openai:m"}, ConfigurationError, "no key.*OPENAI_API_KEY"),
    ],
)
async def test_options_that_cant_be_read_are_refused(options, problem, match):
    """The error names the option and its forms."""
    await asked(problem, match, **options)


async def test_an_unknown_option_is_a_type_error():
    """A misspelt option is not swallowed."""
    with pytest.raises(TypeError, match="max_token"):
        LLMClient(provider=ScriptedProvider()).stream(HI, max_token=5)


INSTEAD = {
    "max_completion_tokens": "write max_tokens=",
    "user": "user_id",
    "timeout": r"timeouts=Timeouts\(total=",
    "max_retries": r"retry=RetryPolicy\(max_attempts=",
    "extra_body": "provider_options=",
    "extra_headers": "headers=",
    "stop_sequences": "stop=",
    "functions": "tools=",
    "temprature": "did you mean 'temperature'",
    "time_outs": "did you mean 'timeouts'",
    "min_p": "known: .* provider's own body",
}
"""What an error says of an option that other libraries have."""


@pytest.mark.parametrize("name", INSTEAD)
async def test_an_option_of_another_library_says_what_to_write(name):
    """However the call is made, and without the value, which may be a secret."""
    provider = ScriptedProvider()
    client = LLMClient(provider=provider)
    given = {name: "sk-a-secret"}
    for mode in (True, False):
        with pytest.raises(TypeError, match=INSTEAD[name]) as caught:
            await anext(client.chat_completion(HI, mode, **given))
        assert "sk-a-secret" not in str(caught.value)
    with pytest.raises(TypeError, match=INSTEAD[name]):
        client.stream(HI, **given)
    with pytest.raises(TypeError, match=INSTEAD[name]) as caught:
        await client.complete(HI, **given)
    frames = [
        frame.frame for frame in inspect.getinnerframes(caught.tb) if "client.py" in frame.filename
    ]
    assert not any("sk-a-secret" in repr(frame.f_locals) for frame in frames)
    assert provider.requests == []


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("timeout", r"timeouts=Timeouts\(total="),
        ("max_retries", r"RetryPolicy\(max_attempts="),
        ("default_headers", "headers="),
        ("organization", "OpenAI-Organization"),
        ("http_client", "transport="),
        ("temperature", r"chat_completion\(messages, temperature="),
        ("api_keys", "did you mean 'api_key'"),
        ("nonsense", "known: model, provider"),
    ],
)
def test_an_argument_of_another_library_s_client_says_what_to_write(name, match):
    """The value stays unsaid."""
    refused(TypeError, match, provider=ScriptedProvider(), **{name: "x"})


@pytest.mark.parametrize(
    ("message", "match"),
    [
        (
            {"role": "user", "content": "x", "tool_cals": []},
            r"messages\[0\] has no key 'tool_cals'",
        ),
        ({"role": "user", "content": "x", "tool_calls": [1]}, "has no key 'tool_calls'"),
        ({"role": "user", "contents": "x", "content": "y"}, "did you mean 'content'"),
        ({"role": "assistant", "content": "", "function_call": {"name": "f"}}, "write tool_calls"),
        ({"role": "assistant", "content": "x", "reasoning_contents": "y"}, "reasoning_content'"),
        ({"role": "assistant", "content": "x", "audio": {"id": "a"}}, "has no key 'audio'"),
        ({"role": "tool", "tool_call_id": "c", "content": "x", "tool_id": "d"}, "tool_call_id"),
        ({"role": "system", "content": "x", "id": "a"}, "has no key 'id'; known: role, content"),
        (
            {"role": "user", "content": [{"type": "text", "text": "x", "txt": "y"}]},
            r"messages\[0\].content\[0\] has no key 'txt'",
        ),
        (
            {"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}, "url": "u"}]},
            "has no key 'url'",
        ),
        (
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "function": {"name": "f", "args": "{}"}}],
            },
            r"tool_calls\[0\].function has no key 'args'",
        ),
    ],
)
async def test_a_key_that_a_message_doesn_t_have_is_named(message, match):
    """It used to vanish."""
    await asked(ValueError, match, [message])


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant"])
def test_a_key_that_says_nothing_is_let_through(role):
    """OpenAI's SDK writes None for what an answer doesn't have."""
    parse_messages(
        [{"role": role, "content": "x", "audio": None, "function_call": None, "x": None}]
    )


@pytest.mark.parametrize("name", ["antropic", "OpenAI", "openai_responses", ""])
async def test_options_for_a_provider_that_doesn_t_exist_are_refused(name):
    """They would go nowhere."""
    options = {name: {"x": 1}}
    await asked(
        ValueError, f"provider_options: there is no provider {name!r}", provider_options=options
    )
    await asked(ValueError, "Providers are: ", provider_options=options)


@pytest.mark.parametrize("name", ["scripted", "openai", "groq", "anthropic"])
async def test_options_for_a_provider_that_exists_are_for_whoever_answers(name):
    """One that isn't asked may be a fallback of another call."""
    client = LLMClient(provider=ScriptedProvider(["hi"]))
    await client.complete(HI, provider_options={name: {"x": 1}})


async def test_options_for_a_provider_object_are_known_by_its_name():
    """Also where it is a fallback of this call alone."""
    mine = ScriptedProvider(["hi"])
    mine.name = "mine"
    client = LLMClient(provider=ScriptedProvider(["hi"]))
    options = {"mine": {"x": 1}}
    with pytest.raises(ValueError, match="there is no provider 'mine'"):
        await client.complete(HI, provider_options=options)
    await client.complete(HI, provider_options=options, fallbacks=[mine])


async def test_mistakes_are_found_in_batch_mode_too():
    """`stream=False` and `complete` raise the same."""
    await asked(ValueError, "messages is empty", [], stream=False)
    with pytest.raises(ValueError, match="messages is empty"):
        await LLMClient(provider=ScriptedProvider()).complete([])
