"""Colors of outputs: what they are tagged with, and that a player which believes the tags shows the source's colors."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.ffmpeg import sources
from tests.ffmpeg.golden import POLICY, inspect
from tests.ffmpeg.renditions import render, shown, tags_of
from tests.ffmpeg.test_hardware_commands import NEW, OLD
from transcoding.color import ColorRange, ColorSpace, Matrix, Primaries, Transfer
from transcoding.commands.chunk import chunk_command
from transcoding.commands.color import color_tags
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest
from transcoding.probing.warnings import SourceWarning

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


def _encode(source: Path, folder: Path, ffmpeg: str, encoder: str) -> Path:
    """Encode a rung a quarter of the source's size."""
    request = JobRequest(codec=encoder, resolution="320x180", preset="superfast")
    (encoded,) = render(source, folder, ffmpeg, request).files.values()
    return encoded


def _shown(path: Path) -> tuple[int, ...]:
    return tuple(shown(path)[:3])


@FFMPEGS
@pytest.mark.parametrize("name", SOURCES)
def test_an_output_is_tagged_with_what_its_values_mean(name: str, ffmpeg: str, cards: Cards, tmp_path: Path) -> None:
    encoded = _encode(cards(name), tmp_path, ffmpeg, "libx264")
    assert tags_of(encoded) == _color(SOURCES[name].tags)
    assert all(abs(found - drawn) <= 4 for found, drawn in zip(_shown(encoded), RED, strict=True)), _shown(encoded)


@FFMPEGS
@pytest.mark.parametrize("encoder", MUXERS)
@pytest.mark.parametrize("name", ["untagged_hd", "full_range"])
def test_the_coded_stream_says_its_colors_without_a_container(
    name: str, encoder: str, ffmpeg: str, cards: Cards, tmp_path: Path
) -> None:
    encoded = _encode(cards(name), tmp_path, ffmpeg, encoder)
    bare = sources.converted(encoded, tmp_path / "bare", ["-f", MUXERS[encoder]])
    assert tags_of(encoded) == tags_of(bare) == _color(SOURCES[name].tags)


TRANSPARENT = {
    "prores": ("mov", "yuva444p10le", ("-c:v", "prores_ks", "-profile:v", "4444")),
    "vp9": ("webm", "yuva420p", ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")),
    "vp8": ("webm", "yuva420p", ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8")),
    "rgb": ("mkv", "bgra", ("-c:v", "ffv1")),
}
"""Suffix, pixel format and codec of sources with transparency."""


@FFMPEGS
@pytest.mark.parametrize("name", TRANSPARENT)
def test_what_is_transparent_is_black(name: str, ffmpeg: str, tmp_path: Path) -> None:
    """From left to right: transparent, half transparent, opaque white."""
    suffix, pixel_format, codec = TRANSPARENT[name]
    source = tmp_path / f"source.{suffix}"
    drawn = ("-f", "lavfi", "-i", "color=white:size=192x96:rate=25", "-frames:v", "5")
    alpha = "format=yuva444p,geq=lum=235:cb=128:cr=128:a='127.5*floor(X/64)'"
    sources.run([*drawn, "-vf", f"{alpha},format={pixel_format}", *codec, "-auto-alt-ref", "0", f"file:{source}"])
    rendered = render(source, tmp_path, ffmpeg, JobRequest())
    assert SourceWarning.ALPHA_DROPPED in [notice.code for notice in rendered.plan.source.warnings]
    (encoded,) = rendered.files.values()
    row = shown(encoded, size="3x1")
    assert all(abs(found - meant) <= 4 for found, meant in zip(row[::3], (0, 128, 255), strict=True)), list(row)


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
    old = replace(facts, video_stream=replace(facts.video, color=None))
    plan = plan_job(old, JobRequest(resolution="320x180"), POLICY)
    graph = chunk_command(plan, str(path), first_segment=0, segments=1).filter_graph or ""
    assert "setparams" not in graph
    assert "out_range" not in graph
