from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Prefetch, QuerySet
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from access.authentication import owner_of
from access.idempotency import idempotent
from access.scopes import Scope
from api.outbound_urls import host_check
from api.pagination import ListQuery
from api.problems import Problem, not_found
from api.schema import IDEMPOTENCY_KEY, PAGE_PARAMETERS, page_of
from api.views import APIView
from events.models import Delivery, DeliveryAttempt, WebhookEndpoint
from events.webhooks.deliveries import delivery_repeat
from events.webhooks.requests import DeliveryQuery, WebhookChange, WebhookRequest
from events.webhooks.serializers import DeliveryDocument, WebhookDocument, WebhookSecretDocument, WebhookTestDocument
from events.webhooks.services import endpoint_create, endpoint_delete, endpoint_rotate_secret, endpoint_update
from events.webhooks.trial import endpoint_test
from events.webhooks.wiring import outbound_client, reach

_LAST_SEEN = [
    OpenApiParameter("Last-Event-ID", str, OpenApiParameter.HEADER, description="The last event that was seen."),
    OpenApiParameter("last_event_id", str, description="The same, for clients that cannot send headers."),
    OpenApiParameter("types", str, description="Types of events, separated by commas; otherwise all."),
]
_STREAM = {(200, "text/event-stream"): OpenApiTypes.STR, 204: OpenApiResponse(description="It is over and was seen.")}


class EventStreamApi(APIView):
    """The schema of event streams, and the answer to every method but GET, which `events.streams.route` answers."""

    scopes: ClassVar = {"GET": Scope.JOBS_READ}
    http_method_names = ["get", "options"]  # noqa: RUF012 - Django's attribute; a stream has no HEAD

    @extend_schema(operation_id="event_stream", parameters=_LAST_SEEN, responses=_STREAM)
    def get(self, request: Request) -> Response:  # noqa: ARG002 - REST framework's signature
        """Follow the events of all videos and jobs.

        Server-sent events from now on, or after the last event that the client has seen.
        """
        raise _not_served()


class JobEventStreamApi(APIView):
    """As `EventStreamApi`, for one job."""

    scopes: ClassVar = {"GET": Scope.JOBS_READ}
    http_method_names = ["get", "options"]  # noqa: RUF012 - as above

    @extend_schema(operation_id="job_event_stream", parameters=_LAST_SEEN, responses=_STREAM)
    def get(self, request: Request, job_id: UUID) -> Response:  # noqa: ARG002 - REST framework's signature
        """Follow the events of a job.

        Server-sent events from its first one, or after the last one that the client has seen, until the job has ended.
        """
        raise _not_served()


def _not_served() -> Problem:
    return Problem(status=501, code="not_served", detail="Event streams need the ASGI application of this site.")


class WebhookListApi(APIView):
    scopes: ClassVar = {"GET": Scope.ADMIN, "POST": Scope.ADMIN}

    @extend_schema(
        operation_id="webhook_list", parameters=[ListQuery, *PAGE_PARAMETERS], responses=page_of(WebhookDocument)
    )
    def get(self, request: Request) -> Response:
        """List webhook endpoints, newest first."""
        pages, page = ListQuery.page(_endpoints(request), request)
        return pages.get_paginated_response(WebhookDocument(page, many=True).data)

    @extend_schema(
        operation_id="webhook_create",
        parameters=[IDEMPOTENCY_KEY],
        request=WebhookRequest,
        responses={201: WebhookSecretDocument},
    )
    @idempotent(check=lambda request: _host_check(request, _webhook_request(request)["url"]))
    def post(self, request: Request) -> Response:
        """Create a webhook endpoint.

        Events are posted to its URL. The secret that signs them is shown here and when it is rotated, and nowhere else.
        """
        endpoint = endpoint_create(owner=owner_of(request), **_webhook_request(request))
        endpoint.refresh_from_db()
        address = reverse("webhook-detail", args=[endpoint.id])
        return Response(WebhookSecretDocument(endpoint).data, 201, headers={"Location": address})


class WebhookDetailApi(APIView):
    scopes: ClassVar = {"GET": Scope.ADMIN, "PATCH": Scope.ADMIN, "DELETE": Scope.ADMIN}

    @extend_schema(operation_id="webhook_detail", responses=WebhookDocument)
    def get(self, request: Request, webhook_id: UUID) -> Response:
        """Show a webhook endpoint."""
        return Response(WebhookDocument(_endpoint(request, webhook_id)).data)

    @extend_schema(operation_id="webhook_update", request=WebhookChange, responses=WebhookDocument)
    def patch(self, request: Request, webhook_id: UUID) -> Response:
        """Change a webhook endpoint.

        One that is enabled again receives what was not delivered meanwhile.
        """
        requested = WebhookChange(data=request.data, partial=True)
        requested.is_valid(raise_exception=True)
        if "url" in requested.validated_data:
            _host_check(request, requested.validated_data["url"])
        endpoint_update(endpoint=_endpoint(request, webhook_id), **requested.validated_data)
        return Response(WebhookDocument(_endpoint(request, webhook_id)).data)

    @extend_schema(operation_id="webhook_delete", responses={204: None})
    def delete(self, request: Request, webhook_id: UUID) -> Response:
        """Delete a webhook endpoint and its deliveries."""
        endpoint_delete(endpoint=_endpoint(request, webhook_id))
        return Response(status=204)


class WebhookRotateApi(APIView):
    scopes: ClassVar = {"POST": Scope.ADMIN}

    @extend_schema(
        operation_id="webhook_rotate_secret",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses=WebhookSecretDocument,
    )
    @idempotent()
    def post(self, request: Request, webhook_id: UUID) -> Response:
        """Rotate the secret of a webhook endpoint.

        Deliveries are signed with both secrets for a day.
        """
        endpoint_rotate_secret(endpoint=_endpoint(request, webhook_id))
        return Response(WebhookSecretDocument(_endpoint(request, webhook_id)).data)


class WebhookTestApi(APIView):
    scopes: ClassVar = {"POST": Scope.ADMIN}

    @extend_schema(operation_id="webhook_test", request=None, responses=WebhookTestDocument)
    def post(self, request: Request, webhook_id: UUID) -> Response:
        """Test a webhook endpoint.

        A document of the type `webhook.test` is posted to its URL now, signed like any other, and the response shows
        what the receiver answered. It is sent once, also to an endpoint that is disabled, and is in no delivery log.
        A repeated request posts another one, which does no harm: an Idempotency-Key has no effect here.
        """
        outcome = endpoint_test(endpoint=_endpoint(request, webhook_id), client=outbound_client())
        return Response(WebhookTestDocument(outcome).data)


class DeliveryListApi(APIView):
    scopes: ClassVar = {"GET": Scope.ADMIN}

    @extend_schema(
        operation_id="delivery_list", parameters=[DeliveryQuery, *PAGE_PARAMETERS], responses=page_of(DeliveryDocument)
    )
    def get(self, request: Request, webhook_id: UUID) -> Response:
        """List the deliveries to a webhook endpoint, newest first.

        Each shows all of its attempts.
        """
        pages, page = DeliveryQuery.page(_deliveries(_endpoint(request, webhook_id)), request)
        return pages.get_paginated_response(DeliveryDocument(page, many=True).data)


class DeliveryRepeatApi(APIView):
    scopes: ClassVar = {"POST": Scope.ADMIN}

    @extend_schema(
        operation_id="delivery_redeliver",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses={202: DeliveryDocument},
    )
    @idempotent()
    def post(self, request: Request, webhook_id: UUID, delivery_id: UUID) -> Response:
        """Deliver an event again.

        It is sent under the same id. A delivery that is still pending goes on as it is.
        """
        deliveries = _deliveries(_endpoint(request, webhook_id))
        delivery = deliveries.filter(id=delivery_id).first()
        if delivery is None:
            raise not_found("delivery")
        delivery_repeat(delivery=delivery)
        return Response(DeliveryDocument(deliveries.get(id=delivery_id)).data, 202)


def _webhook_request(request: Request) -> dict[str, Any]:
    requested = WebhookRequest(data=request.data)
    requested.is_valid(raise_exception=True)
    fields: dict[str, Any] = requested.validated_data
    return fields


def _host_check(request: Request, url: str) -> None:
    host_check(url, reach().of(owner_of(request).id))


def _endpoints(request: Request) -> QuerySet[WebhookEndpoint]:
    return WebhookEndpoint.objects.filter(owner=owner_of(request))


def _endpoint(request: Request, webhook_id: UUID) -> WebhookEndpoint:
    found = _endpoints(request).filter(id=webhook_id).first()
    if found is None:
        raise not_found("webhook")
    return found


def _deliveries(endpoint: WebhookEndpoint) -> QuerySet[Delivery, Any]:
    log = Prefetch("log", queryset=DeliveryAttempt.objects.order_by("id"))
    return Delivery.objects.filter(endpoint=endpoint).select_related("event").prefetch_related(log)
