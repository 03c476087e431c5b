"""What vendors are documented to refuse in a history: one row for each rule, with its source."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tests.wire import gemini_rules, interaction_rules

Body = dict[str, Any]


@dataclass(frozen=True)
class Rule:
    """One rule, and what breaks it."""

    said: str
    source: str
    breaks: Callable[[Body], Iterable[Any]]
    """The places of a body that break it."""
    hosts: frozenset[str] | None = None
    """Whose rule it is; None: every host's of the format."""


def findings(body: Body, format: str, host: str) -> list[str]:
    """The rules that a body breaks, and where."""
    found = []
    for rule in RULES[format]:
        if rule.hosts is None or host in rule.hosts:
            found += [f"{rule.said} ({rule.source}): {place}" for place in rule.breaks(body)]
    return found


def hosts(*names: str) -> frozenset[str]:
    return frozenset(names)


# --- chat completions -------------------------------------------------------------------------------------


def _calls(body: Body) -> Iterator[Any]:
    for message in body["messages"]:
        yield from message.get("tool_calls") or ()


def _ids(body: Body) -> list[str]:
    return [call["id"] for call in _calls(body)]


def _ids_that_dont_match(pattern: str) -> Callable[[Body], Iterator[str]]:
    return lambda body: (id for id in _ids(body) if not re.fullmatch(pattern, id))


def _twice(values: list[str]) -> Iterator[str]:
    return (value for value in set(values) if values.count(value) > 1)


def _unanswered(body: Body) -> Iterator[str]:
    open_ids: list[str] = []
    for message in body["messages"]:
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_ids:
                yield f"result {message['tool_call_id']} without a call"
            else:
                open_ids.remove(message["tool_call_id"])
            continue
        yield from open_ids
        open_ids = [call["id"] for call in message.get("tool_calls") or ()]


def _broken_arguments(body: Body) -> Iterator[str]:
    for call in _calls(body):
        if call["type"] == "function":
            yield from _no_object(call["function"]["arguments"])


def _no_object(text: str) -> Iterator[str]:
    try:
        if not isinstance(json.loads(text), dict):
            yield text
    except ValueError:
        yield text


def _says_nothing(body: Body) -> Iterator[Any]:
    for message in body["messages"]:
        said = [message.get(name) for name in ("content", "refusal", "tool_calls")]
        said += [message.get(name) for name in ("reasoning_content", "reasoning_details")]
        if message["role"] == "assistant" and not any(said):
            yield message


def _empty_parts(body: Body) -> Iterator[Any]:
    for message in body["messages"]:
        content = message.get("content")
        if content == []:
            yield message
        for part in content if isinstance(content, list) else ():
            if part.get("type") == "text" and not part["text"]:
                yield message


KEYS = {
    "system": {"role", "content", "name"},
    "developer": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "tool": {"role", "content", "tool_call_id"},
    "assistant": {"role", "content", "name", "refusal", "tool_calls"},
}


def _unknown_keys(body: Body) -> Iterator[Any]:
    for message in body["messages"]:
        yield from message.keys() - KEYS[message["role"]]


def _lacks_reasoning(body: Body) -> Iterator[Any]:
    for message in body["messages"]:
        if message["role"] == "assistant" and not message.get("reasoning_content"):
            yield message


def _calls_without_reasoning(body: Body) -> Iterator[Any]:
    return (message for message in _lacks_reasoning(body) if message.get("tool_calls"))


def _late_system(body: Body) -> Iterator[Any]:
    for message in body["messages"][1:]:
        if message["role"] in ("system", "developer"):
            yield message


def _assistant_begins(body: Body) -> Iterator[Any]:
    turns = [each for each in body["messages"] if each["role"] not in ("system", "developer")]
    if turns and turns[0]["role"] == "assistant":
        yield turns[0]


def _names(body: Body) -> Iterator[Any]:
    return (message for message in body["messages"] if "name" in message)


def _files_of_text(body: Body) -> Iterator[Any]:
    for message in body["messages"]:
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            if part["type"] == "file" and "data:text/" in str(part["file"].get("file_data")):
                yield part


def _foreign(format: str) -> Callable[[Body], Iterator[str]]:
    """Signatures of other formats: every one in the generated histories says whose it is."""
    return lambda body: (
        owner for owner in re.findall(r"signed by ([\w-]+)", str(body)) if owner != format
    )


def _marks(body: Body) -> Iterator[str]:
    text = json.dumps(body)
    count = text.count('"cache_control"') + text.count('"prompt_cache_breakpoint"')
    if count > 4:
        yield f"{count} marks"


def _any_mark(body: Body) -> Iterator[str]:
    return (
        word for word in ("cache_control", "prompt_cache_breakpoint") if word in json.dumps(body)
    )


CHAT = (
    Rule("a call's id is empty", "400 of every host", _ids_that_dont_match(r"(?s).+")),
    Rule(
        "an id has at most 40 characters",
        "OpenAI: 400 string_above_max_length (litellm#17343)",
        _ids_that_dont_match(r"(?s).{1,40}"),
        hosts("openai", "azure", "openrouter"),
    ),
    Rule(
        "an id is nine letters and digits",
        "Mistral: 400 `must be a-z, A-Z, 0-9, with a length of 9`",
        _ids_that_dont_match(r"[a-zA-Z0-9]{9}"),
        hosts("mistral"),
    ),
    Rule("two calls have one id", "wild.md: unique over the history", lambda b: _twice(_ids(b))),
    Rule(
        "a call and its result stand together",
        "OpenAI: 400 `tool_calls must be followed by tool messages`",
        _unanswered,
    ),
    Rule("arguments are an object", "vLLM, SGLang, MiniMax, Fireworks: 400", _broken_arguments),
    Rule("an assistant says or calls something", "Mistral, Kimi: 400", _says_nothing),
    Rule("no empty text", "Kimi, Gemini: 400 `content is empty`", _empty_parts),
    Rule(
        "no key that the host doesn't know",
        "Mistral: 422 extra_forbidden; Groq, OpenAI: 400 unknown property",
        _unknown_keys,
        hosts("openai", "azure", "mistral", "groq"),
    ),
    Rule(
        "a message has no name",
        "Groq: 400; Mistral: 422",
        _names,
        hosts("groq", "mistral", "databricks"),
    ),
    Rule(
        "every answer has its reasoning",
        "DeepSeek: api-docs.deepseek.com/guides/thinking_mode",
        _lacks_reasoning,
        hosts("deepseek", "openrouter deepseek/deepseek-v4-pro"),
    ),
    Rule(
        "every answer with calls has its reasoning",
        "Kimi: 400 `reasoning_content is missing`",
        _calls_without_reasoning,
        hosts("moonshot"),
    ),
    Rule(
        "the system message is the first",
        "Qwen's template: `System message must be at the beginning`",
        _late_system,
        hosts("vllm", "llamacpp", "lmstudio"),
    ),
    Rule(
        "the user begins",
        "Gemini: 400 `function call turn comes immediately after a user turn`; Gemma's and Mistral's templates: "
        "`Conversation roles must alternate user/assistant/user/assistant/...`",
        _assistant_begins,
        hosts("gemini-compatible", "vllm", "llamacpp", "lmstudio"),
    ),
    Rule("a file is a PDF", "OpenAI: platform.openai.com/docs/guides/pdf-files", _files_of_text),
    Rule("no foreign signature", "wild.md", _foreign("openai-chat")),
    Rule("at most four cache marks", "openai.types: `up to four breakpoints`", _marks),
    Rule(
        "no cache mark",
        "hosts that cache by themselves",
        _any_mark,
        hosts(
            "azure",
            "mistral",
            "groq",
            "deepseek",
            "gemini-compatible",
            "xai",
            "vllm",
            "moonshot",
            "zai",
        ),
    ),
)

# --- Responses --------------------------------------------------------------------------------------------


def _items(body: Body, *kinds: str) -> list[Any]:
    return [item for item in body["input"] if item.get("type") in kinds]


_CALL_ITEMS = ("function_call", "custom_tool_call")
_OUTPUT_ITEMS = ("function_call_output", "custom_tool_call_output")


def _call_ids(body: Body) -> list[str]:
    return [item["call_id"] for item in _items(body, *_CALL_ITEMS)]


def _without_output(body: Body) -> Iterator[Any]:
    called = {item["call_id"]: item["type"] for item in _items(body, *_CALL_ITEMS)}
    given = [item["call_id"] for item in _items(body, *_OUTPUT_ITEMS)]
    yield from called.keys() ^ set(given)
    yield from _twice(given)
    for item in _items(body, *_OUTPUT_ITEMS):
        if called.get(item["call_id"], "") + "_output" != item["type"]:
            yield item


def _dangling(body: Body) -> Iterator[Any]:
    items = body["input"]
    for item, follower in zip(items, [*items[1:], {}], strict=True):
        if item["type"] != "reasoning":
            continue
        role = follower.get("role", "assistant")
        if follower.get("type") in (None, "reasoning", *_OUTPUT_ITEMS) or role != "assistant":
            yield item


def _empty_messages(body: Body) -> Iterator[Any]:
    for item in _items(body, "message"):
        content = item["content"]
        texts = [part.get("text") for part in content] if isinstance(content, list) else []
        if content == [] or "" in texts or (item["role"] == "assistant" and content == ""):
            yield item


RESPONSES = (
    Rule(
        "call_id has 1 to 64 characters",
        "platform.openai.com/docs/api-reference/responses/create",
        lambda b: (id for id in _call_ids(b) if not 1 <= len(id) <= 64),
    ),
    Rule(
        "two calls have one id", "wild.md: unique over the history", lambda b: _twice(_call_ids(b))
    ),
    Rule(
        "each call has one output", "400 `No tool output found for function call`", _without_output
    ),
    Rule(
        "reasoning has its item behind it",
        "400 `provided without its required following item`",
        _dangling,
    ),
    Rule(
        "every item names its type",
        "llama.cpp: 400",
        lambda b: (i for i in b["input"] if not i.get("type")),
    ),
    Rule(
        "arguments are an object",
        "wild.md: broken calls",
        lambda b: (p for i in _items(b, "function_call") for p in _no_object(i["arguments"])),
    ),
    Rule("no empty text", "wild.md: blank texts", _empty_messages),
    Rule("no foreign signature", "wild.md", _foreign("openai-responses")),
    Rule("at most four cache marks", "openai.types: `up to four breakpoints`", _marks),
)

# --- Messages ---------------------------------------------------------------------------------------------


def _blocks(body: Body) -> Iterator[tuple[int, str, Any]]:
    for index, turn in enumerate(body["messages"]):
        content = turn["content"]
        if isinstance(content, str):
            yield index, turn["role"], {"type": "text", "text": content}
        else:
            for block in content:
                yield index, turn["role"], block


def _of(body: Body, kind: str) -> list[Any]:
    return [block for _, _, block in _blocks(body) if block["type"] == kind]


def _wrong_turns(body: Body) -> Iterator[Any]:
    roles = [turn["role"] for turn in body["messages"]]
    for before, role in zip(["", *roles], roles, strict=False):
        if role == before or (role == "system" and before != "user"):
            yield roles
        if before == "system" and role != "assistant":
            yield roles
    if roles and roles[0] != "user":
        yield roles


def _results_apart(body: Body) -> Iterator[Any]:
    turns = body["messages"]
    for turn, follower in zip(turns, [*turns[1:], {"content": []}], strict=True):
        content = turn["content"] if isinstance(turn["content"], list) else []
        called = [block["id"] for block in content if block["type"] == "tool_use"]
        given = follower["content"] if isinstance(follower["content"], list) else []
        first = [block.get("tool_use_id") for block in given[: len(called)]]
        if sorted(called) != sorted(map(str, first)):
            yield turn
    given_ids = [block["tool_use_id"] for block in _of(body, "tool_result")]
    if len(given_ids) != len(_of(body, "tool_use")):
        yield given_ids


def _blank_texts(body: Body) -> Iterator[Any]:
    texts = _of(body, "text") + [b for b in body.get("system") or () if isinstance(b, dict)]
    return (block for block in texts if not block["text"].strip())


def _thinking_last(body: Body) -> Iterator[Any]:
    for turn in body["messages"]:
        content = turn["content"]
        if isinstance(content, list) and content[-1]["type"] in ("thinking", "redacted_thinking"):
            yield turn


def _unsigned(body: Body) -> Iterator[Any]:
    if "claude" in body["model"]:
        yield from (block for block in _of(body, "thinking") if not block.get("signature"))


def _empty_content(body: Body) -> Iterator[Any]:
    return (turn for turn in body["messages"] if not turn["content"])


def _owed_thinking(body: Body) -> Iterator[Any]:
    if "claude" in body["model"]:
        return
    for turn in body["messages"]:
        kinds = [b["type"] for b in turn["content"]] if isinstance(turn["content"], list) else []
        if turn["role"] == "assistant" and "tool_use" in kinds and "thinking" not in kinds:
            yield turn


def _default_callers(body: Body) -> Iterator[Any]:
    return (block for block in _of(body, "tool_use") if block.get("caller") == {"type": "direct"})


MESSAGES = (
    Rule(
        "an id matches ^[a-zA-Z0-9_-]+$",
        "Anthropic: 400 `String should match pattern`",
        lambda b: (
            c["id"]
            for c in _of(b, "tool_use")
            if not re.fullmatch(r"[\w-]{1,64}", c["id"], re.ASCII)
        ),
    ),
    Rule(
        "ids are unique",
        "Anthropic: 400 `tool_use ids must be unique`",
        lambda b: _twice([call["id"] for call in _of(b, "tool_use")]),
    ),
    Rule(
        "user and assistant alternate; system follows a user's turn, an assistant's follows it",
        "platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages",
        _wrong_turns,
    ),
    Rule(
        "results come first in the turn behind their calls",
        "Anthropic: 400 `tool_use ids were found without tool_result blocks immediately after`",
        _results_apart,
    ),
    Rule(
        "no blank text",
        "Anthropic: 400 `text content blocks must contain non-whitespace`",
        _blank_texts,
    ),
    Rule(
        "no empty turn", "Anthropic: 400 `all messages must have non-empty content`", _empty_content
    ),
    Rule(
        "thinking isn't last", "Anthropic: 400 `final block … cannot be thinking`", _thinking_last
    ),
    Rule("thinking is signed", "Anthropic: 400 `thinking.signature: Field required`", _unsigned),
    Rule("no foreign signature", "wild.md", _foreign("anthropic-messages")),
    Rule(
        "every call has its thinking",
        "DeepSeek, Kimi: 400 `thinking must be passed back`",
        _owed_thinking,
    ),
    Rule("the default caller is left out", "wild.md: older schemas refuse it", _default_callers),
    Rule(
        "at most four cache marks",
        "docs.anthropic.com/en/docs/build-with-claude/prompt-caching",
        _marks,
    ),
)

# --- Ollama -----------------------------------------------------------------------------------------------


OLLAMA_KEYS = {
    "system": {"role", "content"},
    "user": {"role", "content", "images"},
    "tool": {"role", "content", "images", "tool_name", "tool_call_id"},
    "assistant": {"role", "content", "thinking", "tool_calls"},
}


def _unknown_to_ollama(body: Body) -> Iterator[Any]:
    for message in body["messages"]:
        yield from message.keys() - OLLAMA_KEYS[message["role"]]


def _texts_as_arguments(body: Body) -> Iterator[Any]:
    return (call for call in _calls(body) if not isinstance(call["function"]["arguments"], dict))


def _lists_as_content(body: Body) -> Iterator[Any]:
    return (each for each in body["messages"] if not isinstance(each["content"], str))


def _addresses_as_images(body: Body) -> Iterator[Any]:
    images = (image for each in body["messages"] for image in each.get("images", ()))
    return (image for image in images if not re.fullmatch(r"[A-Za-z0-9+/]+=*", image))


def _silent(body: Body) -> Iterator[Any]:
    for message in body["messages"]:
        said = [message.get(name) for name in ("content", "thinking", "tool_calls")]
        if message["role"] == "assistant" and not any(said):
            yield message


_GO = "ollama/ollama api/types.go (Message)"
OLLAMA = (
    Rule("no unknown key or role", _GO, _unknown_to_ollama),
    Rule("arguments are an object", _GO, _texts_as_arguments),
    Rule("content is a text", _GO, _lists_as_content),
    Rule("images are base64", _GO, _addresses_as_images),
    Rule("each result follows its call", "the templates of its models", _unanswered),
    Rule("ids are unique", "so that a result has one call", lambda body: _twice(_ids(body))),
    Rule("an assistant says or does something", "the templates of its models", _silent),
)

# --- Cohere -----------------------------------------------------------------------------------------------


COHERE_KEYS = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "tool": {"role", "content", "tool_call_id"},
    "assistant": {"role", "content", "tool_plan", "tool_calls", "citations"},
}


def _unknown_to_cohere(body: Body) -> Iterator[Any]:
    for message in body["messages"]:
        yield from message.keys() - COHERE_KEYS[message["role"]]


def _silent_to_cohere(body: Body) -> Iterator[Any]:
    for message in body["messages"]:
        said = [message.get(name) for name in ("content", "tool_plan", "tool_calls")]
        if message["role"] == "assistant" and not any(said):
            yield message


def _plans_without_calls(body: Body) -> Iterator[Any]:
    return (each for each in body["messages"] if "tool_plan" in each and not each.get("tool_calls"))


_COHERE = "docs.cohere.com/reference/chat"
COHERE = (
    Rule("no unknown key or role", _COHERE, _unknown_to_cohere),
    Rule("arguments are an object's text", _COHERE, _broken_arguments),
    Rule("no empty parts", _COHERE, _empty_parts),
    Rule("each result follows its call", _COHERE, _unanswered),
    Rule("ids are unique", _COHERE, lambda body: _twice(_ids(body))),
    Rule("an assistant says or does something", _COHERE, _silent_to_cohere),
    Rule("a plan comes with calls", _COHERE, _plans_without_calls),
)

# --- Bedrock's Converse -----------------------------------------------------------------------------------


def _said(body: Body, kind: str) -> list[Any]:
    """What the blocks of one kind say."""
    return [block[kind] for turn in body["messages"] for block in turn["content"] if kind in block]


def _out_of_turn(body: Body) -> Iterator[Any]:
    roles = [turn["role"] for turn in body["messages"]]
    yield from (role for before, role in pairwise(roles) if role == before)
    yield from set(roles) - {"user", "assistant"}
    if roles and roles[0] != "user":
        yield roles


def _answered_elsewhere(body: Body) -> Iterator[Any]:
    turns = body["messages"]
    for turn, follower in zip(turns, [*turns[1:], {"content": []}], strict=True):
        called = [b["toolUse"]["toolUseId"] for b in turn["content"] if _is_callers(b)]
        given = [b["toolResult"]["toolUseId"] for b in follower["content"] if "toolResult" in b]
        if turn["role"] == "assistant" and sorted(called) != sorted(given):
            yield called, given


def _is_callers(block: Any) -> bool:
    return "toolUse" in block and "type" not in block["toolUse"]


def _blank_in_converse(body: Body) -> Iterator[Any]:
    texts = [*_said(body, "text"), *(b["text"] for b in body.get("system", ()) if "text" in b)]
    return (text for text in texts if not text.strip())


def _reasoning_last(body: Body) -> Iterator[Any]:
    for turn in body["messages"]:
        if turn["role"] == "assistant" and "reasoningContent" in turn["content"][-1]:
            yield turn


def _unsigned_in_converse(body: Body) -> Iterator[Any]:
    for said in _said(body, "reasoningContent"):
        if "reasoningText" in said and not said["reasoningText"].get("signature"):
            yield said


def _points(body: Body) -> Iterator[Any]:
    blocks = [*body.get("system", ()), *(b for t in body["messages"] for b in t["content"])]
    points = [block for block in blocks if "cachePoint" in block]
    yield from points[4:]
    yield from (block for block in blocks if len(block) != 1)


def _calls_without_tools(body: Body) -> Iterator[Any]:
    if "toolConfig" not in body:
        yield from _said(body, "toolUse")


def _documents_alone(body: Body) -> Iterator[Any]:
    for turn in body["messages"]:
        kinds = {kind for block in turn["content"] for kind in block}
        if "document" in kinds and "text" not in kinds:
            yield turn


def _names_of_documents(body: Body) -> Iterator[Any]:
    names = [document["name"] for document in _said(body, "document")]
    yield from _twice(names)
    plain = re.compile(r"(?!.*\s\s)[\w\s()\[\]-]{1,200}", re.ASCII)
    yield from (name for name in names if not plain.fullmatch(name) or "_" in name)


_CONVERSE = "docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html"
CONVERSE = (
    Rule(
        "an id matches [a-zA-Z0-9_.:-]+",
        "botocore ToolUseId",
        lambda b: (
            call["toolUseId"]
            for call in _said(b, "toolUse")
            if not re.fullmatch(r"[\w.:-]{1,64}", call["toolUseId"], re.ASCII)
        ),
    ),
    Rule(
        "ids are unique",
        "Bedrock: 400 `toolUse.toolUseId` are duplicated",
        lambda b: _twice([c["toolUseId"] for c in _said(b, "toolUse") if "type" not in c]),
    ),
    Rule("user and assistant alternate, and the user begins", _CONVERSE, _out_of_turn),
    Rule(
        "each result is in the turn behind its call",
        "Bedrock: 400 `Expected toolResult blocks at messages.2.content for the following Ids`",
        _answered_elsewhere,
    ),
    Rule(
        "no blank text",
        "Bedrock: 400 `The text field in the ContentBlock object … is blank`",
        _blank_in_converse,
    ),
    Rule("no empty turn", _CONVERSE, _empty_content),
    Rule("reasoning isn't last", "as Anthropic", _reasoning_last),
    Rule("reasoning is signed", "as Anthropic", _unsigned_in_converse),
    Rule("no foreign signature", "as Anthropic", _foreign("bedrock-converse")),
    Rule("at most four cache points, each a block", "API_runtime_CachePointBlock", _points),
    Rule(
        "calls come with tools",
        "Bedrock: 400 `The toolConfig field must be defined when using toolUse`",
        _calls_without_tools,
    ),
    Rule("a turn with documents has a text", "API_runtime_Message.html", _documents_alone),
    Rule("documents have plain names", "API_runtime_DocumentBlock.html", _names_of_documents),
)

# --- Gemini -----------------------------------------------------------------------------------------------

_GOOGLE = "ai.google.dev/api/caching#Content"
_CALLING = "ai.google.dev/gemini-api/docs/function-calling"
_SIGNATURES = "ai.google.dev/gemini-api/docs/thought-signatures"
GEMINI = (
    Rule("the user begins, and turns alternate", _GOOGLE, gemini_rules.out_of_turn),
    Rule("no unknown member, one kind a part", _GOOGLE, gemini_rules.unknown),
    Rule(
        "no empty content",
        "Gemini: 400 `Unable to submit request because it has an empty text parameter`",
        gemini_rules.empty,
    ),
    Rule("arguments and results are objects", _CALLING, gemini_rules.no_objects),
    Rule(
        "each call has its result in the next turn",
        "Gemini: 400 `the number of function response parts is equal to the number of calls`",
        gemini_rules.answered_elsewhere,
    ),
    Rule("ids are unique", _CALLING, lambda body: _twice(gemini_rules.called(body))),
    Rule("data is base64", "ai.google.dev/api/caching#Blob", gemini_rules.unreadable),
    Rule("no foreign signature", _SIGNATURES, _foreign("gemini-generate")),
    Rule(
        "the first call of a step is signed",
        "Gemini: 400 `Function call is missing a thought_signature`",
        gemini_rules.unsigned_calls,
        hosts("gemini gemini-3.8-flash"),
    ),
)

_STEPS = "ai.google.dev/api/interactions-api"
INTERACTIONS = (
    Rule("the user begins and ends", _STEPS, interaction_rules.out_of_turn),
    Rule("no unknown type or member", "google-genai Step, Content", interaction_rules.unknown),
    Rule("no empty step, no silent thought", _STEPS, interaction_rules.empty),
    Rule("arguments are objects", "google-genai FunctionCallStep", interaction_rules.no_objects),
    Rule("each call has its result behind it", _CALLING, interaction_rules.answered_elsewhere),
    Rule("ids are unique", _STEPS, lambda body: _twice(interaction_rules.called(body))),
    Rule("data is base64", "google-genai ImageContent", interaction_rules.unreadable),
    Rule("no foreign signature", _SIGNATURES, _foreign("gemini-interactions")),
)

RULES = {
    "openai-chat": CHAT,
    "openai-responses": RESPONSES,
    "anthropic-messages": MESSAGES,
    "bedrock-converse": CONVERSE,
    "ollama-native": OLLAMA,
    "cohere-v2": COHERE,
    "gemini-generate": GEMINI,
    "gemini-interactions": INTERACTIONS,
}
