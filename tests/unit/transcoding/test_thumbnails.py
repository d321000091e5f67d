"""Thumbnails: sizes, sampled frames, the choice of a poster, and the texts that name the images."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from xml.etree import ElementTree as ET

import pytest

from tests.unit.transcoding.builders import a_plan
from transcoding.commands.thumbnails import Analysis, analysis_command, preview_command, stills_command
from transcoding.containers.boxes import MalformedBoxes
from transcoding.containers.fragments import split_fragments
from transcoding.grid import FrameGrid
from transcoding.manifests.dash.adaptation import add_tiles
from transcoding.manifests.sprites import sprites_vtt
from transcoding.manifests.variants import TileVariant
from transcoding.planning.images import ImageSet, Preview, Sprites, StoredImage, Thumbnail, media_type_of
from transcoding.planning.poster import FrameMeasure, choose_best_of_parts, choose_poster
from transcoding.planning.thumbnails import (
    MAX_CANDIDATES,
    MAX_CELLS,
    ThumbnailRequest,
    by_segment,
    fitted_into,
    frame_at,
    gops_of,
    plan_sampling,
    preview_frames,
    thumbnail_size,
)
from transcoding.probing.streams import Resolution

RUNGS = [Resolution(width=w, height=h) for w, h in ((1920, 1080), (1280, 720), (854, 480), (640, 360))]
SMALL = RUNGS[-1]


def a_grid(*, seconds: int = 60, rate: Fraction = Fraction(25)) -> FrameGrid:
    return FrameGrid(rate=rate, total_frames=int(seconds * rate))


def a_measure(frame: int, **values: float) -> FrameMeasure:
    usual = {"brightness": 110, "low": 40, "high": 190, "entropy": 0.85, "detail": 6, "change": 12}
    return FrameMeasure(frame=frame, **{**usual, **values})


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((1920, 1080), (320, 180)),
        ((1440, 1080), (240, 180)),
        ((1080, 1920), (102, 180)),
        ((1920, 800), (320, 134)),
        ((100, 60), (100, 60)),
        ((4096, 16), (320, 2)),
    ],
)
def test_thumbnails_keep_the_shape_and_are_never_enlarged(shape: tuple[int, int], size: tuple[int, int]) -> None:
    found = thumbnail_size(Resolution(width=shape[0], height=shape[1]), ThumbnailRequest())
    assert (found.width, found.height) == size


def test_a_requested_width_is_the_width() -> None:
    portrait = Resolution(width=1080, height=1920)
    assert thumbnail_size(portrait, ThumbnailRequest(width=640)) == Resolution(width=640, height=1138)
    assert fitted_into(portrait, portrait) == portrait


def test_a_small_rendition_is_decoded_whole() -> None:
    sampling = plan_sampling(a_grid(seconds=60), SMALL, RUNGS, count=10)
    assert sampling.whole
    assert sampling.gops == tuple(range(30))
    assert (sampling.cell_frames, sampling.cells) == (60, 25)  # one each 2.4 s fills a sheet
    assert sampling.candidate_frames == 13


@pytest.mark.parametrize(("seconds", "interval", "cells"), [(5, 1, 5), (250, 10, 25), (1000, 10, 100)])
def test_sprites_are_ten_seconds_apart_and_closer_in_short_videos(seconds: int, interval: int, cells: int) -> None:
    sampling = plan_sampling(a_grid(seconds=seconds), SMALL, RUNGS, count=10)
    assert (sampling.cell_frames, sampling.cells) == (25 * interval, cells)


def test_key_frames_are_enough_where_the_smallest_rendition_is_the_only_one() -> None:
    grid = a_grid(seconds=60)
    sampling = plan_sampling(grid, RUNGS[0], RUNGS[:1], count=10)
    assert not sampling.whole
    assert sampling.gops == tuple(range(0, 30, 2))
    assert (sampling.candidate_frames, sampling.decoded_per_candidate) == (100, 1)
    assert (sampling.cell_frames, sampling.decoded_per_cell, sampling.cells) == (100, 1, 15)


def test_more_key_frames_are_measured_than_are_shown_in_sprites() -> None:
    sampling = plan_sampling(a_grid(seconds=250), RUNGS[0], RUNGS[:1], count=10)
    assert (sampling.candidate_frames, sampling.cell_frames, sampling.decoded_per_cell) == (100, 300, 3)


@pytest.mark.parametrize(("seconds", "whole"), [(1, True), (10, True), (11, False)])
def test_a_short_video_has_too_few_key_frames_to_choose_from(seconds: int, whole: bool) -> None:  # noqa: FBT001
    assert plan_sampling(a_grid(seconds=seconds), RUNGS[0], RUNGS[:1], count=10).whole is whole


@pytest.mark.parametrize("seconds", [7201, 43_200])
def test_a_video_of_hours_is_sampled_and_bounded(seconds: int) -> None:
    sampling = plan_sampling(a_grid(seconds=seconds, rate=Fraction(30)), SMALL, RUNGS, count=50)
    assert not sampling.whole
    assert 100 < len(sampling.gops) == sampling.cells <= MAX_CELLS


def test_candidates_are_bounded_and_enough_for_all_thumbnails() -> None:
    long = plan_sampling(a_grid(seconds=7000), SMALL, RUNGS, count=50)
    assert 7000 * 25 / long.candidate_frames <= MAX_CANDIDATES
    short = plan_sampling(a_grid(seconds=2), SMALL, RUNGS, count=50)
    assert short.candidate_frames == 1


def test_one_frame_is_a_video() -> None:
    grid = FrameGrid(rate=Fraction(25), total_frames=1)
    sampling = plan_sampling(grid, SMALL, RUNGS, count=10)
    assert (sampling.cells, sampling.candidate_frames, sampling.gops) == (1, 1, (0,))
    assert preview_frames(grid, 0) == (0, 1)


def test_frames_and_gops_of_times() -> None:
    grid = a_grid(seconds=60)
    assert [frame_at(grid, Fraction(time)) for time in ("0", "0.99", "59.99", "100")] == [0, 24, 1499, 1499]
    assert gops_of(grid, [0, 99, 100, 1499]) == (0, 1, 2, 29)
    assert preview_frames(grid, 1450) == (1375, 1500)


def test_a_black_beginning_is_no_poster() -> None:
    black = a_measure(0, brightness=16, low=16, high=16, entropy=0, detail=0, change=0)
    assert choose_poster([black, a_measure(50), a_measure(100)]).frame == 50


@pytest.mark.parametrize(
    "odd",
    [
        {"brightness": 16.5, "low": 16, "high": 17, "entropy": 0.05, "detail": 0.1},  # black
        {"brightness": 234, "low": 233, "high": 235, "entropy": 0.1, "detail": 0.2},  # a white flash
        {"brightness": 45, "low": 20, "high": 70, "entropy": 0.6, "detail": 2},  # in a fade
        {"detail": 1},  # blurred
        {"brightness": 120, "low": 30, "high": 210, "entropy": 0.35, "detail": 2, "change": 0},  # color bars
        {"brightness": 30, "low": 28, "high": 30, "entropy": 0.2, "detail": 9, "change": 0},  # text on flat ground
    ],
)
def test_the_odd_frame_out_is_no_poster(odd: dict[str, float]) -> None:
    measures = [a_measure(0, **odd), a_measure(1, **odd), *(a_measure(frame) for frame in range(2, 8))]
    assert choose_poster(measures).frame >= 2


def test_in_a_dark_film_the_least_dark_frame_with_detail_is_the_poster() -> None:
    dark = {"brightness": 22, "low": 17, "high": 32, "entropy": 0.4, "detail": 1.5}
    measures = [a_measure(frame, **dark) for frame in range(5)]
    measures[3] = a_measure(3, **{**dark, "brightness": 26, "high": 40, "entropy": 0.5, "detail": 2})
    assert choose_poster(measures).frame == 3


def test_each_part_of_the_video_has_its_best_frame() -> None:
    measures = [a_measure(frame, detail=6 if frame % 10 >= 7 else 2) for frame in range(100)]
    chosen = choose_best_of_parts(measures, 10, total_frames=100)
    assert [measure.frame for measure in chosen] == list(range(7, 100, 10))
    assert len(choose_best_of_parts(measures[:1], 10, total_frames=100)) == 1


def test_the_measures_are_read_from_what_ffmpeg_prints() -> None:
    analysis = Analysis()
    lines = [
        "[metadata@measure @ 0x5581] frame:0    pts:0       pts_time:0",
        "[metadata@measure @ 0x5581] lavfi.signalstats.YAVG=100.5",
        "[metadata@measure @ 0x5581] lavfi.signalstats.YLOW=20",
        "[metadata@measure @ 0x5581] lavfi.signalstats.YHIGH=200",
        "[metadata@measure @ 0x5581] lavfi.signalstats.YDIF=3.25",
        "[metadata@measure @ 0x5581] lavfi.entropy.normalized_entropy.normal.Y=0.875",
        "[metadata@detail @ 0x5582] frame:0    pts:0       pts_time:0",
        "[metadata@detail @ 0x5582] lavfi.signalstats.YAVG=1.5e-05",
        "[metadata@scene @ 0x5583] frame:0    pts:312000  pts_time:12.48",
        "[metadata@scene @ 0x5583] lavfi.scd.score=41.250",
        "[metadata@measure @ 0x5581] frame:1    pts:50      pts_time:2",
        "[metadata@measure @ 0x5581] lavfi.signalstats.YAVG=nan",
        "somebody else says lavfi.signalstats.YAVG=1",
    ]
    for line in lines:
        analysis.take(line)
    measure = FrameMeasure(frame=7, brightness=100.5, low=20, high=200, entropy=0.875, detail=1.5e-05, change=3.25)
    assert analysis.measures([7, 57]) == [measure]
    assert analysis.scenes == [(312000, 0.4125)]


def test_commands_read_a_pipe_and_decode_in_one_thread() -> None:
    plan = a_plan()
    rung = plan.renditions[-1]
    sampling = plan_sampling(plan.grid, rung, plan.renditions, count=10)
    size = Resolution(width=320, height=180)
    for command in (
        analysis_command(plan, rung, sampling, cell=size, thumbnail=size),
        stills_command(plan, rung, frames=[3], size=size),
        preview_command(plan, rung, frames=(0, 50), size=size, formats=["webp", "gif"]),
    ):
        words = command.argv("ffmpeg", dict.fromkeys(command.targets, "x"), progress="p", max_pixels=1 << 24)
        assert {"-codec_whitelist", "-protocol_whitelist", "-max_pixels"} <= set(words)
        assert words[words.index("-threads") + 1] == "1"


@pytest.mark.parametrize(("frames", "keys"), [([0], True), ([0, 100], True), ([0, 3], False)])
def test_stills_at_key_frames_need_no_other(frames: list[int], keys: bool) -> None:  # noqa: FBT001
    plan = a_plan()
    assert plan.grid.gop_frames == 50
    command = stills_command(plan, plan.renditions[0], frames=frames, size=Resolution(width=320, height=180))
    assert ("skip_frame" in command.inputs[0].options) is keys
    assert command.outputs[0].options["frames:v"] == str(len(frames))


def a_set() -> ImageSet:
    sheet = StoredImage(name="sprite-0.jpg", width=800, height=450, size=60_000)
    image = StoredImage(name="poster.jpg", width=1280, height=720, size=90_000)
    sprites = Sprites(sheets=(sheet, sheet), width=160, height=90, count=27, interval=Fraction(5, 2))
    return ImageSet(
        name="set-a1",
        poster=Thumbnail(image=image, time=Fraction(1, 3)),
        thumbnails=(Thumbnail(image=image, time=Fraction(2)),),
        sprites=sprites,
        preview=Preview(files=(image,), start=Fraction(0), duration=Fraction(5)),
        duration=Fraction(131, 2),
        scenes=(),
        scene_precision=Fraction(1, 25),
    )


def test_a_set_of_images_is_stored_and_read() -> None:
    found = a_set()
    assert ImageSet.from_json(found.to_json()) == found
    assert found.size == 2 * 60_000 + 3 * 90_000
    request = ThumbnailRequest(times=(Fraction(1, 3),), width=100)
    assert ThumbnailRequest.from_json(request.to_json()) == request


def test_cues_name_the_part_of_the_sheet() -> None:
    text = sprites_vtt(a_set().sprites, duration=Fraction(131, 2))
    cues = text.split("\n\n")
    assert cues[0] == "WEBVTT"
    assert len(cues) == 28
    assert cues[1] == "00:00:00.000 --> 00:00:02.500\nsprite-0.jpg#xywh=0,0,160,90"
    assert cues[8] == "00:00:17.500 --> 00:00:20.000\nsprite-0.jpg#xywh=320,90,160,90"
    assert cues[27] == "00:01:05.000 --> 00:01:05.500\nsprite-1.jpg#xywh=160,0,160,90\n"


def test_tiles_of_a_manifest_are_numbered_and_last_equally_long() -> None:
    period = ET.Element("Period")
    tiles = TileVariant(
        url="../thumbnails/s/sprite-$Number$.jpg", width=800, height=450, columns=5, rows=5, interval=Fraction(5, 2),
        bandwidth=7680,
    )  # fmt: skip
    add_tiles(period, tiles)
    (adaptation,) = period
    assert adaptation.attrib == {"id": "0", "contentType": "image", "mimeType": "image/jpeg"}
    template, representation = adaptation
    assert template.attrib == {"timescale": "2", "duration": "125", "startNumber": "0", "media": tiles.url}
    assert representation.attrib == {"id": "thumbnails", "bandwidth": "7680", "width": "800", "height": "450"}
    assert representation[0].attrib == {"schemeIdUri": "http://dashif.org/guidelines/thumbnail_tile", "value": "5x5"}
    assert a_set().sprites.bandwidth == 7680


@pytest.mark.parametrize("name", ["poster.jpg", "thumbnail-0.jpg", "sprite-12.jpg", "preview.webp", "preview.gif"])
def test_stored_images_have_a_media_type(name: str) -> None:
    assert (media_type_of(name) or "").startswith("image/")


@pytest.mark.parametrize("name", ["", "poster.gif", "sprite-.jpg", "../source", "thumbnail-1234.jpg", "sprites.vtt"])
def test_other_names_have_none(name: str) -> None:
    assert media_type_of(name) is None


def test_a_short_tail_is_a_gop_of_the_last_segment() -> None:
    grid = FrameGrid(rate=Fraction(25), total_frames=205)
    assert grid.total_segments == 2
    assert by_segment(grid, [0, 1, 3, 4]) == {0: [0, 1], 1: [1, 2]}


def test_a_fragment_ends_with_its_media() -> None:
    moof, mdat = b"\0\0\0\x0cmoofabcd", b"\0\0\0\x0amdatxy"
    assert split_fragments(moof + mdat + mdat) == [moof + mdat, mdat]
    for broken in (moof, moof + mdat[:-1], b"\0\0\0\x00moof", b"junk"):
        with pytest.raises(MalformedBoxes):
            split_fragments(broken)


def test_renditions_of_high_dynamic_range_are_mapped_as_the_others_are() -> None:
    from tests.unit.transcoding.builders import PQ, a_source
    from transcoding.color import BT709

    plan = replace(a_plan(), source=a_source(color=PQ), color=BT709)
    rung = replace(plan.renditions[-1], hdr=PQ)
    command = stills_command(plan, rung, frames=[0], size=Resolution(width=320, height=180))
    assert "lut3d" in (command.filter_graph or "")
    assert command.files
    assert "lut3d" not in (
        stills_command(plan, plan.renditions[-1], frames=[0], size=Resolution(width=320, height=180)).filter_graph or ""
    )
