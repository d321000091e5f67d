from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree as ET

import xmlschema

from tests.unit.transcoding.test_dash import AUDIO, RUNGS
from transcoding.manifests.dash.live import LiveClock, LivePeriod, live_manifest
from transcoding.manifests.dash.timeline import Timeline
from transcoding.manifests.variants import Presentation

NOON = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
NAME = "{urn:mpeg:dash:schema:mpd:2011}"
SCHEMA = xmlschema.XMLSchema(Path(__file__).parents[2] / "oracles" / "mpd.xsd")
CLOCK = LiveClock(now=NOON + timedelta(seconds=40), window=Fraction(30), url="https://video.example/time")
PRESENTATION = Presentation(videos=tuple(RUNGS), audio=(AUDIO,))


def a_period(first: int, *, seconds: float, begins: int, count: int, ends: bool = True) -> LivePeriod:
    """Segments of two seconds at 30,000 and 48,000 ticks, from `first` on; the Period's first one is `begins`."""
    video = Timeline(
        timescale=30_000,
        durations=(60_000,) * count,
        first_segment=first,
        start=60_000 * first,
        offset=60_000 * begins,
    )
    audio = Timeline(
        timescale=48_000,
        durations=(96_256, *(95_744,) * (count - 1)),
        first_segment=first,
        start=max(0, 96_000 * first - 512),
        offset=96_000 * begins,
    )
    rungs = {"720p": video, "360p": video, "audio": audio}
    duration = Fraction(2 * (first + count - begins)) if ends else None
    return LivePeriod(
        id=str(begins),
        starts_at=NOON + timedelta(seconds=seconds),
        presentation=PRESENTATION,
        timelines=rungs,
        duration=duration,
    )


def read(periods: Sequence[LivePeriod], clock: LiveClock | None = CLOCK) -> ET.Element:
    text = live_manifest(periods, started_at=NOON, base="../9/", segment_seconds=Fraction(2), clock=clock)
    SCHEMA.validate(text)
    return ET.fromstring(text.partition("\n")[2])  # noqa: S314


def test_the_whole_document_of_a_stream_that_runs() -> None:
    text = live_manifest(
        [replace(a_period(3, seconds=0, begins=0, count=2, ends=False), presentation=Presentation(videos=(RUNGS[0],)))],
        started_at=NOON,
        base="../9/",
        segment_seconds=Fraction(2),
        clock=CLOCK,
    )
    assert (
        text
        == """\
<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" type="dynamic" \
availabilityStartTime="2026-12-01T12:00:00.000Z" publishTime="2026-12-01T12:00:40.000Z" minimumUpdatePeriod="PT2S" \
timeShiftBufferDepth="PT30S" suggestedPresentationDelay="PT6S" minBufferTime="PT2S">
  <Period id="0" start="PT0S">
    <BaseURL>../9/</BaseURL>
    <AdaptationSet id="0" contentType="video" mimeType="video/mp4" segmentAlignment="true" startWithSAP="1" \
maxWidth="1280" maxHeight="720">
      <SegmentTemplate timescale="30000" startNumber="3" initialization="$RepresentationID$/init.mp4" \
media="$RepresentationID$/$Number$.m4s">
        <SegmentTimeline>
          <S t="180000" d="60000" r="1" />
        </SegmentTimeline>
      </SegmentTemplate>
      <Representation id="720p" codecs="avc1.64001f" bandwidth="4500000" width="1280" height="720" sar="1:1" \
frameRate="30000/1001" />
    </AdaptationSet>
  </Period>
  <UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-iso:2014" value="https://video.example/time" />
</MPD>
"""
    )


def test_a_takeover_begins_a_period_with_the_same_ids_at_its_own_time() -> None:
    """Seven segments went by; the other worker's first frame came nine seconds after their end."""
    root = read([a_period(5, seconds=0, begins=0, count=2), a_period(7, seconds=23, begins=7, count=1, ends=False)])
    first, second = root.findall(f"{NAME}Period")
    assert [(each.get("start"), each.get("duration")) for each in (first, second)] == [
        ("PT0S", "PT14S"),
        ("PT23S", None),
    ]
    ids = [[each.get("id") for each in period.iter(f"{NAME}AdaptationSet")] for period in (first, second)]
    assert ids == [["0", "1"], ["0", "1"]]
    video, audio = (each for each in second.iter(f"{NAME}SegmentTemplate"))
    assert (video.get("presentationTimeOffset"), video.get("startNumber")) == (str(60_000 * 7), "7")
    assert (audio.get("presentationTimeOffset"), audio.get("startNumber")) == (str(96_000 * 7), "7")
    times = [row.get("t") for row in second.iter(f"{NAME}S") if row.get("t")]
    assert times == [str(60_000 * 7), str(96_000 * 7 - 512)]


def test_every_segment_is_available_when_it_is_listed() -> None:
    """Its end by the Period's clock is not after the moment at which the manifest was made."""
    root = read([a_period(5, seconds=0, begins=0, count=2), a_period(7, seconds=23, begins=7, count=8, ends=False)])
    second = root.findall(f"{NAME}Period")[1]
    template = second.find(f".//{NAME}SegmentTemplate")
    assert template is not None
    ticks = sum(int(row.get("d", "0")) * (1 + int(row.get("r", "0"))) for row in template.iter(f"{NAME}S"))
    first = template.find(f".//{NAME}S")
    assert first is not None
    media = int(first.get("t", "0")) + ticks - int(template.get("presentationTimeOffset", "0"))
    assert NOON + timedelta(seconds=23 + media / 30_000) <= CLOCK.now


def test_periods_do_not_overlap_when_the_clock_of_the_publisher_is_fast() -> None:
    root = read([a_period(0, seconds=0, begins=0, count=10), a_period(10, seconds=19, begins=10, count=1, ends=False)])
    starts = [period.get("start") for period in root.findall(f"{NAME}Period")]
    assert starts == ["PT0S", "PT20S"]


def test_a_rung_that_is_no_longer_made_is_in_the_older_period_only() -> None:
    smaller = replace(
        a_period(7, seconds=20, begins=7, count=1, ends=False),
        presentation=Presentation(videos=(RUNGS[1],), audio=(AUDIO,)),
    )
    root = read([a_period(5, seconds=0, begins=0, count=2), smaller])
    names = [
        [each.get("id") for each in period.iter(f"{NAME}Representation")] for period in root.findall(f"{NAME}Period")
    ]
    assert names == [["720p", "360p", "audio"], ["360p", "audio"]]


def test_the_manifest_of_a_stream_that_ended_is_static() -> None:
    root = read([a_period(0, seconds=0, begins=0, count=7), a_period(7, seconds=23, begins=7, count=4)], clock=None)
    assert root.get("type") == "static"
    assert root.get("mediaPresentationDuration") == "PT31S"
    assert root.get("availabilityStartTime") is None
    assert root.find(f"{NAME}UTCTiming") is None
