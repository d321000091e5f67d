"""The object that a store makes of the parts of an upload."""

from collections.abc import Mapping, Sequence

from api.problems import FieldError, Problem
from storage.errors import ObjectNotFound, UploadNotFound
from storage.protocol import ObjectStore, StoredObject, StoredPart
from videos.models import Upload
from videos.states import UploadProtocol

_MAX_NAMED = 20
"""Parts that a problem names."""
_CHANGED = "Parts changed while the upload was completed. Complete it again."


class UploadDamaged(Exception):
    """The bytes that arrived are lost, and their client cannot mend that: the upload has failed."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def sealed(upload: Upload, store: ObjectStore, etags: Mapping[int, str]) -> StoredObject:
    """Return the object that the store makes of the parts, or has made of them already.

    Raises Problem: 409 parts are missing or changed, 422 parts are wrong; and UploadDamaged.
    """
    if upload.protocol == UploadProtocol.TUS:
        return _sealed_tus(upload, store)
    try:
        parts = list(store.list_parts(upload.key, upload.multipart_id))
    except UploadNotFound:
        return _sealed_before(upload, store)
    _check_parts(upload, parts, etags)
    # Some stores (SeaweedFS) list either of a part that was sent twice in a second. The client knows which is right.
    chosen = [etags.get(part.number, part.etag) for part in parts]
    try:
        stored = store.complete_multipart(upload.key, upload.multipart_id, chosen)
    except UploadNotFound as error:
        differing = [
            (part.number, f"has the etag {part.etag}, not {etag}")
            for part, etag in zip(parts, chosen, strict=True)
            if part.etag != etag
        ]
        if differing:
            raise _parts_problem(422, "parts_wrong", differing) from error
        raise Problem(
            status=409, code="parts_changed", detail=_CHANGED, retryable=True
        ) from error  # one was sent again
    return stored


def _sealed_before(upload: Upload, store: ObjectStore) -> StoredObject:
    """Return the object of an upload whose multipart upload is not there any more.

    An earlier request got as far as that: its answer was lost, or its process was killed before the row was written.
    """
    try:
        return store.head(upload.key)
    except ObjectNotFound:
        raise UploadDamaged("upload_lost", "The store has removed what arrived. Upload the file again.") from None


def _sealed_tus(upload: Upload, store: ObjectStore) -> StoredObject:
    """Return the object of a tus upload. Its parts are those of the row: others may lie beside them."""
    if upload.received_bytes != upload.size_bytes:
        detail = f"{upload.received_bytes} bytes of the upload have arrived. Send the others first."
        raise Problem(status=409, code="upload_incomplete", detail=detail)
    try:
        return store.complete_multipart(upload.key, upload.multipart_id, upload.part_etags)
    except UploadNotFound as error:
        try:
            there = {part.number: part.etag for part in store.list_parts(upload.key, upload.multipart_id)}
        except UploadNotFound:
            return _sealed_before(upload, store)
        _refuse_changed(upload, there)
        raise Problem(status=409, code="parts_changed", detail=_CHANGED, retryable=True) from error


def _refuse_changed(upload: Upload, there: Mapping[int, str]) -> None:
    """Raise UploadDamaged if the store has other parts of a tus upload: its client thinks that it has sent them.

    A request that lost the upload to another one may have had a part on its way.
    """
    recorded = enumerate(upload.part_etags, start=1)
    if numbers := [str(number) for number, etag in recorded if there.get(number) != etag]:
        detail = f"The store has other bytes in part {', '.join(numbers[:_MAX_NAMED])}. Upload the file again."
        raise UploadDamaged("parts_wrong", detail)


def _check_parts(upload: Upload, parts: Sequence[StoredPart], etags: Mapping[int, str]) -> None:
    """Raise Problem for parts that are missing (409), of a wrong size, too many, or unknown to the store (422)."""
    there = {part.number: part for part in parts}
    numbers = range(1, (upload.part_count or 0) + 1)
    if missing := [number for number in numbers if number not in there]:
        raise _parts_problem(409, "parts_missing", [(number, "is missing") for number in missing])
    wrong = [
        (number, f"has {part.size} bytes and must have {upload.part_size(number)}")
        for number, part in there.items()
        if part.size != upload.part_size(number)
    ]
    wrong += [(number, "does not exist") for number in etags if number not in there]
    if wrong:
        raise _parts_problem(422, "parts_wrong", wrong)


def _parts_problem(status: int, code: str, faults: Sequence[tuple[int, str]]) -> Problem:
    """Build the problem of parts, each with what is wrong with it; it names the first of them."""
    named = faults[:_MAX_NAMED]
    more = f" and {len(faults) - len(named)} more" if len(faults) > len(named) else ""
    numbers = ", ".join(str(number) for number, _ in named)
    detail = f"Parts {numbers}{more} are missing or wrong. Send them again, then complete the upload."
    errors = tuple(FieldError(f"parts.{number}", f"part {number} {what}") for number, what in named)
    return Problem(status=status, code=code, detail=detail, errors=errors)
