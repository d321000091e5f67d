from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from access.authentication import owner_of
from access.idempotency import idempotent
from access.models import Owner
from access.scopes import Scope
from api.fields import MAX_EXTERNAL_ID_LENGTH, METADATA_HELP
from api.problems import Problem, not_found
from api.responses import as_document, cached_response, variant_for
from api.schema import IDEMPOTENCY_KEY, PAGE_PARAMETERS, page_of
from api.views import APIView
from videos import examples
from videos.documents import thumbnails_document, video_document
from videos.models import Video
from videos.playback import wiring
from videos.playback.dash import has_dash
from videos.playback.playlists import has_hls
from videos.playback.presentation import listed_renditions
from videos.playback.urls import PlaybackUrls, embed_html, video_token, watch_url
from videos.queries import PlaybackQuery, VideoQuery
from videos.selectors import source_deleted, video_find, videos_of
from videos.serializers import UNAVAILABLE, PlaybackDocument, RevocationDocument, VideoDocument
from videos.services import video_revoke_playback
from videos.states import UNSOURCED_STATES
from videos.texts.selectors import ready_texts, with_texts
from videos.texts.serializers import playback_text

CACHE_SECONDS = 30.0
LIST_CACHE_SECONDS = 2.0
RANGE = OpenApiParameter(
    "Range", str, OpenApiParameter.HEADER, description="The part that is requested, such as `bytes=0-1023`."
)


class VideoListApi(APIView):
    scopes: ClassVar = {"GET": Scope.VIDEOS_READ}

    @extend_schema(
        operation_id="video_list", parameters=[VideoQuery, *PAGE_PARAMETERS], responses=page_of(VideoDocument)
    )
    def get(self, request: Request) -> HttpResponse:
        """List videos, newest first."""
        owner = owner_of(request)

        def render() -> tuple[Any, float]:
            pages, page = VideoQuery.page(
                videos_of(owner).select_related("thumbnails", "imported_from", "current_generation"), request
            )
            with_texts(page)
            return pages.get_paginated_response(
                [video_document(video, request) for video in page]
            ).data, LIST_CACHE_SECONDS

        return cached_response(
            "videos", owner.pk, variant=variant_for(request, owner.pk, with_query=True), render=render
        )


class VideoDetailApi(APIView):
    scopes: ClassVar = {"GET": Scope.VIDEOS_READ}

    @extend_schema(operation_id="video_detail", responses=VideoDocument, examples=[examples.VIDEO])
    def get(self, request: Request, video_id: UUID) -> HttpResponse:
        """Show a video.

        What its inspection finds, such as the duration, is null before that.
        """
        owner = owner_of(request)

        def render() -> tuple[Any, float]:
            return video_document(video_of(owner, video_id), request), CACHE_SECONDS

        return cached_response("video", video_id, variant=variant_for(request, owner.pk), render=render)


class VideoOriginalApi(APIView):
    scopes: ClassVar = {"GET": Scope.VIDEOS_READ}

    @extend_schema(
        operation_id="video_original",
        parameters=[RANGE],
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            302: OpenApiResponse(description="The file is in the object store, at the URL in `Location`."),
        },
    )
    def get(self, request: Request, video_id: UUID) -> HttpResponseBase:
        """Download the original file.

        The response is a redirect to the object store where clients can reach it, and the file otherwise.
        """
        video = video_of(owner_of(request), video_id)
        if video.source_deleted_at:
            raise source_deleted(status=404)
        if video.state in UNSOURCED_STATES:
            detail = f"The video is {video.state}: its source is not there yet. Try again when its status has changed."
            raise Problem(status=404, code="source_not_made", detail=detail, retryable=True)
        answer = wiring.delivery().answer(
            request._request,  # noqa: SLF001 - REST framework's way to Django's request
            video.source_key,
            content_type="application/octet-stream",
            cache="private, max-age=3600",
        )
        answer.headers["Content-Disposition"] = "attachment"
        return answer


class VideoPlaybackApi(APIView):
    scopes: ClassVar = {"GET": Scope.VIDEOS_READ}

    @extend_schema(
        operation_id="video_playback",
        parameters=[PlaybackQuery],
        responses=PlaybackDocument,
        examples=[examples.PLAYBACK],
    )
    def get(self, request: Request, video_id: UUID) -> Response:
        """Show where a video can be played.

        The URLs work without credentials until they expire, or until they are revoked. They stay the same for an eighth
        of their time.
        """
        seconds = PlaybackQuery.of(request)
        video = video_of(owner_of(request), video_id)
        return Response(as_document(PlaybackDocument, _playback(video, request, seconds)))


class VideoRevokePlaybackApi(APIView):
    scopes: ClassVar = {"POST": Scope.VIDEOS_WRITE}

    @extend_schema(
        operation_id="video_revoke_playback",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses=RevocationDocument,
    )
    @idempotent()
    def post(self, request: Request, video_id: UUID) -> Response:
        """Revoke all playback URLs of a video.

        None of those that were made before this request works any more, those of images and texts included. Caches in
        front of the API may have copies, and players presigned URLs of the object store, which work until they expire.
        """
        video_revoke_playback(video=video_of(owner_of(request), video_id))
        return Response(as_document(RevocationDocument, {"video_id": video_id, "revoked_at": datetime.now(UTC)}))


class VideoUploadApi(APIView):
    """The upload route for the schema, and for every method but POST.

    `videos.uploads.route` in front of Django handles POST, which gets here only when that is missing.
    """

    scopes: ClassVar = {"POST": Scope.VIDEOS_WRITE}
    parser_classes = (MultiPartParser,)

    @extend_schema(
        operation_id="video_upload",
        parameters=[IDEMPOTENCY_KEY],
        request={
            "multipart/form-data": {
                "type": "object",
                "required": ["video"],
                "additionalProperties": False,
                "properties": {
                    "video": {"type": "string", "format": "binary"},
                    "external_id": {
                        "type": "string",
                        "maxLength": MAX_EXTERNAL_ID_LENGTH,
                        "description": "Your own name for it.",
                    },
                    "metadata": {"type": "string", "description": f"A JSON object. {METADATA_HELP}"},
                    "loudness": {
                        "type": "boolean",
                        "description": "Measure how loud the audio is (EBU R 128): `loudness` of the metadata.",
                    },
                },
            }
        },
        responses={201: VideoDocument},
        examples=[examples.VIDEO],
    )
    def post(self, request: Request) -> Response:  # noqa: ARG002 - REST framework's signature
        """Upload a video.

        It is sent as the file `video` of a form, is inspected at once, and can be transcoded right away.
        """
        raise Problem(status=501, code="not_served", detail="Uploads need the ASGI application of this site.")


def video_of(owner: Owner, video_id: UUID) -> Video:
    """Find a video of an owner. Raises Problem (404)."""
    video = video_find(owner=owner, video_id=video_id)
    if video is None:
        raise not_found("video")
    return video


def _playback(video: Video, request: Request, seconds: int | None) -> dict[str, Any]:
    token, expires_at = video_token(video, seconds=seconds)
    page = watch_url(request, token)
    of_video = {
        "video_id": video.id,
        "expires_at": expires_at,
        "watch_url": page,
        "embed_html": embed_html(page),
        "thumbnails": thumbnails_document(video, request),
    }
    generation = video.current_generation
    if generation is None:
        nothing = dict.fromkeys(("generation", "hls_url", "dash_url"))
        return {"state": UNAVAILABLE, "renditions": [], "texts": [], **nothing, **of_video}
    urls = PlaybackUrls(request, generation.number, token, expires_at)
    return {
        **of_video,
        "state": generation.state,
        "generation": generation.number,
        "hls_url": urls.hls() if has_hls(generation) else None,
        "dash_url": urls.dash() if has_dash(generation) else None,
        "renditions": [row for rows in listed_renditions(generation).values() for row in rows],
        "texts": [playback_text(text, urls.text(text)) for text in ready_texts([video.id])],
    }
