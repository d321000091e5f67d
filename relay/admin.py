"""Admin pages of live sessions."""

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from access.admin import OwnerFilter
from api.administration import Operation, ReadOnlyAdmin, badge, choice_filter
from relay.models import LiveSession, SessionState
from relay.records.serializers import ENGINES
from relay.records.services import session_request_end


@admin.register(LiveSession)
class LiveSessionAdmin(ReadOnlyAdmin):
    """Live sessions of all owners, newest first, with an action that ends them."""

    list_display = (
        "source_host", "shown_state", "engine", "encoder", "viewers", "bytes_in", "bytes_out", "node", "created_at",
    )  # fmt: skip
    list_filter = (choice_filter("state", SessionState), choice_filter("engine", ENGINES), OwnerFilter)
    list_select_related = ("owner",)
    ordering = ("-created_at", "-id")
    readonly_fields = (
        "source_url", "shown_state", "end_code", "end_detail", "engine", "profile", "encoder", "fallback", "owner_name",
        "node", "viewers", "bytes_in", "bytes_out", "reconnects", "restarts", "dropped_viewers", "silence_ms",
        "decode_errors", "drift_ms", "created_at", "first_byte_at", "seen_at", "end_requested_at", "ended_at",
    )  # fmt: skip
    operations = (
        Operation(
            name="end",
            label="End",
            run=lambda session, _: session_request_end(session_id=session.id),
            available=lambda session: session.ended_at is None,
            warning="All viewers of the session lose the stream.",
        ),
    )

    @admin.display(description="state")
    def shown_state(self, session: LiveSession) -> SafeString:
        return badge(session.state)

    @admin.display(description="owner")
    def owner_name(self, session: LiveSession) -> str:
        return session.owner.name

    @admin.display(description="fallback")
    def fallback(self, session: LiveSession) -> str:
        return f"{session.fallback_code}: {session.fallback_detail}" if session.fallback_code else ""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)
