"""Answers whose pieces tell again all that came before them, and pieces that look so by chance."""

from __future__ import annotations

from tests.wire.wild.chat_rows import chat, entry, piece
from tests.wire.wild.messages_rows import add, messages, stop, tool
from tests.wire.wild.row import CALL, TWO, WHOLE, Row, called
from tests.wire.wild.told_again_rows import shown

GROWING = tuple(WHOLE[:end] for end in range(1, len(WHOLE) + 1))
"""Arguments that grow by one character."""
OTHER = '{"a":2}'
NESTED = called(("get", {"a": {"a": 1}}))


def chat_arguments() -> list[Row]:
    """Chat: arguments that grow, with and without names, ids and indices."""
    begun = piece("", id="x", name="get")
    first = [piece(text, None, name="get") for text in GROWING]
    second = [piece(OTHER[: len(text)], None, name="get") for text in GROWING]
    return [
        chat("arguments that grow", begun, *(piece(text) for text in GROWING), **CALL),
        chat(
            "arguments that grow, named each time",
            *(piece(text, id="x", name="get") for text in GROWING),
            **CALL,
        ),
        chat(
            "arguments that grow, the whole twice",
            begun,
            *map(piece, GROWING[2:]),
            piece(WHOLE),
            **CALL,
        ),
        chat("two calls that grow, without ids and indices", *first, *second, **TWO),
        chat(
            "two calls that grow by turns",
            piece("", 0, id="x", name="get"),
            piece("", 1, id="y", name="get"),
            *(
                piece(text[:end], index)
                for end in (3, 5, 7)
                for index, text in enumerate((WHOLE, OTHER))
            ),
            **TWO,
        ),
        chat(
            "a placeholder, then arguments that grow",
            piece("{}", id="x", name="get"),
            *map(piece, GROWING),
            **CALL,
        ),
        chat(
            "arguments that grow, then pieces",
            begun,
            *map(piece, (*GROWING[2:4], '{"a":', "1", "}")),
            **CALL,
        ),
        chat(
            "arguments that grow, cut by the limit",
            begun,
            *map(piece, GROWING[:-1]),
            reason="length",
            calls=[{"name": "get", "arguments": '{"a":1', "complete": False}],
        ),
        chat(
            "arguments that grow within a character",
            begun,
            piece('{"a":"\ud83d'),
            piece('{"a":"😀"}'),
            **called(("get", {"a": "😀"})),
        ),
        chat(
            "arguments that grow, and the message",
            begun,
            *map(piece, GROWING[2:4]),
            shown(tool_calls=[entry(WHOLE, 0, id="x", name="get")]),
            **CALL,
        ),
        chat(
            "an object in one of the same beginning",
            begun,
            *map(piece, ('{"a":', '{"a":1}', "}")),
            **NESTED,
        ),
        chat(
            "numbers that look told again",
            begun,
            *map(piece, ('{"a":', "1", "11", "}")),
            **called(("get", {"a": 111})),
        ),
        chat("a whole call twice", begun, piece(WHOLE), piece(WHOLE), **CALL),
        chat(
            "a name that grows",
            piece("", id="x", name="g"),
            piece("", name="ge"),
            piece(WHOLE, name="get"),
            **CALL,
        ),
    ]


def messages_arguments() -> list[Row]:
    """Messages: `partial_json` that grows."""
    growing = [add(0, "input_json", text) for text in GROWING]
    nested = [add(0, "input_json", text) for text in ('{"a":', '{"a":1}', "}")]
    placeholder = add(0, "input_json", "{}")
    return [
        messages("input that grows", tool(), *growing, stop(0), **CALL),
        messages(
            "input that grows, the whole twice", tool(), *growing, growing[-1], stop(0), **CALL
        ),
        messages(
            "a placeholder, then input that grows", tool(), placeholder, *growing, stop(0), **CALL
        ),
        messages("input that grows, without a stop", tool(), *growing, **CALL),
        messages(
            "two inputs that grow",
            tool(),
            *growing,
            stop(0),
            tool(1, id="u"),
            *(add(1, "input_json", OTHER[: len(text)]) for text in GROWING),
            stop(1),
            **TWO,
        ),
        messages("input in one of the same beginning", tool(), *nested, stop(0), **NESTED),
    ]


def retelling_rows() -> list[Row]:
    """All of them."""
    return [*chat_arguments(), *messages_arguments()]
