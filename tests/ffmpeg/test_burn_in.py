"""A text that is burned in: on which frames of which rendition it is, over the seam of two chunks."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from configuration import ExecutionConfig, LimitConfig
from execution.ffmpeg import FfmpegRunner
from tests.ffmpeg import golden, sources
from tests.ffmpeg.golden import NEVER, POLICY
from tests.ffmpeg.test_color import FFMPEGS
from transcoding.commands.chunk import chunk_command
from transcoding.planning.burn_in import BurnIn
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest
from transcoding.probing.facts import SourceFacts
from transcoding.texts.cues import Cue, Cues

BRIGHT = 128
CUES = Cues((Cue(start=3500, end=4520, text="HELLO"),))
UPLOADED = BurnIn(text="7d444840-9dc0-11d1-b245-5ffdce74fad2", language="de", embedded=False)
Source = tuple[Path, SourceFacts]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Nine seconds of black."""
    folder = tmp_path_factory.mktemp("burn-in")
    path = folder / "source.mp4"
    options = (*sources.H264, "-pix_fmt", "yuv420p", f"file:{path}")
    sources.run(["-f", "lavfi", "-i", "color=black:size=320x180:rate=25:duration=9", *options])
    return path, golden.inspect(path, folder)[1]


def bright_lines(
    plan: EncodePlan, path: Path, cues: Cues, ffmpeg: str, first_segment: int, *, canvases: str = ""
) -> dict[str, list[set[int]]]:
    """Return for each frame of a segment of each rendition the lines with letters, as shares of its height."""
    command = chunk_command(plan, str(path), first_segment=first_segment, segments=1, cues=cues, canvases=canvases)
    raw = {"c:v": "rawvideo", "pix_fmt": "gray", "f": "rawvideo"}
    frames = {"frames:v": str(plan.grid.frames_in(first_segment, 1)), "fps_mode": "passthrough"}
    command = replace(command, outputs=tuple(replace(each, options={**raw, **frames}) for each in command.outputs))
    taken = {target: bytearray() for target in command.targets}
    noise: list[str] = []
    runner = FfmpegRunner(ExecutionConfig(ffmpeg_path=ffmpeg), LimitConfig())
    runner.run(command, {name: data.extend for name, data in taken.items()}, stop=NEVER, on_stderr_line=noise.append)
    found = {}
    for rung in plan.renditions:
        size, data = rung.width * rung.height, bytes(taken[rung.name])
        found[rung.name] = [
            {
                100 * line // rung.height
                for line in range(rung.height)
                if max(data[at + line * rung.width : at + (line + 1) * rung.width]) > BRIGHT
            }
            for at in range(0, len(data), size)
        ]
    return found


@FFMPEGS
@pytest.mark.parametrize(("start", "shown"), [(None, range(88, 113)), (1.0, range(63, 88))])
def test_a_text_is_on_its_frames_of_every_rendition_and_on_no_others(
    ffmpeg: str, start: float | None, shown: range, source: Source
) -> None:
    path, facts = source
    plan = plan_job(facts, JobRequest(resolutions=["320x180", "160x90"], burn_in=UPLOADED, start=start), POLICY)
    cues = CUES.earlier(plan.text_start(embedded=False))
    chunks = [bright_lines(plan, path, cues, ffmpeg, segment) for segment in (0, 1)]
    assert len(plan.renditions) == 2
    for rung in plan.renditions:
        frames = [lines for chunk in chunks for lines in chunk[rung.name]]
        assert len(frames) == plan.grid.frames_in(0, 2)
        assert [number for number, lines in enumerate(frames) if lines] == list(shown)
        assert all(min(lines) >= 80 and max(lines) < 100 for lines in frames if lines), "below"


def test_times_of_a_text_begin_with_the_outputs(source: Source) -> None:
    facts = replace(source[1], first=Fraction(23, 10))
    plan = plan_job(facts, JobRequest(burn_in=UPLOADED, start=1.0), POLICY)
    assert (plan.text_start(embedded=False), plan.text_start(embedded=True)) == (Fraction(1), Fraction(33, 10))
    assert EncodePlan.from_json(plan.to_json()) == plan
