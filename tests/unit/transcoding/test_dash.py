from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from itertools import accumulate
from xml.etree import ElementTree as ET

import pytest

from tests.unit.transcoding.builders import PQ
from transcoding.color import BT709
from transcoding.manifests.dash.manifest import Growth, dash_manifest
from transcoding.manifests.dash.timeline import Timeline
from transcoding.manifests.variants import AudioVariant, Presentation, TextVariant, VideoVariant

NTSC = Fraction(30000, 1001)
GOLDEN = """\
<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" type="static" \
mediaPresentationDuration="PT10.01S" minBufferTime="PT4.004S">
  <Period id="0" start="PT0S">
    <AdaptationSet id="0" contentType="video" mimeType="video/mp4" segmentAlignment="true" startWithSAP="1" \
maxWidth="1280" maxHeight="720">
      <SegmentTemplate timescale="30000" startNumber="0" initialization="$RepresentationID$/init.mp4" \
media="$RepresentationID$/$Number$.m4s">
        <SegmentTimeline>
          <S t="0" d="120120" r="1" />
          <S d="60060" />
        </SegmentTimeline>
      </SegmentTemplate>
      <Representation id="720p" codecs="avc1.64001f" bandwidth="4500000" width="1280" height="720" sar="1:1" \
frameRate="30000/1001" />
      <Representation id="360p" codecs="avc1.64001e" bandwidth="1200000" width="640" height="360" sar="1:1" \
frameRate="30000/1001" />
    </AdaptationSet>
    <AdaptationSet id="1" contentType="audio" mimeType="audio/mp4" segmentAlignment="true" startWithSAP="1">
      <AudioChannelConfiguration schemeIdUri="urn:mpeg:dash:23003:3:audio_channel_configuration:2011" value="2" />
      <SegmentTemplate timescale="48000" startNumber="0" initialization="$RepresentationID$/init.mp4" \
media="$RepresentationID$/$Number$.m4s">
        <SegmentTimeline>
          <S t="0" d="192512" />
          <S d="191488" />
          <S d="96480" />
        </SegmentTimeline>
      </SegmentTemplate>
      <Representation id="audio" codecs="mp4a.40.2" bandwidth="160000" audioSamplingRate="48000" />
    </AdaptationSet>
  </Period>
</MPD>
"""
"""Three segments, 4.004, 4.004 and 2.002 s; the audio's first one has 1,024 samples more than are presented."""

VIDEO_TIMELINE = Timeline.of_samples([120_120, 120_120, 60_060], timescale=30_000)
AUDIO_TIMELINE = Timeline.of_samples([193_536, 191_488, 96_480], timescale=48_000, skipped=1024)
AUDIO = AudioVariant(
    name="audio",
    language="",
    default=True,
    codecs="mp4a.40.2",
    channels=2,
    peak_bandwidth=160_000,
    average_bandwidth=128_000,
)


def a_rung(name: str, width: int, height: int, *, codecs: str, peak: int, rate: Fraction = NTSC) -> VideoVariant:
    return VideoVariant(
        name=name,
        width=width,
        height=height,
        frame_rate=rate,
        codecs=codecs,
        peak_bandwidth=peak,
        average_bandwidth=peak // 2,
    )


RUNGS = [
    a_rung("720p", 1280, 720, codecs="avc1.64001f", peak=4_500_000),
    a_rung("360p", 640, 360, codecs="avc1.64001e", peak=1_200_000),
]


def rendered(
    videos: Sequence[VideoVariant],
    timeline: Timeline,
    audio: Sequence[tuple[AudioVariant, Timeline]],
    *,
    duration: Fraction,
    growth: Growth | None = None,
) -> str:
    presentation = Presentation(videos=tuple(videos), audio=tuple(track for track, _ in audio))
    timelines = {video.name: timeline for video in videos} | {track.name: of for track, of in audio}
    return dash_manifest(presentation, timelines, duration=duration, growth=growth)


def test_the_whole_document() -> None:
    assert rendered(RUNGS, VIDEO_TIMELINE, [(AUDIO, AUDIO_TIMELINE)], duration=300 / NTSC) == GOLDEN


def test_a_video_that_is_being_encoded_is_requested_again_and_played_from_its_beginning() -> None:
    growth = Growth(
        playable_at=datetime(2026, 1, 31, 12, 0, 30, 5_000, tzinfo=UTC),
        now=datetime(2026, 1, 31, 13, 0, 40, tzinfo=timezone(timedelta(hours=1))),
    )
    one = Timeline.of_samples([120_120], timescale=30_000)
    text = rendered(RUNGS, one, [], duration=Fraction(10), growth=growth)
    root = ET.fromstring(text.partition("\n")[2])  # noqa: S314
    name = "{urn:mpeg:dash:schema:mpd:2011}"
    assert {key: root.get(key) for key in root.attrib if key not in ("profiles", "minBufferTime")} == {
        "type": "dynamic",
        "availabilityStartTime": "2026-01-31T12:00:00.005Z",
        "publishTime": "2026-01-31T12:00:40.000Z",
        "minimumUpdatePeriod": "PT2S",
        "suggestedPresentationDelay": "PT30S",
        "mediaPresentationDuration": "PT10S",
    }
    assert [(s.get("t"), s.get("d"), s.get("r")) for s in root.iter(f"{name}S")] == [("0", "120120", None)]
    service, _, clock = root
    assert [each.tag.removeprefix(name) for each in root] == ["ServiceDescription", "Period", "UTCTiming"]
    assert [latency.attrib for latency in service] == [{"target": "10000"}]
    assert clock.attrib == {"schemeIdUri": "urn:mpeg:dash:utc:direct:2014", "value": "2026-01-31T12:00:40.000Z"}


def test_every_audio_track_is_an_adaptation_set_with_language_and_role() -> None:
    german = replace(AUDIO, name="audio-2", language="deu", default=False)
    longer = replace(AUDIO_TIMELINE, durations=(1, 2, 3))
    text = rendered(
        RUNGS, VIDEO_TIMELINE, [(replace(AUDIO, language="eng"), AUDIO_TIMELINE), (german, longer)], duration=300 / NTSC
    )
    name = "{urn:mpeg:dash:schema:mpd:2011}"
    sets = ET.fromstring(text.partition("\n")[2]).findall(f".//{name}AdaptationSet[@contentType='audio']")  # noqa: S314
    assert [each.get("lang") for each in sets] == ["eng", "deu"]
    roles = [role for each in sets if (role := each.find(f"{name}Role")) is not None]
    assert [(role.get("schemeIdUri"), role.get("value")) for role in roles] == [
        ("urn:mpeg:dash:role:2011", "main"),
        ("urn:mpeg:dash:role:2011", "alternate"),
    ]
    assert [[each.tag.removeprefix(name) for each in found] for found in sets] == [
        ["AudioChannelConfiguration", "Role", "SegmentTemplate", "Representation"]
    ] * 2, "in the order of the schema"
    assert [each.get("id") for each in sets] == ["1", "2"]
    assert [s.get("d") for s in sets[1].iter(f"{name}S")] == ["1", "2", "3"]


def test_each_dynamic_range_is_an_adaptation_set_that_says_its_colors() -> None:
    standard = [replace(rung, color=BT709) for rung in RUNGS]
    high = [replace(rung, name=f"{rung.name}-hdr", codecs="hvc1.2.4.L93.90", color=PQ) for rung in RUNGS]
    text = rendered([*standard, *high], VIDEO_TIMELINE, [(AUDIO, AUDIO_TIMELINE)], duration=300 / NTSC)
    name = "{urn:mpeg:dash:schema:mpd:2011}"
    sets = ET.fromstring(text.partition("\n")[2]).findall(f".//{name}AdaptationSet[@contentType='video']")  # noqa: S314
    assert [[each.get("id") for each in found.iter(f"{name}Representation")] for found in sets] == [
        ["720p", "360p"],
        ["720p-hdr", "360p-hdr"],
    ]
    properties = [
        [(each.tag.removeprefix(name), each.get("schemeIdUri"), each.get("value")) for each in found[:3]]
        for found in sets
    ]
    kinds = ("ColourPrimaries", "TransferCharacteristics", "MatrixCoefficients")
    assert properties == [
        [(kind, f"urn:mpeg:mpegB:cicp:{of}", value) for of, value in zip(kinds, values, strict=True)]
        for kind, values in (("SupplementalProperty", "111"), ("EssentialProperty", ("9", "16", "9")))
    ]


def test_each_codec_is_an_adaptation_set_with_the_segments_that_all_its_renditions_have() -> None:
    modern = [replace(rung, name=f"{rung.name}-av1", codecs="av01.0.05M.08") for rung in RUNGS]
    shorter = replace(VIDEO_TIMELINE, durations=VIDEO_TIMELINE.durations[:1])
    timelines = {rung.name: VIDEO_TIMELINE for rung in (*RUNGS, *modern)} | {"360p-av1": shorter}
    text = dash_manifest(Presentation(videos=(*RUNGS, *modern)), timelines, duration=300 / NTSC)
    name = "{urn:mpeg:dash:schema:mpd:2011}"
    sets = ET.fromstring(text.partition("\n")[2]).findall(f".//{name}AdaptationSet")  # noqa: S314
    assert [[each.get("id") for each in found.iter(f"{name}Representation")] for found in sets] == [
        ["720p", "360p"],
        ["720p-av1", "360p-av1"],
    ]
    assert [sum(1 + int(s.get("r", "0")) for s in found.iter(f"{name}S")) for found in sets] == [3, 1]


def test_a_text_is_one_file_with_its_role() -> None:
    texts = (
        TextVariant(name="de-1", language="de", label="Deutsch", default=True, forced=False, captions=False),
        TextVariant(name="en-2", language="en", label="<en>", default=False, forced=False, captions=True),
        TextVariant(name="en-3", language="en", label="en", default=False, forced=True, captions=True),
    )
    timelines = {rung.name: VIDEO_TIMELINE for rung in RUNGS}
    mpd = dash_manifest(Presentation(videos=tuple(RUNGS), texts=texts), timelines, duration=300 / NTSC)
    name = "{urn:mpeg:dash:schema:mpd:2011}"
    sets = ET.fromstring(mpd.partition("\n")[2]).findall(f".//{name}AdaptationSet[@contentType='text']")  # noqa: S314
    assert [(found.get("lang"), found.get("mimeType"), found.findtext(f"{name}Label")) for found in sets] == [
        ("de", "text/vtt", "Deutsch"),
        ("en", "text/vtt", "<en>"),
        ("en", "text/vtt", "en"),
    ]
    assert [[role.get("value") for role in found.iter(f"{name}Role")] for found in sets] == [
        ["main", "subtitle"],
        ["caption"],
        ["forced-subtitle"],
    ]
    assert [found.findtext(f".//{name}BaseURL") for found in sets] == [f"texts/{text.name}.vtt" for text in texts]


def test_a_video_without_audio_has_one_adaptation_set() -> None:
    text = rendered(RUNGS, VIDEO_TIMELINE, [], duration=300 / NTSC)
    assert text.count("<AdaptationSet") == 1
    assert "audio" not in text


def test_what_is_unusual_in_a_name_is_escaped() -> None:
    rung = a_rung('7"2<0&p', 1280, 720, codecs="avc1.64001f", peak=1)
    root = ET.fromstring(rendered([rung], VIDEO_TIMELINE, [], duration=Fraction(1)).partition("\n")[2])  # noqa: S314
    (found,) = root.iter("{urn:mpeg:dash:schema:mpd:2011}Representation")
    assert found.attrib["id"] == '7"2<0&p'


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (Fraction(10), "PT10S"),
        (Fraction(7200), "PT7200S"),
        (Fraction(749 * 1001, 30_000), "PT24.991633S"),
        (Fraction(1, 60), "PT0.016667S"),
    ],
)
def test_lengths_are_written_in_seconds(seconds: Fraction, written: str) -> None:
    text = rendered(RUNGS, VIDEO_TIMELINE, [], duration=seconds)
    assert f'mediaPresentationDuration="{written}"' in text


def test_a_whole_rate_is_written_as_one_number() -> None:
    rung = a_rung("720p", 1280, 720, codecs="avc1.64001f", peak=1, rate=Fraction(25))
    assert 'frameRate="25"' in rendered([rung], VIDEO_TIMELINE, [], duration=Fraction(1))


def test_a_long_film_takes_one_row_for_all_its_full_segments() -> None:
    film = Timeline.of_samples([100_000] * 1800 + [40_000], timescale=25_000)
    text = rendered(RUNGS, film, [], duration=Fraction(7201))
    assert text.count("<S ") == 2
    assert '<S t="0" d="100000" r="1799" />' in text


def test_audio_starts_with_what_is_heard() -> None:
    """Segment n is presented from its decode time less the priming: the edit list cuts that off once, at the start."""
    coded = [193_536, 191_488, 192_512]
    received = Timeline.of_samples(coded, timescale=48_000, skipped=1024)
    starts = [0, *accumulate(received.durations)]
    assert starts == [0, *(end - 1024 for end in accumulate(coded))]


def test_audio_without_video_is_all_of_a_period() -> None:
    manifest = rendered([], VIDEO_TIMELINE, [(AUDIO, AUDIO_TIMELINE)], duration=Fraction(10))
    root = ET.fromstring(manifest.partition("\n")[2])  # noqa: S314
    assert root.attrib["minBufferTime"] == "PT4.010667S"
    (adaptation,) = root.iter("{urn:mpeg:dash:schema:mpd:2011}AdaptationSet")
    assert (adaptation.attrib["id"], adaptation.attrib["contentType"]) == ("0", "audio")
    (representation,) = adaptation.iter("{urn:mpeg:dash:schema:mpd:2011}Representation")
    assert representation.attrib["id"] == "audio"
