"""Endpoints of the images of a video, and of the scene changes that are found while they are made."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from access.authentication import owner_of
from access.idempotency import idempotent
from access.scopes import Scope
from api.problems import not_found
from api.responses import as_document
from api.schema import IDEMPOTENCY_KEY
from api.views import APIView
from jobs.endpoints.queries import ScenesQuery
from jobs.endpoints.thumbnail_requests import ThumbnailsRequest
from jobs.lifecycle.thumbnails import thumbnails_request
from transcoding.planning.images import Scene
from transcoding.planning.thumbnails import ThumbnailRequest
from videos.apis import video_of
from videos.documents import thumbnails_document
from videos.serializers import ScenesDocument, ThumbnailsDocument
from videos.thumbnails import images_of, thumbnails_of


class VideoThumbnailsApi(APIView):
    scopes: ClassVar = {"GET": Scope.VIDEOS_READ, "POST": Scope.VIDEOS_WRITE}

    @extend_schema(operation_id="video_thumbnails", responses=ThumbnailsDocument)
    def get(self, request: Request, video_id: UUID) -> Response:
        """Show the images of a video.

        They are also in the document of the video. 404 `thumbnails_not_found` if none were requested.
        """
        document = thumbnails_document(video_of(owner_of(request), video_id), request)
        if document is None:
            raise not_found("thumbnails")
        return Response(document)

    @extend_schema(
        operation_id="video_thumbnails_create",
        parameters=[IDEMPOTENCY_KEY],
        request=ThumbnailsRequest,
        responses={202: OpenApiResponse(ThumbnailsDocument, description="They are made in the background.")},
    )
    @idempotent()
    def post(self, request: Request, video_id: UUID) -> Response:
        """Make the images of a video again, with other thumbnails.

        They are made of what was encoded: 409 `no_outputs` before the first job is completed. Images that are there
        stay until the new ones are ready.
        """
        serializer = ThumbnailsRequest(data=request.data)
        serializer.is_valid(raise_exception=True)
        options = serializer.validated_data
        times = tuple(Fraction(seconds).limit_denominator(1_000_000) for seconds in options.pop("times", ()))
        owner = owner_of(request)
        thumbnails_request(owner=owner, video_id=video_id, request=ThumbnailRequest(**options, times=times))
        return Response(thumbnails_document(video_of(owner, video_id), request), status=202)


class VideoScenesApi(APIView):
    scopes: ClassVar = {"GET": Scope.VIDEOS_READ}

    @extend_schema(operation_id="video_scenes", parameters=[ScenesQuery], responses=ScenesDocument)
    def get(self, request: Request, video_id: UUID) -> Response:
        """List the scene changes of a video, in order.

        They are found while its thumbnails are made: 404 `thumbnails_not_found` if these were not requested, and an
        empty list before they are ready.
        """
        query = ScenesQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        chosen: dict[str, Any] = query.validated_data
        video = video_of(owner_of(request), video_id)
        row = thumbnails_of(video)
        if row is None:
            raise not_found("thumbnails")
        images = images_of(row)
        found = list(_apart(images.scenes if images else (), chosen["threshold"], chosen["min_seconds"]))
        shown = {
            "video_id": video.id,
            "state": row.state,
            "duration": float(images.duration) if images else None,
            "precision": float(images.scene_precision) if images else None,
            "total": len(found),
            "results": found[chosen["offset"] :][: chosen["limit"]],
        }
        return Response(as_document(ScenesDocument, shown))


def _apart(scenes: Sequence[Scene], threshold: float, min_seconds: float) -> Iterator[dict[str, float]]:
    """Yield scene changes of at least this score, each of them so many seconds after the one before."""
    last: float | None = None
    for scene in scenes:
        time = float(scene.time)
        if scene.score >= threshold and (last is None or time - last >= min_seconds):
            last = time
            yield {"time": time, "score": scene.score}
