"""docs/live.md lists the codes of live streams with their HTTP statuses."""

from __future__ import annotations

import re
from pathlib import Path

from relay.errors import STATUSES

PAGE = (Path(__file__).parents[3] / "docs" / "live.md").read_text()


def test_every_code_is_documented_with_its_status() -> None:
    section = PAGE.partition("\n## Errors\n")[2].partition("\n## ")[0]
    documented = dict(re.findall(r"^\| `(\w+)` \| (\d{3}) \|", section, re.MULTILINE))
    assert documented == {code: str(status.value) for code, status in STATUSES.items()}
