"""Deletion of jobs, outputs, renditions and sources over HTTP: what plays afterwards, and what is left in the store."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.db.models.functions import Now
from django.test import Client

from events.models import Event
from jobs.dispatching.janitor import jobs_forget
from jobs.models import Job, Step
from jobs.rules.transitions import JobPhase, JobState
from storage.keys import bitmaps_key, indexed_key, rendition_prefix, source_key, video_prefix
from tests.integration.videos.test_playback import Played, publish
from tests.rows import a_job, a_key, a_video, an_mp4, an_owner
from videos.assets.services import assets_publish
from videos.models import Video
from workers.runner import StepRunner
from workers.tools import Tools

BYTES = "application/octet-stream"


@pytest.fixture
def client(transactional_db: None) -> Client:
    return Client(headers={"Authorization": f"Bearer {a_key()}"})


@pytest.fixture
def video(tools: Tools) -> Video:
    """A video of whose three rungs everything is stored, once for each of two completed jobs, and its source."""
    video = a_video(width=1280, height=720)
    tools.store.put(source_key(video.id), b"source", BYTES)
    tools.store.put(indexed_key(video.id), b"remuxed source", BYTES)
    for _ in range(2):
        a_completed_job(tools, video)
    return video


def a_completed_job(tools: Tools, video: Video) -> Job:
    job = a_job(video, output_format="mp4")
    assert job.generation is not None
    publish(tools.store, job.generation)
    played = Played(video, job.generation)
    for rung in (row for row in played.renditions if row.kind == "video"):
        key = f"{rendition_prefix(video.id, job.generation.number, rung.name)}{uuid4()}-a1/progressive.mp4"
        tools.store.put(key, b"an MP4!", "video/mp4")
        assets_publish(generation_id=job.generation.id, assets=[an_mp4(rung, key=key, size_bytes=7)])
    played.complete()
    Step.objects.filter(job=job).delete()
    ended = {"state": JobState.COMPLETED, "phase": JobPhase.ENDED, "finished_at": Now(), "playable_at": Now()}
    Job.objects.filter(id=job.id).update(**ended)
    return job


def jobs_of(video: Video) -> list[Job]:
    return list(Job.objects.filter(video=video).order_by("created_at"))


def keys(tools: Tools, prefix: str) -> set[str]:
    return {stored.key for stored in tools.store.list(prefix)}


def purge(runner: StepRunner) -> None:
    """Run the purge steps that are due, and those that wait for leases of cancelled steps."""
    Step.objects.filter(kind="purge", state="delayed").update(state="ready", not_before=None)
    runner.work("cpu")


def playback(client: Client, video: Video) -> dict[str, Any]:
    document: dict[str, Any] = client.get(f"/api/v1/videos/{video.id}/playback").json()
    return document


def path_of(url: str) -> str:
    return "/" + url.split("/", 3)[3]


def text(client: Client, url: str) -> str:
    response = client.get(path_of(url))
    assert response.status_code == 200, response.content
    return response.content.decode()


def refused(client: Client, url: str, *, method: str = "delete", body: object = None) -> tuple[int, str]:
    response = (
        getattr(client, method)(url, body, content_type="application/json") if body else getattr(client, method)(url)
    )
    return response.status_code, response.json()["code"]


def types(video: Video) -> list[str]:
    """The events of a video's deletions, in order."""
    deleted = Event.objects.filter(video_id=video.id, type__contains="deleted")
    return list(deleted.order_by("id").values_list("type", flat=True))


# --- a job ------------------------------------------------------------------------------------------------------------


def test_a_deleted_job_is_gone_with_its_objects_and_players_get_the_other_one(
    client: Client, video: Video, tools: Tools, runner: StepRunner
) -> None:
    other, deleted = jobs_of(video)
    before = playback(client, video)
    assert before["generation"] == 2
    others = keys(tools, f"{video_prefix(video.id)}g1/") | {source_key(video.id), indexed_key(video.id)}

    assert client.delete(f"/api/v1/jobs/{deleted.id}").status_code == 204

    assert client.get(path_of(before["hls_url"])).status_code == 404
    after = playback(client, video)
    assert (after["generation"], after["state"]) == (1, "complete")
    assert "#EXT-X-ENDLIST" in text(client, after["hls_url"].replace("master.m3u8", "720p/index.m3u8"))
    for rest in ("", "/outputs", "/plan"):
        assert refused(client, f"/api/v1/jobs/{deleted.id}{rest}", method="get") == (404, "job_not_found")
    assert refused(client, f"/api/v1/jobs/{deleted.id}") == (404, "job_not_found")
    assert [job["id"] for job in client.get("/api/v1/jobs").json()["results"]] == [str(other.id)]
    purge(runner)
    assert keys(tools, video_prefix(video.id)) == others
    assert types(video) == ["job.deleted"]


def test_a_number_of_a_generation_is_never_used_again(client: Client, video: Video, tools: Tools) -> None:
    """Its segments may be cached for ever under its URL, and its purge may still be to come."""
    client.delete(f"/api/v1/jobs/{jobs_of(video)[-1].id}")
    generation = a_completed_job(tools, video).generation
    assert generation is not None
    assert generation.number == 3


def test_without_another_one_nothing_plays(client: Client, video: Video, tools: Tools, runner: StepRunner) -> None:
    for job in jobs_of(video):
        assert client.delete(f"/api/v1/jobs/{job.id}").status_code == 204
    assert playback(client, video)["state"] == "unavailable"
    purge(runner)
    assert keys(tools, video_prefix(video.id)) == {source_key(video.id), indexed_key(video.id)}


def test_a_job_that_is_not_over_must_be_cancelled_first(client: Client, tools: Tools) -> None:
    job = a_job()
    assert refused(client, f"/api/v1/jobs/{job.id}") == (409, "job_not_over")
    assert refused(client, f"/api/v1/jobs/{job.id}/outputs") == (409, "job_not_over")
    assert client.post(f"/api/v1/jobs/{job.id}/cancel").status_code == 200
    assert client.delete(f"/api/v1/jobs/{job.id}").status_code == 204


def test_the_row_of_a_deleted_job_goes_with_its_events(client: Client, video: Video) -> None:
    other, deleted = jobs_of(video)
    client.delete(f"/api/v1/jobs/{deleted.id}")
    assert jobs_forget(older_than_days=30) == 0
    assert jobs_forget(older_than_days=-1) == 1
    assert jobs_of(video) == [other]


def test_nobody_deletes_what_is_another_owner_s(video: Video) -> None:
    other = Client(headers={"Authorization": f"Bearer {a_key(an_owner('other'))}"})
    job = jobs_of(video)[0]
    for url in (
        f"jobs/{job.id}",
        f"jobs/{job.id}/outputs",
        f"jobs/{job.id}/outputs/720p",
        f"videos/{video.id}/original",
    ):
        assert other.delete(f"/api/v1/{url}").status_code == 404
    assert types(video) == []


# --- outputs ----------------------------------------------------------------------------------------------------------


def test_deleted_outputs_leave_the_job_as_a_record(
    client: Client, video: Video, tools: Tools, runner: StepRunner
) -> None:
    job = jobs_of(video)[-1]
    for _ in range(2):  # it may be repeated
        assert client.delete(f"/api/v1/jobs/{job.id}/outputs").status_code == 204
    assert client.get(f"/api/v1/jobs/{job.id}").json()["state"] == "completed"
    assert client.get(f"/api/v1/jobs/{job.id}/outputs").json()["outputs"] == []
    assert client.get(f"/api/v1/jobs/{job.id}/plan").status_code == 200
    assert playback(client, video)["generation"] == 1
    purge(runner)
    assert keys(tools, f"{video_prefix(video.id)}g2/") == set()
    assert keys(tools, f"{video_prefix(video.id)}g1/")
    assert types(video) == ["job.outputs_deleted"]


def test_a_failed_job_whose_segments_were_deleted_starts_afresh(client: Client, tools: Tools) -> None:
    video = a_video()
    job = a_job(video)
    assert job.generation is not None
    publish(tools.store, job.generation, segments=2)
    client.post(f"/api/v1/jobs/{job.id}/cancel")
    assert client.delete(f"/api/v1/jobs/{job.id}/outputs").status_code == 204
    assert client.post(f"/api/v1/jobs/{job.id}/retry").status_code == 202
    job.refresh_from_db()
    assert job.generation is not None
    assert (job.generation.number, job.metadata["segments_kept"]) == (2, 0)


# --- one rendition ----------------------------------------------------------------------------------------------------


def test_a_deleted_rendition_is_in_no_manifest_and_its_objects_are_gone(
    client: Client, video: Video, tools: Tools, runner: StepRunner
) -> None:
    job = jobs_of(video)[-1]
    gone = keys(tools, rendition_prefix(video.id, 2, "480p"))
    before = keys(tools, video_prefix(video.id))

    assert client.delete(f"/api/v1/jobs/{job.id}/outputs/480p").status_code == 204

    shown = playback(client, video)
    assert [each["name"] for each in shown["renditions"]] == ["720p", "360p", "audio"]
    for manifest in (text(client, shown["hls_url"]), text(client, shown["dash_url"])):
        assert "480p" not in manifest
        assert "720p" in manifest
        assert "360p" in manifest
    for rest in ("480p/index.m3u8", "480p/init.mp4", "480p/0.m4s", "480p.mp4"):
        assert client.get(path_of(shown["hls_url"]).replace("master.m3u8", rest)).status_code == 404
    outputs = client.get(f"/api/v1/jobs/{job.id}/outputs").json()["outputs"]
    assert {output["rendition"] for output in outputs} == {None, "720p", "360p", "audio"}
    purge(runner)
    assert before - keys(tools, video_prefix(video.id)) == gone
    assert len(gone) == 12, "an init segment, ten segments and an MP4"
    assert types(video) == ["job.outputs_deleted"]


def test_the_first_rung_can_be_deleted_too(client: Client, video: Video) -> None:
    """The timeline of DASH was read from it."""
    client.delete(f"/api/v1/jobs/{jobs_of(video)[-1].id}/outputs/720p")
    assert "480p" in text(client, playback(client, video)["dash_url"])


def test_the_last_rendition_and_the_audio_stay(client: Client, video: Video) -> None:
    url = f"/api/v1/jobs/{jobs_of(video)[-1].id}/outputs"
    assert refused(client, f"{url}/audio") == (409, "audio_rendition")
    assert refused(client, f"{url}/nope") == (404, "rendition_not_found")
    assert client.delete(f"{url}/720p").status_code == client.delete(f"{url}/480p").status_code == 204
    assert refused(client, f"{url}/360p") == (409, "last_rendition")
    assert refused(client, f"{url}/480p") == (404, "rendition_not_found")


# --- the source -------------------------------------------------------------------------------------------------------


def test_without_its_source_a_video_plays_and_is_not_transcoded_again(
    client: Client, video: Video, tools: Tools, runner: StepRunner
) -> None:
    outputs = keys(tools, f"{video_prefix(video.id)}g")
    tools.store.put(bitmaps_key(video.id, 3), b"images", BYTES)
    assert client.delete(f"/api/v1/videos/{video.id}/original").status_code == 204

    shown = client.get(f"/api/v1/videos/{video.id}").json()
    assert (shown["status"], shown["original_url"]) == ("ready", None)
    assert playback(client, video)["state"] == "complete"
    assert refused(client, f"/api/v1/videos/{video.id}/original", method="get") == (404, "source_deleted")
    assert refused(client, f"/api/v1/videos/{video.id}/original") == (404, "source_deleted")
    for body in ({"resolution": "360p"}, {"dry_run": True}):
        answer = refused(client, f"/api/v1/videos/{video.id}/transcode", method="post", body=body)
        assert answer == (409, "source_deleted")
    purge(runner)
    assert keys(tools, video_prefix(video.id)) == outputs
    assert types(video) == ["video.source_deleted"]
    assert Video.objects.get(id=video.id).facts, "the facts stay"


def test_a_job_that_needs_the_source_keeps_it(client: Client, video: Video) -> None:
    job = a_job(video)
    assert refused(client, f"/api/v1/videos/{video.id}/original") == (409, "video_in_use")
    client.post(f"/api/v1/jobs/{job.id}/cancel")
    assert client.delete(f"/api/v1/videos/{video.id}/original").status_code == 204
    assert refused(client, f"/api/v1/jobs/{job.id}/retry", method="post") == (409, "source_deleted")


def test_a_source_of_which_nothing_was_made_stays(client: Client, tools: Tools) -> None:
    video = a_video()
    assert refused(client, f"/api/v1/videos/{video.id}/original") == (409, "no_outputs")
    assert refused(client, f"/api/v1/videos/{uuid4()}/original") == (404, "video_not_found")
