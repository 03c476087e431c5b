"""The table of what each row can: it says what was recorded, and what it says happens on the wire."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmstream import LLMClient, RetryPolicy
from llmstream.errors import ConfigurationError
from llmstream.events.types import Start
from llmstream.messages import Message, TextPart
from llmstream.providers import clouds, registry
from tests.loopback import Loopback, answer
from tests.providers import abilities, recorded
from tests.providers.abilities import COLUMNS, DOCUMENTED, GIVEN, MARK, PARTS, UNKNOWN, Row
from tests.recordings import FOLDER, NO_FOLDER

ONCE = RetryPolicy(max_attempts=1)
IN_THE_CORE = ("bedrock", "perplexity")


def asked_by_us() -> dict[str, Row]:
    """The rows but for those that an SDK asks."""
    return {row.name: row for row in abilities.rows() if not is_cloud(row.name)}


def is_cloud(name: str) -> bool:
    return f"{clouds.__name__}:" in registry.BUILT_IN.get(name, "")


@pytest.mark.skipif(FOLDER is None, reason=NO_FOLDER.kwargs["reason"])
def test_what_was_recorded_is_what_the_table_goes_by() -> None:
    assert recorded.read_all() == recorded.SHOWN, "run: python -m tests.providers.recorded"


def test_every_row_has_its_line_and_every_cell_a_word() -> None:
    """A belief without a source isn't a word, and a row that nobody lists is missed."""
    names = {row.name for row in abilities.rows()}
    assert names == set(registry.BUILT_IN) - {"local", "simulator"} | set(abilities.VENDORS)
    words = {UNKNOWN, "yes", "no", "marks", "by itself", "text alone", "JSON of any shape"}
    words |= {"data", "URL", "data, URL", "on or off", "by hand"}
    cells = [abilities.cell(row, column) for row in abilities.rows() for column in COLUMNS]
    assert set(cells) <= words
    assert all(source for _, source in DOCUMENTED.values())
    assert names >= {name for name, _ in DOCUMENTED}


async def sent(row: Row, *parts: Any, strict: bool = False, **options: Any) -> tuple[Any, Start]:
    """The body that reached a server, and how the answer began."""
    message = Message("user", [TextPart("hi"), *parts])
    async with (
        Loopback(answer(row.format)) as server,
        LLMClient(
            f"{row.name}:{row.model}",
            api_key="k",
            base_url=server.url(row.name),
            retry=ONCE,
            strict=strict,
        ) as client,
    ):
        last = await anext(client.chat_completion([message], stream=False, **options))
    assert last.start is not None, last.error
    return server.requests[0].body, last.start


def trials() -> list[Any]:
    marks = {False: (pytest.mark.slow,), True: ()}
    names = [name for name in registry.names() if name not in ("local", "simulator")]
    return [
        pytest.param(name, id=name, marks=marks[name in IN_THE_CORE])
        for name in names
        if not is_cloud(name)
    ]


@pytest.mark.parametrize("name", trials())
async def test_options_of_a_cell_go_out_or_are_named(name: str) -> None:
    row = asked_by_us()[name]
    plain, _ = await sent(row)
    for column, options in GIVEN.items():
        said = abilities.cell(row, column)
        body, start = await sent(row, **options)
        named = [warning for warning in start.warnings if next(iter(options)) in warning]
        if said == "no":
            assert (body == plain, bool(named)) == (True, True), column
            with pytest.raises(ConfigurationError, match=next(iter(options))):
                await sent(row, strict=True, **options)
            continue
        assert body != plain, column
        if column != "reasoning":
            assert (MARK in json.dumps(body)) == (said in ("yes", UNKNOWN)), column
        assert bool(named) == (said in ("JSON of any shape", "on or off")), start.warnings


@pytest.mark.parametrize("name", trials())
async def test_images_and_files_of_a_cell_go_out_or_are_named(name: str) -> None:
    row = asked_by_us()[name]
    for column, examples in PARTS.items():
        said = abilities.cell(row, column)
        for part, way in zip(examples, ("data", "URL"), strict=True):
            body, start = await sent(row, part)
            goes = (part.data or part.url) in json.dumps(body)
            if said != UNKNOWN:
                assert goes == (way in said), (column, way)
            assert goes != any("can't go to" in each for each in start.warnings), start.warnings
            if not goes:
                with pytest.raises(ConfigurationError, match="can't go to"):
                    await sent(row, part, strict=True)


@pytest.mark.parametrize("name", trials())
async def test_a_cache_mark_goes_out_where_the_cell_says_so(name: str) -> None:
    row = asked_by_us()[name]
    plain, _ = await sent(row, TextPart("more"))
    marked, _ = await sent(row, TextPart("more", cache="5m"))
    assert (marked != plain) == (abilities.cell(row, "caching") == "marks")
