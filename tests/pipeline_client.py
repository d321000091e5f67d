"""A client of the pipeline for tests, without HTTP."""

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from access.services import default_owner
from jobs.lifecycle.inspection import inspect_request
from jobs.lifecycle.services import job_create
from jobs.models import Job
from storage.keys import source_key
from transcoding.planning.request import PlanPolicy
from transcoding.sniffing.container import HEAD_BYTES, sniff
from videos.models import Video
from videos.services import video_create
from workers.tools import Tools


class PipelineClient:
    """Uploads videos and requests transcodes through the services."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def upload(self, path: Path) -> Video:
        video_id = uuid4()
        stored = self._tools.store.put_file(source_key(video_id), path, "video/mp4")
        with path.open("rb") as file:
            family = sniff(file.read(HEAD_BYTES)) or ""
        rank = self._tools.config.rank
        return video_create(
            video_id=video_id,
            owner=default_owner(),
            filename=path.name,
            size_bytes=stored.size,
            etag=stored.etag,
            container=family,
            then=lambda video: inspect_request(video=video, priority=50, rank=rank),
        )

    def transcode(self, video: Video, *, chunk_seconds: int = 4, **request: object) -> Job:
        policy = replace(self._tools.policy, plan=self._plan_policy(chunk_seconds))
        return job_create(owner=default_owner(), video_id=video.id, request=request, priority=50, policy=policy)

    def _plan_policy(self, chunk_seconds: int) -> PlanPolicy:
        policy = self._tools.policy.plan
        return replace(policy, min_chunk_seconds=chunk_seconds, max_chunk_seconds=chunk_seconds)
