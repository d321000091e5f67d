"""Documents of uploads, from their rows and from the store."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from api.responses import as_document
from api.wiring import absolute_url
from storage.protocol import ObjectStore, StoredPart
from videos.models import Upload
from videos.states import COMPLETE_STATES, UploadProtocol, UploadState
from videos.uploads.selectors import received_parts
from videos.uploads.serializers import UploadDocument, UploadSummary
from videos.uploads.services import part_size

FIRST_PARTS = 100
"""Parts whose URLs are in the response to the request that opens an upload: a gigabyte, by default."""


def upload_summary(upload: Upload, request: HttpRequest) -> dict[str, Any]:
    """Render an upload without what only the store knows."""
    document: dict[str, Any] = as_document(UploadSummary, _facts(upload, request))
    return document


def upload_document(
    upload: Upload, request: HttpRequest, store: ObjectStore, *, parts: Sequence[dict[str, Any]] = (), new: bool = False
) -> dict[str, Any]:
    """Render an upload, with the parts that the store has: none of a new one. `parts`: URLs to send them to."""
    there = () if new else _received(upload, store)
    received = upload.size_bytes if there is None else sum(part.size for part in there)
    if upload.protocol == UploadProtocol.TUS and upload.state == UploadState.OPEN:
        received = upload.received_bytes
    shown = {
        **_facts(upload, request),
        "received": received,
        "received_parts": [{"number": part.number, "size": part.size, "etag": part.etag} for part in there or ()],
        "parts": parts,
    }
    document: dict[str, Any] = as_document(UploadDocument, shown)
    return document


@dataclass(frozen=True, slots=True, kw_only=True)
class PartAddresses:
    """URLs for parts: those of the store, for so many seconds, or of this API where clients cannot reach the store."""

    store: ObjectStore
    direct: bool
    seconds: int

    def of(self, upload: Upload, numbers: Sequence[int], request: HttpRequest) -> list[dict[str, Any]]:
        """Render the URLs of parts. Raises Problem (422) for a number that no part has."""
        sizes = {number: part_size(upload, number) for number in numbers}
        direct = self.direct and bool(sizes)
        urls = self.store.part_urls(upload.key, upload.multipart_id, sizes, self.seconds) if direct else {}

        def url(number: int) -> str:
            return urls.get(number) or absolute_url(request, reverse("upload-part", args=[upload.id, number]))

        return [{"number": number, "size": sizes[number], "url": url(number)} for number in numbers]


def _received(upload: Upload, store: ObjectStore) -> Sequence[StoredPart] | None:
    """List the parts in the store. None: all that was promised is there, and is no multipart upload any more."""
    if upload.state == UploadState.OPEN:
        return received_parts(upload, store)
    return None if upload.state in COMPLETE_STATES else ()


def _facts(upload: Upload, request: HttpRequest) -> dict[str, Any]:
    error = {"code": upload.error_code, "detail": upload.error_detail} if upload.error_code else None
    return {
        "id": upload.id,
        "url": absolute_url(request, reverse("upload-detail", args=[upload.id])),
        "state": upload.state,
        "protocol": upload.protocol,
        "filename": upload.filename,
        "size": upload.size_bytes,
        "part_size": upload.part_bytes,
        "part_count": upload.part_count,
        "external_id": upload.external_id or None,
        "metadata": upload.client_metadata,
        "video_id": upload.video_id if upload.completed_at and upload.state in COMPLETE_STATES else None,
        "job_id": upload.job_id,
        "error": error,
        "created_at": upload.created_at,
        "expires_at": upload.expires_at,
        "completed_at": upload.completed_at,
    }
