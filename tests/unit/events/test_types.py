from __future__ import annotations

from events.types import EVENT_TYPES, TEST_TYPE
from jobs.endpoints.event_schema import EVENTS


def test_every_type_has_a_schema() -> None:
    assert set(EVENTS) == {*EVENT_TYPES, TEST_TYPE}
