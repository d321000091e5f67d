"""Parsers of other people find in our boxes, playlists and manifests what the plan and the rows say.

mp4box.js, hls-parser and mpd-parser run in Node.js (`read.mjs`), m3u8 and mpegdash in Python. The schema of MPDs is
`mpd.xsd`.
"""

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from itertools import accumulate
from pathlib import Path

import m3u8
import pytest
import xmlschema
from django.db.models.functions import Now
from mpegdash.parser import MPEGDASHParser

from tests.inputs.running import Transcoded
from tests.oracles.publishing import published, write_site
from tests.oracles.sites import HERE, Site, every_job, read_site
from tests.unit.transcoding.test_thumbnails import a_set
from transcoding.containers.boxes import read_init
from transcoding.containers.fragments import FragmentReader
from transcoding.languages import language_tag
from transcoding.manifests.names import INIT_NAME, segment_name
from videos.models import Thumbnails
from videos.states import ThumbnailState

CODECS_OF_MP4BOX = {"opus": "Opus"}
"""Names of codecs that mp4box.js has: that of the sample entry, where RFC 6381 has another."""


@every_job
def test_mp4box_reads_the_boxes_as_we_do(site: Site, name: str) -> None:
    grid = site.plan.grid
    for rendition, segments in site.found.runs.items():
        read = site.read["boxes"][rendition]
        init = (site.folder / rendition / INIT_NAME).read_bytes()
        ours = read_init(init)
        assert read["tracks"] == 1
        assert read["timescale"] == ours.timescale
        assert [edit["start"] for edit in read["edits"]] == [ours.edit_start]
        samples = read["samples"]
        assert [sample[0] for sample in samples] == [0, *accumulate(sample[2] for sample in samples)][:-1]
        assert sum(sample[2] for sample in samples) == sum(site.durations(rendition))
        assert [(*sample[2:4], sample[4]) for sample in samples] == _samples(site, rendition)
        if track := site.plan.audio_track(rendition):
            assert (read["codec"], read["channels"]) == (
                CODECS_OF_MP4BOX.get(track.codecs, track.codecs),
                track.channels,
            )
            assert all(sample[4] for sample in samples)
            continue
        planned = next(planned for planned in site.plan.renditions if planned.name == rendition)
        assert read["codec"].lower() == _without_colors(planned.codecs).lower()
        assert (read["width"], read["height"]) == (planned.width, planned.height)
        assert len(samples) == grid.frame_count == sum(sum(run.frames) for run in segments)
        shown = sorted(sample[1] - ours.edit_start for sample in samples)
        assert shown == [number * grid.frame_ticks for number in range(grid.frame_count)]
        keys = [number for number, sample in enumerate(samples) if sample[4]]
        assert keys == list(range(0, grid.frame_count, grid.gop_frames))


def _without_colors(codecs: str) -> str:
    """Leave out the colors in the name of AV1, which mp4box does not write."""
    return codecs.partition(".0.110")[0] if codecs.startswith("av01") else codecs


def _samples(site: Site, rendition: str) -> list[tuple[int, int, bool]]:
    """Return ticks, bytes and key frames of the samples of a rendition, as our own reader has them."""
    found = []
    for number, _ in enumerate(site.durations(rendition)):
        data = (site.folder / rendition / segment_name(number)).read_bytes()
        for fragment in FragmentReader().feed(data):
            found += [(sample.duration, sample.size, sample.sync) for sample in fragment.samples]
    return found


@every_job
def test_hls_parser_reads_the_playlists(site: Site, name: str) -> None:
    master, plan = site.read["master"], site.plan
    peaks = {name: totals.peak_bandwidth for name, totals in site.found.totals.items()}
    audio_peak = max((peaks[track.name] for track in plan.audio), default=0)
    played = {f"{each.name}/index.m3u8": each for each in plan.renditions or plan.audio[:1]}
    assert sorted(variant["uri"] for variant in master["variants"]) == sorted(played)
    if not plan.renditions:
        (variant,) = master["variants"]
        assert (variant["codecs"], variant["bandwidth"], variant["resolution"]) == (
            plan.audio[0].codecs,
            audio_peak,
            None,
        )
    for variant in master["variants"] if plan.renditions else ():
        rung = next(rung for rung in plan.renditions if variant["uri"] == f"{rung.name}/index.m3u8")
        assert variant["bandwidth"] == peaks[rung.name] + audio_peak
        assert variant["averageBandwidth"] <= variant["bandwidth"]
        assert variant["resolution"] == {"width": rung.width, "height": rung.height}
        color = plan.color_of(rung)
        assert color
        assert variant["videoRange"] == color.video_range
        assert variant["frameRate"] == pytest.approx(float(plan.grid.rate), abs=0.001)
        assert variant["codecs"] == ",".join(dict.fromkeys([rung.codecs, *(track.codecs for track in plan.audio)]))
        assert [track["uri"] for track in variant["audio"]] == [f"{track.name}/index.m3u8" for track in plan.audio]
        assert [track["language"] for track in variant["audio"]] == [
            language_tag(track.language) for track in plan.audio
        ]
        assert [track["isDefault"] for track in variant["audio"]] == [track.default for track in plan.audio]
    for rendition, media in site.read["media"].items():
        timescale = site.read["boxes"][rendition]["timescale"]
        assert (media["type"], media["endlist"]) == ("VOD", True)
        assert {segment["map"] for segment in media["segments"]} == {INIT_NAME}
        lengths = [segment["duration"] for segment in media["segments"]]
        assert lengths == pytest.approx([ticks / timescale for ticks in site.durations(rendition)], abs=1e-6)
        assert max(round(length) for length in lengths) <= media["targetDuration"]


@every_job
def test_hls_parser_and_mp4box_read_the_key_frames(site: Site, name: str) -> None:
    """Each byte range is a fragment's boxes and its key frame, with which it ends."""
    grid, variants = site.plan.grid, site.read["master"]["iframes"]
    assert [variant["uri"] for variant in variants] == [f"{rung.name}/iframes.m3u8" for rung in site.plan.renditions]
    for variant, rung in zip(variants, site.plan.renditions, strict=True):
        listed = site.read["iframes"][rung.name]
        assert (listed["iframesOnly"], listed["type"], listed["endlist"]) == (True, "VOD", True)
        frames = listed["segments"]
        assert len(frames) == -(-grid.frame_count // grid.gop_frames)
        assert sum(frame["duration"] for frame in frames) == pytest.approx(float(grid.duration), abs=1e-4)
        assert max(round(frame["duration"]) for frame in frames) <= listed["targetDuration"]
        for frame in frames:
            first, *others = frame["samples"]
            assert first["key"]
            assert first["offset"] + first["size"] == frame["byterange"]["length"]
            assert all(sample["offset"] >= frame["byterange"]["length"] for sample in others)
        average = sum(frame["byterange"]["length"] for frame in frames) * 8 / float(grid.duration)
        assert variant["averageBandwidth"] == pytest.approx(average, abs=1)
        assert variant["averageBandwidth"] <= variant["bandwidth"] < site.found.totals[rung.name].peak_bandwidth
        assert (variant["codecs"], variant["resolution"]) == (
            rung.codecs,
            {"width": rung.width, "height": rung.height},
        )
    audio = [track.name for track in site.plan.audio]
    assert [site.read["iframes"][name] for name in audio] == [None] * len(audio)


@every_job
def test_m3u8_reads_the_same(site: Site, name: str) -> None:
    master = m3u8.loads((site.folder / "master.m3u8").read_text())
    read = site.read["master"]["variants"]
    assert [
        (playlist.uri, playlist.stream_info.bandwidth, playlist.stream_info.codecs) for playlist in master.playlists
    ] == [(variant["uri"], variant["bandwidth"], variant["codecs"]) for variant in read]
    assert [(each.uri, each.iframe_stream_info.bandwidth) for each in master.iframe_playlists] == [
        (variant["uri"], variant["bandwidth"]) for variant in site.read["master"]["iframes"]
    ]
    beside = site.plan.audio if site.plan.renditions else ()
    assert [media.uri for media in master.media] == [f"{track.name}/index.m3u8" for track in beside]
    for rendition, expected in site.read["media"].items():
        playlist = m3u8.loads((site.folder / rendition / "index.m3u8").read_text())
        assert playlist.target_duration == expected["targetDuration"]
        assert [(segment.uri, segment.duration) for segment in playlist.segments] == [
            (segment["uri"], segment["duration"]) for segment in expected["segments"]
        ]


@every_job
def test_the_manifest_is_valid(site: Site, name: str) -> None:
    _schema().validate(site.folder / "manifest.mpd")


@every_job
def test_mpegdash_and_mpd_parser_read_the_manifest(site: Site, name: str) -> None:
    plan, mpd = site.plan, MPEGDASHParser.parse(str(site.folder / "manifest.mpd"))
    (period,) = mpd.periods
    representations = {
        representation.id: (adaptation, representation)
        for adaptation in period.adaptation_sets
        for representation in adaptation.representations
    }
    assert list(representations) == [*(rung.name for rung in plan.renditions), *(track.name for track in plan.audio)]
    for rung in plan.renditions:
        _, read = representations[rung.name]
        assert (read.codecs, read.bandwidth) == (rung.codecs, site.found.totals[rung.name].peak_bandwidth)
        assert (read.width, read.height, read.frame_rate) == (rung.width, rung.height, str(plan.grid.rate))
    for track in plan.audio:
        adaptation, read = representations[track.name]
        assert (read.codecs, read.bandwidth, adaptation.lang or "") == (
            track.codecs,
            site.found.totals[track.name].peak_bandwidth,
            language_tag(track.language),
        )
    _compare_segments(site)
    for rendition, (adaptation, _) in representations.items():
        (template,) = adaptation.segment_templates
        rows = [(row.d, (row.r or 0) + 1) for row in template.segment_timelines[0].Ss]
        assert sum(ticks * times for ticks, times in rows) == sum(site.durations(rendition)) - _priming(site, rendition)


def _compare_segments(site: Site) -> None:
    """Compare the segments that mpd-parser lists with those of the HLS playlists."""
    listed = {playlist["name"]: playlist for playlist in [*site.read["mpd"]["video"], *site.read["mpd"]["audio"]]}
    assert set(listed) == set(site.found.runs)
    assert site.read["mpd"]["duration"] == pytest.approx(float(site.plan.grid.duration), abs=1e-5)
    for rendition, playlist in listed.items():
        timescale = site.read["boxes"][rendition]["timescale"]
        priming = Fraction(_priming(site, rendition), timescale)
        hls = site.read["media"][rendition]["segments"]
        assert [segment["uri"] for segment in playlist["segments"]] == [
            f"{rendition}/{segment['uri']}" for segment in hls
        ]
        lengths = [segment["duration"] for segment in playlist["segments"]]
        lengths[0] += float(priming)
        assert lengths == pytest.approx([segment["duration"] for segment in hls], abs=1e-5)
        starts = [segment["presentationTime"] for segment in playlist["segments"]]
        planned = list(
            accumulate((Fraction(ticks, timescale) for ticks in site.durations(rendition)), initial=Fraction(0))
        )[:-1]
        assert starts == pytest.approx([float(max(Fraction(0), start - priming)) for start in planned], abs=1e-5)


def _priming(site: Site, rendition: str) -> int:
    track = site.plan.audio_track(rendition)
    return track.encoder.priming_samples if track else 0


@pytest.mark.parametrize("name", ["a ladder", "two audio tracks", "silent", "audio alone"])
def test_manifests_of_a_video_that_grows_are_valid(
    name: str, encoded: Callable[[str], Transcoded], tmp_path: Path, db: None
) -> None:
    found = encoded(name)
    folder = write_site(published(found, complete=False), found, tmp_path / "site")
    _schema().validate(folder / "manifest.mpd")
    read = read_site(folder)
    assert MPEGDASHParser.parse(str(folder / "manifest.mpd")).type == "dynamic"
    assert {media["type"] for media in read["media"].values()} == {"EVENT"}
    assert not any(media["endlist"] for media in read["media"].values())
    assert read["mpd"]["minimumUpdatePeriod"] == 2000
    listed = [each for each in read["iframes"].values() if each]
    assert len(listed) == len(found.plan.renditions) == len(read["master"]["iframes"])
    assert {(each["type"], each["endlist"]) for each in listed} <= {("EVENT", False)}


def test_sprite_sheets_are_in_a_valid_manifest(encoded: Callable[[str], Transcoded], tmp_path: Path, db: None) -> None:
    found = encoded("one rung")
    generation = published(found)
    images = {"request": {}, "images": a_set().to_json(), "ready_at": Now()}
    Thumbnails.objects.create(video=generation.video, state=ThumbnailState.READY, **images)
    folder = write_site(generation, found, tmp_path / "site")
    _schema().validate(folder / "manifest.mpd")
    (period,) = MPEGDASHParser.parse(str(folder / "manifest.mpd")).periods
    *_, sheets = period.adaptation_sets
    assert (sheets.content_type, sheets.mime_type) == ("image", "image/jpeg")
    assert {playlist["name"] for playlist in read_site(folder)["mpd"]["video"]} == {
        rung.name for rung in found.plan.renditions
    }


@cache
def _schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(HERE / "mpd.xsd")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('frameRate="25"', 'frameRate="25.0"'),
        ('contentType="audio"', 'contentType="noise"'),
        (' minBufferTime="PT4S"', ""),
        ('startNumber="0"', 'startNumber="-1"'),
        ('lang="en"', 'lang="in English"'),
        ("<Role ", "<Part "),
    ],
)
def test_the_schema_finds_what_is_wrong(
    right: str, wrong: str, encoded: Callable[[str], Transcoded], tmp_path: Path, db: None
) -> None:
    found = encoded("two audio tracks")
    text = (write_site(published(found), found, tmp_path / "site") / "manifest.mpd").read_text()
    assert right in text
    assert _schema().is_valid(text)
    assert not _schema().is_valid(text.replace(right, wrong, 1))
