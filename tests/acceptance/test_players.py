"""Outputs in common players: playback to the end, seeking, no stalls, no gaps, audio tracks, scrubbing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from itertools import accumulate
from urllib.parse import urljoin
from xml.etree import ElementTree as ET

import pytest
from playwright.sync_api import Browser, Page

from embedded.client import Client, Json
from embedded.stack import Stack
from tests.acceptance.browsing import Theatre, fresh_page
from tests.acceptance.playing import Player, completed
from tests.ffmpeg.sources import AAC, H264, SILENT, Card, make, run, with_tones
from transcoding.containers.fragments import FragmentReader

FRAMES = 360
RATE = Fraction(30000, 1001)
SECONDS = FRAMES / RATE
GOP = 60
TONES = {"eng": 440, "deu": 880}
"""Languages of the audio tracks, and the hertz of their tones."""
PRIMING = 1024
"""Priming samples of the AAC encoder."""
MPD = "{urn:mpeg:dash:schema:mpd:2011}"


@pytest.fixture(scope="module")
def playback(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Json:
    """Twelve seconds in two rungs and two languages: three segments, two chunks."""
    folder = tmp_path_factory.mktemp("source")
    card = Card(rate=RATE, frames=FRAMES, width=848, height=480)
    source = with_tones(make(folder / "card.mp4", card, *H264, *SILENT), folder / "source.mkv", TONES)
    return completed(client, source, preset="ultrafast")


every_player = pytest.mark.parametrize(
    ("player", "kind"),
    [("hls.js", "hls_url"), ("shaka-player", "hls_url"), ("shaka-player", "dash_url"), ("dash.js", "dash_url")],
)


@every_player
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


@every_player
def test_each_language_can_be_chosen(player: str, kind: str, playback: Json, browser: Browser, players: str) -> None:
    """By the tone of its track, as measured in the page."""
    with fresh_page(browser, players) as page:
        theatre = Theatre(page)
        theatre.load(player, playback[kind])
        tracks = theatre.offered(player)["audio"]
        found = {
            track["language"][:2]: theatre.tone(player, index, start=1.0 + 5 * index)
            for index, track in enumerate(tracks)
        }
    assert [tone["problems"] for tone in found.values()] == [[], []]
    assert {language: tone["tone"] for language, tone in found.items()} == pytest.approx(
        {language[:2]: hertz for language, hertz in TONES.items()}, abs=12
    )


def test_hls_js_shows_key_frames_while_scrubbing(playback: Json, browser: Browser, players: str) -> None:
    with fresh_page(browser, players) as page:
        theatre = Theatre(page)
        theatre.load("hls.js", playback["hls_url"])
        scrubbed = theatre.scrubbed("hls.js", [3.0, 6.5, 9.0])
    assert scrubbed["problems"] == []
    assert scrubbed["frames"] == [[3.0, GOP], [6.5, 3 * GOP], [9.0, 4 * GOP]]
    assert "iframes.m3u8" in {url.rpartition("/")[2] for url in scrubbed["urls"]}


def test_shaka_player_plays_key_frames_at_high_speed(playback: Json, browser: Browser, players: str) -> None:
    with fresh_page(browser, players) as page:
        theatre = Theatre(page)
        theatre.load("shaka-player", playback["hls_url"])
        scrubbed = theatre.scrubbed("shaka-player", [0.0, 11.0])
    assert scrubbed["problems"] == []
    assert "iframes.m3u8" in {url.rpartition("/")[2] for url in scrubbed["urls"]}
    beyond_the_buffer = {number for _, number in scrubbed["frames"] if number >= 4 * GOP}
    assert beyond_the_buffer
    assert beyond_the_buffer <= {4 * GOP, 5 * GOP}


@pytest.fixture(scope="module")
def of_several_codecs(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Json:
    """Five seconds in three codecs: two segments."""
    card = Card(rate=Fraction(25), frames=130, width=160, height=96)
    source = make(tmp_path_factory.mktemp("codecs") / "source.mp4", card, *H264, *AAC)
    return completed(client, source, preset="ultrafast", codecs=["h264", "av1", "vp9"])


@pytest.mark.parametrize("codec", ["av01", "vp09"])
@pytest.mark.parametrize(
    ("player", "kind"), [("hls.js", "hls_url"), ("shaka-player", "dash_url"), ("dash.js", "dash_url")]
)
def test_every_codec_of_a_presentation_is_played(  # noqa: PLR0917 - fixtures
    player: str, kind: str, codec: str, of_several_codecs: Json, browser: Browser, players: str
) -> None:
    with fresh_page(browser, players) as page:
        theatre = Theatre(page)
        assert theatre.load(player, of_several_codecs[kind], codec)["problems"] == []
        shown = theatre.play(start=3.5, end=4.5)
        assert shown["problems"] == []
        assert shown["at"] >= 4.5, "over the boundary of two segments"
        assert codec in shown["codecs"]["video"]


@pytest.mark.parametrize(("player", "kind"), [("hls.js", "hls_url"), ("shaka-player", "dash_url")])
def test_a_text_that_came_later_is_listed_and_shown_at_its_time(
    player: str, kind: str, subtitled: Json, browser: Browser, players: str
) -> None:
    """The second cue lies over the boundary of two segments, each of which has it."""
    with fresh_page(browser, players) as page:
        theatre = Theatre(page)
        assert theatre.load(player, subtitled[kind])["problems"] == []
        assert theatre.offered(player)["texts"] == [{"language": "de", "name": "Deutsch"}]
        shown = theatre.cues(player, 0, count=3)
    assert shown["problems"] == []
    cues = sorted({(round(start, 2), round(end, 2), words) for start, end, words in shown["cues"]})
    assert cues == [(1, 2, "eins"), (3.5, 5.5, "<i>zwei</i>"), (9, 10, "drei")]


def test_the_admin_offers_texts_and_audio_tracks(subtitled: Json, admin_page: Page, stack: Stack) -> None:
    """With the browser's own controls, by the keyboard alone."""
    fetched: list[str] = []
    admin_page.on("request", lambda request: fetched.append(request.url))
    admin_page.goto(f"{stack.api.url}/admin/videos/video/{subtitled['video_id']}/change/")
    video = admin_page.locator("#player video")
    tracks = video.evaluate("(video) => [...video.textTracks].map((each) => [each.kind, each.language, each.label])")
    assert tracks == [["subtitles", "de", "Deutsch"]]
    video.evaluate("(video) => { video.muted = true; video.textTracks[0].mode = 'showing'; }")
    video.press("Space")
    admin_page.wait_for_function("document.querySelector('#player video').currentTime > 1.2")
    video.press("Space")
    assert video.evaluate("(video) => [...video.textTracks[0].cues].map((cue) => cue.text)") == [
        "eins",
        "<i>zwei</i>",
        "drei",
    ]
    chosen = admin_page.get_by_label("Audio")
    assert not [url for url in fetched if "/audio-2/" in url]
    before = video.evaluate("(video) => video.currentTime")
    chosen.press("ArrowDown")
    admin_page.wait_for_function(
        "(before) => { const video = document.querySelector('#player video');"
        " return video.readyState > 2 && !video.seeking && video.currentTime >= before - 0.1; }",
        arg=before,
    )
    assert "audio=audio-2" in video.evaluate("(video) => video.currentSrc")
    assert [url for url in fetched if "/audio-2/" in url]
    assert video.evaluate("(video) => video.textTracks[0].mode") == "showing"


@pytest.fixture
def subtitled(client: Client, playback: Json) -> Iterator[Json]:
    """The complete video after a text was added to it, and until it is deleted."""
    words = "1\n00:00:01,000 --> 00:00:02,000\neins\n\n2\n00:00:03,500 --> 00:00:05,500\n<i>zwei</i>\n\n"
    words += "3\n00:00:09,000 --> 00:00:10,000\ndrei\n"
    text = client.add_text(playback["video_id"], words.encode(), language="de", label="Deutsch")
    yield client.playback(playback["video_id"])
    client.delete_text(playback["video_id"], text["id"])


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
    assert set(found) == {"480p", "360p", "audio", "audio-2"}
    for name, (planned, coded) in found.items():
        priming = PRIMING if name.startswith("audio") else 0
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
