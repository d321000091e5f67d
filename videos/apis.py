from typing import Any
from uuid import UUID

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.services import default_owner
from api.pagination import CursorPages
from api.problems import Problem, not_found
from api.schema import PAGE_PARAMETERS, page_of
from videos import wiring
from videos.addresses import play_addresses
from videos.models import Video
from videos.representations import PlaybackDocument, VideoDocument, video_document
from videos.selectors import video_find, videos_of
from videos.states import GenerationState


class VideoListApi(APIView):
    @extend_schema(operation_id="video_list", parameters=PAGE_PARAMETERS, responses=page_of(VideoDocument))
    def get(self, request: Request) -> Response:
        """List videos, newest first."""
        pages = CursorPages()
        page = pages.paginate_queryset(videos_of(default_owner()), request, view=self)
        return pages.get_paginated_response([video_document(video, request) for video in page or []])


class VideoDetailApi(APIView):
    @extend_schema(operation_id="video_detail", responses=VideoDocument)
    def get(self, request: Request, video_id: UUID) -> Response:
        """Show one video; what inspection finds appears once it has run."""
        return Response(video_document(_video(video_id), request))


class VideoOriginalApi(APIView):
    @extend_schema(
        operation_id="video_original",
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            302: OpenApiResponse(description="Elsewhere."),
        },
    )
    def get(self, request: Request, video_id: UUID) -> HttpResponseBase:
        """Give the uploaded file back, by a redirect to the store where clients can reach it."""
        video = _video(video_id)
        answer = wiring.delivery().answer(
            request._request,  # noqa: SLF001 - REST framework's way to Django's request
            video.source_key,
            content_type="application/octet-stream",
            cache="private, max-age=3600",
        )
        answer.headers["Content-Disposition"] = "attachment"
        return answer


class VideoPlaybackApi(APIView):
    @extend_schema(operation_id="video_playback", responses=PlaybackDocument)
    def get(self, request: Request, video_id: UUID) -> Response:
        """Tell where the video can be played. Addresses work without credentials until they expire."""
        video = _video(video_id)
        return Response(PlaybackDocument(_playback(video, request)).data)


class VideoUploadApi(APIView):
    """What the schema says of the upload route, and the answer to every method but POST.

    POST is answered by `videos.uploads` in front of Django and gets here only when that is missing.
    """

    parser_classes = (MultiPartParser,)

    @extend_schema(
        operation_id="video_upload",
        request={
            "multipart/form-data": {
                "type": "object",
                "required": ["video"],
                "additionalProperties": False,
                "properties": {"video": {"type": "string", "format": "binary"}},
            }
        },
        responses={201: VideoDocument},
    )
    def post(self, request: Request) -> Response:  # noqa: ARG002 - REST framework's signature
        """Upload a video as the file `video` of a form. It is inspected at once and can be transcoded right away."""
        raise Problem(status=501, code="not_served", detail="Uploads need the ASGI application of this site.")


def _video(video_id: UUID) -> Video:
    video = video_find(owner=default_owner(), video_id=video_id)
    if video is None:
        raise not_found("video")
    return video


def _playback(video: Video, request: Request) -> dict[str, Any]:
    generation = video.current_generation
    if generation is None:
        nothing = dict.fromkeys(("generation", "hls_url", "dash_url", "expires_at"))
        return {"video_id": video.id, "state": "unavailable", "renditions": [], **nothing}
    addresses = play_addresses(request, video, generation)
    return {
        "video_id": video.id,
        "state": generation.state,
        "generation": generation.number,
        "hls_url": addresses.hls(),
        "dash_url": addresses.dash() if generation.state == GenerationState.COMPLETE else None,
        "expires_at": addresses.expires_at,
        "renditions": generation.renditions.order_by("position"),
    }
