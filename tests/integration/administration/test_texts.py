"""The texts of a video on the admin's pages, and the retry of what could not be made of a video."""

from __future__ import annotations

import pytest
from django.test import Client

from jobs.changes.video_steps import video_step_create
from jobs.lifecycle.failures import step_fail
from jobs.models import Step
from jobs.rules.retry import Failure
from jobs.rules.steps import StepKind
from tests.rows import a_job, a_policy, a_stream, a_video, claimed
from transcoding.planning.thumbnails import ThumbnailRequest
from transcoding.texts.cues import Cues
from transcoding.texts.webvtt import parse_webvtt
from videos.models import Generation, Text, Thumbnails, Video
from videos.services import generation_mark_playable
from videos.states import VideoState
from videos.texts.services import TextLabels, text_create, texts_announce
from videos.thumbnails import thumbnails_mark_pending

pytestmark = pytest.mark.django_db
REFUSED = Failure(code="store_refused", detail="The store refuses our key.", retryable=False)


@pytest.fixture
def video() -> Video:
    """A video with a text of its own, and one in its file that could not be extracted."""
    video = a_video()
    cues = Cues.of(parse_webvtt("WEBVTT\n\n00:01.000 --> 00:02.000\na\n"))
    labels = TextLabels(language="pt-BR", label="Português", captions=True)
    text_create(owner=video.owner, video_id=video.id, cues=cues, labels=labels, max_texts=9)
    texts_announce(video=video, streams=[a_stream(2)], max_texts=9)
    fail(video, StepKind.TEXT)
    return video


def fail(video: Video, kind: StepKind) -> None:
    video_step_create(video=video, kind=kind)
    Step.objects.filter(kind=kind).update(queue="cpu")
    step_fail(claim=claimed(), failure=REFUSED, policy=a_policy())


def test_the_texts_of_a_video_are_listed_before_it_plays_and_after(operator: Client, video: Video) -> None:
    path = f"/admin/videos/video/{video.id}/change/"
    page = operator.get(path).content.decode()
    assert "Not playable yet" in page
    for said in ("Português", "captions", "embedded, stream 2", "store_refused: The store refuses our key."):
        assert said in page
    assert ".vtt" not in page
    for state in (VideoState.JOINING, VideoState.UPLOADED):
        Video.objects.update(state=state)
        assert "Not playable yet" in operator.get(path).content.decode(), state
    Video.objects.update(state=VideoState.READY)
    generation = a_job(video).generation
    assert generation is not None
    generation_mark_playable(generation=generation)
    page = operator.get(path).content.decode()
    assert "Not playable yet" not in page
    name = Text.objects.get(state="ready").name
    assert page.count(f"/texts/{name}.vtt") == 2, "in the player and in the list"


def test_failed_extractions_are_found_and_retried(operator: Client, video: Video) -> None:
    step = Step.objects.get(kind="text")
    assert str(step.id) in operator.get("/admin/jobs/step/?state=failed").content.decode()
    page = f"/admin/jobs/step/{step.id}/change/"
    assert f"/admin/videos/video/{video.id}/change/" in operator.get(page).content.decode()
    assert "Retry: done." in retried(operator, step)
    assert set(Text.objects.values_list("state", flat=True)) == {"ready", "pending"}
    assert Step.objects.filter(kind="text", state="ready").count() == 1
    assert "/operate/retry/" not in operator.get(page).content.decode()
    assert "cannot be retried by itself" in retried(operator, step)


def test_failed_images_are_retried(operator: Client, video: Video) -> None:
    generation = a_job(video).generation
    assert generation is not None
    Generation.objects.filter(id=generation.id).update(state="complete", completed_at=generation.created_at)
    thumbnails_mark_pending(video=video, request=ThumbnailRequest(count=3))
    Step.objects.exclude(kind="text").delete()
    fail(video, StepKind.THUMBNAILS)
    assert "Retry: done." in retried(operator, Step.objects.get(kind="thumbnails"))
    assert Thumbnails.objects.get().state == "pending"
    assert Step.objects.filter(kind="thumbnails", state="ready").count() == 1


def test_steps_of_jobs_are_retried_with_their_jobs(operator: Client) -> None:
    a_job()
    step_fail(claim=claimed(), failure=REFUSED, policy=a_policy())
    step = Step.objects.get(state="failed")
    assert "/operate/retry/" not in operator.get(f"/admin/jobs/step/{step.id}/change/").content.decode()
    assert "cannot be retried by itself" in retried(operator, step)


def retried(browser: Client, step: Step) -> str:
    return browser.post(f"/admin/jobs/step/{step.id}/operate/retry/", follow=True).content.decode()
