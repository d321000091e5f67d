"""Claims, leases and fences under random deaths: nothing lost, nothing doubled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from django.db import connection

from events.models import Event
from jobs.models import Job, Step
from jobs.rules.transitions import JobState, StepState
from tests.rows import a_job, a_video, an_owner
from videos.models import Rendition, SegmentRun, Video
from videos.selectors import published_prefix

JOBS = 30
STEPS_EACH = 7
REPOSITORY = Path(__file__).parents[3]


@pytest.mark.django_db(transaction=True)
def test_nothing_is_lost_or_doubled_while_workers_die_and_freeze() -> None:
    jobs = [a_job(a_video(an_owner(f"owner {number % 3}"))) for number in range(JOBS)]
    assert Step.objects.count() == JOBS * STEPS_EACH
    happened = _run_checker(seed=1)
    print(happened)  # noqa: T201 - the reader of a run wants to know that something did happen
    assert min(happened["died"], happened["frozen"], happened["killed"], happened["fenced"]) > 0

    assert set(Job.objects.values_list("state", "open_steps")) == {(JobState.COMPLETED.value, 0)}
    assert set(Step.objects.values_list("state", flat=True)) == {StepState.DONE}
    assert Video.objects.filter(current_generation__isnull=False).count() == JOBS
    _every_segment_once()
    for job in jobs:
        _history_is_sound(job)


def _every_segment_once() -> None:
    """All segments of all renditions, each from exactly one attempt of exactly one step."""
    for rendition in Rendition.objects.all():
        assert [segment.number for segment in published_prefix(rendition)] == list(range(rendition.total_segments))
    published = sum(SegmentRun.objects.values_list("segment_count", flat=True))
    assert published == sum(Rendition.objects.values_list("total_segments", flat=True))


def _history_is_sound(job: Job) -> None:
    events = list(Event.objects.filter(job_id=job.id).order_by("seq").values_list("seq", "type"))
    assert [seq for seq, _ in events] == list(range(1, len(events) + 1))
    assert Counter(kind for _, kind in events) == Counter(["job.queued", "job.planned", "job.started", "job.completed"])


def _run_checker(*, seed: int) -> dict[str, int]:
    at = connection.settings_dict
    url = f"postgresql://{at['USER']}:{at['PASSWORD']}@{at['HOST']}:{at['PORT']}/{at['NAME']}"
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "transcoder_site.settings",
        "TRANSCODER_DATABASE_URL": url,
        "PYTHONPATH": str(REPOSITORY),
    }
    ended = subprocess.run(
        [sys.executable, Path(__file__).with_name("checker.py"), str(seed)],
        env=environment,
        stdout=subprocess.PIPE,
        timeout=300,
        check=True,
    )
    happened: dict[str, int] = json.loads(ended.stdout)
    return happened
