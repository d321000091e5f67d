"""Clearing away what nobody will use any more: uploads, what lost jobs made, nodes that are gone, old answers.

Everything here may be done twice at once, and every part is bounded: what is left is found the next time.
"""

import logging
import threading
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction
from django.db.models.functions import Now

from access.idempotency import requests_forget
from configuration import JanitorConfig
from jobs.endings import purge_request
from jobs.locks import video_lock
from jobs.models import Job, Node, Step
from jobs.tickets import node_queue_forget
from jobs.transitions import JOB_ENDS, StepKind
from storage.keys import generation_prefix
from storage.protocol import ObjectStore
from videos.models import Generation
from videos.states import GenerationState

log = logging.getLogger(__name__)

_BATCH = 100
_EVERY_UPLOAD = "videos/"


class Janitor:
    """A thread of the dispatcher that looks again and again; nothing waits for it and its failures harm nobody."""

    def __init__(self, *, store: ObjectStore, config: JanitorConfig) -> None:
        self._store = store
        self._config = config
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_looking, name="janitor", daemon=True)

    def start(self) -> None:
        """Begin to look, the first time after a pause."""
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._over.set()

    def _keep_looking(self) -> None:
        while not self._over.wait(self._config.janitor_seconds):
            for part in (self._uploads, self._generations, self._nodes, requests_forget):
                try:
                    part()
                except Exception:
                    log.exception("janitor failed", extra={"event": "janitor_failed", "part": part.__name__})
            connection.close()

    def _uploads(self) -> None:
        uploads_abandon(store=self._store, older_than_seconds=self._config.abandoned_upload_seconds)

    def _generations(self) -> None:
        generations_expire(older_than_seconds=self._config.lost_generation_seconds)

    def _nodes(self) -> None:
        nodes_forget(silent_seconds=self._config.forgotten_node_seconds)


def uploads_abandon(*, store: ObjectStore, older_than_seconds: float) -> int:
    """Throw away multipart uploads that were begun so long ago and never completed. Returns how many."""
    latest = datetime.now(UTC) - timedelta(seconds=older_than_seconds)
    abandoned = [upload for upload in store.list_multiparts(_EVERY_UPLOAD) if upload.started_at < latest]
    for upload in abandoned:
        store.abort_multipart(upload.key, upload.upload_id)
    if abandoned:
        log.info("uploads abandoned", extra={"event": "uploads_abandoned", "count": len(abandoned)})
    return len(abandoned)


def generations_expire(*, older_than_seconds: float) -> int:
    """Have the objects of generations removed whose jobs were lost so long ago. Returns how many generations."""
    ended = Job.objects.filter(state__in=JOB_ENDS, finished_at__lt=Now() - timedelta(seconds=older_than_seconds))
    lost = Generation.objects.filter(state=GenerationState.LOST, job_id__in=ended.values("id"))
    purged = Step.objects.filter(kind=StepKind.PURGE).values_list("payload__prefix", flat=True)
    expired = 0
    for generation in lost.select_related("video").order_by("created_at"):
        prefix = generation_prefix(generation.video_id, generation.number)
        if expired == _BATCH:
            break
        if not purged.filter(video=generation.video_id, payload__prefix=prefix).exists():
            with transaction.atomic():
                purge_request(video=video_lock(generation.video_id), prefix=prefix)
            expired += 1
    return expired


def nodes_forget(*, silent_seconds: float) -> int:
    """Take nodes out of the list that have been silent for so long, and their queues away. Returns how many."""
    silent = Node.objects.filter(last_seen__lt=Now() - timedelta(seconds=silent_seconds))
    for name in silent.values_list("name", flat=True):
        node_queue_forget(name)
    return silent.delete()[0]
