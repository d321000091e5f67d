"""Apple's authoring rules for HLS, held by real outputs. docs/hls.md lists the rules and these tests.

Playlists are read by hls-parser and m3u8, boxes by mp4box.js (see `read.mjs`).
"""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest

from tests.oracles.sites import Site
from transcoding.encoders import AAC
from transcoding.grid import STANDARD_RATES
from transcoding.manifests.names import INIT_NAME, segment_name

JOBS = ("a ladder", "29.97", "two audio tracks", "silent", "HDR10 in HEVC", "AV1")
KEY_FRAME_SECONDS = 2
PARTS_PER_KEY_FRAME = Fraction(11, 10)
"""A GOP is a whole number of frames: up to a frame longer than two seconds."""


@pytest.fixture(params=JOBS)
def name(request: pytest.FixtureRequest) -> str:
    job: str = request.param
    return job


def master(site: Site) -> list[str]:
    return (site.folder / "master.m3u8").read_text().splitlines()


def variants(site: Site) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = site.read["master"]["variants"]
    return found


def test_codecs_are_those_that_devices_decode(site: Site) -> None:
    """Rules 1.1 to 1.6, 1.10: H.264 High up to level 5.2, HEVC Main 10 up to 5.1 High, AV1; parameters in the init."""
    for variant in variants(site):
        video = variant["codecs"].split(",")[0]
        if found := re.fullmatch(r"avc1\.(?:42|4d|64)[0-9a-f]{2}([0-9a-f]{2})", video):
            assert int(found[1], 16) <= 52
        elif found := re.fullmatch(r"hvc1\.[12]\.[0-9A-F]+\.[LH](\d+)(?:\.[0-9A-F]{1,2})*", video):
            assert int(found[1]) <= 153
        else:
            assert video.startswith("av01.0.")


def test_key_frames_come_every_two_seconds(site: Site) -> None:
    """Rules 1.13, 7.4: every segment begins with one."""
    for rung in site.plan.renditions:
        frames = site.read["iframes"][rung.name]["segments"]
        assert max(frame["duration"] for frame in frames) <= KEY_FRAME_SECONDS * PARTS_PER_KEY_FRAME
        started = {frame["uri"] for frame in frames if frame["byterange"]["offset"] == 0}
        assert started == {segment["uri"] for segment in site.read["media"][rung.name]["segments"]}


def test_frame_rates_are_natural(site: Site) -> None:
    """Rules 1.18, 1.19, 9.15."""
    for variant in variants(site):
        assert any(variant["frameRate"] == pytest.approx(float(rate), abs=0.001) for rate in STANDARD_RATES)
        assert variant["frameRate"] <= 60


def test_there_is_always_standard_range(site: Site) -> None:
    """Rules 1.7, 1.24, 6.15, 6.16: high dynamic range comes beside it, at all of its sizes, key frames included."""
    for listed in (variants(site), site.read["master"]["iframes"]):
        sizes: dict[str, list[object]] = {}
        for variant in listed:
            sizes.setdefault(variant["videoRange"], []).append(variant["resolution"])
        assert set(sizes) <= {"SDR", "PQ", "HLG"}
        assert "SDR" in sizes
        assert all(len(found) == len(sizes["SDR"]) for found in sizes.values())


def test_stated_rates_are_the_measured_ones(site: Site) -> None:
    """Rules 1.26, 1.27, 9.13, 9.14: within a tenth, and never less than the largest sum of what is played together."""
    target = site.read["media"][site.plan.renditions[0].name]["targetDuration"]
    beside = [measured(site, track.name, target) for track in site.plan.audio]
    for variant in variants(site):
        peak, average = measured(site, variant["uri"].split("/")[0], target)
        peak += max((each[0] for each in beside), default=0)
        average += max((each[1] for each in beside), default=0)
        assert peak * 0.9 <= variant["bandwidth"] <= peak * 1.1
        assert average * 0.9 <= variant["averageBandwidth"] <= average * 1.1
        assert variant["bandwidth"] >= int(peak) - 2


def measured(site: Site, name: str, target: int) -> tuple[float, float]:
    """Measure peak and average rate of a rendition by the files: of stretches near the target duration."""
    lengths = [segment["duration"] for segment in site.read["media"][name]["segments"]]
    sizes = [8 * (site.folder / name / segment_name(number)).stat().st_size for number in range(len(lengths))]
    rates = [
        sum(sizes[first:end]) / sum(lengths[first:end])
        for first in range(len(lengths))
        for end in range(first + 1, len(lengths) + 1)
        if target / 2 <= sum(lengths[first:end]) <= target * 1.5
    ]
    average = sum(sizes) / sum(lengths)
    return max(rates, default=average), average


def test_players_begin_with_a_middle_variant_of_standard_range(site: Site) -> None:
    """Rule 1.32: the first variant is the one nearest to 2 Mbit/s."""
    first, *others = variants(site)
    rung = {f"{rung.name}/index.m3u8": site.found.totals[rung.name].average_bandwidth for rung in site.plan.renditions}
    assert first["videoRange"] == "SDR"
    for other in others:
        if other["videoRange"] == "SDR":
            assert abs(rung[first["uri"]] - 2_000_000) <= abs(rung[other["uri"]] - 2_000_000)


def test_all_variants_have_one_shape(site: Site) -> None:
    """Rule 1.33: as far as even numbers of pixels allow."""
    shapes = [variant["resolution"]["width"] / variant["resolution"]["height"] for variant in variants(site)]
    assert max(shapes) / min(shapes) < 1.02


def test_stereo_aac_goes_with_every_variant(site: Site) -> None:
    """Rules 2.3, 2.17, 8.9, 9.5 to 9.7: audio is a stream of its own, and each language a rendition."""
    for variant in variants(site):
        assert len(variant["audio"]) == len(site.plan.audio)
        assert all(int(track["channels"]) == 2 for track in variant["audio"])
        assert ("mp4a.40.2" in variant["codecs"].split(",")) == bool(site.plan.audio)
    assert all(site.read["boxes"][name]["tracks"] == 1 for name in site.found.runs)


def test_no_captions_are_announced_inside_video(site: Site) -> None:
    """Rules 4.3, 4.4."""
    streams = [line for line in master(site) if line.startswith("#EXT-X-STREAM-INF")]
    assert all("CLOSED-CAPTIONS=NONE" in line for line in streams)


def test_every_variant_has_an_iframe_playlist(site: Site) -> None:
    """Rules 6.1, 6.3, 6.4, 6.6, 6.8, 6.14, 9.3, 9.4."""
    shown = {(each["codecs"], *each["resolution"].values()) for each in site.read["master"]["iframes"]}
    played = {(each["codecs"].split(",")[0], *each["resolution"].values()) for each in variants(site)}
    assert shown == played
    for rung in site.plan.renditions:
        assert site.read["iframes"][rung.name]["iframesOnly"]


def test_key_frames_are_read_with_their_boxes(site: Site) -> None:
    """Rules 6.9, 6.10: `moof` and key frame; the peak is that of the key frames alone."""
    for variant in site.read["master"]["iframes"]:
        frames = site.read["iframes"][variant["uri"].split("/")[0]]["segments"]
        assert all(frame["samples"][0]["key"] for frame in frames)
        largest = max(8 * frame["byterange"]["length"] / frame["duration"] for frame in frames)
        assert variant["bandwidth"] <= largest + 1


def test_decode_times_continue(site: Site) -> None:
    """Rules 7.1, 7.3, 8.13: there is no discontinuity."""
    for name in site.found.runs:
        samples = site.read["boxes"][name]["samples"]
        assert all(before[0] + before[2] == after[0] for before, after in pairwise(samples))
        assert "DISCONTINUITY" not in (site.folder / name / "index.m3u8").read_text()


def test_target_durations_are_one_and_hold(site: Site) -> None:
    """Rules 7.7, 8.2."""
    targets = {media["targetDuration"] for media in site.read["media"].values()}
    assert len(targets) == 1
    lengths = [segment["duration"] for media in site.read["media"].values() for segment in media["segments"]]
    assert max(lengths) <= targets.pop() + 0.5


def test_lengths_are_exact(site: Site) -> None:
    """Rules 8.1, 8.3, 8.7: audio has the encoder's priming more."""
    for name, media in site.read["media"].items():
        total = sum(segment["duration"] for segment in media["segments"])
        spare = 2 * AAC.frame_samples / AAC.sample_rate if site.plan.audio_track(name) else 1e-4
        assert total == pytest.approx(float(site.plan.grid.duration), abs=spare)


def test_playlists_of_finished_videos_are_on_demand(site: Site) -> None:
    """Rules 8.6, 8.20."""
    for media in site.read["media"].values():
        assert (media["type"], media["endlist"]) == ("VOD", True)
        assert {segment["map"] for segment in media["segments"]} == {INIT_NAME}


def test_segments_of_all_variants_have_the_same_boundaries(site: Site) -> None:
    """Rule 8.22: to the tick between variants, to half a frame of AAC between video and audio."""
    video = {tuple(site.durations(rung.name)) for rung in site.plan.renditions}
    assert len(video) == 1
    assert len({len(media["segments"]) for media in site.read["media"].values()}) == 1


def test_variants_say_codecs_size_and_rates(site: Site) -> None:
    """Rules 9.1, 9.2, 9.14, 9.15, 9.16."""
    for variant in variants(site):
        assert all(variant[each] for each in ("codecs", "resolution", "bandwidth", "averageBandwidth", "frameRate"))
        assert variant["videoRange"]


def test_segments_are_independent(site: Site) -> None:
    """Rules 9.11, 9.12."""
    assert site.read["master"]["independentSegments"]


def test_no_variant_has_audio_alone_beside_video(site: Site) -> None:
    """Rules 9.19, 9.20; no variant has a SCORE, which all of them would need."""
    assert all(variant["resolution"] for variant in variants(site))
    assert "SCORE" not in "".join(master(site))
