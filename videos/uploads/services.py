"""Writes to uploads, whatever the protocol by which their bytes arrive: open, renew, complete, abort, expire.

A file arrives as the parts of one multipart upload of the store, which alone knows what is there. The row says what was
promised. Nothing here waits for the store inside of a transaction.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Least, Now

from access.models import Owner
from api.problems import Problem, invalid_field, over_limit, too_large
from coordination.wiring import locks
from observability import metrics
from storage.errors import StorageError
from storage.keys import source_key, tails_prefix
from storage.parts import part_bytes_for
from storage.protocol import ObjectStore, StoredObject
from transcoding.sniffing.container import HEAD_BYTES, sniff
from transcoding.sniffing.refused import refusal
from videos.models import Upload, Video
from videos.services import video_create
from videos.states import COMPLETE_STATES, UploadProtocol, UploadState, VideoState
from videos.uploads.incoming import STORED_TYPE
from videos.uploads.limits import OpenLimits
from videos.uploads.sealing import UploadDamaged, sealed
from videos.uploads.selectors import refuse_over, upload_of, uploads_of
from videos.usage.quotas import quota_check, quota_keep

log = logging.getLogger(__name__)

MAX_OPEN = timedelta(days=28)
"""Time for which an upload may be open, however active its client: the store removes its parts soon after."""
RENEW_SECONDS = 600
"""Precision of `expires_at`: it is written at most this often."""
_COMPLETE_SECONDS = 20.0
"""Time for which one of two requests to complete an upload waits for the other."""
_RETRY_AFTER_SECONDS = 30
_RECORDED = ("state", "multipart_id", "job_id", "error_code", "error_detail", "completed_at")

Recorded = Callable[[Upload, Video], object]
"""Runs in the transaction in which an upload becomes a video. It may set `job_id` and the error of the upload."""
LookNow = Callable[[StoredObject, str], Mapping[str, object] | None]
"""Finds out what the headers of a stored file in a container of this family say. None: they are not known yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadLabels:
    """Everything that a client says about the video, beside its bytes."""

    filename: str
    sha256: str = ""
    external_id: str = ""
    client_metadata: Mapping[str, object] | None = None
    measure_loudness: bool = False
    source_retention_days: int | None = None
    transcode: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MultipartSlot:
    """A multipart upload in the store that has no row yet."""

    video_id: UUID
    multipart_id: str
    part_bytes: int


def multipart_open(*, owner: Owner, size_bytes: int | None, store: ObjectStore, limits: OpenLimits) -> MultipartSlot:
    """Open a multipart upload for a file of this size; None: its client does not know it yet.

    Not for a transaction: it calls the store. Raises Problem: 403 over quota, 413 too large, 429 too many open uploads.
    """
    check_size(size_bytes or 0, limits)
    quota_check(owner.id, more_bytes=size_bytes or 0, field="size")
    _refuse_more_open(owner, limits, more=1)
    video_id = uuid4()
    part_bytes = part_bytes_for(size_bytes or limits.max_bytes, store.part_bytes)
    multipart_id = store.create_multipart(source_key(video_id), STORED_TYPE, part_bytes=part_bytes)
    return MultipartSlot(video_id=video_id, multipart_id=multipart_id, part_bytes=part_bytes)


def _refuse_more_open(owner: Owner, limits: OpenLimits, *, more: int) -> None:
    if uploads_of(owner).filter(state=UploadState.OPEN).count() + more > limits.max_open:
        detail = f"{limits.max_open} of your uploads are open, which is the most. Complete or abort some of them."
        raise over_limit("too_many_open_uploads", detail, retry_after_seconds=_RETRY_AFTER_SECONDS)


def multipart_discard(*, slot: MultipartSlot, store: ObjectStore) -> None:
    """Abort a multipart upload that gets no row. What cannot be aborted at the moment is left to the janitor."""
    try:
        store.abort_multipart(source_key(slot.video_id), slot.multipart_id)
    except StorageError:
        log.exception("the remains of an upload stay in the store", extra={"event": "upload_remains"})


def check_size(size_bytes: int, limits: OpenLimits) -> None:
    """Raise Problem (413) for a file that is larger than a video may be."""
    if size_bytes > limits.max_bytes:
        raise too_large(f"A video may have {limits.max_bytes} bytes.", field="size")


@transaction.atomic
def upload_create(  # noqa: PLR0913 - one row's facts
    *,
    owner: Owner,
    slot: MultipartSlot,
    size_bytes: int | None,
    labels: UploadLabels,
    limits: OpenLimits,
    protocol: UploadProtocol = UploadProtocol.PARTS,
) -> Upload:
    """Record an upload whose multipart upload is open in the store.

    Raises Problem: 403 over quota, 429 too many open uploads.
    """
    upload = Upload.objects.create(
        owner=owner,
        video_id=slot.video_id,
        protocol=protocol,
        filename=labels.filename,
        size_bytes=size_bytes,
        part_bytes=slot.part_bytes,
        multipart_id=slot.multipart_id,
        sha256=labels.sha256,
        external_id=labels.external_id,
        client_metadata=dict(labels.client_metadata or {}),
        measure_loudness=labels.measure_loudness,
        source_retention_days=labels.source_retention_days,
        transcode=labels.transcode,
        expires_at=Now() + timedelta(seconds=limits.expiry_seconds),
    )
    upload.refresh_from_db()
    Owner.objects.select_for_update(no_key=True).get(id=owner.id)  # two at once would both count the same
    _refuse_more_open(owner, limits, more=0)
    quota_keep(owner.id, field="size")
    return upload


def upload_renew(*, upload: Upload, limits: OpenLimits) -> None:
    """Put off the expiry of an open upload whose client is active."""
    later = Least(Now() + timedelta(seconds=limits.expiry_seconds), F("created_at") + MAX_OPEN)
    soon = Now() + timedelta(seconds=max(0, limits.expiry_seconds - RENEW_SECONDS))
    Upload.objects.filter(id=upload.id, state=UploadState.OPEN, expires_at__lt=soon).update(expires_at=later)


def part_size(upload: Upload, number: int) -> int:
    """Return the bytes that a part must have. Raises Problem (422) for a number that no part has."""
    size = upload.part_size(number)
    if not size:
        raise invalid_field("number", f"must be from 1 to {upload.part_count}", code="no_such_part")
    return size


def upload_complete(  # noqa: PLR0913 - what a row becomes a video with
    *,
    owner: Owner,
    upload_id: UUID,
    store: ObjectStore,
    etags: Mapping[int, str],
    look: LookNow,
    recorded: Recorded,
) -> Upload:
    """Make a video of an upload of which all parts are there. May be repeated, at the same time, too.

    `etags`: those that the client knows, by the numbers of their parts; they are compared. `recorded` runs in the
    transaction that records the video.

    Raises Problem: 404 not the owner's, 409 over or parts are missing, 422 parts are wrong, or the file is no video.
    After the last one the upload has failed; after the others it can go on.
    """
    # The store and the row both allow two at once. The lock saves the second one the work.
    with locks().held(f"upload:{upload_id}", wait_seconds=_COMPLETE_SECONDS):
        upload = upload_of(owner, upload_id)
        if upload.state in COMPLETE_STATES:
            return upload
        refuse_over(upload)
        try:
            stored = _whole(upload, store, etags)
        except UploadDamaged as damaged:
            _end(upload, UploadState.FAILED, code=damaged.code, detail=damaged.detail)
            upload_clear(upload=upload, store=store)
            raise Problem(status=422, code=damaged.code, detail=damaged.detail) from damaged
        _delete_tails(upload, store)
        head = store.get(stored.key, 0, min(HEAD_BYTES, stored.size), etag=stored.etag)
        container = sniff(head)
        if container is None:
            _refuse_file(upload, head)
        else:
            media = look(stored, container)
            _record(upload.id, stored, container, media, recorded)
        upload = upload_of(owner, upload_id)
        if upload.state in COMPLETE_STATES:
            return upload
        upload_clear(upload=upload, store=store)  # also if it was aborted in the meantime
        refuse_over(upload)
        raise AssertionError(upload.state)


def _whole(upload: Upload, store: ObjectStore, etags: Mapping[int, str]) -> StoredObject:
    """Return the object of all parts. Raises UploadDamaged also where it has another size than was promised."""
    stored = sealed(upload, store, etags)
    if stored.size != upload.size_bytes:
        detail = f"The file has {stored.size} bytes, not {upload.size_bytes}. Upload it again."
        raise UploadDamaged("wrong_size", detail)
    return stored


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


@transaction.atomic
def _record(
    upload_id: UUID,
    stored: StoredObject,
    container: str,
    media: Mapping[str, object] | None,
    recorded: Recorded,
) -> None:
    """Record the video, unless the upload has ended in the meantime."""
    upload = Upload.objects.select_for_update(no_key=True).select_related("owner").get(id=upload_id)
    if upload.state != UploadState.OPEN:
        return
    upload.state = UploadState.VERIFYING if upload.sha256 else UploadState.READY
    upload.multipart_id = ""
    video_create(
        video_id=upload.video_id,
        owner=upload.owner,
        state=VideoState.VERIFYING if upload.sha256 else VideoState.UPLOADED,
        filename=upload.filename,
        size_bytes=stored.size,
        etag=stored.etag,
        container=container,
        sha256=upload.sha256,
        external_id=upload.external_id,
        client_metadata=upload.client_metadata,
        measure_loudness=upload.measure_loudness,
        source_retention_days=upload.source_retention_days,
        media=media,
        then=partial(recorded, upload),
    )
    upload.completed_at = Now()
    upload.save(update_fields=[*_RECORDED])
    transaction.on_commit(partial(metrics.UPLOADS.add, outcome="accepted"))
    transaction.on_commit(partial(metrics.UPLOAD_BYTES.add, stored.size))


def _end(upload: Upload, state: UploadState, *, code: str = "", detail: str = "") -> bool:
    """End an open upload without a video. False: it has ended in another way, or was renewed before it expired."""
    rows = Upload.objects.filter(id=upload.id, state=UploadState.OPEN)
    if state == UploadState.EXPIRED:
        rows = rows.filter(expires_at__lte=Now())
    ended = rows.update(state=state, error_code=code, error_detail=detail, completed_at=Now())
    if ended:
        metrics.UPLOADS.add(outcome=_OUTCOMES[state])
    return bool(ended)


def _refuse_file(upload: Upload, head: bytes) -> None:
    _end(upload, UploadState.FAILED, code="not_a_video", detail=_sentence(refusal(head)))


def upload_refuse(*, upload: Upload, head: bytes, store: ObjectStore) -> None:
    """End an open upload whose first bytes are those of no video. Raises Problem (422) that says so."""
    _refuse_file(upload, head)
    upload.refresh_from_db()
    upload_clear(upload=upload, store=store)
    refuse_over(upload)


_OUTCOMES: Mapping[UploadState, str] = {
    UploadState.FAILED: "refused",
    UploadState.ABORTED: "broken off",
    UploadState.EXPIRED: "broken off",
}


def upload_abort(*, owner: Owner, upload_id: UUID, store: ObjectStore) -> None:
    """Abort an upload, and remove what arrived. May be repeated, and does nothing to one that has failed or expired.

    Raises Problem: 404 not the owner's, 409 it is a video already.
    """
    upload = upload_of(owner, upload_id)
    _end(upload, UploadState.ABORTED)
    upload.refresh_from_db()
    if upload.state in COMPLETE_STATES:
        detail = "The upload is complete. Delete the video instead."
        raise Problem(status=409, code="upload_complete", detail=detail)
    upload_clear(upload=upload, store=store)


def upload_verified(*, video_id: UUID) -> None:
    """Mark the upload of a video as ready whose checksum is the promised one."""
    Upload.objects.filter(video_id=video_id, state=UploadState.VERIFYING).update(state=UploadState.READY)


def upload_end_with_video(*, video: Video, code: str = "", detail: str = "") -> None:
    """End the upload of a locked video that was rejected, with a code, or deleted, while it was being verified."""
    state = UploadState.FAILED if code else UploadState.ABORTED
    verifying = Upload.objects.filter(video_id=video.id, state=UploadState.VERIFYING)
    verifying.update(state=state, error_code=code, error_detail=detail)


def upload_expire(*, upload: Upload, store: ObjectStore) -> None:
    """End an open upload whose client is gone, and remove what arrived."""
    if _end(upload, UploadState.EXPIRED):
        upload_clear(upload=upload, store=store)


def upload_clear(*, upload: Upload, store: ObjectStore) -> None:
    """Remove everything of an upload that has ended without a video. May be repeated; the janitor does so.

    The object, too: a process may have been killed after the store made it of the parts.
    """
    if upload.multipart_id:
        store.abort_multipart(upload.key, upload.multipart_id)
    store.delete([upload.key])
    _delete_tails(upload, store)
    Upload.objects.filter(id=upload.id).update(multipart_id="")


def _delete_tails(upload: Upload, store: ObjectStore) -> None:
    """Delete the bytes of a tus upload that were too few for a part, those of earlier requests included."""
    if upload.protocol == UploadProtocol.TUS:
        store.delete_prefix(tails_prefix(upload.video_id))
