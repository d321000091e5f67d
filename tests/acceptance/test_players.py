"""Outputs in common players: playback to the end, seeking, no stalls, no gaps."""

from __future__ import annotations

from contextlib import closing
from fractions import Fraction
from itertools import accumulate
from urllib.parse import urljoin
from xml.etree import ElementTree as ET

import pytest
from playwright.sync_api import Browser

from embedded.client import Client, Json
from tests.acceptance.browsing import Theatre, fresh_page
from tests.acceptance.playing import Player, completed
from tests.ffmpeg.sources import AAC, H264, Card, make, run
from transcoding.containers.fragments import FragmentReader

FRAMES = 360
RATE = Fraction(30000, 1001)
SECONDS = FRAMES / RATE
PRIMING = 1024
"""Priming samples of the AAC encoder."""
MPD = "{urn:mpeg:dash:schema:mpd:2011}"


@pytest.fixture(scope="module")
def playback(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Json:
    """Twelve seconds in two rungs: three segments, two chunks."""
    card = Card(rate=RATE, frames=FRAMES, width=848, height=480)
    source = make(tmp_path_factory.mktemp("source") / "source.mp4", card, *H264, *AAC)
    return completed(client, source, preset="ultrafast")


@pytest.mark.parametrize(
    ("player", "kind"),
    [("hls.js", "hls_url"), ("shaka-player", "hls_url"), ("shaka-player", "dash_url"), ("dash.js", "dash_url")],
)
def test_it_plays_to_the_end_and_seeks(player: str, kind: str, playback: Json, browser: Browser, players: str) -> None:
    with fresh_page(browser, players) as page:
        theatre = Theatre(page)
        assert theatre.load(player, playback[kind])["problems"] == []
        started = theatre.play(end=4.5)
        assert (started["waits"], started["problems"]) == ([], [])
        whole = theatre.buffered_to(float(SECONDS) - 0.1)
        assert whole["duration"] == pytest.approx(float(SECONDS), abs=0.05)
        for kind_of_track, ranges in whole["buffered"].items():
            assert len(ranges) == 1, f"a gap in {kind_of_track}: {ranges}"
            assert ranges[0][0] == pytest.approx(0, abs=1e-6), f"{kind_of_track} starts late"
            assert ranges[0][1] == pytest.approx(float(SECONDS), abs=0.05)
        for start in (9.5, 3.9, 7.6):
            sought = theatre.play(start=start, end=start + 1, rate=2)
            assert sought["at"] >= start + 1
            assert sought["problems"] == []
        shown = theatre.play(start=0, rate=4)
        assert shown["ended"]
        assert shown["problems"] == []  # at this speed a busy machine may wait for its decoder
        assert shown["frames"] - sought["frames"] >= FRAMES


@pytest.fixture(scope="module")
def surround(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Json:
    """A second segment and more of Opus, in stereo and in 5.1."""
    source = tmp_path_factory.mktemp("surround") / "source.mkv"
    tone = "0.1*sin(2*PI*440*t)"
    inputs = ["-f", "lavfi", "-i", "testsrc2=size=128x72:rate=25:duration=6"]
    inputs += ["-f", "lavfi", "-i", f"aevalsrc='{'|'.join([tone] * 6)}':channel_layout=5.1:duration=6"]
    run([*inputs, "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "flac", f"file:{source}"])
    return completed(client, source, preset="ultrafast", audio_codec="opus", audio_channels="surround")


@pytest.mark.parametrize(("player", "kind"), [("hls.js", "hls_url"), ("dash.js", "dash_url")])
def test_opus_and_surround_play_to_the_end(
    player: str, kind: str, surround: Json, browser: Browser, players: str
) -> None:
    with fresh_page(browser, players) as page:
        theatre = Theatre(page)
        assert theatre.load(player, surround[kind])["problems"] == []
        shown = theatre.play(rate=4)
        assert (shown["ended"], shown["problems"]) == (True, [])
        for kind_of_track, ranges in shown["buffered"].items():
            assert ranges == [[pytest.approx(0, abs=1e-6), pytest.approx(6, abs=0.05)]], kind_of_track


def test_the_dash_timelines_are_those_of_the_segments(playback: Json) -> None:
    """With its edit list applied, each segment of each representation starts at the time in the timeline."""
    with closing(Player()) as player:
        answer = player.get(playback["dash_url"])
        assert answer.headers["content-type"] == "application/dash+xml"
        assert answer.headers["access-control-allow-origin"] == "*"
        root = ET.fromstring(answer.text)  # noqa: S314 - our own
        found = {
            representation.attrib["id"]: _decode_starts(player, playback["dash_url"], adaptation, representation)
            for adaptation in root.iter(f"{MPD}AdaptationSet")
            for representation in adaptation.iter(f"{MPD}Representation")
        }
    assert set(found) == {"480p", "360p", "audio"}
    for name, (planned, coded) in found.items():
        priming = PRIMING if name == "audio" else 0
        assert len(planned) == 3
        assert [max(0, start - priming) for start in coded] == planned


def _decode_starts(
    player: Player, base: str, adaptation: ET.Element, representation: ET.Element
) -> tuple[list[int], list[int]]:
    """Return the starts of segments in ticks, by the timeline and by their first fragments."""
    (template,) = adaptation.iter(f"{MPD}SegmentTemplate")
    rows = [(int(row.attrib["d"]), int(row.attrib.get("r", "0")) + 1) for row in template.iter(f"{MPD}S")]
    lengths = [ticks for ticks, times in rows for _ in range(times)]
    planned = [0, *accumulate(lengths)][:-1]
    addresses = template.attrib["media"].replace("$RepresentationID$", representation.attrib["id"])
    first = int(template.attrib["startNumber"])
    coded = []
    for number in range(first, first + len(lengths)):
        data = player.get(urljoin(base, addresses.replace("$Number$", str(number)))).content
        coded.append(next(iter(FragmentReader().feed(data))).decode_time)
    return planned, coded
