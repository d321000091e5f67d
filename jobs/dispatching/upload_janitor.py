"""The janitor of uploads: what expires, what was abandoned, and what a killed process left in the store."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID

from django.db.models.functions import Now

from storage.errors import StorageError, StorageUnavailable
from storage.keys import VIDEOS_PREFIX, source_key, tails_prefix, video_prefix
from storage.protocol import ObjectStore
from storage.transfer import batches
from videos.models import Import, Upload, Video
from videos.states import COMPLETE_STATES, UploadState, VideoState
from videos.uploads.services import upload_clear, upload_expire

log = logging.getLogger(__name__)

_BATCH = 100
_LISTED_AT_A_TIME = 1000
_MAX_FAILURES = 3
"""Uploads of one pass for which the store may be unavailable."""
_MAX_LEFT = 1000
"""Objects of one source that are deleted at a time: the others follow with the next pass."""


def uploads_expire(*, store: ObjectStore) -> int:
    """End the open uploads whose clients are gone, and remove what they left. Return the number of uploads.

    Also what is still in the store of those that have ended: it was unavailable at that time.
    """
    expired = list(Upload.objects.filter(state=UploadState.OPEN, expires_at__lte=Now()).order_by("expires_at")[:_BATCH])
    _each(upload_expire, expired, store)
    open_or_complete = (UploadState.OPEN, *COMPLETE_STATES)
    ended = Upload.objects.exclude(state__in=open_or_complete).exclude(multipart_id="")
    _each(upload_clear, ended.order_by("?")[:_BATCH], store)  # else a hundred that cannot be removed would be all
    if expired:
        log.info("uploads expired", extra={"event": "uploads_expired", "count": len(expired)})
    return len(expired)


def _each(remove: Callable[..., None], uploads: Iterable[Upload], store: ObjectStore) -> None:
    """Remove each of some uploads. One whose objects cannot be removed must not hold up the others: it stays for later.

    Raises StorageUnavailable where that is the store's trouble, and not one upload's.
    """
    failures = 0
    for upload in uploads:
        try:
            remove(upload=upload, store=store)
        except StorageError as error:
            failures += isinstance(error, StorageUnavailable)
            if failures > _MAX_FAILURES:
                raise
            fields = {"event": "upload_remains", "upload": str(upload.id)}
            log.warning("the remains of an upload stay in the store: %s", error, extra=fields)


def uploads_forget(*, older_than_days: int) -> int:
    """Delete the rows of uploads that ended so long ago. Return their number. Their videos stay."""
    old = Upload.objects.filter(completed_at__lt=Now() - timedelta(days=older_than_days), multipart_id="")
    ids = list(old.order_by("completed_at").values_list("id", flat=True)[:_BATCH])
    return Upload.objects.filter(id__in=ids).delete()[0]


def multiparts_abandon(*, store: ObjectStore, older_than_seconds: float) -> int:
    """Abort multipart uploads that were started so long ago and never completed. Return their number.

    Those of open uploads stay: their rows expire when their clients are gone. So do those of imports, which end, too.
    """
    latest = datetime.now(UTC) - timedelta(seconds=older_than_seconds)
    abandoned = [upload for upload in store.list_multiparts(VIDEOS_PREFIX) if upload.started_at < latest]
    removed = 0
    for some in batches(abandoned, _LISTED_AT_A_TIME):
        rows = Upload.objects.filter(state=UploadState.OPEN, multipart_id__in=[each.upload_id for each in some])
        fetched_for = {found for each in some if (found := _video_id(each.key.rpartition("/")[0]))}
        imports = Import.objects.filter(video__in=fetched_for, video__state=VideoState.IMPORTING)
        named = {*rows.values_list("multipart_id", flat=True), *imports.values_list("multipart_id", flat=True)}
        for upload in some:
            if upload.upload_id not in named:
                store.abort_multipart(upload.key, upload.upload_id)
                removed += 1
    if removed:
        log.info("uploads abandoned", extra={"event": "uploads_abandoned", "count": removed})
    return removed


def sources_abandon(*, store: ObjectStore, unknown: MutableMapping[UUID, float], older_than_seconds: float) -> int:
    """Delete sources without a row: their process was killed before it wrote one. Return their number.

    `unknown` holds, from one pass to the next, the monotonic time at which each source was first seen without a row.
    A source beside other objects stays: a job encoded it, so the database has lost the row (an old backup, say).
    """
    now = time.monotonic()
    orphans = {video_id: unknown.get(video_id, now) for video_id in _videos_without_row(store)}
    unknown.clear()
    unknown.update(orphans)
    removed = 0
    for video_id, since in orphans.items():
        if now - since >= older_than_seconds and (left := _left(store, video_id)):
            store.delete(left)
            removed += 1
    if removed:
        log.info("sources abandoned", extra={"event": "sources_abandoned", "count": removed})
    return removed


def _videos_without_row(store: ObjectStore) -> Iterator[UUID]:
    for prefixes in batches(store.list_folders(VIDEOS_PREFIX), _LISTED_AT_A_TIME):
        ids = {found for prefix in prefixes if (found := _video_id(prefix))}
        ids.difference_update(Video.objects.filter(id__in=ids).values_list("id", flat=True))
        # The source of an open upload: its process was killed before it recorded the video. Its client may try again.
        arrived = Upload.objects.filter(video_id__in=ids, state=UploadState.OPEN)
        yield from ids.difference(arrived.values_list("video_id", flat=True))


def _video_id(prefix: str) -> UUID | None:
    try:
        return UUID(prefix.removeprefix(VIDEOS_PREFIX).rstrip("/"))
    except ValueError:
        return None


def _left(store: ObjectStore, video_id: UUID) -> list[str]:
    """List the objects of a source that a process which was killed has left. Empty: there are others, too."""
    keys = [stored.key for stored in islice(store.list(video_prefix(video_id)), _MAX_LEFT + 1)]
    left = all(key == source_key(video_id) or key.startswith(tails_prefix(video_id)) for key in keys)
    return keys if left else []
