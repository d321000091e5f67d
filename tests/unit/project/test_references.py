"""References in the documentation: links, files, settings, modules."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from configuration.loading import all_settings
from configuration.other_names import OTHER_NAMES, REPLACED, WITHOUT_EFFECT

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
CODE = re.compile(r"`((?:[a-z_]+/)+[a-z_0-9]+\.(?:py|md|sh|yaml|toml))`")


def names() -> list[str]:
    return [page.relative_to(ROOT).as_posix() for page in PAGES]


def prose(page: Path) -> str:
    """Read a page without its blocks of code."""
    return "\n".join(line for line in page.read_text().splitlines() if not line.startswith("    "))


@cache
def anchors(page: Path) -> frozenset[str]:
    """List the anchors of the headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


def broken(page: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        linked = (page.parent / path).resolve() if path else page
        if not linked.exists() or (anchor and anchor not in anchors(linked)):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=names())
def test_links_lead_to_pages_and_headings_that_exist(page: Path) -> None:
    assert list(broken(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=names())
def test_files_that_are_named_exist(page: Path) -> None:
    assert [name for name in CODE.findall(prose(page)) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=names())
def test_settings_that_are_named_exist(page: Path) -> None:
    known = {name for setting in all_settings() for name in (setting.variable, setting.file_variable)}
    known |= {*WITHOUT_EFFECT, *REPLACED, *(other.variable for other in OTHER_NAMES)}
    assert set(re.findall(r"\bTRANSCODER_[A-Z0-9_]*[A-Z0-9]\b(?!_)", page.read_text())) - known == set()


@pytest.mark.parametrize("page", PAGES, ids=names())
def test_packages_that_are_named_exist(page: Path) -> None:
    """`workers.node`, `jobs.rules.rank.next_lane`: at least the package and the module."""
    named = re.findall(
        r"`((?:access|api|coordination|events|gpu|jobs|operations|transcoding|videos|workers)\.[a-z_]+)",
        page.read_text(),
    )
    assert [name for name in named if not list(ROOT.glob(name.replace(".", "/") + "*"))] == []
