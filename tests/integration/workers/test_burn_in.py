"""Jobs that burn a text in, carried out by one worker process on a real database, store and ffmpeg."""

from pathlib import Path

import pytest

from jobs.models import Job
from storage.keys import bitmaps_key
from tests.bitmaps import rectangle
from tests.ffmpeg.sources import run
from tests.pipeline_client import PipelineClient
from tests.rows import a_video
from transcoding.errors import TextUnknown
from transcoding.planning.plan import EncodePlan
from transcoding.texts.reading import read_text
from videos.models import Asset, Generation, Text, Video
from videos.playback.texts import generation_texts
from videos.texts.services import TextLabels, text_create, text_delete
from workers.runner import StepRunner
from workers.tools import Tools

SIZE = 160 * 90
BRIGHT = 128


def a_text(video: Video, language: str = "de", *, default: bool = False) -> Text:
    """A text from 3.5 to 4.52 s: over the seam of the first two segments."""
    cues = read_text(b"1\n00:00:03,500 --> 00:00:04,520\nHELLO\n")
    labels = TextLabels(language=language, default=default)
    return text_create(owner=video.owner, video_id=video.id, cues=cues, labels=labels, max_texts=9)


@pytest.fixture
def video(runner: StepRunner, pipeline: PipelineClient, tmp_path: Path) -> Video:
    """An inspected video: nine seconds of black."""
    path = tmp_path / "black.mp4"
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", f"file:{path}"]
    run(["-f", "lavfi", "-i", "color=black:size=160x90:rate=25:duration=9", *coding])
    video = pipeline.upload(path)
    runner.work("cpu")
    video.refresh_from_db()
    return video


def bright_frames(path: Path) -> list[int]:
    data = run(["-i", f"file:{path}", "-f", "rawvideo", "-pix_fmt", "gray", "-"])
    frames = [data[at : at + SIZE] for at in range(0, len(data), SIZE)]
    return [number for number, frame in enumerate(frames) if max(frame) > BRIGHT]


def finished(runner: StepRunner, job: Job) -> Job:
    runner.work("cpu")
    job.refresh_from_db()
    return job


def test_a_text_is_in_the_frames_and_not_listed_again(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, video: Video, tmp_path: Path
) -> None:
    other, text = a_text(video), a_text(video, default=True)
    job = finished(runner, pipeline.transcode(video, burn_in={"text": "de"}, output_format="mp4"))
    assert (job.state, job.error_detail) == ("completed", "")
    generation = Generation.objects.get()
    plan = EncodePlan.from_json(generation.plan)
    assert len(plan.chunks) == 2
    assert plan.burn_in
    assert plan.burn_in.text == str(text.id), "the default of two"
    assert [each.name for each in generation_texts(generation, plan)] == [other.name]
    tools.store.fetch(Asset.objects.get().key, tmp_path / "a.mp4")
    assert bright_frames(tmp_path / "a.mp4") == list(range(88, 113))


def test_images_are_in_the_frames_and_decoded_once(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, video: Video, tmp_path: Path
) -> None:
    """The rectangle is drawn on the frames of both chunks, of which the second one finds it in the store."""
    (tmp_path / "images.sup").write_bytes(rectangle([(3.5, 4.52)]))
    inputs = ["-copyts", "-i", f"file:{tmp_path / 'black.mp4'}", "-f", "sup", "-i", f"file:{tmp_path / 'images.sup'}"]
    run([*inputs, "-map", "0:v", "-map", "1:s", "-c", "copy", f"file:{tmp_path / 'film.mkv'}"])
    film = pipeline.upload(tmp_path / "film.mkv")
    job = finished(runner, pipeline.transcode(film, burn_in={"stream": 1}, output_format="mp4"))
    assert (job.state, job.error_detail) == ("completed", "")
    assert tools.store.head(bitmaps_key(film.id, 1)).size < 10_000
    tools.store.fetch(Asset.objects.get().key, tmp_path / "a.mp4")
    assert bright_frames(tmp_path / "a.mp4") == list(range(88, 113))
    with pytest.raises(TextUnknown, match="no text of the video"):
        pipeline.transcode(film, burn_in={"stream": 0})


def test_a_text_that_is_deleted_before_its_job_fails_the_job_alone(
    runner: StepRunner, pipeline: PipelineClient, video: Video
) -> None:
    text = a_text(video)
    job = pipeline.transcode(video, burn_in={"text": str(text.id)})
    text_delete(owner=video.owner, video_id=video.id, text_id=text.id)
    assert (finished(runner, job).state, job.error_code, job.error_retryable) == ("failed", "text_unknown", False)
    video.refresh_from_db()
    assert video.state == "ready"


def test_a_text_of_another_video_is_unknown(pipeline: PipelineClient, video: Video) -> None:
    theirs = a_text(a_video(video.owner))
    with pytest.raises(TextUnknown, match="no text of the video"):
        pipeline.transcode(video, burn_in={"text": str(theirs.id)})
    assert not Job.objects.exists()
