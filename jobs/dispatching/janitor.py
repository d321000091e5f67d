"""The janitor: removes abandoned uploads, sources and generations, silent nodes, old events and idempotency keys.

It also does again what workers of an older version, beside new ones for a while, leave undone.

Every part is safe when two processes run it at once, and bounded: the next pass finds what is left.
"""

import logging
import threading
from datetime import timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, TextField
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast, Now

from access.idempotency import requests_expire
from configuration import JanitorConfig
from events.log import events_expire
from jobs.changes.endings import gone_video_jobs_end, purge_open, purge_request, purge_requested
from jobs.changes.locks import video_lock
from jobs.changes.wake import dispatcher_wake
from jobs.dispatching.janitor_parts import MORE_PARTS
from jobs.dispatching.tickets import node_queue_forget
from jobs.dispatching.upload_janitor import (
    multiparts_abandon,
    sources_abandon,
    uploads_expire,
    uploads_forget,
)
from jobs.lifecycle.retention import outputs_expire, sources_expire
from jobs.models import Job, Node, Step
from jobs.rules.steps import kinds_where
from jobs.rules.transitions import JOB_ENDS, StepState
from storage.keys import generation_prefix, video_prefix
from storage.protocol import ObjectStore
from videos.models import Generation, WatermarkImage
from videos.states import HIDDEN_STATES, GenerationState, VideoState
from videos.usage.services import usage_fold

log = logging.getLogger(__name__)

_BATCH = 100
_RESUMED_AT_A_TIME = 1000


class Janitor:
    """A thread of the dispatcher that runs every part once per `janitor_seconds`. Nothing waits for it."""

    def __init__(self, *, store: ObjectStore, config: JanitorConfig, event_days: int) -> None:
        self._store = store
        self._config = config
        self._event_days = event_days
        self._over = threading.Event()
        self._unknown: dict[UUID, float] = {}
        self._thread = threading.Thread(target=self._keep_looking, name="janitor", daemon=True)

    def start(self) -> None:
        """Start the thread. The first pass follows one pause later."""
        self._thread.start()

    def close(self) -> None:
        """Stop after the pass that runs."""
        self._over.set()

    def _keep_looking(self) -> None:
        while not self._over.wait(self._config.janitor_seconds):
            for part in (
                self._expired_uploads,
                self._multiparts,
                self._sources,
                self._forgotten_uploads,
                self._generations,
                self._jobs,
                watermarks_forget,
                gone_videos_jobs_end,
                purges_resume,
                self._nodes,
                self._events,
                requests_expire,
                usage_fold,
                sources_expire,
                outputs_expire,
                *MORE_PARTS,
            ):
                try:
                    part()
                except Exception:
                    log.exception("janitor failed", extra={"event": "janitor_failed", "part": part.__name__})
            connection.close()

    def _expired_uploads(self) -> None:
        uploads_expire(store=self._store)

    def _multiparts(self) -> None:
        multiparts_abandon(store=self._store, older_than_seconds=self._config.abandoned_upload_seconds)

    def _sources(self) -> None:
        age = self._config.abandoned_upload_seconds
        sources_abandon(store=self._store, unknown=self._unknown, older_than_seconds=age)

    def _forgotten_uploads(self) -> None:
        uploads_forget(older_than_days=self._event_days)

    def _generations(self) -> None:
        generations_expire(older_than_seconds=self._config.abandoned_generation_seconds)

    def _jobs(self) -> None:
        jobs_forget(older_than_days=self._event_days)

    def _nodes(self) -> None:
        nodes_forget(silent_seconds=self._config.forgotten_node_seconds)

    def _events(self) -> None:
        events_expire(older_than_days=self._event_days)


def generations_expire(*, older_than_seconds: float) -> int:
    """Purge the objects of abandoned generations whose jobs ended so long ago. Return the number of generations."""
    ended = Job.objects.filter(state__in=JOB_ENDS, finished_at__lt=Now() - timedelta(seconds=older_than_seconds))
    abandoned = Generation.objects.filter(state=GenerationState.ABANDONED, job_id__in=ended.values("id"))
    expired = 0
    for generation in abandoned.select_related("video").order_by("created_at"):
        prefix = generation_prefix(generation.video_id, generation.number)
        if expired == _BATCH:
            break
        if not purge_requested(video=generation.video, prefix=prefix):
            with transaction.atomic():
                video = video_lock(generation.video_id)
                still = Generation.objects.filter(id=generation.id, state=GenerationState.ABANDONED)
                if still.exists():  # it was not resumed meanwhile
                    purge_request(video=video, prefix=prefix)
            expired += 1
    return expired


def gone_videos_jobs_end() -> int:
    """End the open jobs of rejected and deleted videos, and purge what they made. Return the number of videos.

    The purge of such a video does so, but not one that a worker of 0.1 runs.
    """
    open_jobs = Job.objects.filter(finished_at=None, video__state__in=(VideoState.REJECTED, *HIDDEN_STATES))
    ids = list(open_jobs.order_by().values_list("video", flat=True).distinct()[:_BATCH])
    for video_id in ids:
        while _some_jobs_end(video_id):
            pass
    return len(ids)


@transaction.atomic
def _some_jobs_end(video_id: UUID) -> bool:
    """End some open jobs of a video. Return False once all have ended."""
    video = video_lock(video_id)
    more = gone_video_jobs_end(video=video)
    prefix = video_prefix(video.id)
    if not more and not purge_open(video=video, prefix=prefix):
        purge_request(video=video, prefix=prefix)
    return more


def purges_resume() -> int:
    """Make ready again the steps that are tried for ever and were given up. Return their number.

    Workers and dispatchers of 0.1 give up purges.
    """
    given_up = Step.objects.filter(state=StepState.FAILED, kind__in=kinds_where(lambda spec: spec.retries_forever))
    ids = list(given_up.order_by("-finished_at", "-id").values_list("id", flat=True)[:_RESUMED_AT_A_TIME])
    with transaction.atomic():
        resumed = given_up.filter(id__in=ids).update(
            state=StepState.READY, finished_at=None, rank_at=Now(), failures=0, attempts_without_progress=0
        )
        if resumed:
            dispatcher_wake()
    return resumed


def jobs_forget(*, older_than_days: int) -> int:
    """Remove the rows of jobs that were deleted so long ago, when their events expire, too. Return their number."""
    old = Job.objects.filter(deleted_at__lt=Now() - timedelta(days=older_than_days)).order_by("deleted_at")
    ids = list(old.values_list("id", flat=True)[:_BATCH])
    Step.objects.filter(job__in=ids).delete()
    Job.objects.filter(id__in=ids).delete()
    return len(ids)


def watermarks_forget() -> int:
    """Remove the images that their owners deleted and no unfinished job draws any more. Return their number."""
    drawn = Job.objects.annotate(image=KeyTextTransform("image", KeyTransform("watermark", "request")))
    unused = WatermarkImage.objects.annotate(name=Cast("id", TextField())).exclude(
        Exists(drawn.filter(owner=OuterRef("owner"), finished_at=None, image=OuterRef("name")))
    )
    ids = list(unused.filter(deleted_at__isnull=False).values_list("id", flat=True)[:_BATCH])
    return WatermarkImage.objects.filter(id__in=ids).delete()[0]


def nodes_forget(*, silent_seconds: float) -> int:
    """Delete nodes that have been silent for so long, and their own queues at the broker. Return their number."""
    silent = Node.objects.filter(last_seen__lt=Now() - timedelta(seconds=silent_seconds))
    for name in silent.values_list("name", flat=True):
        node_queue_forget(name)
    return silent.delete()[0]
