"""The public names."""

from __future__ import annotations

import pytest

import llmstream


def test_all_is_sorted_and_short():
    """`__all__` is sorted as readers sort, has no duplicates, and stays small enough to be read."""
    assert llmstream.__all__ == sorted(set(llmstream.__all__), key=str.casefold)
    assert len(llmstream.__all__) <= 35


@pytest.mark.parametrize("name", llmstream.__all__)
def test_every_name_can_be_imported(name):
    """Each public name is there, from a module of this package, and listed by `dir`."""
    value = getattr(llmstream, name)
    assert value.__module__.startswith("llmstream.")
    assert value.__name__ == (
        "StreamEvent" if name == "AnyEvent" else name
    )  # told apart by checkers alone
    assert name in dir(llmstream)


def test_the_lazy_names_are_the_public_ones():
    """What is loaded on demand and what is announced are the same."""
    assert sorted(llmstream._MODULE_OF) == sorted(llmstream.__all__)


def test_another_name_is_an_attribute_error():
    """A name that isn't there fails as in any module."""
    with pytest.raises(AttributeError, match="LLMCleint"):
        llmstream.LLMCleint  # noqa: B018
    with pytest.raises(ImportError):
        from llmstream import nothing  # noqa: F401


def test_the_version_is_that_of_the_package():
    """`__version__` is set."""
    assert llmstream.__version__.count(".") == 2
