"""Endpoints of live sessions. The streams themselves are served by the relay, a process of its own."""

from typing import ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from access.authentication import owner_of
from access.scopes import Scope
from api.schema import PAGE_PARAMETERS, page_of
from api.views import APIView
from relay.records.selectors import session_of, sessions_of
from relay.records.serializers import LIVE_SESSION, LiveSessionDocument, LiveSessionQuery
from relay.records.services import session_request_end


class LiveSessionListApi(APIView):
    scopes: ClassVar = {"GET": Scope.LIVE_READ}

    @extend_schema(
        operation_id="live_session_list",
        parameters=[LiveSessionQuery, *PAGE_PARAMETERS],
        responses=page_of(LiveSessionDocument),
    )
    def get(self, request: Request) -> Response:
        """List live sessions, newest first.

        Those that run, and those that ended in the last seven days.
        """
        pages, page = LiveSessionQuery.page(sessions_of(owner_of(request)), request)
        return pages.get_paginated_response(LiveSessionDocument(page, many=True).data)


class LiveSessionDetailApi(APIView):
    scopes: ClassVar = {"GET": Scope.LIVE_READ, "DELETE": Scope.LIVE_WRITE}

    @extend_schema(operation_id="live_session_detail", responses=LiveSessionDocument, examples=[LIVE_SESSION])
    def get(self, request: Request, session_id: UUID) -> Response:
        """Show a live session."""
        return Response(LiveSessionDocument(session_of(owner_of(request), session_id)).data)

    @extend_schema(
        operation_id="live_session_end",
        responses={202: LiveSessionDocument, 204: OpenApiResponse(description="It has ended already.")},
    )
    def delete(self, request: Request, session_id: UUID) -> Response:
        """End a live session.

        The relay ends it within about two seconds, for all of its viewers. A repeated request does no harm.
        """
        owner = owner_of(request)
        session = session_of(owner, session_id)
        if not session_request_end(session_id=session.id):
            return Response(status=204)
        return Response(LiveSessionDocument(session_of(owner, session_id)).data, 202)
