"""Reads of uploads, and of the parts that the store has of them."""

from collections.abc import Sequence
from uuid import UUID

from django.db.models import QuerySet

from access.models import Owner
from api.problems import Problem, not_found
from storage.errors import ObjectNotFound, UploadNotFound
from storage.protocol import ObjectStore, StoredPart
from videos.models import Upload
from videos.states import UploadProtocol, UploadState


def uploads_of(owner: Owner) -> QuerySet[Upload]:
    """Select the uploads of an owner, unordered."""
    return Upload.objects.filter(owner=owner)


def upload_of(owner: Owner, upload_id: UUID) -> Upload:
    """Find an upload of an owner. Raises Problem (404)."""
    upload = next(iter(uploads_of(owner).filter(id=upload_id)), None)  # `first` would build an order for one row
    if upload is None:
        raise not_found("upload")
    return upload


def received_parts(upload: Upload, store: ObjectStore) -> Sequence[StoredPart] | None:
    """List the parts of an open upload in the store. None: the store has made the object of them already.

    That happens where a process was killed, or an answer was lost, on the way from there to the row. Completing the
    upload records it.
    """
    try:
        return list(store.list_parts(upload.key, upload.multipart_id))
    except UploadNotFound:
        try:
            store.head(upload.key)
        except ObjectNotFound:
            return ()
        return None


def refuse_parts(upload: Upload) -> None:
    """Raise Problem (409) for an upload that takes no parts from clients: they would get between those of its own."""
    if upload.protocol == UploadProtocol.TUS:
        detail = "The bytes of this upload come by tus."
        raise Problem(status=409, code="upload_by_tus", detail=detail)


def refuse_over(upload: Upload) -> None:
    """Raise Problem unless parts of an upload may still arrive: 409, or 422 with what was wrong with the file."""
    if upload.state == UploadState.FAILED:
        raise Problem(status=422, code=upload.error_code, detail=upload.error_detail)
    if upload.state != UploadState.OPEN:
        detail = f"The upload is {upload.state}: nothing more is taken."
        raise Problem(status=409, code="upload_over", detail=detail)
