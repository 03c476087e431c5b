"""docs/events.md has every type of event, each with an example that is one."""

from __future__ import annotations

import json
import re

from llmstream import EventType, StreamEvent
from llmstream.events.types import PAYLOADS
from tests import events_page

PAGE = events_page.PATH.read_text("utf-8")


def test_the_page_is_made_from_the_classes() -> None:
    assert events_page.render() == PAGE, "run python tests/events_page.py"


def test_every_example_is_such_an_event_with_its_value() -> None:
    examples = [json.loads(each) for each in re.findall(r"```json\n(.*?)\n```", PAGE)]
    assert [each["type"] for each in examples] == list(EventType)
    for each in examples:
        event = StreamEvent.from_dict(each)
        assert json.loads(json.dumps(event.to_dict())) == each
        assert getattr(event, PAYLOADS[event.type].field) is not None


def test_it_says_when_each_comes_and_what_stands_beside_its_value() -> None:
    """A field of an event is a type's value, or stands beside one; but for `raw`, which may be anywhere."""
    assert set(events_page.WHEN) == set(EventType)
    values = {payload.field for payload in PAYLOADS.values()}
    beside = {name for names in events_page.BESIDE.values() for name in names}
    assert values | beside | {"type", "raw"} == set(StreamEvent.__dataclass_fields__)
