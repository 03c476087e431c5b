"""Routes: the closed list of ways that a request can go."""

from __future__ import annotations

from collections.abc import Coroutine
from enum import StrEnum
from typing import Any, Self, TypeVar

from llmstream.checks import require
from llmstream.errors import ConfigurationError

UNDEFINED = "NOT_DEFINED"


class Routes(StrEnum):
    """Subclass it: a member for every route, each a value and a description, and NOT_DEFINED for all else.

        class AllowedValues(Routes):
            BILLING = "billing", "Invoices, payments and refunds"
            NOT_DEFINED = "not_defined"

    The description is for the model that classifies and for the answer to a request that fits no route; without one
    the value stands for it. Raises ConfigurationError, where the class is defined, if NOT_DEFINED is missing, two
    routes have one value, or one's value or description is no text.
    """

    description: str
    _value_: str

    def __new__(cls, value: str, description: str = "") -> Self:
        """A member; `value` is the string it equals."""
        require(
            isinstance(value, str) and value and isinstance(description, str),
            f"a route is a value and a description, not {value!r}, {description!r}",
            ConfigurationError,
        )
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description or value
        return member

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        require(
            UNDEFINED in cls.__members__,
            f'{cls.__name__} lacks {UNDEFINED}: add {UNDEFINED} = "not_defined"',
            ConfigurationError,
        )
        if len(cls) < len(cls.__members__):
            twice = [name for name, route in cls.__members__.items() if route.name != name]
            raise ConfigurationError(
                f"{cls.__name__}: {', '.join(twice)} has the value of another route"
            )


R = TypeVar("R", bound=Routes)


def undefined(routes: type[R]) -> R:
    """The NOT_DEFINED of these routes."""
    return routes[UNDEFINED]


def defined(routes: type[R]) -> list[R]:
    """The others."""
    return [route for route in routes if route.name != UNDEFINED]


def check_routes(routes: type[R]) -> type[R]:
    """Raise TypeError for what is no subclass of Routes."""
    require(
        (isinstance(routes, type) and issubclass(routes, Routes)) and routes is not Routes,
        f"routes must be a subclass of Routes, such as AllowedValues, not {routes!r}",
        TypeError,
    )
    return routes


def parse_route(routes: type[R], value: Any) -> R:
    """The route that `value` names. Raises ConfigurationError, which does not repeat it: it may be a person's text."""
    try:
        return routes(value)
    except ValueError:
        named = ", ".join(map(str, routes))
        if isinstance(value, Coroutine):
            value.close()
            raise ConfigurationError(
                f"a coroutine is no route of {routes.__name__}: await what classifies, as in "
                "`await router.classify(text)`"
            ) from None
        raise ConfigurationError(
            f"{type(value).__name__} that is no route of {routes.__name__}: {named}"
        ) from None


def check_request(text: str) -> None:
    """Raise TypeError or ValueError for what can't be classified."""
    require(
        isinstance(text, str), f"a request must be a string, not {type(text).__name__}", TypeError
    )
    require(text.strip(), "the request is empty: give the text that a person wrote")
