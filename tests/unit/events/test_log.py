from __future__ import annotations

import pytest

from events.log import Position


def test_a_position_is_read_back() -> None:
    assert Position.parse(str(Position(12, 34))) == Position(12, 34)


@pytest.mark.parametrize(
    "text", ["", "1", "1-", "-1-2", "1-2-3", "a-b", "9" * 20 + "-1", "9999999999999999999-1", "\u0661-\u0662"]
)
def test_anything_else_is_not_one(text: str) -> None:
    with pytest.raises(ValueError, match="not the id of an event"):
        Position.parse(text)
