"""Uploads in parts: resumable, straight into the object store, and transcoded when they are complete."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Self
from uuid import UUID

from django.http import HttpResponseBase
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from access.authentication import caller, owner_of
from access.callers import Caller
from access.idempotency import idempotent
from access.rates import check_upload_rate
from access.scopes import Scope
from api.fields import Checksum, ExternalId, Metadata, StrictBoolean, StrictInteger, StrictSerializer
from api.problems import FieldError, Problem, invalid_field
from api.responses import as_document
from api.schema import IDEMPOTENCY_KEY, PAGE_PARAMETERS, page_of
from api.views import APIView
from jobs.endpoints.retention import MAX_RETENTION_DAYS
from jobs.endpoints.transcoding import TranscodeField, TranscodeRequested
from jobs.lifecycle.uploads import transcode_check
from jobs.wiring import job_policy, on_upload_recorded
from transcoding.errors import RequestUnfit
from videos.models import Upload
from videos.playback import wiring
from videos.queries import INSPECTED
from videos.states import UploadProtocol
from videos.uploads.documents import FIRST_PARTS, PartAddresses, upload_document, upload_summary
from videos.uploads.form import NO_NAME
from videos.uploads.selectors import refuse_over, refuse_parts, upload_of, uploads_of
from videos.uploads.serializers import (
    CompleteRequest,
    FileName,
    PartNumbers,
    PartUrls,
    ReceivedPart,
    UploadDocument,
    UploadQuery,
    UploadSummary,
)
from videos.uploads.services import (
    MultipartSlot,
    UploadLabels,
    multipart_discard,
    multipart_open,
    upload_abort,
    upload_complete,
    upload_create,
    upload_renew,
)
from videos.uploads.wiring import open_limits, quick_look

_MAX_SIZE = 2**53
"""Numbers beyond are no exact ones in JSON, as most programs read it."""


class UploadRequest(StrictSerializer):
    """The file that will be sent, and the labels of the video that it becomes."""

    size = StrictInteger(min_value=1, max_value=_MAX_SIZE, help_text="Bytes of the whole file.")
    filename = FileName(help_text="Its name, which is only shown.")
    checksum = Checksum(
        required=False,
        help_text="sha256: and the hex digest of the whole file. What arrives is compared with it before the video can"
        " be used.",
    )
    external_id = ExternalId(help_text="Your own name for the video.")
    metadata = Metadata(reserved=INSPECTED)
    loudness = StrictBoolean(required=False, help_text="Measure how loud the audio is (EBU R 128).")
    source_retention_days = StrictInteger(
        required=False,
        min_value=1,
        max_value=MAX_RETENTION_DAYS,
        help_text="Delete the source after so many days, whatever its owner's limit is.",
    )
    transcode = TranscodeField(
        required=False, help_text="Transcode the video when it is there: the body of `POST …/transcode`."
    )


_EXAMPLE = OpenApiExample(
    "a file to transcode",
    request_only=True,
    value={
        "filename": "holiday.mp4",
        "size": 734003200,
        "external_id": "asset-17",
        "metadata": {"project": "summer"},
        "transcode": {"codec": "h264"},
    },
)
_COMPLETE = OpenApiExample(
    "two parts",
    request_only=True,
    value={
        "parts": [
            {"number": 1, "etag": "9b2cf535f27731c974343645a3985328"},
            {"number": 2, "etag": "1c383cd30b7c298ab50293adfecb7b18"},
        ]
    },
)
_DIGEST = OpenApiParameter(
    "Content-Digest",
    str,
    OpenApiParameter.HEADER,
    description="RFC 9530, `sha-256=:…:` of the body, which is compared; or `Content-MD5`.",
)


class UploadListApi(APIView):
    scopes: ClassVar = {"GET": Scope.VIDEOS_READ, "POST": Scope.VIDEOS_WRITE}

    @extend_schema(
        operation_id="upload_list", parameters=[UploadQuery, *PAGE_PARAMETERS], responses=page_of(UploadSummary)
    )
    def get(self, request: Request) -> Response:
        """List uploads in parts, newest first."""
        pages, page = UploadQuery.page(uploads_of(owner_of(request)), request)
        return pages.get_paginated_response([upload_summary(upload, request) for upload in page])

    @extend_schema(
        operation_id="upload_create",
        parameters=[IDEMPOTENCY_KEY],
        request=UploadRequest,
        responses={201: UploadDocument},
        examples=[_EXAMPLE],
    )
    def post(self, request: Request) -> HttpResponseBase:
        """Open an upload in parts.

        Send each part with PUT to its URL, in any order, several at a time, and again whenever one fails. Then complete
        the upload. An interrupted client gets from the upload's own URL which parts are there. A repetition of this
        request by its Idempotency-Key has no URLs of parts: request them.
        """
        with UploadOpening(caller(request)) as opening:

            def check(request: Request) -> None:
                opening.check(UploadRequest(data=request.data, context={"caller": caller(request)}))

            def create(_view: APIView, request: Request) -> Response:
                return _opened(opening.create(), request)

            return idempotent(check=check, stored=_without_urls)(create)(self, request)


class UploadOpening:
    """The request that opens an upload: what it opened in the store is removed unless a row names it."""

    def __init__(self, caller: Caller, protocol: UploadProtocol = UploadProtocol.PARTS) -> None:
        self._caller = caller
        self._owner = caller.owner
        self._protocol = protocol
        self._fields: dict[str, Any] = {}
        self._slot: MultipartSlot | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._slot is not None:
            multipart_discard(slot=self._slot, store=wiring.store())

    def check(self, serializer: UploadRequest) -> None:
        """Validate, and open the multipart upload: that calls the store, which must not hold a transaction."""
        serializer.is_valid(raise_exception=True)
        self._fields = serializer.validated_data
        requested: TranscodeRequested | None = self._fields.get("transcode")
        if requested:
            with _within("transcode"):
                transcode_check(owner_id=self._owner.id, fields=requested.fields, policy=job_policy())
        check_upload_rate(self._caller)
        size = self._fields.get("size")
        self._slot = multipart_open(owner=self._owner, size_bytes=size, store=wiring.store(), limits=open_limits())

    def create(self) -> Upload:
        """Record the upload."""
        if self._slot is None:
            raise AssertionError("an upload is checked before it is created")
        fields = self._fields
        requested: TranscodeRequested | None = fields.get("transcode")
        labels = UploadLabels(
            filename=fields.get("filename") or NO_NAME,
            sha256=fields.get("checksum", ""),
            external_id=fields.get("external_id", ""),
            client_metadata=fields.get("metadata"),
            measure_loudness=fields.get("loudness", False),
            source_retention_days=fields.get("source_retention_days"),
            transcode=requested.to_json() if requested else None,
        )
        upload = upload_create(
            owner=self._owner,
            slot=self._slot,
            size_bytes=fields.get("size"),
            labels=labels,
            limits=open_limits(),
            protocol=self._protocol,
        )
        self._slot = None
        return upload


def _opened(upload: Upload, request: Request) -> Response:
    """Respond with a new upload and the URLs of its first parts."""
    first = range(1, min(upload.part_count or 0, FIRST_PARTS) + 1)
    document = upload_document(upload, request, wiring.store(), parts=_urls(upload, first, request), new=True)
    return Response(document, 201, headers={"Location": reverse("upload-detail", args=[upload.id])})


def _without_urls(document: dict[str, Any]) -> dict[str, Any]:
    """Return what is stored of a response: presigned URLs are secrets, and expire."""
    return {**document, "parts": []}


@contextmanager
def _within(field: str) -> Iterator[None]:
    """Name the field in problems of a request that is part of another one."""
    try:
        yield
    except RequestUnfit as error:
        raise invalid_field(f"{field}.{error.field}", str(error)) from error
    except Problem as problem:
        problem.errors = tuple(FieldError(f"{field}.{error.field}", error.detail) for error in problem.errors)
        raise


class UploadDetailApi(APIView):
    scopes: ClassVar = {"GET": Scope.VIDEOS_READ, "DELETE": Scope.VIDEOS_WRITE}

    @extend_schema(operation_id="upload_detail", responses=UploadDocument)
    def get(self, request: Request, upload_id: UUID) -> Response:
        """Show an upload in parts, and which of them are there.

        Where `received` is its size and its state is still open, complete it.
        """
        upload = upload_of(owner_of(request), upload_id)
        return Response(upload_document(upload, request, wiring.store()))

    @extend_schema(operation_id="upload_abort", responses={204: None})
    def delete(self, request: Request, upload_id: UUID) -> Response:
        """Abort an upload in parts.

        What has arrived is removed. One that is complete is a video: 409 `upload_complete`, delete that instead.
        """
        upload_abort(owner=owner_of(request), upload_id=upload_id, store=wiring.store())
        return Response(status=204)


class UploadPartsApi(APIView):
    scopes: ClassVar = {"POST": Scope.VIDEOS_WRITE}

    @extend_schema(operation_id="upload_parts", request=PartNumbers, responses={200: PartUrls})
    def post(self, request: Request, upload_id: UUID) -> Response:
        """Get the URLs of parts.

        They expire after an hour, or what TRANSCODER_PRESIGN_SECONDS says. The upload itself expires 24 hours after the
        last request of this kind, or the last part that was sent through the API.
        """
        serializer = PartNumbers(data=request.data)
        serializer.is_valid(raise_exception=True)
        upload = upload_of(owner_of(request), upload_id)
        refuse_parts(upload)
        refuse_over(upload)
        urls = _urls(upload, serializer.validated_data["numbers"], request)
        upload_renew(upload=upload, limits=open_limits())
        return Response(as_document(PartUrls, {"parts": urls}))


class UploadPartApi(APIView):
    """The route of parts for the schema, and for every method but PUT.

    `videos.uploads.part_route` in front of Django handles PUT, which gets here only when that is missing.
    """

    scopes: ClassVar = {"PUT": Scope.VIDEOS_WRITE}

    @extend_schema(
        operation_id="upload_part",
        parameters=[_DIGEST],
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={200: ReceivedPart},
    )
    def put(self, request: Request, upload_id: UUID, number: int) -> Response:  # noqa: ARG002 - REST framework's signature
        """Send a part through the API.

        The body is its bytes: `part_size` of them, or what is left for the last part. It may be sent again.
        """
        raise Problem(status=501, code="not_served", detail="Uploads need the ASGI application of this site.")


class UploadCompleteApi(APIView):
    scopes: ClassVar = {"POST": Scope.VIDEOS_WRITE}

    @extend_schema(
        operation_id="upload_complete", request=CompleteRequest, responses={200: UploadDocument}, examples=[_COMPLETE]
    )
    def post(self, request: Request, upload_id: UUID) -> Response:
        """Complete an upload in parts.

        The video is there when the response is, and is inspected at once, or compared with its checksum first. May be
        repeated. 409 `parts_missing` and 422 `parts_wrong` name parts; the upload stays open for them.
        """
        serializer = CompleteRequest(data=request.data)
        serializer.is_valid(raise_exception=True)
        parts = serializer.validated_data.get("parts", [])
        upload = upload_complete(
            owner=owner_of(request),
            upload_id=upload_id,
            store=wiring.store(),
            etags={part["number"]: part["etag"].strip('"') for part in parts},
            look=quick_look().now,
            recorded=on_upload_recorded,
        )
        return Response(upload_document(upload, request, wiring.store()))


def _urls(upload: Upload, numbers: Sequence[int], request: Request) -> list[dict[str, Any]]:
    delivery = wiring.delivery()
    urls = PartAddresses(store=wiring.store(), direct=delivery.redirects, seconds=delivery.presign_seconds)
    return urls.of(upload, numbers, request)
