"""Inspection of real files: good ones of every family, broken ones, and those that are no video at all."""

import threading
from fractions import Fraction
from pathlib import Path

import pytest

from configuration import ExecutionConfig, LimitConfig
from execution.ffmpeg import FfmpegRunner, Stopped
from execution.ffprobe import Ffprobe
from tests.ffmpeg.cases import MPEG2
from tests.ffmpeg.golden import NEVER, inspect, prober, runner
from tests.ffmpeg.sources import AAC, H264, SILENT, Card, make, run
from tests.unit.transcoding.builders import a_video
from transcoding.commands.command import FfmpegCommand, Input, Output
from transcoding.commands.remux import index_command
from transcoding.errors import InputRejected, ProcessStalled, TranscodeError
from transcoding.probing.media import parse_ffprobe
from transcoding.probing.streams import Resolution
from transcoding.probing.warnings import Notice, SourceWarning
from transcoding.sniffing.container import HEAD_BYTES, sniff

SHORT = Card(rate=Fraction(25), frames=25)
LONG = Card(rate=Fraction(25), frames=300)
FAMILIES = {
    "mp4": ("mov", (*H264, *SILENT)),
    "mov": ("mov", (*H264, *SILENT)),
    "mkv": ("matroska", (*H264, *SILENT)),
    "webm": ("matroska", ("-c:v", "libvpx", *SILENT)),
    "ts": ("mpegts", (*H264, *SILENT)),
    "m2ts": ("mpegts", (*H264, *SILENT, "-mpegts_m2ts_mode", "1")),
    "avi": ("avi", ("-c:v", "mpeg4", *SILENT)),
    "flv": ("flv", (*H264, *SILENT)),
    "vob": ("mpegps", (*MPEG2[:-2], *SILENT)),
    "ogv": ("ogg", ("-c:v", "libtheora", *SILENT)),
    "wmv": ("asf", ("-c:v", "wmv2", *SILENT)),
    "mxf": ("mxf", (*MPEG2[:-2], *SILENT)),
}
STILLS = {"png": (), "gif": (), "jpg": ("-c:v", "mjpeg"), "avif": ("-c:v", "libaom-av1", "-still-picture", "1")}
SCRIPTS = {
    "a playlist": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n",
    "a concat script": "ffconcat version 1.0\nfile other.mp4\n",
    "a manifest": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"></MPD>',
    "text": "This is a text, which ffmpeg takes for ANSI art.\n" * 100,
}


@pytest.mark.parametrize("extension", FAMILIES)
def test_a_real_file_is_known_by_its_first_bytes(extension: str, tmp_path: Path) -> None:
    family, options = FAMILIES[extension]
    assert sniff(_head(make(tmp_path / f"source.{extension}", SHORT, *options))) == family


@pytest.mark.parametrize("extension", STILLS)
def test_a_video_is_no_video(extension: str, tmp_path: Path) -> None:
    video = tmp_path / f"video.{extension}"
    run(["-f", "lavfi", "-i", "testsrc2=size=64x64", "-frames:v", "1", *STILLS[extension], f"file:{video}"])
    assert sniff(_head(video)) is None


def _head(path: Path) -> bytes:
    with path.open("rb") as opened:
        return opened.read(HEAD_BYTES)


@pytest.mark.parametrize("demuxer", ["mov", "matroska", "mpegts", "avi"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_forced_demuxer_opens_no_script(script: str, demuxer: str, tmp_path: Path) -> None:
    """The second line of defence: these are turned away by their first bytes already."""
    path = tmp_path / "source.mp4"
    path.write_text(SCRIPTS[script])
    with pytest.raises(InputRejected):
        parse_ffprobe(prober().streams(path, demuxer=demuxer))


def test_a_file_without_its_index_is_rejected(tmp_path: Path) -> None:
    source = make(tmp_path / "source.mp4", SHORT, *H264, *SILENT)
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    with pytest.raises(InputRejected, match="cannot be read"):
        inspect(source, tmp_path)


@pytest.mark.parametrize("extension", ["mp4", "mkv"])
def test_a_file_cut_in_half_is_rejected(extension: str, tmp_path: Path) -> None:
    source = make(tmp_path / f"source.{extension}", LONG, *H264, *SILENT, *_index_first(extension))
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    with pytest.raises(InputRejected, match="truncated"):
        inspect(source, tmp_path)


def _index_first(extension: str) -> tuple[str, ...]:
    return ("-movflags", "+faststart") if extension == "mp4" else ()


def test_audio_alone_has_no_video(tmp_path: Path) -> None:
    source = tmp_path / "source.mp4"
    run(["-f", "lavfi", "-i", "sine=duration=1", *AAC, f"file:{source}"])
    media = parse_ffprobe(prober().streams(source, demuxer="mov"))
    assert (media.video_stream, [track.codec for track in media.audio]) == (None, ["aac"])


def test_garbage_behind_a_good_beginning_is_rejected_by_the_remux(tmp_path: Path) -> None:
    source = tmp_path / "source.avi"
    source.write_bytes(b"RIFF\xff\xff\xff\x7fAVI LIST" + bytes(range(256)) * 16)
    with pytest.raises(InputRejected):
        command = index_command(str(source), demuxer="avi", videos=[a_video()], max_streams=64)
        runner().run(command, {"indexed": tmp_path / "indexed.mkv"}, stop=NEVER)


def test_cover_art_is_not_taken_for_the_video(tmp_path: Path) -> None:
    plain = make(tmp_path / "plain.mp4", SHORT, *H264, *AAC)
    cover = tmp_path / "cover.png"
    run(["-f", "lavfi", "-i", "testsrc2=size=640x640", "-frames:v", "1", f"file:{cover}"])
    source = tmp_path / "source.mp4"
    maps = ("-map", "1:v", "-map", "0", "-disposition:v:0", "attached_pic")
    run(["-i", f"file:{plain}", "-i", f"file:{cover}", *maps, "-c", "copy", f"file:{source}"])
    _, facts = inspect(source, tmp_path)
    assert (facts.video.codec, facts.total_frames) == ("h264", 25)
    assert facts.warnings == (Notice(code=SourceWarning.STREAMS_IGNORED, count=1),)


def test_pixels_that_are_not_square_count_as_they_are_shown(tmp_path: Path) -> None:
    wide = Card(rate=Fraction(25), frames=25, width=720, height=576, video_filter="setsar=64/45")
    _, facts = inspect(make(tmp_path / "source.mp4", wide, *H264, *SILENT), tmp_path)
    assert (facts.video.display.width, facts.video.display.height) == (1024, 576)


def test_a_header_does_not_make_room_for_larger_frames(tmp_path: Path) -> None:
    """Frames that shrink to nothing when shown, and frames that grow behind the header: neither is decoded."""
    small, large = (tmp_path / f"{name}.ts" for name in ("small", "large"))
    for path, size in ((small, "64x64"), (large, "640x640")):
        run(["-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25", "-frames:v", "50", *H264, f"file:{path}"])
    grown = tmp_path / "grown.ts"
    grown.write_bytes(small.read_bytes() + large.read_bytes())
    nothing = {"out": None}
    decode = FfmpegCommand(
        inputs=(Input(path=str(grown), options={"f": "mpegts"}),),
        outputs=(Output(target="out", maps=("0:v:0",), options={"f": "null"}),),
    )
    bounded = FfmpegRunner(ExecutionConfig(), LimitConfig(max_pixels=64 * 64))
    assert bounded.run(decode, nothing, stop=NEVER).frames in range(1, 51)
    assert runner().run(decode, nothing, stop=NEVER).frames > 51


def test_ffprobe_decodes_no_larger_frames_either(tmp_path: Path) -> None:
    source = make(tmp_path / "source.mp4", SHORT, *H264, *SILENT)
    Ffprobe(ExecutionConfig(), LimitConfig(max_pixels=320 * 180)).streams(source, demuxer="mov")


def test_pixels_that_hardly_show_count_as_they_are_coded(tmp_path: Path) -> None:
    thin = Card(rate=Fraction(25), frames=25, width=640, height=360, video_filter="setsar=3/4")
    media = parse_ffprobe(prober().streams(make(tmp_path / "source.mp4", thin, *H264, *SILENT), demuxer="mov"))
    assert (media.video.coded, media.video.display) == (
        Resolution(width=640, height=360),
        Resolution(width=480, height=360),
    )


def test_what_a_header_says_at_length_is_not_read(tmp_path: Path) -> None:
    source = tmp_path / "source.mkv"
    make(source, SHORT, *H264, *SILENT, "-metadata", f"comment={'x' * 100_000}")
    answer = prober().streams(source, demuxer="matroska")
    assert len(answer) < 2000
    assert parse_ffprobe(answer).duration == 1


def _program(path: Path, text: str, *, stall_seconds: int = 60) -> Ffprobe:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return Ffprobe(ExecutionConfig(ffprobe_path=str(path), stall_seconds=stall_seconds), LimitConfig())


def test_a_long_answer_is_cut_off(tmp_path: Path) -> None:
    with pytest.raises(InputRejected, match="too large"):
        _program(tmp_path / "ffprobe", "exec yes").streams(tmp_path / "ffprobe", demuxer="mov")


def test_packets_that_do_not_come_are_not_waited_for(tmp_path: Path) -> None:
    silent = _program(tmp_path / "ffprobe", "echo 0,1,K_; exec sleep 60", stall_seconds=1)
    with pytest.raises(ProcessStalled):
        list(silent.packets(tmp_path / "ffprobe", demuxer="mov", stream=0, stop=NEVER))


def test_an_order_to_stop_is_heard_while_no_packet_comes(tmp_path: Path) -> None:
    silent = _program(tmp_path / "ffprobe", "exec sleep 60")
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(Stopped):
        list(silent.packets(tmp_path / "ffprobe", demuxer="mov", stream=0, stop=stop))


def test_no_decoder_but_the_listed_is_opened(tmp_path: Path) -> None:
    source = make(tmp_path / "source.mov", SHORT, "-c:v", "jpeg2000", *SILENT)
    command = FfmpegCommand(
        inputs=(Input(path=str(source)),), outputs=(Output(target="nothing", maps=("0:v",), options={"f": "null"}),)
    )
    said: list[str] = []
    with pytest.raises(TranscodeError):
        runner().run(command, {"nothing": None}, stop=NEVER, on_stderr_line=said.append)
    with pytest.raises(InputRejected):
        prober().streams(source, demuxer="mov", on_stderr_line=said.append)
    assert sum("whitelist" in line for line in said) >= 2, "each of them says why"


@pytest.mark.parametrize(("extension", "subtitles"), [("mp4", "mov_text"), ("mkv", "subrip"), ("mkv", "ass")])
def test_subtitles_and_a_cover_do_not_stand_in_the_way(extension: str, subtitles: str, tmp_path: Path) -> None:
    plain = make(tmp_path / "plain.mp4", SHORT, *H264, *SILENT)
    (tmp_path / "words.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nwords\n")
    source = tmp_path / f"source.{extension}"
    inputs = [f"file:{plain}", f"file:{tmp_path / 'words.srt'}"]
    cover = ["-map", "0:v", "-c:v:1", "png", "-frames:v:1", "1", "-disposition:v:1", "attached_pic"]
    opening = [word for path in inputs for word in ("-i", path)]
    video = cover if extension == "mp4" else []
    run([*opening, "-map", "0:v", *video, "-map", "1:s", "-c:v:0", "copy", "-c:s", subtitles, f"file:{source}"])
    said: list[str] = []
    media = parse_ffprobe(prober().streams(source, demuxer=FAMILIES[extension][0], on_stderr_line=said.append))
    assert (media.video.codec, len(media.streams), said) == ("h264", 2 + bool(video), [])
