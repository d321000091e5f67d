"""The HTTP API of texts: subtitles and captions of a video."""

from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponseBase
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from access.authentication import owner_of
from access.idempotency import idempotent
from access.scopes import Scope
from api.pagination import ListQuery
from api.parsing import SmallForm
from api.schema import IDEMPOTENCY_KEY, PAGE_PARAMETERS, page_of
from api.views import APIView
from videos.apis import video_of
from videos.models import Text, Video
from videos.playback import wiring
from videos.playback.urls import playback_urls
from videos.states import TextState
from videos.texts.requests import TextRequest, requested_cues, text_labels
from videos.texts.selectors import texts_of
from videos.texts.serializers import TextDocument, text_document
from videos.texts.services import text_create, text_delete, text_of


class VideoTextsApi(APIView):
    scopes: ClassVar = {"GET": Scope.VIDEOS_READ, "POST": Scope.VIDEOS_WRITE}
    parser_classes = (SmallForm,)

    @extend_schema(operation_id="text_list", parameters=[ListQuery, *PAGE_PARAMETERS], responses=page_of(TextDocument))
    def get(self, request: Request, video_id: UUID) -> Response:
        """List the texts of a video, newest first.

        Those that were uploaded, and those that lie in the file of the video.
        """
        video = video_of(owner_of(request), video_id)
        pages, page = ListQuery.page(texts_of(video), request)
        return pages.get_paginated_response(text_documents(video, page, request))

    @extend_schema(
        operation_id="text_create",
        parameters=[IDEMPOTENCY_KEY],
        request={"multipart/form-data": TextRequest},
        responses={201: TextDocument},
    )
    @idempotent()
    def post(self, request: Request, video_id: UUID) -> Response:
        """Add subtitles or captions to a video.

        They are sent as the file `file` of a form: WebVTT, SubRip (SRT), ASS or SSA, in UTF-8 or UTF-16, or in the
        stated `encoding`. Times count from the beginning of the video as players show it. Players get the text as
        WebVTT with HLS and DASH of all jobs, past and future; nothing is encoded again.
        """
        owner = owner_of(request)
        video_of(owner, video_id)
        form = TextRequest(data=request.data)
        form.is_valid(raise_exception=True)
        text = text_create(
            owner=owner,
            video_id=video_id,
            cues=requested_cues(form),
            labels=text_labels(form),
            max_texts=wiring.max_texts(),
        )
        (document,) = text_documents(video_of(owner, video_id), [text], request)
        location = reverse("text-detail", args=[video_id, text.id])
        return Response(document, status=201, headers={"Location": location})


class TextApi(APIView):
    scopes: ClassVar = {"GET": Scope.VIDEOS_READ, "DELETE": Scope.VIDEOS_WRITE}

    @extend_schema(operation_id="text_detail", responses=TextDocument)
    def get(self, request: Request, video_id: UUID, text_id: UUID) -> Response:
        """Show a text of a video."""
        video = video_of(owner_of(request), video_id)
        (document,) = text_documents(video, [text_of(video, text_id)], request)
        return Response(document)

    @extend_schema(operation_id="text_delete", responses={204: None})
    def delete(self, request: Request, video_id: UUID, text_id: UUID) -> HttpResponseBase:
        """Delete a text of a video.

        Players that open the video from now on do not get it.
        """
        text_delete(owner=owner_of(request), video_id=video_id, text_id=text_id)
        return Response(status=204)


def text_documents(video: Video, texts: Sequence[Text], request: Request) -> list[dict[str, Any]]:
    """Render texts of a video, with URLs for what plays now."""
    generation = video.current_generation
    urls = playback_urls(request, video, generation) if generation else None
    return [
        text_document(text, url=urls.text(text) if urls and text.state == TextState.READY else None) for text in texts
    ]
