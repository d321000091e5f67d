"""Documents of live sessions, and the query of their list."""

from typing import Any

from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, extend_schema_field
from rest_framework import serializers

from api.fields import Choice
from api.pagination import ListQuery
from relay.engines.engine import EngineKind
from relay.models import LiveSession, SessionState
from relay.records.services import fallback_document

STATES = [state.value for state in SessionState]
ENGINES = [kind.value for kind in EngineKind]
MAX_NODE_LENGTH = 255


class LiveSessionQuery(ListQuery):
    """Query of a list of live sessions."""

    state = Choice(choices=STATES, required=False, help_text="Only those in this state.")
    engine = Choice(choices=ENGINES, required=False, help_text="Only those of this engine.")
    node = serializers.CharField(required=False, max_length=MAX_NODE_LENGTH, help_text="Only those of this node.")


class LiveSessionFallback(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="Why, such as `hardware_unavailable`.")
    detail = serializers.CharField(help_text="For people.")


class LiveSessionError(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="For programs; never changes.")
    detail = serializers.CharField(help_text="For people.")


class LiveSessionLinks(serializers.Serializer[Any]):
    self = serializers.CharField()


class LiveSessionDocument(serializers.Serializer[Any]):
    """A live session: one run of an engine over one source, for all viewers that share it."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(STATES, help_text="`live` from the first byte for viewers on.")
    engine = serializers.ChoiceField(ENGINES)
    profile = serializers.CharField()
    source_url = serializers.CharField(
        help_text="Scheme, host and file of the source, without credentials, folders and query. Empty: the viewer sent"
        " it."
    )
    source_host = serializers.CharField()
    node = serializers.CharField(help_text="The relay that serves it.")
    encoder = serializers.CharField(help_text="ffmpeg's name of the encoder; empty before the first byte.")
    fallback = serializers.SerializerMethodField(help_text="Why it is not served in the preferred way. Null: it is.")
    viewers = serializers.IntegerField(help_text="Now.")
    bytes_in = serializers.IntegerField(help_text="From the source.")
    bytes_out = serializers.IntegerField(help_text="To all viewers together.")
    reconnects = serializers.IntegerField(help_text="Connections to the source that were opened again.")
    restarts = serializers.IntegerField(help_text="Jumps of the source's clock.")
    dropped_viewers = serializers.IntegerField(help_text="Viewers that read too slowly.")
    silence_ms = serializers.IntegerField(help_text="Silence inserted for missing audio.")
    decode_errors = serializers.IntegerField()
    drift_ms = serializers.IntegerField(
        allow_null=True,
        help_text="Audio behind video, beyond what the source has; negative: ahead. Null: not measured.",
    )
    created_at = serializers.DateTimeField(help_text="When it was requested.")
    first_byte_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    end_requested = serializers.SerializerMethodField(help_text="Somebody requested its end.")
    end_reason = serializers.SerializerMethodField(
        help_text="`viewers_gone`, `source_ended`, `requested` or `draining`. Null: it runs, or failed."
    )
    error = serializers.SerializerMethodField(help_text="Null: it did not fail.")
    links = serializers.SerializerMethodField()

    @extend_schema_field(LiveSessionFallback(allow_null=True))
    def get_fallback(self, session: LiveSession) -> dict[str, str] | None:
        return fallback_document(session)

    def get_end_requested(self, session: LiveSession) -> bool:
        return session.end_requested_at is not None

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_end_reason(self, session: LiveSession) -> str | None:
        return session.end_code if session.state == SessionState.ENDED else None

    @extend_schema_field(LiveSessionError(allow_null=True))
    def get_error(self, session: LiveSession) -> dict[str, str] | None:
        failed = session.state == SessionState.FAILED
        return {"code": session.end_code, "detail": session.end_detail} if failed else None

    @extend_schema_field(LiveSessionLinks)
    def get_links(self, session: LiveSession) -> dict[str, str]:
        return {"self": reverse("live-session-detail", args=[session.id])}


_ID = "0b8f6a52-6a4e-4d0e-9d0a-4a3b6a2f6c11"

LIVE_SESSION = OpenApiExample(
    "a live stream that the CPU encodes for want of a GPU",
    response_only=True,
    value={
        "id": _ID,
        "state": "live",
        "engine": "transcode",
        "profile": "720p",
        "source_url": "http://receiver.example.com:8001/1:0:19:283D:3FB:1:C00000:0:0:0:",
        "source_host": "receiver.example.com:8001",
        "node": "relay-1",
        "encoder": "libx264",
        "fallback": {"code": "hardware_unavailable", "detail": "no device can encode h264"},
        "viewers": 2,
        "bytes_in": 104857600,
        "bytes_out": 73400320,
        "reconnects": 0,
        "restarts": 0,
        "dropped_viewers": 0,
        "silence_ms": 0,
        "decode_errors": 0,
        "drift_ms": 3,
        "created_at": "2026-12-01T20:15:00.120000Z",
        "first_byte_at": "2026-12-01T20:15:01.480000Z",
        "ended_at": None,
        "end_requested": False,
        "end_reason": None,
        "error": None,
        "links": {"self": f"/api/v1/live/sessions/{_ID}"},
    },
)
