"""The page docs/benchmarks.md: prose, and between two comments per measurement its last result."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from embedded.home import REPOSITORY

PAGE = REPOSITORY / "docs" / "benchmarks.md"


def dated(table: str) -> str:
    """Prefix a result with date and machine."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    return f"{datetime.now(UTC):%Y-%m-%d}, {machine}. {table}"


def record(name: str, result: str, page: Path = PAGE) -> None:
    """Replace the last result of a measurement. Raises ValueError when the page has no comments for it."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(f"<!-- measured: {name} -->\n")
    _, end, after = rest.partition(f"<!-- end: {name} -->")
    if not begin or not end:
        raise ValueError(f"{page} has no place for {name}")
    page.write_text(f"{before}{begin}\n{result}\n\n{end}{after}", encoding="utf-8")
