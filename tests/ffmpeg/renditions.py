"""Renditions of a source, encoded as a chunk step does, and what a player that believes their tags shows."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configuration import ExecutionConfig, LimitConfig
from execution.ffmpeg import FfmpegRunner
from tests.ffmpeg import sources
from tests.ffmpeg.golden import FFPROBE, NEVER, POLICY, inspect
from transcoding.color import ColorSpace
from transcoding.commands.chunk import chunk_command
from transcoding.containers.segments import Segment, VideoSegmenter
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest


@dataclass(frozen=True)
class Rendered:
    """A plan, and a file for each of its renditions."""

    plan: EncodePlan
    files: dict[str, Path]


def render(source: Path, folder: Path, ffmpeg: str, request: JobRequest) -> Rendered:
    """Encode the first segment of a source; every init segment is compared with the plan on the way."""
    path, facts = inspect(source, folder)
    plan = plan_job(facts, request, POLICY)
    cutters = {each.name: VideoSegmenter(plan, each, first_segment=0, segments=1) for each in plan.renditions}
    segments: dict[str, list[Segment]] = {name: [] for name in cutters}
    runner = FfmpegRunner(ExecutionConfig(ffmpeg_path=ffmpeg), LimitConfig())
    sinks = {name: _taking(cutter, segments[name]) for name, cutter in cutters.items()}
    runner.run(chunk_command(plan, str(path), first_segment=0, segments=1), sinks, stop=NEVER)
    files = {}
    for name, cutter in cutters.items():
        cutter.finish()
        files[name] = folder / f"{name}.mp4"
        files[name].write_bytes((cutter.init or b"") + b"".join(segment.data for segment in segments[name]))
    return Rendered(plan, files)


def _taking(cutter: VideoSegmenter, into: list[Segment]) -> "Any":  # noqa: ANN401 - a sink of bytes
    return lambda data: into.extend(cutter.feed(data))


def tags_of(path: Path) -> ColorSpace:
    """Return the color space that ffprobe finds in a file."""
    (stream,) = _probed(path, "stream=color_primaries,color_transfer,color_space,color_range")["streams"]
    return ColorSpace.of_names(
        primaries=stream.get("color_primaries"),
        transfer=stream.get("color_transfer"),
        matrix=stream.get("color_space"),
        range_=stream.get("color_range"),
    )


def light_of(path: Path) -> list[dict[str, Any]]:
    """Return the side data of the first frame: what the coded stream says of its light."""
    frames = _probed(path, "frame=pix_fmt", "-show_frames", "-read_intervals", "%+#1", "-show_entries", _SIDE)["frames"]
    found: list[dict[str, Any]] = frames[0].get("side_data_list", [])
    return found


_SIDE = "frame_side_data=side_data_type,min_luminance,max_luminance,red_x,max_content,max_average"


def _probed(path: Path, entries: str, *options: str) -> dict[str, Any]:
    command = [FFPROBE, "-v", "error", "-of", "json", "-show_entries", entries, *options, f"file:{path}"]
    document: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return document


def shown(path: Path, *, size: str = "") -> bytes:
    """Return the RGB values of the first frame, as a player shows them that believes the tags."""
    scaled = ("-vf", f"scale={size}:flags=area") if size else ()
    return sources.run(["-i", f"file:{path}", *scaled, "-frames:v", "1", "-pix_fmt", "rgb24", "-f", "rawvideo", "-"])
