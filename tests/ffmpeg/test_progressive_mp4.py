"""Progressive files are copies: the same packets, the same times, the same start, with the index in front."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from execution.ffmpeg import Stopped
from execution.pipes import Feed
from tests.ffmpeg.golden import FFPROBE, NEVER, Golden, beep_seconds, runner, shown_numbers, transcode
from tests.ffmpeg.sources import AAC, H264, SILENT, Card, make
from transcoding.commands.remux import MP4_TARGET, VIDEO_INPUT, mp4_command
from transcoding.containers.boxes import (
    MalformedBoxes,
    Track,
    front_index,
    media_bytes,
    read_init,
    read_tracks,
    top_level_kinds,
)
from transcoding.containers.verification import verify_mp4
from transcoding.errors import VerificationFailed

CARD = Card(rate=Fraction(30000, 1001), frames=500)
"""16.7 s: four segments and a tail, several chunks, B-frames, and a rate that is no whole number."""


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Golden:
    folder = tmp_path_factory.mktemp("golden")
    return transcode(make(folder / "source.mp4", CARD, *H264, *AAC), folder / "out")


@pytest.fixture(scope="module")
def mp4(golden: Golden) -> Path:
    return remuxed(golden, golden.folder / "progressive.mp4")


def remuxed(golden: Golden, path: Path, *, video: Feed | None = None) -> Path:
    """Remux the largest rung as the step does."""
    feeds = {VIDEO_INPUT: video or parts(golden, golden.plan.renditions[0].name)}
    feeds |= {track.name: parts(golden, track.name) for track in golden.plan.audio}
    runner().run(mp4_command(golden.plan), {MP4_TARGET: path}, inputs=feeds, stop=NEVER)
    return path


def parts(golden: Golden, name: str) -> Feed:
    encoded = golden.renditions[name]
    yield encoded.inits[0]
    for segment in encoded.segments:
        yield segment.data


def coded(golden: Golden) -> list[Track]:
    """The tracks that went in."""
    names = [golden.plan.renditions[0].name, *(track.name for track in golden.plan.audio)]
    return [_coded(golden, name) for name in names]


def _coded(golden: Golden, name: str) -> Track:
    encoded = golden.renditions[name]
    init = read_init(encoded.inits[0])
    return Track(
        timescale=init.timescale,
        codecs=init.codecs,
        samples=sum(segment.frames for segment in encoded.segments),
        ticks=sum(segment.duration for segment in encoded.segments),
        size=sum(media_bytes(segment.data) for segment in encoded.segments),
        edit_start=init.edit_start,
    )


def tracks(path: Path) -> tuple[Track, ...]:
    with path.open("rb") as file:
        return read_tracks(front_index(file))


def test_the_index_lies_in_front(mp4: Path) -> None:
    with mp4.open("rb") as file:
        kinds = top_level_kinds(file)
    assert kinds.index("moov") < kinds.index("mdat")
    assert "moof" not in kinds


def test_its_tracks_are_those_that_were_coded(golden: Golden, mp4: Path) -> None:
    verify_mp4("180p", tracks(mp4), coded(golden))


def test_video_and_audio_start_together_at_0(mp4: Path) -> None:
    streams = probed(mp4, "-show_streams")["streams"]
    assert isinstance(streams, list)
    assert [stream["start_pts"] for stream in streams] == [0, 0]
    assert [stream["duration_ts"] for stream in streams] == [500 * 1001, 500 * 1001 * 48_000 // 30_000]
    assert [track.edit_start for track in tracks(mp4)] == [2 * 1001, 1024]


def test_every_packet_is_the_one_that_was_encoded(golden: Golden, mp4: Path) -> None:
    for stream, name in (("v", golden.plan.renditions[0].name), ("a", "audio")):
        assert packets(mp4, stream) == packets(golden.renditions[name].path, stream)


def probed(path: Path, *entries: str) -> dict[str, object]:
    """Return the JSON of ffprobe for a file."""
    done = subprocess.run([FFPROBE, "-v", "error", "-of", "json", *entries, path], capture_output=True, check=True)
    document: dict[str, object] = json.loads(done.stdout)
    return document


def packets(path: Path, stream: str) -> list[tuple[int, int, str]]:
    """Presentation time, decode time and digest of every packet."""
    shown = ["-select_streams", stream, "-show_packets", "-show_data_hash", "sha256"]
    rows = probed(path, *shown, "-show_entries", "packet=pts,dts,data_hash")["packets"]
    assert isinstance(rows, list)
    return [(row["pts"], row["dts"], row["data_hash"]) for row in rows]


def test_it_shows_every_frame_and_beeps_on_time(mp4: Path) -> None:
    assert shown_numbers(mp4) == list(range(500))
    assert beep_seconds(mp4) == pytest.approx([1.0 + 2 * beep for beep in range(8)], abs=1 / 30)


def test_it_says_nothing_of_who_made_it(mp4: Path) -> None:
    tags = probed(mp4, "-show_entries", "format_tags:stream_tags")
    assert "encoder" not in str(tags)
    assert b"Lavf" not in mp4.read_bytes()


def test_a_silent_video_has_one_track(tmp_path: Path) -> None:
    silent = transcode(make(tmp_path / "source.mp4", replace(CARD, frames=130), *H264, *SILENT), tmp_path / "out")
    path = remuxed(silent, tmp_path / "progressive.mp4")
    verify_mp4("180p", tracks(path), coded(silent))
    assert shown_numbers(path) == list(range(130))


@pytest.mark.parametrize("codec", ["hevc", "av1", "vp9"])
def test_other_codecs_are_copied_as_they_are(codec: str, tmp_path: Path) -> None:
    card = replace(CARD, frames=250)
    other = transcode(make(tmp_path / "source.mp4", card, *H264, *AAC), tmp_path / "out", codec=codec)
    path = remuxed(other, tmp_path / "progressive.mp4")
    verify_mp4("180p", tracks(path), coded(other))
    assert packets(path, "v") == packets(other.renditions["180p"].path, "v")
    assert shown_numbers(path) == list(range(250))


def test_a_segment_that_is_left_out_is_noticed(golden: Golden, tmp_path: Path) -> None:
    every = list(parts(golden, golden.plan.renditions[0].name))
    path = remuxed(golden, tmp_path / "progressive.mp4", video=(part for part in [*every[:2], *every[3:]]))
    with pytest.raises(VerificationFailed, match="the file has"):
        verify_mp4("180p", tracks(path), coded(golden))


def test_a_file_that_is_cut_has_no_index(mp4: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(mp4.read_bytes()[:2000])
    with pytest.raises(MalformedBoxes):
        tracks(cut)


# --- feeding ----------------------------------------------------------------------------------------------------------


def test_what_a_feed_raises_ends_the_run(golden: Golden, tmp_path: Path) -> None:
    def broken() -> Feed:
        yield from list(parts(golden, golden.plan.renditions[0].name))[:3]
        raise VerificationFailed("the store gave something else")

    with pytest.raises(VerificationFailed, match="something else"):
        remuxed(golden, tmp_path / "progressive.mp4", video=broken())


def test_a_feed_is_closed_when_ffmpeg_ends_before_it(golden: Golden, tmp_path: Path) -> None:
    closed = threading.Event()

    def waiting() -> Feed:
        try:
            yield from parts(golden, golden.plan.renditions[0].name)
            while True:
                yield bytes(1 << 16)
        finally:
            closed.set()

    command = mp4_command(golden.plan)
    (output,) = command.outputs
    short = replace(command, outputs=(replace(output, options={**output.options, "frames:v": "10", "t": "0.5"}),))
    feeds = {VIDEO_INPUT: waiting(), "audio": parts(golden, "audio")}
    assert runner().run(short, {MP4_TARGET: tmp_path / "progressive.mp4"}, inputs=feeds, stop=NEVER).frames == 10
    assert closed.is_set()


def test_a_run_can_be_stopped_while_it_waits_for_its_feed(golden: Golden, tmp_path: Path) -> None:
    stop, over = threading.Event(), threading.Event()

    def slow() -> Feed:
        yield golden.renditions[golden.plan.renditions[0].name].inits[0]
        over.wait(60)

    timer = threading.Timer(0.3, stop.set)
    end = threading.Timer(0.6, over.set)
    timer.start()
    end.start()
    started = time.monotonic()
    with pytest.raises(Stopped):
        runner().run(
            mp4_command(golden.plan),
            {MP4_TARGET: tmp_path / "progressive.mp4"},
            inputs={VIDEO_INPUT: slow(), "audio": parts(golden, "audio")},
            stop=stop,
        )
    assert time.monotonic() - started < 20


def test_what_is_written_to_a_file_counts_as_movement(golden: Golden, tmp_path: Path) -> None:
    received: list[int] = []
    runner().run(
        mp4_command(golden.plan),
        {MP4_TARGET: tmp_path / "progressive.mp4"},
        inputs={VIDEO_INPUT: parts(golden, golden.plan.renditions[0].name), "audio": parts(golden, "audio")},
        stop=NEVER,
        on_frames=received.append,
    )
    assert received


def test_an_mp4_is_the_same_every_time(golden: Golden, mp4: Path, tmp_path: Path) -> None:
    again = remuxed(golden, tmp_path / "again.mp4")
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(mp4.read_bytes()).digest()
