"""Clients generated from the OpenAPI document by three generators upload, transcode, poll, list and delete."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from embedded.client import Client
from embedded.home import REPOSITORY
from embedded.stack import Stack

TYPESCRIPT = REPOSITORY / "tests" / "clients"
OUTPUTS = [("hls", None), ("dash", None), ("hls", "240p"), ("hls", "audio")]
ENDED = ("completed", "failed", "cancelled")
TIMEOUT = 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for generated packages, which can be imported during these tests."""
    folder = tmp_path_factory.mktemp("generated")
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def schema(stack: Stack, folder: Path) -> Path:
    """The OpenAPI document of the running product."""
    path = folder / "schema.json"
    path.write_text(httpx2.get(f"{stack.api.url}/api/schema?format=json", trust_env=False).text)
    return path


def program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def run(folder: Path, *argv: str | Path) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ended(poll: Callable[[], Any]) -> Any:  # noqa: ANN401 - generated while this runs
    """Poll a job until it is over."""
    deadline = time.monotonic() + 300
    while (job := poll()).state not in ENDED:
        assert time.monotonic() < deadline, f"still {job.state}"
        time.sleep(0.1)
    return job


def test_the_client_of_openapi_python_client(
    folder: Path, schema: Path, stack: Stack, client: Client, clip: Path
) -> None:
    package = "by_openapi_python_client"
    tool = program("openapi-python-client")
    run(folder, tool, "generate", "--path", schema, "--meta", "none", "--output-path", folder / package)

    def module(name: str) -> ModuleType:
        return importlib.import_module(f"{package}.{name}")

    models: Any = module("models")
    settings = {"base_url": stack.api.url, "token": client.api_key, "httpx_args": {"trust_env": False}}
    with module("client").AuthenticatedClient(**settings, timeout=TIMEOUT) as api:
        with clip.open("rb") as file:
            form = models.VideoUploadBody(
                video=module("types").File(payload=file, file_name="clip.mp4"),
                external_id="python",
                metadata='{"a": 1}',
            )
            upload = module("api.videos.video_upload").sync
            video = upload(client=api, body=form, idempotency_key=str(uuid4()))
        assert isinstance(video, models.VideoDocument), video
        assert (video.external_id, video.metadata["a"]) == ("python", 1)

        request = models.TranscodeRequest(resolution="240p", preset=models.PresetEnum("ultrafast"), priority="high")
        job = module("api.videos.video_transcode").sync(video.id, client=api, body=request)
        assert isinstance(job, models.JobDocument), job
        job = ended(lambda: module("api.jobs.job_detail").sync(job.id, client=api))
        assert (job.state, job.progress, job.priority) == ("completed", 100, 80)
        outputs = module("api.jobs.job_outputs").sync(job.id, client=api)
        assert [(output.type_, output.rendition) for output in outputs.outputs] == OUTPUTS
        listed = module("api.videos.video_list").sync(client=api, external_id="python")
        assert [each.id for each in listed.results] == [video.id]

        deleted = module("api.videos.video_delete").sync_detailed(video.id, client=api)
        assert deleted.status_code == 204, deleted
        problem = module("api.videos.video_detail").sync(video.id, client=api)
        assert isinstance(problem, models.Problem)
        assert (problem.status, problem.code) == (404, "video_not_found")


def test_the_client_of_openapi_generator(folder: Path, schema: Path, stack: Stack, client: Client, clip: Path) -> None:
    package = "by_openapi_generator"
    # Without the webhooks of the document: of those, 7.26 generates methods without types, which Python cannot read.
    few = "apis,models,supportingFiles,apiTests=false,modelTests=false,apiDocs=false,modelDocs=false"
    options = ["-g", "python", "--package-name", package, "--global-property", few]
    run(folder, program("openapi-generator-cli"), "generate", "-i", schema, "-o", folder, *options)

    generated: Any = importlib.import_module(package)
    configuration = generated.Configuration(host=stack.api.url, access_token=client.api_key)
    configuration.proxy = None
    with generated.ApiClient(configuration) as api:
        videos, jobs = generated.VideosApi(api), generated.JobsApi(api)
        form = {"video": ("clip.mp4", clip.read_bytes()), "external_id": "generator", "metadata": '{"a": 1}'}
        video = videos.video_upload(**form, idempotency_key=str(uuid4()))
        assert (video.external_id, video.metadata["a"]) == ("generator", 1)

        urgent = generated.ReprioritizeRequestPriority("high")  # a number or a word
        request = generated.TranscodeRequest(resolution="240p", preset="ultrafast", priority=urgent)
        job = videos.video_transcode(video.id, transcode_request=request)
        job = ended(lambda: jobs.job_detail(job.id))
        assert (job.state, job.progress, job.priority) == ("completed", 100, 80)
        assert [(output.type, output.rendition) for output in jobs.job_outputs(job.id).outputs] == OUTPUTS
        assert [each.id for each in videos.video_list(external_id="generator").results] == [video.id]

        videos.video_delete(video.id)
        with pytest.raises(generated.ApiException) as refused:
            videos.video_detail(video.id)
        assert (refused.value.status, json.loads(refused.value.body)["code"]) == (404, "video_not_found")


def test_the_client_of_openapi_typescript(folder: Path, schema: Path, stack: Stack, client: Client, clip: Path) -> None:
    """The types are checked against a program that uses them, which then runs."""
    tools = TYPESCRIPT / "node_modules"
    folder = folder / "typescript"
    folder.mkdir()
    (folder / "node_modules").symlink_to(tools)
    for name in ("package.json", "drive.ts"):
        shutil.copy(TYPESCRIPT / name, folder)
    run(
        folder,
        tools / ".bin" / "openapi-typescript",
        schema,
        "--output",
        "schema.ts",
        "--default-non-nullable",
        "false",
    )
    module = ["--module", "nodenext", "--target", "es2022", "--lib", "es2023", "--types", "node"]
    run(
        folder,
        tools / ".bin" / "tsc",
        "--strict",
        "--exactOptionalPropertyTypes",
        "--skipLibCheck",
        *module,
        "drive.ts",
    )
    printed = run(folder, "node", "drive.js", stack.api.url, client.api_key, clip)
    assert json.loads(printed) == {
        "external_id": "typescript",
        "state": "completed",
        "outputs": [kind for kind, _ in OUTPUTS],
        "deleted": 204,
        "after": "video_not_found",
    }
