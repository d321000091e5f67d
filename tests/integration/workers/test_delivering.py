"""Outputs in the bucket of a customer: all of them, playing from there, and what happens when they do not get there."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from access.services import default_owner
from configuration import Bucket
from events.models import Event
from jobs.leasing.leases import step_release
from jobs.lifecycle.deletion import job_outputs_delete
from jobs.lifecycle.delivering import delivery_repeat
from jobs.lifecycle.services import job_create
from jobs.models import Job, OutputDelivery, Step
from jobs.rules.steps import StepKind
from storage.buckets import Buckets
from storage.protocol import ObjectStore
from tests.ffmpeg.golden import FFPROBE
from tests.pipeline_client import PipelineClient
from transcoding.texts.cues import Cues
from transcoding.texts.webvtt import parse_webvtt
from videos.selectors import published_prefix
from videos.texts.services import TextLabels, text_create
from workers.runner import StepRunner
from workers.tools import Tools

DESTINATION = {"bucket": "outputs", "prefix": "films/clip"}
LABELS = TextLabels(language="de")
WEBVTT = "WEBVTT\n\n00:01.000 --> 00:02.000\nGuten Tag\n"


@pytest.fixture
def outputs(tools: Tools) -> Bucket:
    config = tools.config.storage
    return Bucket(
        alias="outputs",
        bucket="customer-outputs",
        prefix="vodmill/",
        destination=True,
        endpoint_url=config.s3_endpoint_url,
        access_key=config.s3_access_key,
        secret_key=config.s3_secret_key,
    )


@pytest.fixture
def theirs(tools: Tools, outputs: Bucket) -> Iterator[ObjectStore]:
    store = Buckets({"outputs": outputs}, tools.config.storage).store(outputs)
    store.prepare()
    yield store
    store.delete_prefix("vodmill/")


def completed(tools: Tools, pipeline: PipelineClient, clip: Path, **request: object) -> Job:
    """Run a job with a destination up to its delivery."""
    video = pipeline.upload(clip)
    text_create(owner=video.owner, video_id=video.id, cues=Cues.of(parse_webvtt(WEBVTT)), labels=LABELS, max_texts=9)
    job = job_create(
        owner=video.owner,
        video_id=video.id,
        request=request,
        priority=50,
        policy=tools.policy,
        destination=DESTINATION,
    )
    assert job.delivery.state == "pending"
    deliver = StepRunner(replace(tools, buckets=Buckets({}, tools.config.storage)))
    while (claim := deliver._claim("cpu")) and claim.kind is not StepKind.DELIVER:
        deliver.carry_out(claim)
    assert claim
    step_release(claim=claim)
    return Job.objects.get(id=job.id)


def events(job: Job) -> list[tuple[str, dict[str, Any]]]:
    return list(Event.objects.filter(job_id=job.id, type__startswith="job.deliver").values_list("type", "data"))


def packets(path: Path, stream: str) -> tuple[str, int]:
    """Read a track of a presentation from its first to its last segment: its codec, and the packets in it.

    One at a time: ffmpeg's reader of MPDs ends with the track that ends first, which is the text.
    """
    options = ["-v", "error", "-of", "csv=p=0", *(["-allowed_extensions", "ALL"] if path.suffix != ".mp4" else [])]
    shown = ["-select_streams", stream, "-count_packets", "-show_entries", "stream=codec_name,nb_read_packets"]
    done = subprocess.run([FFPROBE, *options, *shown, path], check=True, capture_output=True, text=True)
    assert done.stderr == ""
    codec, count = done.stdout.split()[-1].strip(",").split(",")
    return codec, int(count)


def test_delivered_outputs_play_from_the_bucket(
    *,
    tools: Tools,
    pipeline: PipelineClient,
    clip: Path,
    theirs: ObjectStore,
    outputs: Bucket,
    tmp_path: Path,
    client: Client,
) -> None:
    job = completed(tools, pipeline, clip, bitrate=400_000, output_format="mp4")
    tools = replace(tools, buckets=Buckets({"outputs": outputs}, tools.config.storage))
    StepRunner(tools).work("cpu")
    shown = client.get(f"/api/v1/jobs/{job.id}").json()["delivery"]
    folder = "vodmill/films/clip/"
    there = {stored.key.removeprefix(folder): stored.size for stored in theirs.list("vodmill/")}
    assert shown == {
        **DESTINATION,
        "state": "delivered",
        "files": len(there),
        "files_done": len(there),
        "bytes_done": sum(there.values()),
        "error": None,
        "delivered_at": shown["delivered_at"],
    }
    names = [rendition.name for rendition in job.generation.renditions.all()]  # type: ignore[union-attr]
    segments = {f"{name}/{number}.m4s" for name in names for number in range(4)}
    tree = {f"{name}/{file}" for name in names for file in ("init.mp4", "index.m3u8")}
    assert {"master.m3u8", "manifest.mpd", *segments, *tree} <= there.keys()
    assert {name.rpartition(".")[2] for name in there} == {"m3u8", "mpd", "mp4", "m4s", "vtt"}
    for name in there:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        theirs.fetch(f"{folder}{name}", path)
    for name in ("master.m3u8", "manifest.mpd", "180p.mp4"):
        assert packets(tmp_path / name, "v:0") == ("h264", 325)
        codec, count = packets(tmp_path / name, "a:0")
        assert (codec, 609 <= count <= 612) == ("aac", True)
    (text,) = tmp_path.glob("texts/*.vtt")
    assert "Guten Tag" in text.read_text()
    ((kind, data),) = events(job)
    assert (kind, data) == ("job.delivered", {**DESTINATION, "files": len(there), "bytes": sum(there.values())})
    job.refresh_from_db()
    assert job.state == "completed"

    # Once more, after somebody has changed a file in the bucket.
    theirs.put(f"{folder}master.m3u8", b"x", "text/plain")
    repeated = client.post(f"/api/v1/jobs/{job.id}/deliver")
    assert (repeated.status_code, repeated.json()["delivery"]["state"]) == (202, "pending")
    again = client.post(f"/api/v1/jobs/{job.id}/deliver")
    assert (again.status_code, again.json()["code"]) == (409, "delivery_running")
    StepRunner(tools).work("cpu")
    assert theirs.get(f"{folder}master.m3u8").startswith(b"#EXTM3U")
    assert [kind for kind, _ in events(job)] == ["job.delivered", "job.delivered"]


def test_a_delivery_that_fails_leaves_the_job_as_it_is_and_may_be_requested_again(
    tools: Tools, pipeline: PipelineClient, clip: Path, theirs: ObjectStore, outputs: Bucket
) -> None:
    job = completed(tools, pipeline, clip, bitrate=400_000)
    wrong = replace(outputs, secret_key="wrong")
    StepRunner(replace(tools, buckets=Buckets({"outputs": wrong}, tools.config.storage))).work("cpu")
    delivery = OutputDelivery.objects.get(job=job)
    assert (delivery.state, delivery.error_code) == ("failed", "storage_refused")
    ((kind, data),) = events(job)
    assert (kind, data["error"]["code"]) == ("job.delivery_failed", "storage_refused")
    delivery_repeat(owner=default_owner(), job_id=job.id)
    StepRunner(replace(tools, buckets=Buckets({}, tools.config.storage))).work("cpu")
    assert OutputDelivery.objects.get(job=job).error_code == "destination_refused"
    assert Job.objects.get(id=job.id).state == "completed"

    # A segment that is not what was published is not delivered, and outputs that are deleted are not either.
    rendition = job.generation.renditions.first()  # type: ignore[union-attr]
    key = published_prefix(rendition)[0].key  # type: ignore[arg-type]
    tools.store.put(key, b"x", "video/mp4")
    delivery_repeat(owner=default_owner(), job_id=job.id)
    StepRunner(replace(tools, buckets=Buckets({"outputs": outputs}, tools.config.storage))).work("cpu")
    assert OutputDelivery.objects.get(job=job).error_code == "verification_failed"
    assert not [stored for stored in theirs.list("vodmill/") if stored.key.endswith(("m3u8", "mpd"))]
    delivery_repeat(owner=default_owner(), job_id=job.id)
    job_outputs_delete(owner=default_owner(), job_id=job.id)
    assert OutputDelivery.objects.get(job=job).error_code == "outputs_deleted"
    assert not Step.objects.filter(kind=StepKind.DELIVER, state="ready").exists()
