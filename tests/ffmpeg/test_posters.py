"""The posters of eight clips are neither black, nor blurred, nor a slate, with either ffmpeg."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from configuration import ExecutionConfig, LimitConfig
from execution.ffmpeg import FfmpegRunner
from execution.pipes import Feed
from tests.ffmpeg.golden import NEVER
from tests.ffmpeg.sources import run
from tests.unit.transcoding.builders import a_plan, a_source
from transcoding.commands.thumbnails import (
    CANDIDATES,
    GIF,
    RENDITION_INPUT,
    SPRITES,
    STILLS,
    WEBP,
    Analysis,
    analysis_command,
    preview_command,
    stills_command,
)
from transcoding.planning import thumbnails
from transcoding.planning.plan import EncodePlan
from transcoding.planning.poster import FrameMeasure, choose_poster
from transcoding.planning.thumbnails import CELL_BOX, THUMBNAIL_BOX, Sampling, fitted_into, plan_sampling
from transcoding.planning.tracks import VideoRendition

RATE = 25
CONTENT = "content"
"""Four seconds of a zoom with color, detail and motion everywhere, made once: drawing it takes long."""
_DRAWN = "mandelbrot=size=320x180:rate=25:start_scale=1.5:end_scale=0.05:end_pts=100"
SLATE = (
    "color=0x202020:size=320x180:rate=25,drawbox=x=100:y=75:w=120:h=4:color=white:t=fill"
    ",drawbox=x=115:y=95:w=90:h=4:color=white:t=fill"
)


Parts = list[tuple[str, float, str]]
CLIPS: dict[str, tuple[Parts, tuple[float, float]]] = {
    "begins_black": ([("color=black:size=320x180:rate=25", 2, "null"), (CONTENT, 4, "null")], (0, 2)),
    "slate": ([(SLATE, 2.5, "null"), (CONTENT, 3.5, "null")], (0, 2.5)),
    "color_bars": ([("smptebars=size=320x180:rate=25", 2, "null"), (CONTENT, 4, "null")], (0, 2)),
    "blurred_second": ([(CONTENT, 2, "null"), (CONTENT, 1.5, "gblur=sigma=6"), (CONTENT, 2, "null")], (2, 3.5)),
    "fades": ([(CONTENT, 4, "fade=in:0:50,fade=out:75:25")], (0, 1.2)),
    "letterboxed": (
        [
            ("color=black:size=320x180:rate=25", 1.5, "null"),
            (CONTENT, 4, "drawbox=h=25:color=black:t=fill,drawbox=y=155:h=25:color=black:t=fill"),
        ],
        (0, 1.5),
    ),
    "dark_film": (
        [("color=0x040404:size=320x180:rate=25", 2, "null"), (CONTENT, 4, "eq=brightness=-0.35:contrast=0.4")],
        (0, 2),
    ),
    "white_flash": (
        [(CONTENT, 2, "null"), ("color=white:size=320x180:rate=25", 1, "null"), (CONTENT, 3, "null")],
        (2, 3),
    ),
}
"""Parts of each clip as (source, seconds, filters), and the seconds from which no poster may be."""


def encoded(path: Path, parts: Parts, plan: EncodePlan, frames: int) -> Path:
    """Encode a clip as one rendition of a plan: an init segment and fragments."""
    drawn = path.with_name("content.mkv")
    if not drawn.exists():
        lossless = ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-pix_fmt", "yuv420p")
        run(["-f", "lavfi", "-i", _DRAWN, "-frames:v", "100", *lossless, str(drawn)])
    sources = [("-i", str(drawn)) if source == CONTENT else ("-f", "lavfi", "-i", source) for source, _, _ in parts]
    inputs = [word for source in sources for word in source]
    graph = "".join(
        f"[{n}:v]{filters},trim=duration={seconds},setpts=PTS-STARTPTS,format=yuv420p,setsar=1[p{n}];"
        for n, (_, seconds, filters) in enumerate(parts)
    )
    labels = "".join(f"[p{n}]" for n in range(len(parts)))
    gop = str(plan.grid.gop_frames)
    words = [
        *inputs,
        *("-filter_complex", f"{graph}{labels}concat=n={len(parts)}[v]"),
        *("-map", "[v]", "-frames:v", str(frames), "-c:v", "libx264", "-preset", "ultrafast", "-g", gop),
        *("-keyint_min", gop, "-sc_threshold", "0", "-bf", "2", "-video_track_timescale", str(plan.grid.timescale)),
        *("-movflags", "+cmaf+delay_moov+default_base_moof+skip_trailer+frag_keyframe", "-use_editlist", "1"),
        *("-f", "mp4", str(path)),
    ]
    run(words)
    return path


def fed(path: Path) -> Feed:
    yield path.read_bytes()


def a_rung(plan: EncodePlan) -> VideoRendition:
    return plan.renditions[0]


@pytest.fixture(params=["", "/usr/bin/ffmpeg"], ids=["bundled", "debian"])
def ffmpeg(request: pytest.FixtureRequest) -> FfmpegRunner:
    if request.param and not Path(request.param).exists():
        pytest.skip("this machine has no other ffmpeg")
    return FfmpegRunner(ExecutionConfig(ffmpeg_path=request.param), LimitConfig())


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, EncodePlan]]:
    folder = tmp_path_factory.mktemp("clips")
    return {name: a_clip(folder / f"{name}.mp4", parts) for name, (parts, _) in CLIPS.items()}


def a_clip(path: Path, parts: Parts) -> tuple[Path, EncodePlan]:
    frames = int(sum(seconds for _, seconds, _ in parts) * RATE)
    source = a_source(320, 180, rate=Fraction(RATE), frames=frames)
    plan = a_plan(source)
    return encoded(path, parts, plan, frames), plan


def analysed(
    path: Path, plan: EncodePlan, sampling: Sampling, ffmpeg: FfmpegRunner, folder: Path
) -> tuple[list[FrameMeasure], Analysis]:
    """Measure the candidates of a clip, all of which must come out."""
    rung = a_rung(plan)
    analysis = Analysis()
    command = analysis_command(
        plan, rung, sampling, cell=fitted_into(rung, CELL_BOX), thumbnail=fitted_into(rung, THUMBNAIL_BOX)
    )
    outputs = {target: folder / f"{target}-%d" for target in (SPRITES, CANDIDATES)}
    ffmpeg.run(command, outputs, inputs={RENDITION_INPUT: fed(path)}, stop=NEVER, on_stderr_line=analysis.take)
    candidates = range(0, plan.total_frames, sampling.candidate_frames)
    measures = analysis.measures(candidates)
    assert len(measures) == len(candidates) == len(list(folder.glob(f"{CANDIDATES}-*")))
    return measures, analysis


@pytest.mark.parametrize("name", CLIPS)
def test_the_poster_shows_the_video(
    name: str, clips: dict[str, tuple[Path, EncodePlan]], ffmpeg: FfmpegRunner, tmp_path: Path
) -> None:
    path, plan = clips[name]
    sampling = plan_sampling(plan.grid, a_rung(plan), [a_rung(plan)], count=10)
    assert sampling.whole
    measures, analysis = analysed(path, plan, sampling, ffmpeg, tmp_path)
    start, end = CLIPS[name][1]
    chosen = choose_poster(measures).frame / RATE
    assert not start <= chosen < end, [vars_of(measure) for measure in measures]
    if name == "slate":
        assert [ticks for ticks, _ in analysis.scenes] == [63 * plan.grid.frame_ticks]


@pytest.mark.parametrize("name", ["color_bars", "blurred_second"])
def test_key_frames_show_it_too(
    name: str, clips: dict[str, tuple[Path, EncodePlan]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in longer videos, where there are enough of them."""
    monkeypatch.setattr(thumbnails, "_MIN_KEY_FRAMES", 0)
    path, plan = clips[name]
    sampling = plan_sampling(plan.grid, a_rung(plan), [a_rung(plan)], count=10)
    assert not sampling.whole
    measures, _ = analysed(path, plan, sampling, FfmpegRunner(ExecutionConfig(), LimitConfig()), tmp_path)
    start, end = CLIPS[name][1]
    assert not start <= choose_poster(measures).frame / RATE < end, [vars_of(measure) for measure in measures]


def vars_of(measure: object) -> dict[str, object]:
    return {name: getattr(measure, name) for name in measure.__dataclass_fields__}  # type: ignore[attr-defined]


def test_stills_and_previews_are_written(
    clips: dict[str, tuple[Path, EncodePlan]], ffmpeg: FfmpegRunner, tmp_path: Path
) -> None:
    path, plan = clips["slate"]
    rung = a_rung(plan)
    size = fitted_into(rung, THUMBNAIL_BOX)
    command = stills_command(plan, rung, frames=[10, 100], size=size)
    ffmpeg.run(command, {STILLS: tmp_path / f"{STILLS}-%d"}, inputs={RENDITION_INPUT: fed(path)}, stop=NEVER)
    first, second = (tmp_path / f"{STILLS}-{n}" for n in (0, 1))
    assert first.read_bytes()[:3] == second.read_bytes()[:3] == b"\xff\xd8\xff"
    assert second.stat().st_size > 2 * first.stat().st_size  # the slate, and the content behind it
    command = preview_command(plan, rung, frames=(75, 125), size=size, formats=[WEBP, GIF])
    outputs = {form: tmp_path / form for form in (WEBP, GIF)}
    ffmpeg.run(command, outputs, inputs={RENDITION_INPUT: fed(path)}, stop=NEVER)
    assert (tmp_path / GIF).read_bytes()[:6] == b"GIF89a"
    webp = (tmp_path / WEBP).read_bytes()
    assert (webp[:4], webp[8:12]) == (b"RIFF", b"WEBP")
    assert webp.count(b"ANMF") == 20
