"""Errors: every kind has a class, a usual answer to "again?", and a form for storage."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import given

from llmstream import errors
from llmstream.errors import ConfigurationError, ErrorInfo, ErrorKind, LLMError, LLMStreamError
from llmstream.messages import Message
from tests import strategies

KINDS = get_args(ErrorKind)


def test_the_kinds_are_closed():
    """The list of kinds is the documented one."""
    assert sorted(KINDS) == sorted(strategies.KINDS)
    assert set(KINDS) >= errors.RETRYABLE


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_class(kind):
    """Each kind raises a class of its own, which carries the info."""
    info = ErrorInfo(kind, "m")
    problem = LLMError.from_info(info)
    assert type(problem) is not LLMError
    assert type(problem).kind == kind
    assert problem.info is info
    assert isinstance(problem, LLMStreamError)
    assert str(problem) == str(info)


def test_no_two_kinds_share_a_class():
    """One class for each kind, and no class without one."""
    assert sorted(cls.kind for cls in LLMError.__subclasses__()) == sorted(KINDS)


def test_the_tree_in_the_docstring_is_complete():
    """The head of the file shows every class."""
    assert all(cls.__name__ in errors.__doc__ for cls in LLMError.__subclasses__())


def test_wrong_configuration_is_no_failed_request():
    """`except LLMError` doesn't hide a ConfigurationError."""
    assert not issubclass(ConfigurationError, LLMError)
    assert issubclass(ConfigurationError, LLMStreamError)


@given(strategies.errors)
def test_an_error_survives_json(info):
    """`from_dict(json(to_dict()))` is the same error, partial answer included."""
    assert ErrorInfo.from_dict(json.loads(json.dumps(info.to_dict()))) == info


def test_the_json_form_names_only_what_is_set():
    """An error's dict has its kind, whether to retry, and whatever else is known."""
    assert ErrorInfo("server").to_dict() == {"kind": "server", "retryable": True}
    info = ErrorInfo("truncated", "cut", partial=Message("assistant", "hi"))
    assert info.to_dict()["partial"] == {
        "role": "assistant",
        "parts": [{"type": "text", "text": "hi"}],
    }


@pytest.mark.parametrize("kind", KINDS)
def test_retryable_is_the_kinds_unless_said(kind):
    """A kind has its usual answer; the provider's word overrides it."""
    assert ErrorInfo(kind).retryable == (kind in errors.RETRYABLE)
    assert ErrorInfo(kind, retryable=True).retryable
    assert not ErrorInfo(kind, retryable=False).retryable


@pytest.mark.parametrize(
    ("info", "text"),
    [
        (ErrorInfo("server"), "server: no details"),
        (ErrorInfo("server", "down"), "server: down"),
        (ErrorInfo("quota", "m", provider="p", status_code=429, code="c"), "quota: m (p, 429, c)"),
        (ErrorInfo("timeout", "m", code="idle"), "timeout: m (idle)"),
    ],
)
def test_an_error_reads_as_one_sentence(info, text):
    """Kind, message, and where it came from."""
    assert str(info) == text
