"""The endpoint that imports videos."""

from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from django.http import HttpResponseBase
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from access.authentication import caller, owner_of
from access.idempotency import idempotent
from access.models import Owner
from access.rates import check_upload_rate
from access.scopes import Scope
from api.fields import Checksum, ExternalId, Metadata, StrictBoolean, StrictSerializer
from api.outbound_urls import OutboundUrl, host_check
from api.schema import IDEMPOTENCY_KEY
from api.views import APIView
from jobs.endpoints.transcoding import TranscodeField, TranscodeRequested
from jobs.lifecycle.importing import video_import_request
from jobs.wiring import buckets, import_reach, job_policy
from storage.buckets import SCHEME, bucket_url_parts
from storage.errors import InvalidKey
from storage.keys import check_key
from videos.documents import video_document
from videos.queries import INSPECTED
from videos.serializers import VideoDocument

_MAX_URL_LENGTH = 4096
_MAX_FILENAME = 255


class ImportUrl(OutboundUrl):
    """An HTTPS URL, or the key of an object in a bucket. The serializer's context has the caller."""

    def to_internal_value(self, data: str) -> str:
        if not isinstance(data, str) or not data.startswith(SCHEME):
            return super().to_internal_value(data)
        owner: Owner = self.context["caller"].owner
        alias, key = bucket_url_parts(data)
        bucket = buckets().importable(alias, owner.name, str(owner.id))
        if bucket is None:
            raise serializers.ValidationError(f"there is no bucket {alias[:63]!r} that you may import from")
        try:
            check_key(f"{bucket.prefix}{key}")
        except InvalidKey:
            raise serializers.ValidationError("must name an object in the bucket") from None
        return data


class ImportRequest(StrictSerializer):
    """The URL of a video, and its labels."""

    url = ImportUrl(
        reach=import_reach,
        max_length=_MAX_URL_LENGTH,
        help_text="An HTTPS URL, or `s3://ALIAS/KEY` of a bucket that the operator allows. What grants access in it is"
        " not shown to anybody, and forgotten at the end.",
    )
    filename = serializers.CharField(
        max_length=_MAX_FILENAME, required=False, help_text="Default: the last part of the URL's path."
    )
    checksum = Checksum(required=False, help_text="What the file must have, or it is rejected.")
    external_id = ExternalId(help_text="Your own name for it.")
    metadata = Metadata(reserved=INSPECTED)
    loudness = StrictBoolean(required=False, help_text="Measure how loud the audio is, as of an upload.")
    transcode = TranscodeField(required=False, help_text="Queue a job, too: the body of a request to transcode it.")

    def validate_filename(self, value: str) -> str:
        """Refuse what cannot be shown."""
        if not value.isprintable():
            raise serializers.ValidationError("may have printable characters only")
        return value


_EXAMPLE = OpenApiExample(
    "a video and its ladder",
    request_only=True,
    value={
        "url": "https://files.example.org/summer.mp4?token=c2VjcmV0",
        "checksum": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "external_id": "asset-19",
        "metadata": {"project": "summer"},
        "transcode": {"priority": 60},
    },
)


class VideoImportApi(APIView):
    scopes: ClassVar = {"POST": Scope.VIDEOS_WRITE}

    @extend_schema(
        operation_id="video_import",
        parameters=[IDEMPOTENCY_KEY],
        request=ImportRequest,
        responses={202: OpenApiResponse(VideoDocument, description="The video, whose address is in `Location`.")},
        examples=[_EXAMPLE],
    )
    def post(self, request: Request) -> HttpResponseBase:
        """Import a video.

        A worker fetches the file. The video is `importing` meanwhile, then inspected like an upload, and can be
        transcoded right away: jobs wait for it. `imported_from` says how much of it is there. Deleting the video stops
        the fetching.
        """
        return self._create(request)

    @idempotent(check=lambda request: _host_check(request, _fields(request)["url"]))
    def _create(self, request: Request) -> Response:
        fields = _fields(request)
        check_upload_rate(caller(request))
        video = video_import_request(
            owner=owner_of(request),
            url=fields["url"],
            labels={
                "filename": fields.get("filename") or _name_in(fields["url"]),
                "sha256": fields.get("checksum", ""),
                "external_id": fields.get("external_id", ""),
                "client_metadata": fields.get("metadata"),
                "measure_loudness": fields.get("loudness", False),
            },
            job=_job(fields.get("transcode")),
            policy=job_policy(),
        )
        video.refresh_from_db()
        answer = Response(video_document(video, request), 202)
        answer.headers["Location"] = reverse("video-detail", args=[video.id])
        return answer


def _host_check(request: Request, url: str) -> None:
    if not url.startswith(SCHEME):
        host_check(url, import_reach().of(owner_of(request).id))


def _job(requested: TranscodeRequested | None) -> dict[str, Any] | None:
    if requested is None:
        return None
    return {"request": requested.fields, "priority": requested.priority, **requested.labels}


def _name_in(url: str) -> str:
    """Return the name of the file in a URL; empty where it cannot be shown."""
    name = unquote(urlsplit(url).path.rpartition("/")[2])[:_MAX_FILENAME]
    return name if name.isprintable() else ""


def _fields(request: Request) -> dict[str, Any]:
    serializer = ImportRequest(data=request.data, context={"caller": caller(request)})
    serializer.is_valid(raise_exception=True)
    fields: dict[str, Any] = serializer.validated_data
    return fields
