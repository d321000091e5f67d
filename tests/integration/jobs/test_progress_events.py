"""Progress as events: how far, how fast, for how long, and never back."""

from __future__ import annotations

import pytest

from events.models import Event
from events.types import EventType
from jobs.dispatching.progress_events import progress_events_append
from jobs.leasing.steps import step_begin, step_complete, step_publish
from jobs.models import Job
from tests.rows import a_job, a_run, a_video, claimed
from videos.models import Rendition

pytestmark = pytest.mark.django_db


def test_progress_is_reported_when_there_is_some_and_never_back() -> None:
    job = a_job(a_video(audio=False))
    rendition = Rendition.objects.get(kind="video")
    claim = claimed()
    step_begin(claim=claim)
    appended = []
    for first in (0, 1):
        step_publish(claim=claim, runs=[a_run(rendition, first, 1)], units_done=first + 1)
        appended.append([progress_events_append(), progress_events_append()])  # the second time there is nothing new
    assert appended == [[1, 0], [1, 0]]
    Job.objects.update(last_reported_progress=90)  # as before a retry that has to do some of it again
    step_complete(claim=claim, result={})
    other = claimed()
    step_begin(claim=other)
    step_publish(claim=other, runs=[a_run(rendition, 2, 1)], units_done=1)
    assert progress_events_append() == 0
    events = Event.objects.filter(job_id=job.id, type=EventType.JOB_PROGRESS).order_by("seq")
    first, second = [event.data for event in events]
    assert 0 < first["progress"] < second["progress"] < 90
    assert second["speed"] > 0
    assert second["eta_seconds"] >= 0
