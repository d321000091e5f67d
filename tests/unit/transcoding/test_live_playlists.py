from __future__ import annotations

import re
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise

import m3u8
import pytest

from transcoding.manifests.hls.live import LiveEdge, LiveSegment, LiveWindow, LowLatency, Part, live_playlist
from transcoding.manifests.names import part_name

NOON = datetime(2026, 12, 1, 12, 0, 0, 250_000, tzinfo=UTC)
HALF = Fraction(1, 2)


def parts_of(segment: int, count: int = 4) -> list[Part]:
    return [Part(name=part_name(segment, n, 1), duration=HALF, independent=n == 0) for n in range(count)]


def a_window(*, first: int, segments: int, newest: int = 0, hint: str = "", ended: bool = False) -> LiveWindow:
    """Two seconds a segment, all with four parts; `newest` parts of the one that is being made."""
    listed = [LiveSegment(duration=Fraction(2), parts=parts_of(number)) for number in range(first, first + segments)]
    low = LowLatency(part_target=HALF, parts=parts_of(first + segments, newest), hint=hint)
    return LiveWindow(first_segment=first, segments=listed, target_seconds=2, ended=ended, low_latency=low)


def test_the_whole_playlist_of_normal_latency() -> None:
    window = LiveWindow(
        first_segment=7,
        segments=[LiveSegment(duration=Fraction(2002, 1000), starts_at=NOON), LiveSegment(duration=Fraction(2))],
        target_seconds=2,
    )
    assert live_playlist(window) == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:9\n"
        "#EXT-X-TARGETDURATION:2\n"
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12\n"
        "#EXT-X-MEDIA-SEQUENCE:7\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MAP:URI="init.mp4"\n'
        "#EXT-X-PROGRAM-DATE-TIME:2026-12-01T12:00:00.250Z\n"
        "#EXTINF:2.002000,\n"
        "7.m4s\n"
        "#EXTINF:2.000000,\n"
        "8.m4s\n"
    )


def test_the_whole_playlist_of_low_latency() -> None:
    low = LowLatency(
        part_target=HALF,
        parts=parts_of(3, 2),
        hint="3.2.1.m4s",
        edges={"360p": LiveEdge(segment=3, part=0), "audio": LiveEdge(segment=2)},
    )
    older = LiveSegment(duration=Fraction(2), starts_at=NOON)
    newest = LiveSegment(duration=Fraction(2), parts=parts_of(2))
    window = LiveWindow(first_segment=1, segments=[older, newest], target_seconds=2, low_latency=low)
    assert live_playlist(window) == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:9\n"
        "#EXT-X-TARGETDURATION:2\n"
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.500000,CAN-SKIP-UNTIL=12\n"
        "#EXT-X-PART-INF:PART-TARGET=0.500000\n"
        "#EXT-X-MEDIA-SEQUENCE:1\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MAP:URI="init.mp4"\n'
        "#EXT-X-PROGRAM-DATE-TIME:2026-12-01T12:00:00.250Z\n"
        "#EXTINF:2.000000,\n"
        "1.m4s\n"
        '#EXT-X-PART:DURATION=0.500000,URI="2.0.1.m4s",INDEPENDENT=YES\n'
        '#EXT-X-PART:DURATION=0.500000,URI="2.1.1.m4s"\n'
        '#EXT-X-PART:DURATION=0.500000,URI="2.2.1.m4s"\n'
        '#EXT-X-PART:DURATION=0.500000,URI="2.3.1.m4s"\n'
        "#EXTINF:2.000000,\n"
        "2.m4s\n"
        '#EXT-X-PART:DURATION=0.500000,URI="3.0.1.m4s",INDEPENDENT=YES\n'
        '#EXT-X-PART:DURATION=0.500000,URI="3.1.1.m4s"\n'
        '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="3.2.1.m4s"\n'
        '#EXT-X-RENDITION-REPORT:URI="../360p/index.m3u8",LAST-MSN=3,LAST-PART=0\n'
        '#EXT-X-RENDITION-REPORT:URI="../audio/index.m3u8",LAST-MSN=2\n'
    )


def test_parts_are_listed_near_the_end_only() -> None:
    """RFC 8216bis, section 4.4.4.9: not further from the end than three target durations."""
    listed = re.findall(r'URI="(\d+)\.\d+\.1\.m4s"', live_playlist(a_window(first=0, segments=10, newest=1)))
    assert sorted({int(number) for number in listed}) == [7, 8, 9, 10]


def test_a_stream_that_ended_promises_nothing_more() -> None:
    text = live_playlist(a_window(first=4, segments=3, newest=2, hint="7.2.1.m4s", ended=True))
    assert text.endswith("6.m4s\n#EXT-X-ENDLIST\n")
    assert not re.search("PART|PRELOAD|SERVER-CONTROL|RENDITION-REPORT", text)


def test_a_delta_update_leaves_out_what_is_older_than_six_target_durations() -> None:
    window = a_window(first=100, segments=20, newest=2)
    text = live_playlist(window, skip=True)
    assert "#EXT-X-SKIP:SKIPPED-SEGMENTS=14\n" in text
    assert re.findall(r"\n(\d+)\.m4s", text) == [str(number) for number in range(114, 120)]
    whole = live_playlist(window)
    assert "#EXT-X-SKIP" not in whole
    assert whole.endswith(text[text.index("#EXTINF") :])


def test_a_delta_update_of_a_short_window_is_the_whole_playlist() -> None:
    window = a_window(first=100, segments=6)
    assert live_playlist(window, skip=True) == live_playlist(window)


def test_a_window_that_slides_never_breaks_the_rules_of_updates() -> None:
    """Segments leave at the front and come at the end; nothing that stays changes (RFC 8216bis, section 6.2.1)."""
    playlists = [
        live_playlist(a_window(first=max(0, newest - 6), segments=min(6, newest), newest=parts))
        for newest in range(1, 12)
        for parts in range(4)
    ]
    for earlier, later in pairwise(playlists):
        before, after = m3u8.loads(earlier), m3u8.loads(later)
        moved = after.media_sequence - before.media_sequence
        assert moved in (0, 1)
        known = [(segment.uri, segment.duration) for segment in before.segments if segment.uri]
        there = [(segment.uri, segment.duration) for segment in after.segments if segment.uri]
        assert there[: len(known) - moved] == known[moved:]


@pytest.mark.parametrize("skip", [False, True])
def test_other_parsers_read_the_same(skip: bool) -> None:  # noqa: FBT001 - a parameter
    text = live_playlist(a_window(first=50, segments=20, newest=3, hint="70.3.1.m4s"), skip=skip)
    read = m3u8.loads(text)
    assert (read.target_duration, read.media_sequence, read.part_inf.part_target) == (2, 50, 0.5)
    assert read.server_control.can_block_reload == "YES"
    assert read.server_control.part_hold_back >= 3 * read.part_inf.part_target
    assert read.server_control.can_skip_until >= 6 * read.target_duration
    assert getattr(read.skip, "skipped_segments", None) == (14 if skip else None)
    assert read.preload_hint.uri == "70.3.1.m4s"
    durations = [part.duration for segment in read.segments for part in segment.parts]
    assert durations
    assert max(durations) <= read.part_inf.part_target
