"""A client generated from the OpenAPI document uploads, transcodes, polls and lists."""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest

from embedded.client import Client
from embedded.stack import Stack

PACKAGE = "generated_vodmill"


@pytest.fixture(scope="module")
def generated(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The generated package, importable during these tests."""
    folder = tmp_path_factory.mktemp("generated")
    tool = Path(sys.executable).with_name("openapi-python-client")
    schema = f"{stack.api.url}/api/schema?format=json"
    argv = [str(tool), "generate", "--url", schema, "--meta", "none", "--output-path", str(folder / PACKAGE)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={"NO_PROXY": "127.0.0.1"}, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


def module(name: str) -> ModuleType:
    return importlib.import_module(f"{PACKAGE}.{name}")


def test_a_generated_client_uploads_transcodes_polls_and_lists(
    generated: Path, stack: Stack, client: Client, clip: Path
) -> None:
    models: Any = module("models")
    settings = {"base_url": stack.api.url, "token": client.api_key, "httpx_args": {"trust_env": False}, "timeout": 120}
    with module("client").AuthenticatedClient(**settings) as api:
        transcoded(models, api, clip)


def transcoded(models: Any, api: Any, clip: Path) -> None:  # noqa: ANN401 - generated while this runs
    with clip.open("rb") as file:
        form = models.VideoUploadBody(
            video=module("types").File(payload=file, file_name="clip.mp4"), external_id="generated", metadata='{"a": 1}'
        )
        upload = module("api.videos.video_upload").sync
        video = upload(client=api, body=form, idempotency_key=str(uuid4()))
    assert isinstance(video, models.VideoDocument), video
    assert (video.external_id, video.metadata["a"]) == ("generated", 1)

    request = models.TranscodeRequest(resolution="240p", preset=models.PresetEnum("ultrafast"), priority="high")
    job = module("api.videos.video_transcode").sync(video.id, client=api, body=request)
    assert isinstance(job, models.JobDocument), job
    deadline = time.monotonic() + 300
    while job.state not in ("completed", "failed", "cancelled"):
        assert time.monotonic() < deadline, f"still {job.state}"
        time.sleep(0.1)
        job = module("api.jobs.job_detail").sync(job.id, client=api)
        assert isinstance(job, models.JobDocument), job
    assert (job.state, job.progress, job.priority) == ("completed", 100, 80)

    outputs = module("api.jobs.job_outputs").sync(job.id, client=api)
    assert [(output.type_, output.rendition) for output in outputs.outputs] == [
        ("hls", None),
        ("dash", None),
        ("hls", "240p"),
        ("hls", "audio"),
    ]
    listed = module("api.videos.video_list").sync(client=api, external_id="generated")
    assert [each.id for each in listed.results] == [video.id]
    problem = module("api.jobs.job_detail").sync(uuid4(), client=api)
    assert isinstance(problem, models.Problem)
    assert (problem.status, problem.code) == (404, "job_not_found")
