from typing import Any, ClassVar
from uuid import UUID

from django.db.models import F
from django.http import HttpResponseBase
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from access.authentication import owner_of
from access.idempotency import idempotent
from access.scopes import Scope
from api.problems import not_found
from api.responses import as_document
from api.schema import IDEMPOTENCY_KEY, PAGE_PARAMETERS, page_of
from api.views import APIView
from livestreams.endpoints import examples
from livestreams.endpoints.destinations import destinations_check
from livestreams.endpoints.documents import broadcast_document, livestream_document
from livestreams.endpoints.requests import (
    LivestreamChange,
    LivestreamQuery,
    LivestreamRequest,
    RecordingQuery,
    RefusalQuery,
    columns_of,
    fields_of,
)
from livestreams.endpoints.serializers import BroadcastDocument, LivestreamDocument, RefusalDocument
from livestreams.models import Broadcast, Livestream, Refusal
from livestreams.selectors import livestream_find, livestreams_of, newest_broadcasts
from livestreams.services.streams import (
    livestream_create,
    livestream_delete,
    livestream_rotate_key,
    livestream_stop,
    livestream_update,
)
from livestreams.wiring import push_reach
from videos.states import SHOWN_STATES


def _without_key(document: dict[str, Any]) -> dict[str, Any]:
    """Remove the stream key from the document that is stored for repeated requests."""
    return {**document, "ingest": {**document["ingest"], "stream_key": None}}


class LivestreamListApi(APIView):
    scopes: ClassVar = {"GET": Scope.LIVESTREAMS_READ, "POST": Scope.LIVESTREAMS_WRITE}

    @extend_schema(
        operation_id="livestream_list",
        parameters=[LivestreamQuery, *PAGE_PARAMETERS],
        responses=page_of(LivestreamDocument),
    )
    def get(self, request: Request) -> Response:
        """List live streams, newest first."""
        pages, page = LivestreamQuery.page(livestreams_of(owner_of(request)), request)
        newest = newest_broadcasts(page)
        return pages.get_paginated_response([_document(each, newest.get(each.id), request) for each in page])

    @extend_schema(
        operation_id="livestream_create",
        parameters=[IDEMPOTENCY_KEY],
        request=LivestreamRequest,
        responses={201: LivestreamDocument},
        examples=[examples.REQUEST, examples.CREATED],
    )
    def post(self, request: Request) -> HttpResponseBase:
        """Create a live stream.

        Its stream key is shown here and when it is rotated, and nowhere else.
        """
        return self._create(request)

    @idempotent(stored=_without_key, check=lambda request: _destinations_check(request, _new(request)))
    def _create(self, request: Request) -> Response:
        livestream, stream_key = livestream_create(owner=owner_of(request), **columns_of(_new(request)))
        headers = {"Location": reverse("livestream-detail", args=[livestream.id])}
        return Response(_document(livestream, None, request, stream_key=stream_key), 201, headers=headers)


class LivestreamDetailApi(APIView):
    scopes: ClassVar = {
        "GET": Scope.LIVESTREAMS_READ,
        "PATCH": Scope.LIVESTREAMS_WRITE,
        "DELETE": Scope.LIVESTREAMS_WRITE,
    }

    @extend_schema(operation_id="livestream_detail", responses=LivestreamDocument, examples=[examples.LIVE])
    def get(self, request: Request, livestream_id: UUID) -> Response:
        """Show a live stream and its newest broadcast.

        `broadcast.health` says what arrives from the publisher, and `broadcast.viewers` who watches.
        """
        return _shown(request, livestream_id)

    @extend_schema(operation_id="livestream_update", request=LivestreamChange, responses=LivestreamDocument)
    def patch(self, request: Request, livestream_id: UUID) -> Response:
        """Change a live stream.

        A broadcast that runs follows the new limits, `push`, `dvr_seconds` and `reconnect_seconds`. Everything else
        is that of the next one.
        """
        livestream = _livestream(request, livestream_id)
        before = fields_of(livestream)
        body = LivestreamChange(data=request.data, context={"before": before})
        body.is_valid(raise_exception=True)
        _destinations_check(request, body.validated_data)
        livestream_update(livestream=livestream, **columns_of(body.validated_data, before))
        return _shown(request, livestream_id)

    @extend_schema(operation_id="livestream_delete", responses={204: None})
    def delete(self, request: Request, livestream_id: UUID) -> Response:
        """Delete a live stream.

        A broadcast that runs is stopped, and its publisher dropped. Recordings stay: they are videos.
        """
        livestream_delete(livestream=_livestream(request, livestream_id))
        return Response(status=204)


class LivestreamRotateKeyApi(APIView):
    scopes: ClassVar = {"POST": Scope.LIVESTREAMS_WRITE}

    @extend_schema(
        operation_id="livestream_rotate_key",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses=LivestreamDocument,
        examples=[examples.CREATED],
    )
    @idempotent(stored=_without_key)
    def post(self, request: Request, livestream_id: UUID) -> Response:
        """Rotate the stream key of a live stream.

        The new key is shown only in this response, and nobody can publish with the previous one any more. A publisher
        that is connected stays so: stop the broadcast to drop it. Playback URLs stay the same.
        """
        livestream = _livestream(request, livestream_id)
        stream_key = livestream_rotate_key(livestream=livestream)
        return _shown(request, livestream_id, stream_key=stream_key)


class LivestreamStopApi(APIView):
    scopes: ClassVar = {"POST": Scope.LIVESTREAMS_WRITE}

    @extend_schema(
        operation_id="livestream_stop",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses={202: LivestreamDocument},
    )
    @idempotent()
    def post(self, request: Request, livestream_id: UUID) -> Response:
        """Stop the broadcast of a live stream.

        Its publisher is dropped within seconds, and the recording completed. Where nothing is broadcast, it is 409 with
        the code `livestream_not_live`.
        """
        livestream_stop(livestream=_livestream(request, livestream_id))
        return _shown(request, livestream_id, status=202)


class LivestreamRecordingsApi(APIView):
    scopes: ClassVar = {"GET": Scope.LIVESTREAMS_READ}

    @extend_schema(
        operation_id="livestream_recordings",
        parameters=[RecordingQuery, *PAGE_PARAMETERS],
        responses=page_of(BroadcastDocument),
    )
    def get(self, request: Request, livestream_id: UUID) -> Response:
        """List the broadcasts of a live stream, newest first.

        The video of each is its recording, playable while it is made. One whose video was deleted is left out.
        """
        rows = Broadcast.objects.filter(livestream=_livestream(request, livestream_id), video__state__in=SHOWN_STATES)
        pages, page = RecordingQuery.page(rows.annotate(created_at=F("started_at")), request)
        return pages.get_paginated_response([as_document(BroadcastDocument, broadcast_document(each)) for each in page])


class LivestreamRefusalsApi(APIView):
    scopes: ClassVar = {"GET": Scope.LIVESTREAMS_READ}

    @extend_schema(
        operation_id="livestream_refusals",
        parameters=[RefusalQuery, *PAGE_PARAMETERS],
        responses=page_of(RefusalDocument),
        examples=[examples.REFUSAL],
    )
    def get(self, request: Request, livestream_id: UUID) -> Response:
        """List the publishers of a live stream that were refused, newest first.

        RTMP itself gives publishers no reason. Those of the last seven days are listed.
        """
        rows = Refusal.objects.filter(livestream=_livestream(request, livestream_id))
        pages, page = RefusalQuery.page(rows, request)
        return pages.get_paginated_response([as_document(RefusalDocument, each) for each in page])


def _new(request: Request) -> dict[str, Any]:
    body = LivestreamRequest(data=request.data)
    body.is_valid(raise_exception=True)
    requested: dict[str, Any] = body.validated_data
    return requested


def _destinations_check(request: Request, requested: dict[str, Any]) -> None:
    destinations_check(requested.get("push", []), push_reach().of(owner_of(request).id))


def _livestream(request: Request, livestream_id: UUID) -> Livestream:
    """Find a live stream of the caller's owner. Raises Problem (404)."""
    found = livestream_find(owner=owner_of(request), livestream_id=livestream_id)
    if found is None:
        raise not_found("livestream")
    return found


def _shown(request: Request, livestream_id: UUID, *, status: int = 200, stream_key: str | None = None) -> Response:
    livestream = _livestream(request, livestream_id)
    broadcast = newest_broadcasts([livestream]).get(livestream.id)
    return Response(_document(livestream, broadcast, request, stream_key=stream_key), status)


def _document(
    livestream: Livestream, broadcast: Broadcast | None, request: Request, *, stream_key: str | None = None
) -> Any:  # noqa: ANN401 - the serializer's own
    shown = livestream_document(livestream, broadcast, request._request, stream_key=stream_key)  # noqa: SLF001 - REST framework's way to Django's request
    return as_document(LivestreamDocument, shown)
