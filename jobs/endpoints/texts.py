"""Endpoint that extracts a text of a video again."""

from typing import ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from access.authentication import owner_of
from access.idempotency import idempotent
from access.scopes import Scope
from api.schema import IDEMPOTENCY_KEY
from api.views import APIView
from jobs.lifecycle.texts import texts_retry
from videos.apis import video_of
from videos.text_apis import text_documents
from videos.texts.serializers import TextDocument
from videos.texts.services import text_of


class TextRetryApi(APIView):
    scopes: ClassVar = {"POST": Scope.VIDEOS_WRITE}

    @extend_schema(
        operation_id="text_retry",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses={202: OpenApiResponse(TextDocument, description="It is extracted in the background.")},
    )
    @idempotent()
    def post(self, request: Request, video_id: UUID, text_id: UUID) -> Response:
        """Extract a failed text from the file of the video again.

        409 `text_not_failed` for one that did not fail or was uploaded.
        """
        owner = owner_of(request)
        texts_retry(owner=owner, video_id=video_id, text_id=text_id)
        video = video_of(owner, video_id)
        (document,) = text_documents(video, [text_of(video, text_id)], request)
        return Response(document, status=202)
