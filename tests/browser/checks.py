"""Checks of a player in a browser with an installation's videos: one function for each column of the table.

Each gets a page that has loaded nothing, returns what was seen in a few words, and raises AssertionError when that is
not what was published. None: the player has no such feature.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from embedded.client import Json
from tests.acceptance.browsing import Evaluating, Theatre
from tests.browser.material import CHUNK_SECONDS, CUES, GOP, HEIGHTS, RATE, SECONDS, SHORT_SECONDS, TONES, Material


class Screen(Evaluating, Protocol):
    """A page of any browser, of which screenshots can be taken."""

    def screenshot(self, *, path: Path) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Browser:
    """A browser that runs. `open` yields its page with the players, freshly loaded."""

    name: str
    open: Callable[[], AbstractContextManager[Screen]]


@dataclass(frozen=True, slots=True)
class Show:
    """A player on a page, and the videos for it. `url`: the field of the playback document, `hls_url` or `dash_url`."""

    screen: Screen
    player: str
    url: str
    material: Material
    screenshot: Path

    @property
    def theatre(self) -> Theatre:
        return Theatre(self.screen)

    def load(self) -> Theatre:
        """Load the ladder."""
        _well(self.theatre.load(self.player, self.material.ladder[self.url]))
        return self.theatre


def plays(show: Show) -> str:
    """From the first frame to the last over both seams, with nothing missing between."""
    theatre = show.load()
    started = _well(theatre.play(end=CHUNK_SECONDS + 2))
    assert not started["waits"], f"waited at {started['waits']}"
    ended = _well(theatre.play(rate=4))
    assert ended["ended"], f"stands at {ended['at']:.1f} s"
    for kind, ranges in ended["buffered"].items():
        assert len(ranges) == 1, f"gaps in {kind}: {ranges}"
    assert abs(ended["duration"] - SECONDS) < 0.1, f"{ended['duration']} s long"
    return f"{SECONDS} s, {ended['frames']} frames"


def seeks(show: Show) -> str:
    theatre = show.load()
    for start in (17.0, 3.9, 22.0, 7.5):
        shown = _well(theatre.play(start=start, end=start + 1))
        assert start + 1 <= shown["at"] < start + 3, f"at {shown['at']:.1f} s after a seek to {start} s"
    return "yes"


def switches_audio(show: Show) -> str:
    """By the tone that is reports; in a browser without an audio device by the segments that are played."""
    theatre = show.load()
    _well(theatre.play(end=2))
    tracks = theatre.offered(show.player)["audio"]
    assert [track["language"][:2] for track in tracks] == ["en", "de"], tracks
    reports = [_well(theatre.tone(show.player, index, start=5.0 + 5 * index)) for index in (1, 0)]
    tones = [report["tone"] for report in reports]
    if None in tones:
        assert any(url.startswith("audio-2/") and url.endswith(".m4s") for url in reports[0]["urls"]), reports[0][
            "urls"
        ]
        return "en, de (by segments)"
    expected = [TONES["deu"], TONES["eng"]]
    assert all(abs(tone - hertz) < 12 for tone, hertz in zip(tones, expected, strict=True)), tones
    return f"en {tones[1]} Hz, de {tones[0]} Hz"


def shows_text(show: Show) -> str:
    """The words at their times; takes a screenshot at the last but one."""
    theatre = show.load()
    assert theatre.offered(show.player)["texts"] == [{"language": "de", "name": "Deutsch"}]
    shown = _well(theatre.words(show.player, 0, [*CUES]))["words"]
    assert shown == [*CUES.values()], shown
    theatre.words(show.player, 0, [8.0])
    show.screen.screenshot(path=show.screenshot)
    return f"{len(CUES)} cues"


def switches_level(show: Show) -> str:
    theatre = show.load()
    _well(theatre.play(end=1))
    seen = []
    for height, start in zip((min(HEIGHTS), 480, max(HEIGHTS)), (2.0, 9.0, 15.0), strict=True):
        shown = _well(show.screen.evaluate("(given) => level(...given)", [show.player, height, start]))
        assert shown["height"] == height, f"{shown['height']} instead of {height}"
        assert shown["at"] >= start + 2, f"stands at {shown['at']:.1f} s"
        seen.append(str(height))
    return " → ".join(seen)


def shows_images(show: Show) -> str:
    """The poster, and the part of the sprite sheet of a moment in its second row."""
    images = show.material.ladder["thumbnails"]
    size = show.screen.evaluate("(url) => sizeOf(url)", images["poster_url"])
    assert size == [images["poster"]["width"], images["poster"]["height"]], f"poster: {size}"
    sprites = images["sprites"]
    moment = sprites["interval"] * (sprites["columns"] + 0.5)
    sheets = None if show.url == "dash_url" else sprites["vtt_url"]
    given = [show.player, show.material.ladder[show.url], moment, sheets]
    found = show.screen.evaluate("(given) => thumbnail(...given)", given)
    area = [found[name] for name in ("x", "y", "width", "height")]
    assert area == [0, sprites["height"], sprites["width"], sprites["height"]], area
    assert found["sheet"] == [sprites["width"] * sprites["columns"], sprites["height"] * sprites["rows"]], found
    return "poster, " + ("tiles of the MPD" if sheets is None else "sprites.vtt")


def plays_key_frames(show: Show) -> str | None:
    """By the I-frame playlist: of hls.js while somebody scrubs, of shaka-player at four times the speed."""
    if show.url == "dash_url":
        return None
    theatre = show.load()
    if show.player == "hls.js":
        scrubbed = _well(theatre.scrubbed(show.player, [3.0, 6.5, 9.0, 21.0]))
        assert scrubbed["frames"] == [[3.0, GOP], [6.5, 3 * GOP], [9.0, 4 * GOP], [21.0, 10 * GOP]], scrubbed["frames"]
    else:
        scrubbed = _well(theatre.scrubbed(show.player, [0.0, SECONDS - 1]))
        late = {number for _, number in scrubbed["frames"] if number >= CHUNK_SECONDS * RATE}
        assert late, "no frame beyond what was buffered before"
        assert all(number % GOP == 0 for number in late), late
    assert any(url.endswith("iframes.m3u8") for url in scrubbed["urls"]), scrubbed["urls"]
    return f"{len(scrubbed['frames'])} key frames"


def plays_surround(show: Show) -> str:
    """Opus in 5.1 to the end, chosen beside stereo where the player lists both."""
    theatre = show.theatre
    _well(theatre.load(show.player, show.material.codecs[show.url], "avc1"))
    tracks = theatre.offered(show.player)["audio"]
    shown = _well(theatre.tone(show.player, len(tracks) - 1, start=4.0))
    surround = any(url.startswith("audio-surround/") for url in shown["urls"])
    _ended(theatre)
    return "5.1" if surround else "stereo"


def _plays_codec(codec: str) -> Callable[[Show], str]:
    def check(show: Show) -> str:
        theatre = show.theatre
        _well(theatre.load(show.player, show.material.codecs[show.url], codec))
        shown = _ended(theatre)
        assert codec in shown["codecs"]["video"], shown["codecs"]
        return f"{shown['frames']} frames"

    return check


def _ended(theatre: Theatre) -> Json:
    shown = _well(theatre.play(start=0.0, rate=2))
    assert shown["ended"], f"stands at {shown['at']:.1f} s"
    assert abs(shown["duration"] - SHORT_SECONDS) < 0.1, f"{shown['duration']} s long"
    return shown


def _well(report: Json) -> Json:
    assert not report["problems"], "; ".join(report["problems"])
    return report


CHECKS: dict[str, Callable[[Show], str | None]] = {
    "plays": plays,
    "seeks": seeks,
    "audio tracks": switches_audio,
    "text": shows_text,
    "rungs": switches_level,
    "images": shows_images,
    "key frames": plays_key_frames,
    "Opus": plays_surround,
    "VP9": _plays_codec("vp09"),
    "AV1": _plays_codec("av01"),
}
PLAYERS = (("hls.js", "hls_url"), ("shaka-player", "hls_url"), ("shaka-player", "dash_url"), ("dash.js", "dash_url"))
