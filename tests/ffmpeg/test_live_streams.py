"""Live streams through real ffmpegs: audio and video stay in step whatever happens to the source."""

import json
import struct
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from configuration import ExecutionConfig, LimitConfig
from execution.streaming import StreamEnd, StreamRunner
from tests.crafted import box
from tests.live_media import (
    FFMPEG,
    TONE_DB,
    TONES,
    Live,
    between,
    joined,
    measured,
    stream_of,
    tone_levels,
    with_gap,
    with_jump,
    with_losses,
    without_audio,
    wrapping,
)
from tests.live_runs import through
from transcoding.commands.command import FfmpegCommand
from transcoding.commands.live import live_command, live_copy_command, live_radio_command
from transcoding.commands.live_diagnosis import LiveFault, level_is_too_low, live_failure
from transcoding.encoders import ENCODERS
from transcoding.planning.live import LiveProfile

NEW, OLD = "", "/usr/bin/ffmpeg"
FFPROBE = "/usr/bin/ffprobe"
X264 = ENCODERS["libx264"]
STEP_MS = 5
PLAIN = Live(seconds=8)
LONG_SECONDS = 600
CHANGES: dict[str, Callable[[], bytes]] = {
    "plain": lambda: stream_of(PLAIN),
    "a gap of two seconds": lambda: with_gap(stream_of(PLAIN), 3.5, 2),
    "audio alone pauses for two seconds": lambda: without_audio(stream_of(PLAIN), 3.5, 5.5),
    "a jump forwards": lambda: with_jump(stream_of(PLAIN), 3.5, 3600),
    "a jump backwards": lambda: with_jump(stream_of(PLAIN), 3.5, -8),
    "a wrapped clock": lambda: wrapping(stream_of(PLAIN), 3.5),
    "losses": lambda: with_losses(stream_of(Live(seconds=8, size="640x360", video="mpeg2")), 0.0015),
    "a change of layout": lambda: joined(
        *(Live(seconds=3, audio="ac3", layout=layout) for layout in ("stereo", "5.1", "stereo"))
    ),
    "a change of size": lambda: joined(Live(seconds=3), Live(seconds=4, size="320x180"), Live(seconds=3)),
    "interlaced": lambda: stream_of(Live(video="interlaced", audio="ac3", layout="5.1")),
}
MIN_BEEPS = {"a gap of two seconds": 4, "audio alone pauses for two seconds": 4, "interlaced": 5}


@cache
def runner(binary: str = NEW) -> StreamRunner:
    return StreamRunner(ExecutionConfig(ffmpeg_path=binary), LimitConfig())


def run(command: FfmpegCommand, stream: bytes, *, binary: str = NEW) -> tuple[bytes, StreamEnd]:
    process = runner(binary).start(command, refuses=level_is_too_low)
    taken = through(process, stream)
    ended = process.wait()
    assert ended is not None
    return taken, ended


def encoded(stream: bytes, profile: LiveProfile = LiveProfile.ORIGINAL, *, binary: str = NEW) -> bytes:
    taken, ended = run(live_command("mpegts", profile, encoder=X264), stream, binary=binary)
    assert ended.code == 0, ended
    return taken


def in_step(stream: bytes, *, at_least: int) -> None:
    offsets = measured(stream).offsets()
    assert len(offsets) >= at_least
    assert max(map(abs, offsets)) * 1000 < STEP_MS, offsets


@pytest.mark.parametrize("change", CHANGES)
def test_beeps_and_flashes_stay_together(change: str) -> None:
    in_step(encoded(CHANGES[change]()), at_least=MIN_BEEPS.get(change, 6))


@pytest.mark.parametrize("change", ["a gap of two seconds", "a jump backwards", "a change of layout"])
def test_the_older_ffmpeg_keeps_them_together_too(change: str) -> None:
    in_step(encoded(CHANGES[change](), binary=OLD), at_least=MIN_BEEPS.get(change, 6))


def test_the_pause_of_audio_is_silence() -> None:
    """As long as it was: no player waits for audio that never comes."""
    found = measured(encoded(CHANGES["audio alone pauses for two seconds"]()))
    assert found.samples / found.sample_rate == pytest.approx(PLAIN.seconds, abs=0.1)


@pytest.mark.parametrize(("container", "codec"), [("flv", "aac"), ("mp4", "aac")])
def test_other_containers(container: str, codec: str) -> None:
    stream = stream_of(Live(container=container, audio=codec, seconds=4))
    taken, ended = run(live_command(container, LiveProfile.ORIGINAL, encoder=X264), stream)
    assert ended.code == 0
    in_step(taken, at_least=3)


@pytest.mark.parametrize(("codec", "layout"), [("mp2", "stereo"), ("ac3", "5.1")])
def test_tones_are_as_loud_as_they_were(codec: str, layout: str) -> None:
    taken = encoded(stream_of(Live(seconds=3, audio=codec, layout=layout, tones=True)))
    left, right = tone_levels(taken)
    assert left[TONES["left"]] == pytest.approx(TONE_DB, abs=1)
    assert right[TONES["right"]] == pytest.approx(TONE_DB, abs=1)
    assert max(left[TONES["right"]], right[TONES["left"]]) < TONE_DB - 20


def described(stream: bytes, folder: Path) -> tuple[dict[str, object], dict[str, object], list[float]]:
    """Return ffprobe's words about video and audio, and the times of key frames."""
    path = folder / "stream.ts"
    path.write_bytes(stream)
    words = ["-show_streams", "-show_packets", "-show_entries", "packet=pts_time,flags,stream_index:stream"]
    done = subprocess.run([FFPROBE, "-v", "error", *words, "-of", "json", path], capture_output=True, check=True)
    found = json.loads(done.stdout)
    video, audio = sorted(found["streams"], key=lambda each: each["codec_type"] != "video")
    keys = [
        float(packet["pts_time"])
        for packet in found["packets"]
        if packet["stream_index"] == video["index"] and "K" in packet["flags"]
    ]
    return video, audio, keys


def test_the_output_is_what_receivers_play(tmp_path: Path) -> None:
    """SD of old cameras, interlaced and in 16:9, becomes progressive with square pixels; nothing is enlarged."""
    source = stream_of(Live(video="interlaced", size="720x576", aspect="16:9", seconds=3, audio="ac3", layout="5.1"))
    video, audio, keys = described(encoded(source, LiveProfile.P720), tmp_path)
    assert [video[name] for name in ("codec_name", "profile", "level", "pix_fmt")] == ["h264", "High", 41, "yuv420p"]
    assert (video["width"], video["height"], video["sample_aspect_ratio"]) == (1024, 576, "1:1")
    assert (video["field_order"], video["has_b_frames"]) == ("progressive", 0)
    assert [audio[name] for name in ("codec_name", "profile", "sample_rate", "channels")] == ["aac", "LC", "48000", 2]
    assert keys == pytest.approx([keys[0] + second for second in range(3)], abs=0.05)


@pytest.mark.parametrize(
    ("size", "profile", "expected"),
    [
        ("640x480", LiveProfile.ORIGINAL, (640, 480)),
        ("850x480", LiveProfile.P480, (850, 480)),
        ("1280x720", LiveProfile.P480, (854, 480)),
        ("480x640", LiveProfile.P480, (480, 640)),
    ],
)
def test_sizes_are_even_and_no_larger_than_the_source(
    tmp_path: Path, size: str, profile: LiveProfile, expected: tuple[int, int]
) -> None:
    video, _, _ = described(encoded(stream_of(Live(size=size, seconds=0.4)), profile), tmp_path)
    assert (video["width"], video["height"]) == expected


def test_progressive_frames_are_left_alone() -> None:
    """All of them are there, also those that came while the source was probed."""
    assert measured(encoded(stream_of(PLAIN))).frames == PLAIN.seconds * PLAIN.rate


def test_video_can_be_copied_while_audio_is_encoded() -> None:
    stream = stream_of(Live(audio="ac3", layout="5.1"))
    taken, ended = run(live_copy_command("mpegts"), stream)
    assert ended.code == 0
    in_step(taken, at_least=5)
    in_step(run(live_copy_command("mpegts", encode_audio=False), stream)[0], at_least=5)


def test_radio() -> None:
    taken, ended = run(live_radio_command("mpegts"), stream_of(Live(video="")))
    assert ended.code == 0
    found = measured(taken)
    assert (found.frames, len(found.beeps)) == (0, 5)


def _drawn(size: str, rate: int, *options: str) -> bytes:
    words = ["-f", "lavfi", "-i", f"color=black:size={size}:rate={rate}:duration=0.5", *options, "-f", "mpegts", "-"]
    return subprocess.run([FFMPEG, "-v", "error", *words], capture_output=True, check=True).stdout


def _announcing(samples: int) -> bytes:
    """A fragmented MP4 whose first fragment announces so many samples."""
    stream = stream_of(Live(seconds=1, audio="aac", container="mp4"))
    header = box("tfhd", struct.pack(">I", 0x20000), struct.pack(">I", 1))
    run = box("trun", bytes(4), struct.pack(">I", samples))
    return stream[: stream.index(b"moof") - 4] + box("moof", box("mfhd", bytes(8)), box("traf", header, run))


FAULTS: dict[str, tuple[Callable[[], bytes], LiveFault]] = {
    "html": (lambda: b"<html><body>404</body></html>" * 4000, LiveFault.SOURCE_NOT_MEDIA),
    "nothing": (lambda: b"", LiveFault.SOURCE_NOT_MEDIA),
    "radio": (lambda: stream_of(Live(video="")), LiveFault.VIDEO_MISSING),
    "codec": (lambda: _drawn("256x144", 25, "-c:v", "vc2", "-strict", "-1"), LiveFault.CODEC_UNSUPPORTED),
    "many large frames": (lambda: _drawn("1920x1080", 50, "-preset", "ultrafast"), LiveFault.LEVEL_TOO_LOW),
    "a fragment of 20 million samples": (lambda: _announcing(20_000_000), LiveFault.SOURCE_NOT_MEDIA),
    "tables only": (lambda: between(stream_of(PLAIN), 0, 0.001)[: 188 * 3], LiveFault.SOURCE_ENDED),
}


@pytest.mark.parametrize("binary", [NEW, OLD], ids=["9", "5"])
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_have_their_codes(fault: str, binary: str) -> None:
    stream, expected = FAULTS[fault]
    source = stream()
    container = "mp4" if source[4:8] == b"ftyp" else "mpegts"
    command = replace(live_command(container, LiveProfile.ORIGINAL, encoder=X264), memory_bytes=200 << 20)
    _, ended = run(command, source, binary=binary)
    assert ended.exceeded is None
    assert live_failure(ended.stderr, X264).fault == expected, ended


def test_large_frames_get_the_level_that_they_need(tmp_path: Path) -> None:
    command = live_command("mpegts", LiveProfile.ORIGINAL, encoder=X264, level=None)
    taken, _ = run(command, FAULTS["many large frames"][0]())
    path = tmp_path / "stream.ts"
    path.write_bytes(taken)
    words = ["-show_entries", "stream=level", "-of", "csv=p=0"]
    done = subprocess.run([FFPROBE, "-v", "error", *words, path], capture_output=True, check=True)
    assert done.stdout.split()[:1] == [b"42"]
