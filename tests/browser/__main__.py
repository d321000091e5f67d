"""Players of today against an installation that runs: `make browsers`.

    python -m tests.browser [--only firefox] [--screenshots FOLDER]

hls.js, shaka-player and dash.js in Chromium and in Firefox ESR, mpv and VLC. Prints a table of what was seen, and takes
screenshots to look at. The exit code is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from playwright.sync_api import Error as PlaywrightError

from embedded.home import REPOSITORY
from tests.acceptance.browsing import chromium, fresh_page, pages
from tests.browser.checks import CHECKS, PLAYERS, Browser, Screen, Show
from tests.browser.firefox import Firefox, FirefoxError, firefox
from tests.browser.material import Material, installation
from tests.browser.program_checks import MPV, VLC, Run
from tests.browser.programs import version

FORMATS = {"hls_url": "HLS", "dash_url": "DASH"}
FAILED = "FAILED"
NOT_OFFERED = "-"
LIMITED = "limit"
_SEEKS_BADLY = "ffmpeg 5.1 misreads fragmented MP4 after a seek in HLS, also what it has muxed itself"
_LEAVES_HOLES = "dash.js 5.2 fills no hole of its buffer after the last segment, also with an MPD of ffmpeg"
LIMITS = {
    **{("mpv", "HLS", column): _SEEKS_BADLY for column in ("seeks", "audio tracks", "rungs")},
    ("dash.js", "DASH", "seeks"): _LEAVES_HOLES,
}
"""Known failures that are not our fault, by program, format and column, with the reason."""
_MAX_REASON = 300


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the table: a player with one of the formats, and its checks by column."""

    player: str
    format: str
    checks: Mapping[str, Callable[[], str | None]]


def main() -> int:
    options = _options()
    screenshots: Path = options.screenshots
    screenshots.mkdir(parents=True, exist_ok=True)
    rows = [["player", "format", *CHECKS]]
    with installation(_report) as material:
        for name in [options.only] if options.only else PROGRAMS:
            rows += [_row(entry) for entry in PROGRAMS[name](material, screenshots)]
    sys.stdout.write("".join(f"{line}\n" for line in _table(rows)))
    _report(f"screenshots: {screenshots}")
    return int(any(cell.startswith(FAILED) for row in rows for cell in row))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.browser", description=__doc__)
    parser.add_argument("--only", choices=PROGRAMS, help="one of the programs")
    parser.add_argument("--screenshots", type=Path, default=REPOSITORY / ".vodmill" / "players", help="folder for them")
    return parser.parse_args()


def _chromium(material: Material, screenshots: Path) -> Iterator[Entry]:
    with pages() as address, chromium() as running:
        page = partial(fresh_page, running, f"{address}/players.html")
        yield from _in_browser(Browser(f"Chromium {running.version}", page), material, screenshots)


def _firefox(material: Material, screenshots: Path) -> Iterator[Entry]:
    with pages() as address, firefox() as running:
        page = partial(_opened, running, f"{address}/players.html")
        yield from _in_browser(Browser(f"Firefox {running.version}", page), material, screenshots)


@contextmanager
def _opened(running: Firefox, url: str) -> Iterator[Screen]:
    running.open(url)
    yield running


def _in_browser(browser: Browser, material: Material, screenshots: Path) -> Iterator[Entry]:
    for player, url in PLAYERS:
        screenshot = screenshots / f"{browser.name.split()[0]}-{player}-{FORMATS[url]}.png".lower()
        show = partial(Show, player=player, url=url, material=material, screenshot=screenshot)
        checks = {column: partial(_shown, browser, show, check) for column, check in CHECKS.items()}
        yield Entry(f"{player}, {browser.name}", FORMATS[url], checks)


def _shown(browser: Browser, show: Callable[[Screen], Show], check: Callable[[Show], str | None]) -> str | None:
    with browser.open() as screen:
        return check(show(screen))


def _program(
    name: str, checks: Mapping[str, Callable[[Run], str | None]], material: Material, screenshots: Path
) -> Iterator[Entry]:
    for url, format_ in FORMATS.items():
        run = partial(Run, url=url, material=material, screenshot=screenshots / f"{name}-{format_}.png".lower())
        yield Entry(
            f"{name} {version(name)}",
            format_,
            {column: partial(_ran, run, check) for column, check in checks.items()},
        )


def _ran(run: Callable[..., Run], check: Callable[[Run], str | None]) -> str | None:
    with tempfile.TemporaryDirectory(prefix="vodmill-player-", ignore_cleanup_errors=True) as folder:
        return check(run(folder=Path(folder)))


PROGRAMS: dict[str, Callable[[Material, Path], Iterator[Entry]]] = {
    "chromium": _chromium,
    "firefox": _firefox,
    "mpv": partial(_program, "mpv", MPV),
    "vlc": partial(_program, "vlc", VLC),
}


def _row(entry: Entry) -> list[str]:
    cells = []
    for column in CHECKS:
        check, where = entry.checks.get(column), f"{entry.player}, {entry.format}, {column}"
        cell = _cell(check)
        known = LIMITS.get((re.split("[, ]", entry.player)[0], entry.format, column))
        if cell.startswith(FAILED) and not known:
            _report(f"{where}: {cell}; once more")
            again = _cell(check)
            cell = again if again.startswith(FAILED) else f"{again} (second time)"
        cells.append(LIMITED if known and cell.startswith(FAILED) else cell)
        _report(f"{where}: {cells[-1]}" + (f" ({known})" if cells[-1] == LIMITED else ""))
    return [entry.player, entry.format, *cells]


def _cell(check: Callable[[], str | None] | None) -> str:
    try:
        return (check and check()) or NOT_OFFERED
    except (AssertionError, PlaywrightError, FirefoxError, OSError, TypeError) as error:
        return f"{FAILED}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"[:_MAX_REASON]


def _table(rows: list[list[str]]) -> Iterator[str]:
    """Format rows as Markdown; the first one is the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        yield "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        if number == 0:
            yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"


def _report(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
