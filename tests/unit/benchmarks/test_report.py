from pathlib import Path

import pytest

from benchmarks.__main__ import MEASUREMENTS
from benchmarks.report import PAGE, record

TEXT = "# A\n<!-- measured: a -->\nold\n<!-- end: a -->\nmore\n<!-- measured: b -->\n<!-- end: b -->\n"


def test_a_result_replaces_the_last_one(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(TEXT)
    record("a", "new", page)
    record("a", "newer", page)
    assert page.read_text() == TEXT.replace("\nold\n", "\n\nnewer\n\n")


def test_a_result_without_comments_on_the_page_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(TEXT)
    with pytest.raises(ValueError, match="no place for c"):
        record("c", "new", page)
    assert page.read_text() == TEXT


def test_the_page_has_comments_for_all_measurements(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text(encoding="utf-8"))
    for name in MEASUREMENTS:
        record(name, "x", page)
