"""Locks of tus uploads: one request at a time appends to an upload, whichever process it reached.

A lock lasts as long as its request is renewed, which it is while bytes arrive or the store takes them. A client whose
connection broke without a word, or whose process was killed, can go on after `LOCK_SECONDS`. The number of the lock
fences every write: a request that lost it records nothing more.
"""

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now

from access.models import Owner
from api.problems import Problem, invalid_field, not_found, too_large
from videos.models import Upload
from videos.states import UploadProtocol, UploadState
from videos.uploads.limits import OpenLimits
from videos.uploads.selectors import refuse_over, uploads_of
from videos.uploads.services import check_size
from videos.uploads.tus.appending import Stored
from videos.usage.quotas import quota_keep

LOCK_SECONDS = 5.0
"""tus-js-client and Uppy try for 9 s by default, and a silence is noticed after about 2 s."""
_RETRY_AFTER_SECONDS = 2


def tus_upload_of(owner: Owner, upload_id: UUID) -> Upload:
    """Find a tus upload of an owner. Raises Problem: 404, 410 it was aborted or has expired, 422 it has failed."""
    upload = next(iter(uploads_of(owner).filter(id=upload_id, protocol=UploadProtocol.TUS)), None)
    if upload is None:
        raise not_found("upload")
    if upload.state in (UploadState.ABORTED, UploadState.EXPIRED):
        detail = f"The upload is {upload.state}. Start a new one."
        raise Problem(status=410, code=f"upload_{upload.state}", detail=detail)
    if upload.state == UploadState.FAILED:
        refuse_over(upload)
    return upload


@transaction.atomic
def upload_lock(  # noqa: PLR0913 - what a request says about itself
    *, owner: Owner, upload_id: UUID, offset: int, length: int | None, size_bytes: int | None, limits: OpenLimits
) -> Upload:
    """Lock an upload for a request that appends `length` bytes (None: unknown) at `offset`.

    `size_bytes` is the size of the whole file, if the request says it.

    Raises Problem: 403 over quota, 404, 409 another offset or no more bytes, 410, 413, 422, 423 another one appends.
    """
    free = Q(locked_until=None) | Q(locked_until__lt=Now())
    rows = uploads_of(owner).filter(id=upload_id, protocol=UploadProtocol.TUS)
    taken = rows.filter(free, state=UploadState.OPEN, received_bytes=offset).update(
        lock_number=F("lock_number") + 1, locked_until=_lock_end()
    )
    upload = tus_upload_of(owner, upload_id)
    if not taken:
        _refuse(upload, offset, locked=not rows.filter(free).exists())
    was_deferred = upload.size_bytes is None
    if size_bytes is not None:
        _set_size(upload, size_bytes, limits)
    max_bytes = limits.max_bytes if upload.size_bytes is None else upload.size_bytes
    if offset + (length or 0) > max_bytes:
        raise too_large(f"The upload has {max_bytes} bytes, and {offset} of them are here.", field="Content-Length")
    if was_deferred and upload.size_bytes is not None:
        quota_keep(owner.id, field="Upload-Length")
    return upload


def upload_held(*, upload: Upload) -> bool:
    """Check that a lock is not lost to another request, or by the end of the upload."""
    return _held(upload).exists()


def upload_lock_renew(*, upload: Upload) -> bool:
    """Renew a lock. False: it is lost."""
    return bool(_held(upload).update(locked_until=_lock_end()))


def upload_record(*, upload: Upload, stored: Stored) -> bool:
    """Record what is stored, and renew the lock. False: it is lost."""
    return bool(_held(upload).update(locked_until=_lock_end(), **_columns(stored)))


def upload_unlock(*, upload: Upload, stored: Stored) -> bool:
    """Record what is stored, and end the lock. False: it is lost."""
    return bool(_held(upload).update(locked_until=None, **_columns(stored)))


def _held(upload: Upload) -> QuerySet[Upload]:
    return Upload.objects.filter(id=upload.id, state=UploadState.OPEN, lock_number=upload.lock_number)


def _columns(stored: Stored) -> dict[str, object]:
    return {
        "received_bytes": stored.received_bytes,
        "part_etags": list(stored.part_etags),
        "tail_bytes": stored.tail_bytes,
        "tail_key": stored.tail_key,
    }


def _refuse(upload: Upload, offset: int, *, locked: bool) -> None:
    """Say why an upload cannot be locked."""
    refuse_over(upload)
    if locked:
        raise upload_locked()
    detail = f"Upload-Offset is {offset}, and the upload has {upload.received_bytes} bytes."
    raise Problem(
        status=409, code="offset_mismatch", detail=detail, headers={"Upload-Offset": str(upload.received_bytes)}
    )


def upload_locked() -> Problem:
    """Build the problem (423) of a request that finds or lost the lock to another one."""
    return Problem(
        status=423,
        code="upload_locked",
        detail="Another request sends bytes of this upload.",
        retryable=True,
        headers={"Retry-After": str(_RETRY_AFTER_SECONDS)},
    )


def _set_size(upload: Upload, size_bytes: int, limits: OpenLimits) -> None:
    """Set the size of an upload that its client deferred. Raises Problem (400, 413) if it cannot be that."""
    if upload.size_bytes not in (None, size_bytes):
        raise invalid_field("Upload-Length", "was said before, and cannot change", code="invalid_header", status=400)
    check_size(size_bytes, limits)
    if size_bytes < max(1, upload.received_bytes):
        detail = f"must be at least {max(1, upload.received_bytes)}"
        raise invalid_field("Upload-Length", detail, code="invalid_header", status=400)
    upload.size_bytes = size_bytes
    Upload.objects.filter(id=upload.id).update(size_bytes=size_bytes)


def _lock_end() -> CombinedExpression:
    return Now() + timedelta(seconds=LOCK_SECONDS)
