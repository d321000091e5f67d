"""Images that are burned in: on which frames of which rendition they are, over the seam of two chunks."""

import math
from pathlib import Path

import pytest

from configuration import ExecutionConfig, LimitConfig
from execution.ffmpeg import FfmpegRunner
from tests.bitmaps import rectangle
from tests.ffmpeg import golden, sources
from tests.ffmpeg.golden import NEVER, POLICY
from tests.ffmpeg.test_burn_in import bright_lines
from tests.ffmpeg.test_color import FFMPEGS
from transcoding.commands.bitmaps import BITMAPS_TARGET, bitmaps_command
from transcoding.planning.burn_in import BurnIn
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest
from transcoding.probing.facts import SourceFacts
from transcoding.texts.cues import NO_CUES

TIMES = ((1.0, 2.0), (3.5, 4.52), (4.6, 4.8))
FRAMES = {*range(25, 50), *range(88, 113), *range(115, 120)}
STREAM = 1
Source = tuple[Path, SourceFacts]


@pytest.fixture(scope="module")
def black(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine seconds of black, and a file of images beside it."""
    folder = tmp_path_factory.mktemp("bitmaps")
    (folder / "images.sup").write_bytes(rectangle(TIMES))
    path = folder / "black.mkv"
    color = ("-f", "lavfi", "-i", "color=black:size=320x180:rate=25:duration=9")
    sources.run([*color, *sources.H264, "-pix_fmt", "yuv420p", f"file:{path}"])
    return path


@pytest.fixture(scope="module")
def source(request: pytest.FixtureRequest, black: Path) -> Source:
    """A film with subtitles of a kind."""
    codec, suffix = request.param
    coding = {"hdmv_pgs_subtitle": "copy", "dvd_subtitle": "dvdsub", "dvb_subtitle": "dvbsub"}[codec]
    path = black.with_name(f"{codec}.{suffix}")
    images = ("-fix_sub_duration", "-f", "sup", "-i", f"file:{black.with_name('images.sup')}")
    maps = ("-map", "0:v", "-map", "1:s", "-c:v", "copy", "-c:s", coding)
    sources.run(["-copyts", "-i", f"file:{black}", *images, *maps, f"file:{path}"])
    facts = golden.inspect(path, path.parent)[1]
    assert facts.streams[STREAM].codec == codec
    return path, facts


def decoded(source: Source, ffmpeg: str) -> Path:
    path, facts = source
    demuxer = "mpegts" if facts.remuxed else facts.demuxer
    written = path.parent / f"{path.stem}-{'old' if ffmpeg.startswith('/usr') else 'new'}" / "bitmaps"
    written.parent.mkdir(exist_ok=True)
    runner = FfmpegRunner(ExecutionConfig(ffmpeg_path=ffmpeg), LimitConfig())
    command = bitmaps_command(str(path), demuxer=demuxer, stream=STREAM, max_streams=9)
    runner.run(command, {BITMAPS_TARGET: written}, stop=NEVER)
    return written


@FFMPEGS
@pytest.mark.parametrize(
    ("source", "start"),
    [(("hdmv_pgs_subtitle", "mkv"), 0.5), (("dvd_subtitle", "mkv"), None), (("dvb_subtitle", "ts"), None)],
    ids=["blu-ray", "dvd", "dvb"],
    indirect=["source"],
)
def test_images_are_on_their_frames_of_every_rendition_and_on_no_others(
    ffmpeg: str, start: float | None, source: Source
) -> None:
    path, facts = source
    burned = BurnIn(bitmaps=STREAM, language="und", embedded=True)
    plan = plan_job(facts, JobRequest(resolutions=["320x180", "160x90"], burn_in=burned, start=start), POLICY)
    working = path.parent / "indexed.mkv" if facts.remuxed else path
    canvases = str(decoded(source, ffmpeg))
    chunks = [bright_lines(plan, working, NO_CUES, ffmpeg, segment, canvases=canvases) for segment in (0, 1)]
    assert len(plan.renditions) == 2
    for rung in plan.renditions:
        frames = [lines for chunk in chunks for lines in chunk[rung.name]]
        assert len(frames) == plan.grid.frames_in(0, 2)
        earlier = math.ceil((start or 0) * 25)
        assert {number + earlier for number, lines in enumerate(frames) if lines} == FRAMES
        assert all(min(lines) >= 65 and max(lines) < 74 for lines in frames if lines), "where they are on the canvas"
    assert EncodePlan.from_json(plan.to_json()) == plan
