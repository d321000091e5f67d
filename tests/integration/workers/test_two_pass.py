"""Jobs of two passes, carried out by one worker process on a real database, store and ffmpeg."""

from pathlib import Path

import pytest

from jobs.leasing.steps import step_begin
from jobs.models import Step
from jobs.rules.steps import StepKind
from tests.integration.workers.claims import claim_of_kind
from tests.pipeline_client import PipelineClient
from transcoding.containers.segments import Segment
from transcoding.planning.plan import EncodePlan
from videos.models import Rendition
from workers.lease.control import StepControl
from workers.runner import StepRunner
from workers.steps import chunk
from workers.steps.publisher import Publisher
from workers.tools import Tools


class RecordingControl(StepControl):
    """A control that records the progress that the step reports."""

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools.draining)
        self.shares: list[float] = []

    def advanced(self, done: int, total: int) -> None:
        self.shares.append(done / total)
        super().advanced(done, total)


def test_the_first_pass_is_half_of_a_chunk_and_leaves_nothing(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In HEVC, and with a progressive file of it."""
    video = pipeline.upload(clip)
    runner.work("cpu")
    job = pipeline.transcode(video, chunk_seconds=60, codec="h265", two_pass=True, output_format=["hls", "mp4"])
    claim = claim_of_kind(tools, StepKind.CHUNK)
    control = RecordingControl(tools)
    published_at: list[float] = []
    submit = Publisher.submit

    def recording_submit(publisher: Publisher, name: str, segment: Segment, init: bytes) -> None:
        published_at.append(max(control.shares))
        submit(publisher, name, segment, init)

    monkeypatch.setattr(Publisher, "submit", recording_submit)
    chunk.run(step_begin(claim=claim), tools, control)
    assert control.shares == sorted(control.shares)
    assert control.shares[-1] == 1
    assert min(published_at) >= 0.5, "nothing is published before the second pass"
    assert not list(tools.scratch.glob("analysis-*"))
    runner.work("cpu")
    job.refresh_from_db()
    assert (job.state, job.error_detail) == ("completed", "")
    assert job.generation is not None
    plan = EncodePlan.from_json(job.generation.plan)
    result = Step.objects.get(id=claim.step_id).result or {}
    assert result["encoder"] == "libx265"
    assert result["pixels"] == plan.total_frames * plan.frame_pixels(plan.first_names)
    assert set(Rendition.objects.filter(kind="video").values_list("codecs", flat=True)) == {"hvc1.1.6.L90.90"}
