"""The endpoint that joins videos."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.http import HttpResponseBase
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from access.authentication import caller, owner_of
from access.idempotency import idempotent
from access.rates import check_plan_rate
from access.scopes import Scope
from api.fields import ExternalId, Metadata, StrictBoolean, StrictSerializer
from api.responses import as_document
from api.schema import IDEMPOTENCY_KEY
from api.views import APIView
from jobs.lifecycle.joining import Labels, join_plan, videos_join
from jobs.wiring import job_policy
from transcoding.planning.joining import MAX_PARTS, MIN_PARTS
from videos.documents import part_document, video_document
from videos.parts import part_of
from videos.queries import INSPECTED
from videos.serializers import PartDocument, VideoDocument

_MAX_FILENAME = 255


class JoinRequest(StrictSerializer):
    """The videos to join, in order, and the labels of the new one."""

    videos = serializers.ListField(
        child=serializers.UUIDField(),
        min_length=MIN_PARTS,
        max_length=MAX_PARTS,
        help_text="Their ids, in the order in which they are played. One may be named several times.",
    )
    filename = serializers.CharField(
        max_length=_MAX_FILENAME, required=False, help_text="Name of the new video. Default: that of the first one."
    )
    external_id = ExternalId(help_text="Your own name for it.")
    metadata = Metadata(reserved=INSPECTED)
    loudness = StrictBoolean(required=False, help_text="Measure how loud the audio is, as of an upload.")
    dry_run = StrictBoolean(required=False, help_text="Show what would be done, and do nothing.")

    def validate_filename(self, value: str) -> str:
        """Refuse what cannot be shown."""
        if not value.isprintable():
            raise serializers.ValidationError("may have printable characters only")
        return value


class JoinPlanDocument(serializers.Serializer[Any]):
    """A dry run: what joining would do."""

    duration = serializers.FloatField(help_text="Seconds.")
    frame_rate = serializers.FloatField(help_text="Frames per second of outputs, at least: that of the fastest part.")
    has_audio = serializers.BooleanField(help_text="Parts without audio are silent then.")
    work_seconds = serializers.FloatField(help_text="Expected work of encoding parts again; 0: all are copied.")
    parts = PartDocument(many=True)


_EXAMPLE = OpenApiExample(
    "three videos",
    request_only=True,
    value={
        "videos": [
            "3fa85f64-5717-4562-b3fc-2c963f66afa6",
            "7c9e6679-7425-40de-944b-e07fc1f90ae7",
            "16fd2706-8baf-433b-82eb-8c7fada847da",
        ],
        "filename": "summer.mp4",
        "external_id": "asset-18",
        "metadata": {"project": "summer"},
    },
)


class VideoJoinApi(APIView):
    scopes: ClassVar = {"POST": Scope.VIDEOS_WRITE}

    @extend_schema(
        operation_id="video_join",
        parameters=[IDEMPOTENCY_KEY],
        request=JoinRequest,
        responses={
            200: OpenApiResponse(JoinPlanDocument, description="A dry run: what would be done."),
            202: OpenApiResponse(VideoDocument, description="The new video, whose address is in `Location`."),
        },
        examples=[_EXAMPLE],
    )
    def post(self, request: Request) -> HttpResponseBase:
        """Join videos.

        Makes a new video that plays them one after the other. It is `joining` first, then inspected like an upload, and
        can be transcoded right away: jobs wait for it. All videos must be inspected and have their source; it may be
        deleted once the new video is `uploaded`.
        """
        is_dry_run = isinstance(request.data, Mapping) and request.data.get("dry_run") is True
        return self._preview(request) if is_dry_run else self._create(request)

    def _preview(self, request: Request) -> Response:
        fields = _fields(request)
        check_plan_rate(caller(request))
        plan = join_plan(owner=owner_of(request), video_ids=fields["videos"], policy=job_policy())
        parts = zip(plan.parts, fields["videos"], strict=True)
        shown = {
            "duration": float(plan.duration),
            "frame_rate": float(plan.rate),
            "has_audio": plan.has_audio,
            "work_seconds": round(plan.work_seconds, 1),
            "parts": [part_document(part_of(plan, part, video_id)) for part, video_id in parts],
        }
        return Response(as_document(JoinPlanDocument, shown))

    @idempotent()
    def _create(self, request: Request) -> Response:
        fields = _fields(request)
        check_plan_rate(caller(request))
        labels = Labels(
            filename=fields.get("filename", ""),
            external_id=fields.get("external_id", ""),
            client_metadata=fields.get("metadata"),
            measure_loudness=fields.get("loudness", False),
        )
        video = videos_join(owner=owner_of(request), video_ids=fields["videos"], labels=labels, policy=job_policy())
        video.refresh_from_db()
        answer = Response(video_document(video, request), 202)
        answer.headers["Location"] = reverse("video-detail", args=[video.id])
        return answer


def _fields(request: Request) -> dict[str, Any]:
    serializer = JoinRequest(data=request.data)
    serializer.is_valid(raise_exception=True)
    fields: dict[str, Any] = serializer.validated_data
    return fields
