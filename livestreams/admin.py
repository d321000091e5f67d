"""Admin pages of live streams, their broadcasts and refused publishers."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from access.admin import OwnerFilter
from api.administration import Operation, Panel, ReadOnlyAdmin, as_json, badge, choice_filter, link_to, panel
from livestreams.endpoints.destinations import shown_destination
from livestreams.models import Broadcast, Livestream, Refusal
from livestreams.services.streams import livestream_stop
from livestreams.states import ON_AIR_STATES, BroadcastState, Latency, LivestreamState

_NEWEST = 20
"""Rows of a panel."""
_HEALTH = (
    ("bitrate", "Bits per second"), ("frame_rate", "Frames per second"), ("keyframe_seconds", "Key frames every (s)"),
    ("dropped_frames", "Dropped frames"), ("drift_ms", "Audio behind video (ms)"), ("silent_seconds", "Silent for (s)"),
    ("encoder", "Encoder"), ("renditions", "Renditions"),
)  # fmt: skip


@admin.register(Livestream)
class LivestreamAdmin(ReadOnlyAdmin):
    """Live streams of all owners, newest first, with their broadcasts and refusals, and an action that stops them."""

    list_display = (
        "name_or_id",
        "shown_state",
        "owner_name",
        "latency",
        "record",
        "private",
        "error_code",
        "created_at",
    )
    list_filter = (choice_filter("state", LivestreamState), choice_filter("latency", Latency), OwnerFilter)
    list_select_related = ("owner",)
    ordering = ("-created_at", "-id")
    change_form_outer_after_template = "administration/tables.html"
    readonly_fields = (
        "name", "shown_state", "owner_name", "error_code", "error_detail", "playback_id", "ingest_name", "key_hint",
        "latency", "record", "dvr_seconds", "private", "reconnect_seconds", "max_bitrate", "max_height", "mp4",
        "shown_ladder", "shown_push", "external_id", "shown_metadata", "created_at", "deleted_at",
    )  # fmt: skip
    operations = (
        Operation(
            name="stop",
            label="Stop",
            run=lambda livestream, _: livestream_stop(livestream=livestream),
            available=lambda livestream: livestream.state in ON_AIR_STATES,
            warning="The publisher is dropped, and the broadcast ends for all of its viewers.",
        ),
    )

    def panels(self, request: HttpRequest, row: Livestream) -> dict[str, object]:
        broadcasts = list(Broadcast.objects.filter(livestream=row).order_by("-number")[:_NEWEST])
        health = [_health(each) for each in broadcasts[:1] if each.state in ON_AIR_STATES and each.health_at]
        refusals = Refusal.objects.filter(livestream=row).order_by("-last_at", "-id")[:_NEWEST]
        return {"tables": [*health, _broadcasts(broadcasts), _refusals(refusals)]}

    @admin.display(description="name")
    def name_or_id(self, livestream: Livestream) -> str:
        return str(livestream)

    @admin.display(description="state")
    def shown_state(self, livestream: Livestream) -> SafeString:
        return badge(livestream.state)

    @admin.display(description="owner")
    def owner_name(self, livestream: Livestream) -> str:
        return livestream.owner.name

    @admin.display(description="ladder")
    def shown_ladder(self, livestream: Livestream) -> SafeString:
        return as_json(livestream.ladder)

    @admin.display(description="sent on to")
    def shown_push(self, livestream: Livestream) -> str:
        return ", ".join(f"{each['name']} ({shown_destination(each['url'])})" for each in livestream.push)

    @admin.display(description="metadata")
    def shown_metadata(self, livestream: Livestream) -> SafeString:
        return as_json(livestream.client_metadata)


@admin.register(Broadcast)
class BroadcastAdmin(ReadOnlyAdmin):
    """Broadcasts of all live streams, newest first, with what arrives from their publishers."""

    list_display = (
        "id", "shown_state", "stream", "number", "publisher_address", "viewer_count", "error_code", "started_at",
        "ended_at",
    )  # fmt: skip
    list_filter = (choice_filter("state", BroadcastState),)
    list_select_related = ("livestream",)
    ordering = ("-started_at", "-id")
    change_form_outer_after_template = "administration/tables.html"
    readonly_fields = (
        "stream", "number", "shown_state", "error_code", "error_detail", "recording", "shown_job", "record",
        "publisher_address", "ingest_address", "publisher_seen_at", "publisher_left_at", "reader_ready_at",
        "stop_requested_at", "started_at", "live_at", "ended_at", "health_at", "shown_health", "shown_viewers",
        "expired_segments",
    )  # fmt: skip

    def panels(self, request: HttpRequest, row: Broadcast) -> dict[str, object]:
        rows = [
            (each.first_segment, each.starts_at, each.attempt)
            for each in row.periods.order_by("-first_segment")[:_NEWEST]
        ]
        return {"tables": [panel("Periods, newest first", ("First segment", "Starts", "Attempt"), rows)]}

    @admin.display(description="live stream")
    def stream(self, broadcast: Broadcast) -> str:
        return link_to("livestreams_livestream", broadcast.livestream_id, broadcast.livestream)

    @admin.display(description="state")
    def shown_state(self, broadcast: Broadcast) -> SafeString:
        return badge(broadcast.state)

    @admin.display(description="video")
    def recording(self, broadcast: Broadcast) -> str:
        return link_to("videos_video", broadcast.video_id)

    @admin.display(description="job")
    def shown_job(self, broadcast: Broadcast) -> str:
        return link_to("jobs_job", broadcast.job_id)

    @admin.display(description="viewers")
    def viewer_count(self, broadcast: Broadcast) -> int:
        return int(broadcast.viewers.get("total", 0)) if broadcast.state in ON_AIR_STATES else 0

    @admin.display(description="health")
    def shown_health(self, broadcast: Broadcast) -> SafeString:
        return as_json(broadcast.health)

    @admin.display(description="viewers")
    def shown_viewers(self, broadcast: Broadcast) -> SafeString:
        return as_json(broadcast.viewers)


def _health(broadcast: Broadcast) -> Panel:
    measured = broadcast.health
    rows = [(label, _text(measured[name])) for name, label in _HEALTH if measured.get(name) is not None]
    if fallback := measured.get("fallback"):
        rows.append(("Fallback", f"{fallback['code']}: {fallback['detail']}"))
    return panel("Health", ("Measured", str(broadcast.health_at)), rows)


def _text(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _broadcasts(broadcasts: Iterable[Broadcast]) -> Panel:
    headers = ("Number", "State", "Video", "Publisher", "Started", "Live", "Ended", "Error")
    return panel(
        "Broadcasts, newest first",
        headers,
        [
            (
                link_to("livestreams_broadcast", each.id, each.number),
                badge(each.state),
                link_to("videos_video", each.video_id),
                each.publisher_address,
                each.started_at,
                each.live_at or "",
                each.ended_at or "",
                each.error_detail,
            )
            for each in broadcasts
        ],
    )


def _refusals(refusals: Iterable[Refusal]) -> Panel:
    rows = [(each.last_at, each.code, each.detail, each.publisher_address, each.count) for each in refusals]
    return panel("Refused publishers, newest first", ("Last", "Code", "Reason", "Publisher", "Times"), rows)
