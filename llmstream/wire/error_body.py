"""Error bodies of every provider, in HTTP answers and inside streams: found and read in one place.

Shapes seen (recordings): OpenAI family `{"error": {message, type, code, param}}`, Anthropic `{"type": "error",
"error": {type, message}, "request_id"}`, Google `{"error": {code, message, status, details[]}}`, alone or in a list,
Cohere `{message, error_type}`, Mistral `{message, type, code}` or `{"detail": "…"}`, xAI `{"code": "…", "error":
"text"}`, Ollama and others `{"error": "text"}`, Bedrock `{"message"}` with the class in `x-amzn-errortype`, MiniMax
`{"base_resp": {status_code, status_msg}}`, Cloudflare `{"errors": [{code, message}]}`, others `{code, msg}`. Each may
come as server-sent events.

`error_kinds.py` has what codes and words mean, `retry_delay.py` how long to wait.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmstream.checks import as_object, as_text
from llmstream.errors import ErrorInfo
from llmstream.wire.error_kinds import classify
from llmstream.wire.json_fields import as_list, objects_in, parse_json
from llmstream.wire.pass_through import rate_limits_of
from llmstream.wire.request_id import request_id_of
from llmstream.wire.retry_delay import parse_retry_after

MAX_MESSAGE = 1000
"""Characters of a provider's text that an error carries."""
MAX_CODE = 100
"""Characters of its code."""

_DEPTH = 5
"""How deep the error may lie in its body."""
_WRAPPERS = (
    *("error", "base_resp", "Error", "ErrorMsg", "fault", "response", "Response"),
    *("status_details", "detail", "message"),
)
"""Members that may hold the error as an object, the likeliest first."""
_TEXTS = (
    *("message", "msg", "detail", "Message", "status_msg", "error_msg", "error_message", "errmsg"),
    *("errorMessage", "err_msg", "exception", "error_description", "faultstring", "description"),
    *("error", "title", "Msg"),
)
"""Members that hold an error's words."""
_CODES = (
    *("code", "type", "status", "error_type", "error_code", "errcode", "status_code", "Code"),
    *("errorCode", "errorType", "err_code", "__type"),
)
"""Members that hold a code, the most specific first."""
_CODES_AROUND = ("code", "error_type", "error_code", "__type")
"""Those that count where they stand around the error."""
_STATUSES = ("status_code", "code", "status", "statusCode", "http_code", "raw_status_code")
"""Members that hold the HTTP status which an error inside a stream would have had."""
_SAYS_NOTHING = frozenset({"error", "failed", "fail"})
_SUCCESS = frozenset({"", "0", "200", "20000", "ok", "success", "none", "null"})
"""Codes of those who send one with every answer."""
_ALONE = (
    "detail",
    "error_msg",
    "error_message",
    "errorMessage",
    "err_msg",
    "exception",
    "__type",
    "Error",
    "ErrorMsg",
    "fault",
)
"""Members that only errors have."""
_WORDS_ALONE = ("message", "msg", "errmsg", "Message")
_CODES_BESIDE = frozenset({"code", "errcode", "Code"})
"""Members that others have, too: together they are an error's. AWS and Alibaba write capitals."""
_FAILURES = frozenset({"error", "errors", "base_resp"})
_TELLING = frozenset(
    {
        *("event", "status", "success", "Response", "response", "type"),
        *_ALONE,
        *_WORDS_ALONE,
        *_FAILURES,
    }
)
"""All members that `is_error` looks at, but for `object`, which every chunk has."""
_FAILED = re.compile("[45][0-9]{2}")
_ERROR_TYPE = re.compile(r"(?:^|[._])error$")
_FIELD = re.compile(r"^(?:data|error):[ \t]*(.*)$", re.M)
"""A line of server-sent events; `error:` is GPUStack's."""


@dataclass(slots=True)
class _Report:
    """What an error's body says."""

    message: str = ""
    codes: list[str] = field(default_factory=list)
    """The most specific first. Some numbers stand behind their vendor: "minimax/1008"."""
    status: int | None = None
    """The status that the body itself names."""
    hint: str = ""
    """Words that say its kind, beside those of the message."""
    param: str | None = None
    """The member of the request that it names."""
    relayed: int | None = None
    """The status of whom the host asked, which says more than the host's own."""


def parse_error(
    body: Any,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    provider: str | None = None,
) -> ErrorInfo:
    """What went wrong, from a parsed JSON body, or the body's text: JSON, server-sent events, a page, or words.

    `status` and `headers` (lower-case names) are those of an HTTP error; leave them out for an error inside a stream.
    """
    headers = headers or {}
    body = _open(body)
    report = _read(body)
    if (amazon := headers.get("x-amzn-errortype")) is not None:
        report.codes.insert(0, amazon.partition(":")[0])
    codes = report.codes if report.relayed is None else ()
    found = report.relayed or status or report.status
    kind = classify(codes, f"{report.message} {report.hint}", found)
    may_pass = kind in ("rate_limit", "overloaded")
    told = report.message if may_pass else ""
    info = ErrorInfo(
        kind,
        report.message[:MAX_MESSAGE] or _without_words(status),
        provider=provider,
        status_code=status,
        code=_shown_code(report.codes),
        param=report.param,
        retry_after=parse_retry_after(headers, body, told, resets=may_pass),
        request_id=request_id_of(headers) or _request_id(body),
        rate_limits=rate_limits_of(headers),
    )
    if kind == "server" and status is not None and status < 500 and status != 409:
        info.retryable = False
    if (verdict := headers.get("x-should-retry")) in ("true", "false"):
        info.retryable = verdict == "true" and kind not in (
            "quota",
            "authentication",
            "content_filter",
        )
    return info


def carries_error(payload: Mapping[str, Any]) -> bool:
    """Whether a frame says that the answer failed, whatever else it holds."""
    if _FAILURES.isdisjoint(payload):
        return False
    if _is_failure(payload.get("error")) or payload.get("errors"):
        return True
    return not _is_success(as_object(payload.get("base_resp")).get("status_code", ""))


def is_error(payload: Mapping[str, Any]) -> bool:
    """Whether a JSON object that came in place of a chunk is an error of any of the shapes above."""
    if _TELLING.isdisjoint(payload) and payload.get("object") != "error":
        return False
    return carries_error(payload) or _is_marked(payload) or _has_words_of_failure(payload)


def _is_marked(payload: Mapping[str, Any]) -> bool:
    """Whether a member says it that only errors have, or that says what the object is."""
    names = (payload.get("object"), payload.get("event"), payload.get("status"))
    is_called_so = "error" in names or payload.get("success") is False
    is_wrapped = any("Error" in as_object(payload.get(name)) for name in ("Response", "response"))
    is_of_type = _ERROR_TYPE.search(as_text(payload.get("type")) or "") is not None
    return is_called_so or is_wrapped or is_of_type or any(map(payload.get, _ALONE))


def _has_words_of_failure(payload: Mapping[str, Any]) -> bool:
    """Whether there are words, and beside them a code or a status of a failure."""
    if not any(isinstance(payload.get(name), str) for name in _WORDS_ALONE):
        return False
    if str(payload.get("status")) in _SAYS_NOTHING:
        return True
    codes = payload.keys() & _CODES_BESIDE
    if codes:
        return not any(_is_success(payload[name]) for name in codes)
    return _status_of([payload]) is not None


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` without the caller's own keys, should a provider have echoed them; also one cut off at the end."""
    for secret in secrets:
        text = text.replace(secret, "[key]")
        body = text.rstrip("'\"…")
        for size in range(min(len(secret) - 1, len(body)), 3, -1):
            if body.endswith(secret[:size]):
                text = f"{body[:-size]}[key]{text[len(body) :]}"
                break
    return text


# --- bodies ------------------------------------------------------------------------------------------------------


def _open(body: Any) -> Any:
    """A body as JSON, if there is some in it: in a text, in server-sent events, in a list, in OpenRouter's `raw`."""
    if isinstance(body, str):
        body = _open_text(body.lstrip("\ufeff"))
    if isinstance(body, list):
        body = _first_error(body)
    error = as_object(as_object(body).get("error"))
    metadata = as_object(error.get("metadata"))
    raw = metadata.get("raw")
    if not isinstance(raw, str):
        return body
    opened = {**metadata, "raw": _open_text(raw)}
    return {**body, "error": {**error, "metadata": opened}}


def _open_text(text: str) -> Any:
    parsed = _json_in(text)
    if parsed is not None:
        return parsed
    fields = _FIELD.findall(text[: 64 * 1024])
    if not fields:
        return text
    payloads = [payload for data in fields if (payload := _json_in(data)) is not None]
    if not payloads:
        whole = _json_in("\n".join(fields))
        return "\n".join(fields) if whole is None else whole
    return _first_error(payloads)


def _first_error(items: list[Any]) -> Any:
    """The error among the objects of a list; where none looks like one, the last of them."""
    objects = objects_in(items)
    found = next((item for item in objects if is_error(item)), None)
    if found is None and objects:
        return objects[-1]
    return found or next((item for item in items if isinstance(item, str)), None)


def _json_in(text: str) -> Any:
    """The object, list or string that a text is; None if it is no JSON."""
    if text.lstrip()[:1] not in ("{", "[", '"'):
        return None
    try:
        return parse_json(text.encode("utf-8", "replace"))
    except ValueError:
        return None


def _chain(body: Any) -> list[dict[str, Any]]:
    """The object and those that it wraps: the error itself is the last."""
    chain: list[dict[str, Any]] = []
    while isinstance(body, dict) and len(chain) < _DEPTH:
        chain.append(body)
        body = _inner(body)
    return chain


def _inner(body: dict[str, Any]) -> Any:
    errors = body.get("errors")
    if isinstance(errors, dict):
        errors = [errors]
    if isinstance(errors, list) and errors and not body.get("error"):
        return errors[0] if isinstance(errors[0], dict) else {"message": errors[0]}
    wrappers = (*_WRAPPERS, "data") if body.get("event") == "error" else _WRAPPERS
    for name in wrappers:
        value = body.get(name)
        if isinstance(value, str) and name != "message":
            value = _json_in(value)
        if isinstance(value, dict) and (value or name == "error"):
            return value
    return None


# --- what they say -----------------------------------------------------------------------------------------------


def _read(body: Any) -> _Report:
    chain = _chain(body)
    if not chain:
        return _Report(_plain(str(body or "")))
    error = chain[-1]
    message = _message(next(filter(_has_words, reversed(chain)), error))
    report = _Report(message, _codes(chain), _status_of(chain), param=_param(error))
    if isinstance(error.get("detail"), list):
        report.status = report.status or 422  # FastAPI's: fields of the request
    _add_metadata(report, as_object(error.get("metadata")))
    _add_original(report, error)
    return report


def _add_original(report: _Report, error: Mapping[str, Any]) -> None:
    """What a model behind Bedrock said (botocore ModelStreamErrorException, ModelErrorException)."""
    message, status = error.get("originalMessage"), str(error.get("originalStatusCode"))
    if isinstance(message, str) and message not in report.message:
        report.message = f"{report.message}: {_plain(message)}".removeprefix(": ")
    if _FAILED.fullmatch(status):
        report.relayed = int(status)


def _param(error: dict[str, Any]) -> str | None:
    """The member that is wrong: OpenAI's `param`, FastAPI's `loc`, Google's `fieldViolations`."""
    given = error.get("param")
    detail = _first_object(error.get("detail"))
    loc = as_list(detail.get("loc"))
    given = given or ".".join(str(step) for step in loc if step != "body")
    for each in objects_in(error.get("details")):
        given = given or _first_object(each.get("fieldViolations")).get("field")
    return given[:MAX_CODE] if isinstance(given, str) and given else None


def _first_object(items: Any) -> dict[str, Any]:
    return next(iter(objects_in(items)), {})


def _has_words(error: dict[str, Any]) -> bool:
    return any(isinstance(error.get(name), str) for name in _TEXTS)


def _message(error: dict[str, Any]) -> str:
    given = [error[name] for name in _TEXTS if error.get(name)]
    text = next((one for one in given if isinstance(one, str)), given[0] if given else None)
    if text is None or text is True:
        text = str(error) if error else ""
    param = error.get("param")
    if isinstance(text, str) and isinstance(param, str) and param not in text:
        text = f"{text.rstrip('.')}: {param[:100]}"
    return _plain(str(text))


def _add_metadata(report: _Report, metadata: Mapping[str, Any]) -> None:
    """OpenRouter's: the answer of whom it asked, and why a filter spoke."""
    if metadata.get("reasons"):
        report.hint = "requires moderation"
    raw = metadata.get("raw")
    if not raw:
        return
    inner = _read(raw)
    report.codes += inner.codes
    report.status = report.status or inner.status
    if inner.message and inner.message not in report.message:
        report.message = f"{report.message}: {inner.message}"


def _codes(chain: list[dict[str, Any]]) -> list[str]:
    """Every code or type, the most specific first."""
    *around, error = chain
    found = [*_detailed_codes(error), *(error.get(name) for name in _CODES)]
    if error.get("message") or error.get("error_description"):  # `error` isn't the message, then
        found.append(error.get("error"))
    found += [outer.get(name) for outer in reversed(around) for name in _CODES_AROUND]
    vendor = "mistral/" if error.get("object") == "error" else ""
    if around and around[-1].get("base_resp") is error:
        vendor = "minimax/"
    named = [code for code in map(_as_code, found) if code and code not in _SAYS_NOTHING]
    return [f"{vendor}{code}" if code.isdecimal() else code for code in named]


def _detailed_codes(error: dict[str, Any]) -> Iterator[Any]:
    """Google's and Anthropic's details, Azure's inner error."""
    details = error.get("details")
    for detail in map(as_object, details if isinstance(details, list) else [details]):
        yield detail.get("error_code") or detail.get("reason")
    yield as_object(error.get("innererror")).get("code")


def _as_code(value: Any) -> str:
    """A code as text: AWS's "service#Class" without the service, an object in its place as nothing."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return ""
    return str(value).rpartition("#")[2]


def _shown_code(codes: list[str]) -> str | None:
    """The first word; else a vendor's own number, which an HTTP status isn't."""
    words = [code for code in codes if not _number(code).isdecimal()]
    numbers = [_number(code) for code in codes if len(_number(code)) > 3]
    return next((code[:MAX_CODE] for code in (*words, *numbers)), None)


def _number(code: str) -> str:
    return code.rpartition("/")[2]


def _without_words(status: int | None) -> str:
    return f"HTTP {status} without a body" if status else "the provider reported an error"


def _plain(text: str) -> str:
    if text.lstrip()[:1] == "<":  # a gateway's HTML page
        text = re.sub(
            r"<(script|style)\b.*?(</\1>|\Z)|<[^<>]*>", " ", text[: 64 * 1024], flags=re.S | re.I
        )
    return " ".join(text[: 8 * MAX_MESSAGE].split())


def _status_of(chain: Sequence[Mapping[str, Any]]) -> int | None:
    """Some in-stream errors carry the status they would have had (Groq `status_code`, OpenRouter `code`)."""
    values = (str(error.get(name)) for error in reversed(chain) for name in _STATUSES)
    return next((int(value) for value in values if _FAILED.fullmatch(value)), None)


def _request_id(body: Any) -> str | None:
    given = (error.get("request_id") or error.get("requestId") for error in _chain(body))
    return next((value for value in given if isinstance(value, str)), None)


def _is_failure(error: Any) -> bool:
    """Whether an `error` member says that something failed: some send one with every chunk, empty or with code 0."""
    if not isinstance(error, dict):
        return bool(error) and not _is_success(error)
    if str(error.get("code")).lower() in ("0", "ok", "success"):
        return False
    return any(value for value in error.values())


def _is_success(code: Any) -> bool:
    return str(code).lower() in _SUCCESS
