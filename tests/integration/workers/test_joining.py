"""Videos that join others, made by the steps of a worker: every frame, every beep, and what interruptions leave."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest

from access.services import default_owner
from execution.ffmpeg import Stopped
from jobs.leasing.claim import Claim
from jobs.leasing.leases import LeaseLost
from jobs.leasing.steps import step_begin
from jobs.lifecycle.failures import leases_reclaim
from jobs.lifecycle.joining import Labels, video_joined, videos_join
from jobs.lifecycle.services import video_delete
from jobs.models import Step
from jobs.rules.steps import StepKind
from storage.keys import joined_key, joined_prefix, video_prefix
from tests.ffmpeg.golden import FFPROBE
from tests.ffmpeg.sources import FFMPEG
from tests.inputs.case import Area
from tests.inputs.making import AAC, H264, card, then
from tests.inputs.measuring import Audio, decode, header
from tests.inputs.measuring import Video as Frames
from tests.integration.workers.claims import claim_of_kind
from tests.pipeline_client import PipelineClient
from tests.rows import a_video, expire
from transcoding.errors import ResourceExceeded
from videos.models import Rendition, Video
from videos.parts import JoinedSource, parts_of
from videos.selectors import published_prefix
from workers.lease.control import StepControl, StopReason
from workers.runner import StepRunner
from workers.steps import join
from workers.tools import Tools

WHOLE = Area()
UPRIGHT = Area(left=(320 - 102) / 640, right=(320 + 102) / 640)
"""The area of a frame of 90x160 in one of 320x180."""
_HEVC = "-c:v libx265 -preset ultrafast -x265-params log-level=error -pix_fmt yuv420p10le -c:a flac -ac 1 -ar 44100"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, int]]:
    """Cards of several kinds by their names, and the number that each begins with."""
    b_frames = f"-c:v libx264 -preset veryfast -bf 3 -pix_fmt yuv420p -g 20 {AAC}"
    makers = {
        "wide": (card("mp4", b_frames, frames=50, size=(320, 180)), 0),
        "fast": (card("mp4", f"{H264} -an", rate="30", frames=45, first=100), 100),
        "upright": (card("mp4", f"{H264} {AAC}", frames=25, size=(90, 160), first=200), 200),
        "hevc": (card("mkv", _HEVC, frames=25, first=300), 300),
        "trimmed": (
            then(
                card("mp4", f"{b_frames} -g 100", frames=40, first=400), "-ss 0.6 -i {} -c copy t.mp4", source="t.mp4"
            ),
            415,
        ),
    }
    return {name: (maker(tmp_path_factory.mktemp(name)), first) for name, (maker, first) in makers.items()}


@pytest.fixture
def upload(
    pipeline: PipelineClient, runner: StepRunner, files: dict[str, tuple[Path, int]]
) -> Callable[..., list[Video]]:
    def upload(*names: str) -> list[Video]:
        videos = [pipeline.upload(files[name][0]) for name in names]
        runner.work("cpu")
        for video in videos:
            video.refresh_from_db()
            assert (video.state, video.error_detail) == ("ready", "")
        return videos

    return upload


def requested(tools: Tools, *parts: Video) -> Video:
    ids, labels = [part.id for part in parts], Labels(filename="all.mp4")
    return videos_join(owner=default_owner(), video_ids=ids, labels=labels, policy=tools.policy)


def carry_out(tools: Tools, claim: Claim, control: StepControl | None = None) -> None:
    join.run(step_begin(claim=claim), tools, control or StepControl(tools.draining))


def joined_file(tools: Tools, folder: Path, *parts: Video) -> tuple[Path, Video]:
    """Join videos without anything that comes after it."""
    video = requested(tools, *parts)
    carry_out(tools, claim_of_kind(tools, StepKind.JOIN))
    video.refresh_from_db()
    assert tools.store.head(video.source_key).size == video.size_bytes
    path = folder / "joined"
    tools.store.fetch(video.source_key, path, lambda _: None)
    return path, video


def objects(tools: Tools, prefix: str) -> list[str]:
    return [stored.key for stored in tools.store.list(prefix)]


def outputs(tools: Tools, folder: Path) -> tuple[Frames, Audio]:
    """Decode the published renditions of the only job."""
    paths = {}
    for rendition in Rendition.objects.all():
        paths[rendition.kind] = folder / f"{rendition.kind}.mp4"
        segments = b"".join(tools.store.get(segment.key) for segment in published_prefix(rendition))
        paths[rendition.kind].write_bytes(tools.store.get(rendition.init_key) + segments)
    frames, samples, said = decode(paths["video"], paths["audio"], folder)
    assert said == ""
    return Frames(header=header(paths["video"]), data=frames), Audio(data=samples)


def numbers(frames: Frames, area: Area, start: int, end: int) -> list[int]:
    """Read the numbers of some frames; those that are repeated once."""
    return [number for number, _ in groupby(frames.number(frame, area) for frame in range(start, end))]


def test_parts_of_other_sizes_rates_and_without_audio_play_one_after_the_other(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, upload: Callable[..., list[Video]], tmp_path: Path
) -> None:
    video = requested(tools, *upload("wide", "fast", "upright"))
    job = pipeline.transcode(video, bitrate=800_000)  # it waits for the source
    runner.work("cpu")
    video.refresh_from_db()
    job.refresh_from_db()
    assert (video.state, job.state, job.error_detail) == ("ready", "completed", "")
    assert [(part.start, part.duration, part.differs) for part in parts_of(video)] == [
        (0.0, 2.0, []),
        (2.0, 1.5, []),
        (3.5, 1.0, []),
    ]
    frames, audio = outputs(tools, tmp_path)
    assert (frames.width, frames.height, frames.frames) == (320, 180, 135)  # 4.5 s of the fastest part's rate
    assert numbers(frames, WHOLE, 0, 60) == list(range(50))
    assert numbers(frames, WHOLE, 60, 105) == list(range(100, 145))
    assert numbers(frames, UPRIGHT, 105, 135) == list(range(200, 225))
    assert list(audio.beeps()) == pytest.approx([0.5, 1.5, 4.0], abs=0.01)
    assert audio.level(2.05, 3.45, channel=0) < -80  # the part without audio


def _coded(path: Path) -> bytes:
    """Return the coded frames of an H.264, without parameter sets and what is not part of frames."""
    frames = "h264_mp4toannexb,filter_units=remove_types=6-9"
    command = [FFMPEG, "-v", "error", "-i", path, "-map", "0:v", "-c", "copy", "-bsf:v", frames, "-f", "h264", "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout


def _times(path: Path) -> list[float]:
    entries = ["-select_streams", "v", "-show_entries", "packet=pts_time", "-of", "csv=p=0"]
    done = subprocess.run([FFPROBE, "-v", "error", *entries, path], check=True, capture_output=True, text=True)
    return sorted(float(line.rstrip(",")) for line in done.stdout.split())


def test_parts_that_agree_are_copied_packet_by_packet_and_only_the_others_encoded_again(
    tools: Tools, upload: Callable[..., list[Video]], files: dict[str, tuple[Path, int]], tmp_path: Path
) -> None:
    """The others: HEVC of 10 bits, and H.264 whose edit list hides frames that the following ones need."""
    film, *others = upload("wide", "hevc", "trimmed")
    path, video = joined_file(tools, tmp_path, film, film)
    assert [part.differs for part in parts_of(video)] == [[], []]
    assert _coded(path) == 2 * _coded(files["wide"][0])
    assert _times(path) == pytest.approx([frame / 25 for frame in range(100)], abs=1e-6)

    path, video = joined_file(tools, tmp_path, film, *others)
    wide, hevc, trimmed = parts_of(video)
    assert (wide.differs, trimmed.differs) == ([], ["packets"])
    assert {"codec", "pixel_format"} <= set(hevc.differs)
    assert _coded(path).startswith(_coded(files["wide"][0]))
    frames = _decoded(path, tmp_path)
    assert numbers(frames, WHOLE, 0, 50) == list(range(50))
    assert numbers(frames, WHOLE, 50, 75) == list(range(300, 325))
    assert numbers(frames, WHOLE, 75, 100) == list(range(415, 440))
    _, samples, said = decode(None, path, tmp_path)
    assert said == ""
    assert list(Audio(data=samples).beeps()) == pytest.approx([0.5, 1.5, 2.5, 3.9], abs=0.01)


def _decoded(path: Path, folder: Path) -> Frames:
    """Decode a joined file, each frame in the size of the first one."""
    raw = folder / "raw"
    options = ["-map", "0:v", "-vf", "scale=320:180:flags=neighbor", "-fps_mode", "passthrough", "-pix_fmt", "yuv420p"]
    subprocess.run([FFMPEG, "-v", "error", "-i", path, *options, "-f", "rawvideo", raw], check=True)
    scaled = replace(header(path), width=320, height=180, pixel_format="yuv420p")
    return Frames(header=scaled, data=raw.read_bytes())


def test_a_worker_that_dies_leaves_nothing_that_anybody_sees(tools: Tools, upload: Callable[..., list[Video]]) -> None:
    (part,) = upload("fast")
    video = requested(tools, part, part)
    first = claim_of_kind(tools, StepKind.JOIN)
    control = StepControl(tools.draining)
    control.stop(StopReason.LEASE_LOST)
    with pytest.raises(Stopped):
        carry_out(tools, first, control)
    video.refresh_from_db()
    assert (video.state, video.source_key, objects(tools, video_prefix(video.id))) == ("joining", "", [])
    assert list(tools.scratch.iterdir()) == []

    late = step_begin(claim=first)
    left = joined_key(video.id, first.step_id, first.attempt)
    tools.store.put(left, b"of a worker that was killed before it recorded this", "video/mp4")
    expire(first.step_id)
    assert leases_reclaim(policy=tools.policy) == 1
    second = claim_of_kind(tools, StepKind.JOIN)
    assert (second.step_id, second.attempt) == (first.step_id, 2)
    carry_out(tools, second)
    video.refresh_from_db()
    assert (video.state, objects(tools, joined_prefix(video.id))) == ("uploaded", [video.source_key])
    with pytest.raises(LeaseLost):  # the first one was not dead
        join.run(late, tools, StepControl(tools.draining))
    assert tools.store.head(video.source_key).etag == video.etag
    steps = Step.objects.filter(video=video).order_by("created_at").values_list("kind", "state")
    assert list(steps) == [("join", "done"), ("inspect", "ready")]


def test_more_bytes_than_a_source_may_have_fail_the_join_before_anything_is_encoded(
    tools: Tools, upload: Callable[..., list[Video]]
) -> None:
    (part,) = upload("fast")
    requested(tools, part, part)
    claim = claim_of_kind(tools, StepKind.JOIN)
    policy = replace(tools.policy, max_source_bytes=part.size_bytes * 3 // 2)
    with pytest.raises(ResourceExceeded, match="the joined video has more than"):
        carry_out(replace(tools, policy=policy), claim)


def a_source(key: str) -> JoinedSource:
    return JoinedSource(key=key, size_bytes=1, etag="e", sha256="s")


def test_a_part_that_is_deleted_before_fails_the_join_and_its_jobs(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient
) -> None:
    parts = [a_video(), a_video()]
    video = requested(tools, *parts)
    job = pipeline.transcode(video)
    video_delete(owner=video.owner, video_id=parts[1].id)
    runner.work("cpu")
    video.refresh_from_db()
    job.refresh_from_db()
    assert (video.state, video.error_code) == ("rejected", "part_gone")
    assert (job.state, job.error_code) == ("failed", "part_gone")
    assert video.error_detail == "part 2 was deleted before the videos were joined"


def test_a_part_whose_object_is_gone_fails_the_join(tools: Tools, runner: StepRunner) -> None:
    video = requested(tools, a_video(), a_video())
    runner.work("cpu")
    video.refresh_from_db()
    assert (video.state, video.error_code) == ("rejected", "part_gone")
    assert video.error_detail == "the source of part 1 is not there any more"


def test_a_video_that_is_deleted_while_it_is_joined_gets_no_source(tools: Tools, runner: StepRunner) -> None:
    part = a_video()
    video = requested(tools, part, part)
    claim = claim_of_kind(tools, StepKind.JOIN)
    key = joined_key(video.id, claim.step_id, claim.attempt)
    tools.store.put(key, b"joined", "video/mp4")
    video_delete(owner=video.owner, video_id=video.id)
    with pytest.raises(LeaseLost):
        video_joined(claim=claim, source=a_source(key), parts=(), result={})
    Step.objects.filter(id=claim.step_id).update(lease_expires_at=None)
    Step.objects.filter(video=video, kind=StepKind.PURGE).update(state="ready", not_before=None)
    runner.work("cpu")
    video.refresh_from_db()
    assert (video.state, objects(tools, video_prefix(video.id))) == ("deleted", [])
