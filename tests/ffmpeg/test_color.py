"""Colors of outputs: what they are tagged with, and that a player which believes the tags shows the source's colors."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from configuration import ExecutionConfig, LimitConfig
from execution.ffmpeg import FfmpegRunner
from tests.ffmpeg import sources
from tests.ffmpeg.golden import FFPROBE, NEVER, POLICY, inspect
from tests.ffmpeg.test_hardware_commands import NEW, OLD
from transcoding.color import ColorRange, ColorSpace, Matrix, Primaries, Transfer
from transcoding.commands.chunk import chunk_command, color_tags
from transcoding.containers.segments import Segment, VideoSegmenter
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest

RED = (192, 48, 32)
FFMPEGS = pytest.mark.parametrize("ffmpeg", [NEW, OLD], ids=["new", "old"])
MUXERS = {"libx264": "h264", "libx265": "hevc", "libsvtav1": "ivf"}


@dataclass(frozen=True, kw_only=True)
class Colored:
    """A source of one color: its size, how it is made, and the tags that its outputs must have."""

    size: str
    filters: str
    options: tuple[str, ...] = ("-c:v", "libx264")
    suffix: str = "mp4"
    tags: str


def _made_by(matrix: str, range_: str = "tv", *, tagged: str = "") -> str:
    tags = tagged or "color_primaries=unknown:color_trc=unknown:colorspace=unknown:range=unknown"
    return f"scale=out_color_matrix={matrix}:out_range={range_},format=yuv420p,setparams={tags}"


SOURCES = {
    "untagged_hd": Colored(size="1280x720", filters=_made_by("bt709"), tags="bt709 bt709 bt709 tv"),
    "untagged_sd": Colored(size="640x360", filters=_made_by("bt601"), tags="smpte170m smpte170m smpte170m tv"),
    "untagged_pal": Colored(size="720x576", filters=_made_by("bt601"), tags="bt470bg smpte170m bt470bg tv"),
    "sd_of_bt709": Colored(
        size="640x360",
        filters=_made_by("bt709", tagged="color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"),
        tags="bt709 bt709 bt709 tv",
    ),
    "hd_of_bt601": Colored(
        size="1280x720",
        filters=_made_by("bt601", tagged="color_primaries=smpte170m:color_trc=smpte170m:colorspace=smpte170m:range=tv"),
        tags="smpte170m smpte170m smpte170m tv",
    ),
    "full_range": Colored(
        size="1280x720",
        filters=_made_by("bt709", "pc", tagged="color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=pc"),
        tags="bt709 bt709 bt709 pc",
    ),
    "jpeg": Colored(
        size="1280x720",
        filters="scale=out_color_matrix=bt601:out_range=pc,format=yuvj420p",
        options=("-c:v", "mjpeg", "-q:v", "2"),
        suffix="mov",
        tags="bt709 bt709 bt470bg pc",
    ),
    "rgb_hd": Colored(
        size="1280x720", filters="format=gbrp", options=("-c:v", "ffv1"), suffix="mkv", tags="bt709 bt709 bt709 tv"
    ),
    "rgb_sd": Colored(
        size="640x360", filters="format=gbrp", options=("-c:v", "ffv1"), suffix="mkv", tags="bt709 bt709 bt709 tv"
    ),
}
Cards = Callable[[str], Path]


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Cards:
    """The source of this name, made when a test first needs it."""
    folder = tmp_path_factory.mktemp("colors")

    def of(name: str) -> Path:
        case = SOURCES[name]
        path = folder / f"{name}.{case.suffix}"
        if not path.exists():
            color = "0x" + "".join(f"{part:02x}" for part in RED)
            drawn = ("-f", "lavfi", "-i", f"color=c={color}:size={case.size}:rate=25,format=gbrp", "-frames:v", "5")
            sources.run([*drawn, "-vf", case.filters, *case.options, f"file:{path}"])
        return path

    return of


def _color(names: str) -> ColorSpace:
    primaries, transfer, matrix, range_ = names.split()
    return ColorSpace.of_names(primaries=primaries, transfer=transfer, matrix=matrix, range_=range_)


def _tags(path: Path) -> ColorSpace:
    entries = "stream=color_primaries,color_transfer,color_space,color_range"
    command = [FFPROBE, "-v", "error", "-of", "json", "-show_entries", entries, f"file:{path}"]
    (stream,) = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["streams"]
    return ColorSpace.of_names(
        primaries=stream.get("color_primaries"),
        transfer=stream.get("color_transfer"),
        matrix=stream.get("color_space"),
        range_=stream.get("color_range"),
    )


def _shown(path: Path) -> tuple[int, ...]:
    """The color that a player shows which believes the tags."""
    raw = sources.run(["-i", f"file:{path}", "-frames:v", "1", "-pix_fmt", "rgb24", "-f", "rawvideo", "-"])
    return tuple(raw[:3])


def _encode(source: Path, folder: Path, ffmpeg: str, encoder: str) -> Path:
    """Encode a rung a quarter of the source's size as a chunk step does; its init segment is checked on the way."""
    path, facts = inspect(source, folder)
    plan = plan_job(facts, JobRequest(codec=encoder, resolution="320x180", preset="superfast"), POLICY)
    (rendition,) = plan.renditions
    segmenter = VideoSegmenter(plan, rendition, first_segment=0, segments=1)
    segments: list[Segment] = []
    runner = FfmpegRunner(ExecutionConfig(ffmpeg_path=ffmpeg), LimitConfig())
    command = chunk_command(plan, str(path), first_segment=0, segments=1)
    runner.run(command, {rendition.name: lambda data: segments.extend(segmenter.feed(data))}, stop=NEVER)
    segmenter.finish()
    encoded = folder / "encoded.mp4"
    encoded.write_bytes((segmenter.init or b"") + b"".join(segment.data for segment in segments))
    return encoded


@FFMPEGS
@pytest.mark.parametrize("name", SOURCES)
def test_an_output_is_tagged_with_what_its_values_mean(name: str, ffmpeg: str, cards: Cards, tmp_path: Path) -> None:
    encoded = _encode(cards(name), tmp_path, ffmpeg, "libx264")
    assert _tags(encoded) == _color(SOURCES[name].tags)
    assert all(abs(found - drawn) <= 4 for found, drawn in zip(_shown(encoded), RED, strict=True)), _shown(encoded)


@FFMPEGS
@pytest.mark.parametrize("encoder", MUXERS)
@pytest.mark.parametrize("name", ["untagged_hd", "full_range"])
def test_the_coded_stream_says_its_colors_without_a_container(
    name: str, encoder: str, ffmpeg: str, cards: Cards, tmp_path: Path
) -> None:
    encoded = _encode(cards(name), tmp_path, ffmpeg, encoder)
    bare = sources.converted(encoded, tmp_path / "bare", ["-f", MUXERS[encoder]])
    assert _tags(encoded) == _tags(bare) == _color(SOURCES[name].tags)


@FFMPEGS
def test_hdr_is_passed_through_with_its_tags(ffmpeg: str, tmp_path: Path) -> None:
    tags = "color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc:range=tv"
    drawn = ("-f", "lavfi", "-i", "color=c=red:size=640x360:rate=25", "-frames:v", "5")
    tagged = ("-vf", f"format=yuv420p10le,setparams={tags}", "-c:v", "libx265", "-x265-params", "log-level=error")
    source = tmp_path / "hdr.mp4"
    sources.run([*drawn, *tagged, f"file:{source}"])
    assert _tags(_encode(source, tmp_path, ffmpeg, "libx264")) == _color("bt2020 smpte2084 bt2020nc tv")


@FFMPEGS
def test_every_name_is_one_that_ffmpeg_knows(ffmpeg: str) -> None:
    spaces = [
        *(ColorSpace(primaries=each) for each in Primaries),
        *(ColorSpace(transfer=each) for each in Transfer),
        *(ColorSpace(matrix=each) for each in Matrix),
        *(ColorSpace(range=each) for each in ColorRange),
    ]
    filters = ",".join(filter_ for space in spaces for filter_ in color_tags(space))
    assert filters.count("setparams") == len(spaces) - 4, "what is unknown is not said"
    drawn = ["-f", "lavfi", "-i", "color=size=16x16:rate=1", "-frames:v", "1", "-vf", filters, "-f", "null", "-"]
    subprocess.run([ffmpeg, "-v", "error", *drawn], check=True, capture_output=True)


def test_a_source_inspected_before_colors_were_looked_at_keeps_the_tags_of_its_frames(
    cards: Cards, tmp_path: Path
) -> None:
    path, facts = inspect(cards("hd_of_bt601"), tmp_path)
    old = replace(facts, video=replace(facts.video, color=None))
    plan = plan_job(old, JobRequest(resolution="320x180"), POLICY)
    graph = chunk_command(plan, str(path), first_segment=0, segments=1).filter_graph or ""
    assert "setparams" not in graph
    assert "out_range" not in graph
