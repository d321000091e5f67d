"""Uploads by tus: what opens one, and the operations in the schema.

`videos.uploads.tus` in front of Django handles them, and requests get here only when that is missing.
"""

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from access.callers import Caller
from access.idempotency import (
    StoredResponse,
    checked_key,
    claim_complete,
    claim_or_response,
    claim_release,
    fingerprint_of,
)
from access.scopes import Scope
from api.problems import Problem
from api.schema import IDEMPOTENCY_KEY
from api.views import APIView
from jobs.endpoints.uploads import UploadOpening, UploadRequest
from videos.models import Upload
from videos.states import UploadProtocol
from videos.uploads.tus import protocol
from videos.uploads.tus.locks import tus_upload_of

_BYTES = {"type": "integer", "minimum": 0}


class _TusUploadRequest(UploadRequest):
    """The same fields as in JSON, but that the size may come later."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - REST framework's
        super().__init__(*args, **kwargs)
        self.fields["size"].required = False


def tus_upload_open(caller: Caller, fields: Mapping[str, Any], size_bytes: int | None, key: str | None) -> Upload:
    """Open a tus upload; `size_bytes` None: its client says it later.

    A repetition by its Idempotency-Key returns the upload of the first request. Raises Problem and ValidationError.
    """
    data = dict(fields) if size_bytes is None else {**fields, "size": size_bytes}
    if checked_key(key) is None:
        with UploadOpening(caller, UploadProtocol.TUS) as opening:
            opening.check(_TusUploadRequest(data=data, context={"caller": caller}))
            return opening.create()
    fingerprint = fingerprint_of(["POST", "tus", repr(sorted(data.items()))])
    claim = claim_or_response(owner=caller.owner, key=key or "", fingerprint=fingerprint)
    if isinstance(claim, StoredResponse):
        return tus_upload_of(caller.owner, UUID(claim.body))
    try:
        with UploadOpening(caller, UploadProtocol.TUS) as opening:
            opening.check(_TusUploadRequest(data=data, context={"caller": caller}))
            with transaction.atomic():
                upload = opening.create()
                claim_complete(claim, StoredResponse(status=201, body=str(upload.id), location=""))
    except BaseException:
        claim_release(claim)
        raise
    return upload


def _header(
    name: str,
    kind: Any,  # noqa: ANN401 - a type or a schema
    about: str,
    *,
    required: bool = False,
    statuses: tuple[int, ...] = (),
) -> OpenApiParameter:
    """Describe a header of a request or, with statuses, of those responses."""
    response = list(statuses) or False
    return OpenApiParameter(
        name, kind, OpenApiParameter.HEADER, description=about, required=required, response=response
    )  # fmt: skip


_VERSION = _header("Tus-Resumable", {"type": "string", "enum": [protocol.VERSION]}, "The protocol.", required=True)
_CHECKSUM = _header(
    "Upload-Checksum",
    str,
    f"Checksum of the body: one of {', '.join(protocol.ALGORITHMS)}, a space, and its Base64. Status 460 where it is"
    " another one: nothing of the body is kept.",
)
_OFFSET_NOW = _header("Upload-Offset", _BYTES, "Bytes that are stored.", statuses=(200, 201, 204))
_EXPIRES = _header("Upload-Expires", str, "When it expires, if nothing arrives before.", statuses=(200, 201, 204))


class TusUploadsApi(APIView):
    scopes: ClassVar = {"POST": Scope.VIDEOS_WRITE}

    @extend_schema(
        operation_id="tus_create",
        tags=["uploads"],
        parameters=[
            _VERSION,
            _header("Upload-Length", _BYTES, "Bytes of the whole file."),
            _header("Upload-Defer-Length", {"type": "string", "enum": ["1"]}, "Instead: a PATCH will say it."),
            _header(
                "Upload-Metadata",
                str,
                "Names, each with a space and the Base64 of its value, apart by commas: `filename`, `external_id`,"
                " `checksum`, and as JSON `metadata`, `loudness`, `source_retention_days`, `transcode`, as in"
                " `POST /api/v1/uploads`.",
            ),
            _CHECKSUM,
            IDEMPOTENCY_KEY,
            _header("Location", str, "Path of the upload, for HEAD, PATCH and DELETE.", statuses=(201,)),
            _OFFSET_NOW,
            _EXPIRES,
        ],
        request={protocol.BODY_TYPE: OpenApiTypes.BINARY},
        responses={201: OpenApiResponse(description="Created; `Location` has its path.")},
    )
    def post(self, request: Request) -> Response:  # noqa: ARG002 - REST framework's signature
        """Open an upload by tus 1.0.

        A body is the beginning of the file. OPTIONS names the extensions that are there.
        """
        raise _not_served()


class TusUploadApi(APIView):
    scopes: ClassVar = {"GET": Scope.VIDEOS_WRITE, "PATCH": Scope.VIDEOS_WRITE, "DELETE": Scope.VIDEOS_WRITE}

    @extend_schema(
        operation_id="tus_offset",
        tags=["uploads"],
        parameters=[
            _VERSION,
            _OFFSET_NOW,
            _header("Upload-Length", _BYTES, "Bytes of the whole file, once they are known.", statuses=(200,)),
            _EXPIRES,
        ],
        responses={200: OpenApiResponse(description="Nothing but headers.")},
    )
    def head(self, request: Request, upload_id: UUID) -> Response:  # noqa: ARG002 - REST framework's signature
        """Get how much of an upload by tus is stored.

        After its end, `GET /api/v1/uploads/{id}` has its video.
        """
        raise _not_served()

    @extend_schema(
        operation_id="tus_append",
        tags=["uploads"],
        parameters=[
            _VERSION,
            _header("Upload-Offset", _BYTES, "Position of the first byte: 409 if it is another one.", required=True),
            _header("Upload-Length", _BYTES, "Bytes of the whole file, if they were deferred."),
            _CHECKSUM,
            _header("Upload-Offset", _BYTES, "Bytes that are stored.", statuses=(204,)),
            _EXPIRES,
        ],
        request={protocol.BODY_TYPE: OpenApiTypes.BINARY},
        responses={204: OpenApiResponse(description="Stored; the video is there when it was the last byte.")},
    )
    def patch(self, request: Request, upload_id: UUID) -> Response:  # noqa: ARG002 - REST framework's signature
        """Send bytes of an upload by tus.

        The body may end anywhere. What arrives of a body that breaks off is kept, unless it has a checksum. Status 423:
        another request is sending.
        """
        raise _not_served()

    @extend_schema(operation_id="tus_abort", tags=["uploads"], parameters=[_VERSION], responses={204: None})
    def delete(self, request: Request, upload_id: UUID) -> Response:  # noqa: ARG002 - REST framework's signature
        """Abort an upload by tus.

        What has arrived is removed.
        """
        raise _not_served()


def _not_served() -> Problem:
    return Problem(status=501, code="not_served", detail="Uploads need the ASGI application of this site.")
