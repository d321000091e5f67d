"""The walk-throughs of docs/extending.md name files and identifiers that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/extending.md").read_text()
ROWS = re.findall(r"^\| `([^`]+)` \| (.+) \|$", PAGE, re.MULTILINE)
PATH = re.compile(r"`((?:[\w-]+/)+[\w.-]*)`")
IDENTIFIER = re.compile(r"`([A-Za-z_]\w*)`")


def test_each_addition_has_a_walk_through() -> None:
    headings = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    assert headings == [
        "An encoder family",
        "A step kind",
        "A kind of asset",
        "An object store",
        "An event",
        "A field of the job",
        "An input",
    ]
    assert len(ROWS) > len(headings) * 3


@pytest.mark.parametrize("path", sorted({file for file, _ in ROWS} | set(PATH.findall(PAGE))))
def test_the_files_exist(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize(("file", "change"), ROWS, ids=[file for file, _ in ROWS])
def test_the_names_of_a_row_are_in_its_files(file: str, change: str) -> None:
    """A name may be in the row's file or in another that the row names."""
    others = [path for path in PATH.findall(change) if (ROOT / path).is_file()]
    sources = [(ROOT / path).read_text() for path in (file, *others)]
    missing = [
        name for name in IDENTIFIER.findall(change) if not any(re.search(rf"\b{name}\b", text) for text in sources)
    ]
    assert not missing


def test_a_step_kind_takes_four_files() -> None:
    section = PAGE[PAGE.index("## A step kind") : PAGE.index("## A kind of asset")]
    assert len(re.findall(r"^\| `", section, re.MULTILINE)) <= 4
