"""The order of the log holds whatever the order of commits was."""

from __future__ import annotations

import threading
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.db import connection, transaction

from events.log import log_rebase, video_event_append
from events.models import Delivery, Event, FanOut
from events.types import EventType
from events.webhooks.fanout import events_fan_out
from events.webhooks.services import endpoint_create
from jobs.changes.events import event_append
from jobs.changes.locks import job_lock
from tests.rows import a_bare_job, a_video, an_owner


def _in_a_thread(work: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.django_db(transaction=True)
def test_what_is_committed_late_is_not_missed() -> None:
    """A transaction that started first and ends last: a reader that had gone on behind it would never see it."""
    owner = an_owner("late")
    endpoint_create(owner=owner, url="https://receiver.example/")
    events_fan_out()
    appended, other_committed = threading.Event(), threading.Event()

    def slowly() -> None:
        with transaction.atomic():
            video_event_append(owner_id=owner.id, video_id=uuid4(), type=EventType.VIDEO_UPLOADED)
            appended.set()
            assert other_committed.wait(120)

    thread = _in_a_thread(slowly)
    assert appended.wait(120)
    video_event_append(owner_id=owner.id, video_id=uuid4(), type=EventType.VIDEO_READY)
    assert events_fan_out() == 0  # what is committed must wait for what may still come before it
    other_committed.set()
    thread.join()
    assert events_fan_out() == 2
    assert set(Delivery.objects.values_list("event__type", flat=True)) == {"video.uploaded", "video.ready"}


@pytest.mark.django_db(transaction=True)
def test_events_of_a_job_keep_their_order_across_transactions() -> None:
    """The later event is written by the transaction that started earlier and waited for the job's lock."""
    job = a_bare_job(a_video())
    started, first_is_in = threading.Event(), threading.Event()

    def early() -> None:
        with transaction.atomic():
            video_event_append(owner_id=job.owner_id, video_id=job.video_id, type=EventType.VIDEO_READY)
            started.set()
            assert first_is_in.wait(120)
            job_lock(job.id)
            event_append(job_id=job.id, type=EventType.JOB_COMPLETED)

    thread = _in_a_thread(early)
    assert started.wait(120)
    event_append(job_id=job.id, type=EventType.JOB_STARTED)
    first_is_in.set()
    thread.join()
    of_job = Event.objects.filter(job_id=job.id)
    assert list(of_job.order_by("transaction", "id").values_list("seq", flat=True)) == [1, 2]


@pytest.mark.django_db
def test_after_a_restore_elsewhere_the_log_starts_again() -> None:
    owner = an_owner("restored")
    video_event_append(owner_id=owner.id, video_id=uuid4(), type=EventType.VIDEO_READY)
    Event.objects.update(transaction=2**60)
    FanOut.objects.create(transaction=2**60, event_id=7)
    log_rebase()
    assert set(Event.objects.values_list("transaction", flat=True)) == {0}
    assert FanOut.objects.get().transaction < 2**60
