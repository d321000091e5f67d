from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from access.admin import OwnerFilter
from api.administration import Operation, ReadOnlyAdmin, as_json, badge, choice_filter, link, link_to, panel, uuid_of
from events.models import Delivery, DeliveryAttempt, DeliveryState, EndpointState, WebhookEndpoint
from events.webhooks.deliveries import delivery_repeat
from events.webhooks.services import endpoint_update

MAX_ATTEMPTS_SHOWN = 100
MAX_DELIVERIES_SHOWN = 20
"""Of an endpoint, on its own page."""
_INDEXED_STATES = (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.FAILED)


def with_last_attempt(deliveries: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """Annotate deliveries with the result of their last attempts, which an index finds."""
    last = DeliveryAttempt.objects.filter(delivery=OuterRef("id")).order_by("-id")
    return deliveries.annotate(
        last_status=Subquery(last.values("status")[:1]), last_error=Subquery(last.values("error")[:1])
    )


def last_answer(delivery: Any) -> str:
    """Return the HTTP status of the last attempt, or why there was none; empty before the first one."""
    return str(delivery.last_status or delivery.last_error or "")


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnlyAdmin):
    """Endpoints that owners registered; the secrets that sign are not shown."""

    list_display = ("url", "shown_state", "owner_name", "shown_types", "disabled_reason", "delivered_at", "created_at")
    list_filter = (choice_filter("state", EndpointState), OwnerFilter)
    change_form_outer_after_template = "administration/tables.html"
    list_select_related = ("owner",)
    ordering = ("-created_at", "-id")
    readonly_fields = (
        "url", "shown_state", "disabled_reason", "owner_name", "description", "shown_types", "deliveries",
        "fresh_from", "delivered_at", "old_secret_expires_at", "created_at",
    )  # fmt: skip
    operations = (
        Operation(
            name="enable",
            label="Enable",
            run=lambda endpoint, _: endpoint_update(endpoint=endpoint, state=EndpointState.ENABLED),
            available=lambda endpoint: endpoint.state == EndpointState.DISABLED,
        ),
        Operation(
            name="disable",
            label="Disable",
            run=lambda endpoint, _: endpoint_update(endpoint=endpoint, state=EndpointState.DISABLED),
            available=lambda endpoint: endpoint.state == EndpointState.ENABLED,
        ),
    )

    def panels(self, request: HttpRequest, row: WebhookEndpoint) -> dict[str, object]:
        latest = Delivery.objects.filter(endpoint=row).select_related("event").order_by("-created_at", "-id")
        headers = ["delivery", "state", "last answer", "event", "attempts", "at"]
        rows = [
            [
                link_to("events_delivery", each.id),
                badge(each.state),
                last_answer(each),
                each.event.type,
                each.attempts,
                each.created_at,
            ]
            for each in with_last_attempt(latest)[:MAX_DELIVERIES_SHOWN]
        ]
        return {"tables": [panel("Latest deliveries", headers, rows)]}

    @admin.display(description="state")
    def shown_state(self, endpoint: WebhookEndpoint) -> SafeString:
        return badge(endpoint.state)

    @admin.display(description="owner")
    def owner_name(self, endpoint: WebhookEndpoint) -> str:
        return endpoint.owner.name

    @admin.display(description="events")
    def shown_types(self, endpoint: WebhookEndpoint) -> str:
        return ", ".join(endpoint.types) or "all but progress"

    @admin.display(description="deliveries")
    def deliveries(self, endpoint: WebhookEndpoint) -> SafeString:
        address = f"{reverse('admin:events_delivery_changelist')}?endpoint={endpoint.id}"
        return link(address, "What was sent")


class DeliveryEndpointFilter(admin.SimpleListFilter):
    """The endpoint that links lead from; it is offered nowhere else."""

    title = "endpoint"
    parameter_name = "endpoint"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        requested = request.GET.get(self.parameter_name, "")
        return [(requested, requested)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = uuid_of(self.value() or "")
        return queryset.filter(endpoint=chosen) if chosen else queryset


def _endpoint_requested(request: HttpRequest) -> bool:
    return uuid_of(request.GET.get(DeliveryEndpointFilter.parameter_name, "")) is not None


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """Events on their way, newest first, with what their receivers answered last."""

    list_display = ("id", "shown_state", "last_answer", "event_type", "url", "attempts", "shown_next", "created_at")
    ordering = ("-created_at", "-id")
    list_select_related = ("endpoint", "event")
    change_form_outer_after_template = "administration/tables.html"
    readonly_fields = (
        "shown_state", "last_answer", "event_type", "url_link", "attempts", "shown_next", "created_at", "finished_at",
        "event_data",
    )  # fmt: skip
    operations = (
        Operation(
            name="redeliver",
            label="Send again",
            run=lambda delivery, _: delivery_repeat(delivery=delivery),
            available=lambda delivery: (
                delivery.state in (DeliveryState.DELIVERED, DeliveryState.FAILED)
                and delivery.endpoint.state == EndpointState.ENABLED
            ),
        ),
    )

    def get_list_filter(self, request: HttpRequest) -> tuple[type[admin.SimpleListFilter], ...]:
        """Of all endpoints by what has an index."""
        states = DeliveryState if _endpoint_requested(request) else _INDEXED_STATES
        return (choice_filter("state", states), DeliveryEndpointFilter)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        deliveries: QuerySet[Delivery] = super().get_queryset(request)
        return with_last_attempt(deliveries)

    def panels(self, request: HttpRequest, row: Delivery) -> dict[str, object]:
        log = DeliveryAttempt.objects.filter(delivery=row).order_by("-id")[:MAX_ATTEMPTS_SHOWN]
        headers = ["attempt", "at", "status", "took", "error", "response"]
        rows = [
            [each.number, each.created_at, each.status or "", f"{each.milliseconds} ms", each.error, each.response]
            for each in log
        ]
        return {"tables": [panel("Attempts", headers, rows)]}

    @admin.display(description="state")
    def shown_state(self, delivery: Delivery) -> SafeString:
        return badge(delivery.state)

    @admin.display(description="last answer")
    def last_answer(self, delivery: Delivery) -> str:
        return last_answer(delivery)

    @admin.display(description="next attempt at")
    def shown_next(self, delivery: Delivery) -> str | datetime:
        waits = delivery.state == DeliveryState.PENDING and delivery.endpoint.state == EndpointState.ENABLED
        return delivery.next_attempt_at if waits else ""

    @admin.display(description="event")
    def event_type(self, delivery: Delivery) -> str:
        return delivery.event.type

    @admin.display(description="endpoint")
    def url(self, delivery: Delivery) -> str:
        return delivery.endpoint.url

    @admin.display(description="endpoint")
    def url_link(self, delivery: Delivery) -> str:
        return link_to("events_webhookendpoint", delivery.endpoint_id, delivery.endpoint.url)

    @admin.display(description="data")
    def event_data(self, delivery: Delivery) -> SafeString:
        return as_json(delivery.event.data)
