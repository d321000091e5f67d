"""Thumbnails from a request to a player: made in the background of what was encoded, with a state of their own."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from asgiref.sync import async_to_sync
from django.db.models.functions import Now
from django.http import HttpResponseBase, StreamingHttpResponse
from django.test import Client

from events.models import Event
from jobs.dispatching.demand import ticket_demand
from jobs.leasing.claim import Claim, claim_of
from jobs.leasing.leases import LeaseLost, StepPostponed
from jobs.leasing.nodes import node_register
from jobs.leasing.steps import step_begin
from jobs.lifecycle.services import video_delete
from jobs.lifecycle.thumbnails import MAX_PENDING, PROMOTED_AFTER_SECONDS, background_promote
from jobs.models import Job, Step
from jobs.rules.steps import BACKGROUND_QUEUE
from storage.keys import video_prefix
from tests.ffmpeg.sources import run
from tests.integration.jobs.test_outputs import a_completed_job
from tests.pipeline_client import PipelineClient
from tests.rows import a_job, a_key, a_video, claim_or_none
from videos.models import Thumbnails, Video
from videos.playback import wiring
from videos.playback.delivery import Delivery
from videos.stored import missing_objects
from workers.lease.control import StepControl
from workers.runner import StepRunner
from workers.steps import thumbnails
from workers.tools import Tools

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer


@pytest.fixture
def client(transactional_db: None) -> Client:
    return Client(headers={"Authorization": f"Bearer {a_key()}"})


def document(client: Client, video: Video) -> dict[str, Any]:
    response = client.get(f"/api/v1/videos/{video.id}")
    assert response.status_code == 200, response.content
    found: dict[str, Any] = response.json()["thumbnails"]
    return found


def get(client: Client, url: str) -> Answer:
    return client.get(urlsplit(url).path)


def status_of(client: Client, url: str) -> int:
    """Request no bytes: a stream that nobody reads stays open."""
    return client.head(urlsplit(url).path).status_code


def body_of(response: HttpResponseBase) -> bytes:
    """Collect what the site reads from the store, which is asynchronous."""
    assert isinstance(response, StreamingHttpResponse)

    async def collected() -> bytes:
        return b"".join([part async for part in response])

    return async_to_sync(collected)()


def keys(tools: Tools, video: Video) -> set[str]:
    return {stored.key for stored in tools.store.list(f"{video_prefix(video.id)}thumbnails/")}


def a_background_claim() -> Claim:
    claim = claim_or_none(queue=BACKGROUND_QUEUE)
    assert claim is not None
    return claim


@pytest.fixture
def proxied(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects are delivered by the site itself, from the workers' store."""
    delivery = Delivery(store=tools.store, redirects=False, presign_seconds=60)
    monkeypatch.setattr(wiring, "delivery", lambda: delivery)
    monkeypatch.setattr(wiring, "store", lambda: tools.store)


@pytest.fixture
def encoded(runner: StepRunner, pipeline: PipelineClient, clip: Path) -> Job:
    """A completed job, and the step that makes the images of its video."""
    job = pipeline.transcode(pipeline.upload(clip), thumbnails={"count": 3})
    while claim := claim_or_none():
        runner.carry_out(claim)
    job.refresh_from_db()
    assert (job.state, job.error_detail) == ("completed", "")
    return job


@pytest.mark.usefixtures("proxied")
def test_the_images_of_a_video_are_made_after_its_job_and_reach_players(
    tools: Tools, runner: StepRunner, encoded: Job, client: Client
) -> None:
    video = encoded.video
    assert document(client, video)["state"] == "pending"
    assert client.get(f"/api/v1/videos/{video.id}/scenes").json()["results"] == []
    runner.work("cpu")
    found = document(client, video)
    assert (found["state"], found["error"]) == ("ready", None)
    assert [(image["width"], image["height"]) for image in found["images"]] == [(320, 180)] * 3
    assert len({body_of(get(client, image["url"])) for image in found["images"]}) == 3
    poster = get(client, found["poster"]["url"])
    assert (poster["Content-Type"], body_of(poster)[:3]) == ("image/jpeg", b"\xff\xd8\xff")
    assert "immutable" in poster["Cache-Control"]
    current = client.head(urlsplit(found["poster_url"]).path)
    assert current["Cache-Control"] == "public, max-age=600"
    sprites = found["sprites"]
    assert (sprites["width"], sprites["height"], sprites["count"], sprites["interval"]) == (160, 90, 4, 4.0)
    vtt = get(client, sprites["vtt_url"])
    assert vtt["Content-Type"].startswith("text/vtt")
    assert vtt.content.count(b"sprite-0.jpg#xywh=") == 4
    assert body_of(get(client, found["preview"]["gif_url"])).startswith(b"GIF89a")
    assert body_of(get(client, found["preview"]["webp_url"]))[8:12] == b"WEBP"
    playback = client.get(f"/api/v1/videos/{video.id}/playback").json()
    assert playback["thumbnails"] == found
    manifest = get(client, playback["dash_url"]).content.decode()
    assert f"/{sprites['urls'][0].split('/')[-2]}/sprite-$Number$.jpg" in manifest
    assert not list(missing_objects(tools.store))
    types = list(Event.objects.filter(video_id=video.id).order_by("id").values_list("type", flat=True))
    assert types[-2:] == ["job.completed", "video.thumbnails_ready"]
    assert not list(tools.scratch.iterdir())
    for missing in (sprites["vtt_url"] + "x", found["poster"]["url"].replace("poster.jpg", "thumbnail-9.jpg")):
        assert status_of(client, missing) == 404


@pytest.mark.usefixtures("proxied")
def test_thumbnails_at_requested_times_replace_the_others(
    tools: Tools, runner: StepRunner, encoded: Job, client: Client
) -> None:
    runner.work("cpu")
    video, path = encoded.video, f"/api/v1/videos/{encoded.video_id}/thumbnails"
    before = document(client, video)
    response = client.post(path, {"times": [12.5, 0], "width": 100}, content_type="application/json")
    assert response.status_code == 202, response.content
    assert response.json()["state"] == "pending"
    assert response.json()["images"] == before["images"]
    runner.work("cpu")
    found = document(client, video)
    assert [(image["time"], image["width"], image["height"]) for image in found["images"]] == [
        (12.48, 100, 56),
        (0, 100, 56),
    ]
    assert status_of(client, before["poster"]["url"]) == 200  # pages that name it are still open
    Step.objects.filter(kind="purge").update(state="ready", not_before=None)
    runner.work("cpu")
    assert status_of(client, before["poster"]["url"]) == 404
    assert status_of(client, found["poster"]["url"]) == 200
    video_delete(owner=video.owner, video_id=video.id)
    Step.objects.filter(kind="purge").exclude(state="done").update(state="ready", not_before=None)
    runner.work("cpu")
    assert not list(tools.store.list(video_prefix(video.id)))
    assert not Thumbnails.objects.exists()
    assert status_of(client, found["poster"]["url"]) == 404


def test_a_failure_is_retried_and_touches_nothing_else(
    tools: Tools, runner: StepRunner, encoded: Job, client: Client
) -> None:
    for stored in tools.store.list(video_prefix(encoded.video_id)):
        if stored.key.endswith("1.m4s"):
            tools.store.put(stored.key, b"something else", "video/mp4")
    runner.work("cpu")
    while Step.objects.filter(kind="thumbnails", state="delayed").update(state="ready", not_before=None):
        runner.work("cpu")
    step = Step.objects.get(kind="thumbnails")
    assert (step.state, step.attempt) == ("failed", 3)
    encoded.refresh_from_db()
    encoded.video.refresh_from_db()
    assert (encoded.state, encoded.video.state, encoded.video.error_code) == ("completed", "ready", "")
    found = document(client, encoded.video)
    assert (found["state"], found["error"]["code"]) == ("failed", "verification_failed")
    assert keys(tools, encoded.video) == set()
    assert Event.objects.filter(video_id=encoded.video_id, type="video.thumbnails_failed").count() == 1


def test_whoever_waits_for_the_slot_gets_it(tools: Tools, encoded: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "_YIELD_SECONDS", 0.0)
    a_job(a_video())
    assert claim_or_none(queue=BACKGROUND_QUEUE) is not None
    claim = Step.objects.get(kind="thumbnails")
    with pytest.raises(StepPostponed):
        thumbnails.run(step_begin(claim=claim_of(claim)), tools, StepControl(tools.draining))
    claim.refresh_from_db()
    assert (claim.state, claim.attempts_without_progress) == ("delayed", 0)


def test_a_lost_lease_leaves_nothing_behind(tools: Tools, encoded: Job) -> None:
    claim = a_background_claim()
    work = step_begin(claim=claim)
    Step.objects.filter(id=claim.step_id).update(attempt=claim.attempt + 1)
    with pytest.raises(LeaseLost):
        thumbnails.run(work, tools, StepControl(tools.draining))
    assert keys(tools, encoded.video) == set()
    assert Thumbnails.objects.get().images is None


@pytest.mark.django_db
def test_the_background_comes_last_and_is_promoted_in_the_end() -> None:
    video = a_completed_job().video
    Step.objects.all().delete()
    Thumbnails.objects.all().delete()
    client = Client(headers={"Authorization": f"Bearer {a_key()}"})
    assert client.post(f"/api/v1/videos/{video.id}/thumbnails", content_type="application/json").status_code == 202
    node_register(name="n1", queues=["cpu"], slots=3, pid=1, info={})
    assert ticket_demand(silence_seconds=20) == {"cpu": 1}
    assert claim_or_none() is None
    assert background_promote() == 0
    Step.objects.update(rank_at=Now() - timedelta(seconds=PROMOTED_AFTER_SECONDS))
    assert background_promote() == 1
    assert claim_or_none() is not None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"times": [40]}, "times.0"),
        ({"times": [1, 1e9]}, "times.1"),
        ({"times": [-1]}, "times.0"),
        ({"times": ["1"]}, "times.0"),
        ({"times": []}, "times"),
        ({"times": [1] * 51}, "times"),
        ({"times": [1], "count": 3}, "count"),
        ({"count": 0}, "count"),
        ({"count": 51}, "count"),
        ({"width": 15}, "width"),
        ({"width": 1281}, "width"),
        ({"width": 3841}, "width"),
        ({"height": 100}, "height"),
    ],
)
def test_bad_requests_name_the_field_and_leave_nothing(body: dict[str, Any], field: str) -> None:
    video = a_completed_job().video
    client = Client(headers={"Authorization": f"Bearer {a_key()}"})
    response = client.post(f"/api/v1/videos/{video.id}/thumbnails", json.dumps(body), content_type="application/json")
    assert response.status_code == 422, response.content
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert not Thumbnails.objects.exists()
    assert not Step.objects.filter(kind="thumbnails").exists()


@pytest.mark.django_db
def test_what_cannot_have_images_says_why() -> None:
    client = Client(headers={"Authorization": f"Bearer {a_key()}"})

    def post(video: Video) -> Answer:
        return client.post(f"/api/v1/videos/{video.id}/thumbnails", {}, content_type="application/json")

    for part in ("thumbnails", "scenes"):
        assert client.get(f"/api/v1/videos/{a_video().id}/{part}").json()["code"] == "thumbnails_not_found"
    response = post(a_video())
    assert (response.status_code, response.json()["code"]) == (409, "no_outputs")
    video = a_completed_job().video
    for _ in range(MAX_PENDING):
        Thumbnails.objects.create(video=a_video(), request={})
    response = post(video)
    assert (response.status_code, response.json()["code"]) == (429, "too_many_thumbnails")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"thumbnails": "yes"}, "thumbnails"),
        ({"thumbnails": {"count": 0}}, "thumbnails.count"),
        ({"thumbnails": {"times": [1]}}, "thumbnails.times"),
        ({"generate_thumbnails": 1}, "generate_thumbnails"),
        ({"generate_thumbnails": True, "thumbnails": True}, "generate_thumbnails"),
    ],
)
@pytest.mark.django_db
def test_a_job_with_bad_thumbnails_is_refused(body: dict[str, Any], field: str) -> None:
    client = Client(headers={"Authorization": f"Bearer {a_key()}"})
    response = client.post(f"/api/v1/videos/{a_video().id}/transcode", body, content_type="application/json")
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field)


def test_audio_alone_has_no_images(
    runner: StepRunner, pipeline: PipelineClient, client: Client, tmp_path: Path
) -> None:
    path = tmp_path / "beep.mp3"
    run(["-f", "lavfi", "-i", "sine=duration=2", str(path)])
    job = pipeline.transcode(pipeline.upload(path), generate_thumbnails=True)
    runner.work("cpu")
    job.refresh_from_db()
    assert job.state == "completed"
    found = document(client, job.video)
    assert (found["state"], found["error"]["code"]) == ("unavailable", "no_video_track")
    response = client.post(f"/api/v1/videos/{job.video_id}/thumbnails", {}, content_type="application/json")
    assert (response.status_code, response.json()["code"]) == (409, "no_video_track")
