"""Builders of the documents of live streams."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from livestreams.endpoints.destinations import shown_destination
from livestreams.models import Broadcast, Livestream, Refusal
from livestreams.playback.urls import stream_urls
from livestreams.selectors import segment_seconds
from livestreams.states import ON_AIR_STATES
from livestreams.wiring import livestream_config


def livestream_document(
    livestream: Livestream, broadcast: Broadcast | None, request: HttpRequest, *, stream_key: str | None = None
) -> dict[str, Any]:
    """Build the document of a live stream and its newest broadcast. `stream_key` is shown where it is new."""
    config, urls = livestream_config(), stream_urls(request, livestream)
    ladder, args = livestream.ladder, [livestream.id]
    on_air = broadcast is not None and broadcast.state in ON_AIR_STATES
    pushed = broadcast.health.get("push", {}) if broadcast is not None and on_air else {}
    return {
        "id": livestream.id,
        "name": livestream.name,
        "state": livestream.state,
        "playback_id": livestream.playback_id,
        "ingest": {
            "rtmp_url": config.live_rtmp_url,
            "rtmps_url": config.live_rtmps_url or None,
            "stream_key": stream_key,
            "key_hint": livestream.key_hint,
        },
        "playback": {"hls_url": urls.hls, "dash_url": urls.dash, "expires_at": urls.expires_at},
        "broadcast": broadcast and broadcast_document(broadcast),
        "ladder": ladder.get("rungs"),
        "encoder": ladder.get("encoder", "auto"),
        "preset": ladder.get("preset"),
        **{name: getattr(livestream, name) for name in _COLUMNS},
        "push": [_push(each, pushed.get(each["id"], {})) for each in livestream.push],
        "metadata": livestream.client_metadata,
        "error": _error(livestream),
        "links": {
            "self": reverse("livestream-detail", args=args),
            "rotate_key": reverse("livestream-rotate-key", args=args),
            "stop": reverse("livestream-stop", args=args),
            "recordings": reverse("livestream-recordings", args=args),
            "refusals": reverse("livestream-refusals", args=args),
        },
    }


def broadcast_document(broadcast: Broadcast) -> dict[str, Any]:
    """Build the document of a broadcast."""
    video = [broadcast.video_id]
    on_air = broadcast.state in ON_AIR_STATES
    return {
        "id": broadcast.id,
        "number": broadcast.number,
        "state": broadcast.state,
        "video_id": broadcast.video_id,
        "job_id": broadcast.job_id,
        "recorded": broadcast.record,
        "publisher_address": broadcast.publisher_address,
        "publisher_connected": on_air and broadcast.publisher_left_at is None,
        "stop_requested": broadcast.stop_requested_at is not None,
        "started_at": broadcast.started_at,
        "live_at": broadcast.live_at,
        "ended_at": broadcast.ended_at,
        "health": _health(broadcast) if broadcast.health_at else None,
        "viewers": _viewers(broadcast.viewers) if on_air else None,
        "error": _error(broadcast),
        "links": {
            "video": reverse("video-detail", args=video),
            "job": reverse("job-detail", args=[broadcast.job_id]) if broadcast.job_id else None,
            "playback": reverse("video-playback", args=video),
        },
    }


def refusal_document(refusal: Refusal) -> dict[str, Any]:
    """Build the document of refused publishers."""
    return {name: getattr(refusal, name) for name in _REFUSAL_COLUMNS}


_COLUMNS = (
    "latency", "record", "dvr_seconds", "private", "reconnect_seconds", "max_bitrate", "max_height", "mp4",
    "external_id", "created_at",
)  # fmt: skip
_REFUSAL_COLUMNS = ("code", "detail", "publisher_address", "count", "created_at", "last_at")
_MEASURED = (
    "bitrate", "frame_rate", "width", "height", "video_codec", "audio_codec", "keyframe_seconds", "dropped_frames",
    "drift_ms", "silent_seconds", "behind_seconds", "encoder_too_slow", "restarts", "reconnects", "encoder", "fallback",
)  # fmt: skip


def _health(broadcast: Broadcast) -> dict[str, Any]:
    health = broadcast.health
    return {
        "measured_at": broadcast.health_at,
        **{name: health.get(name) for name in _MEASURED},
        "segment_seconds": segment_seconds(broadcast) if broadcast.state in ON_AIR_STATES else None,
        "renditions": health.get("renditions", []),
    }


def _viewers(viewers: Mapping[str, Any]) -> dict[str, Any]:
    return {"total": viewers.get("total", 0), "renditions": viewers.get("renditions", {})}


def _push(destination: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": destination["id"],
        "name": destination["name"],
        "url": shown_destination(destination["url"]),
        "state": state.get("state"),
        "error": state.get("error") or None,
        "dropped_frames": state.get("dropped_frames"),
    }


def _error(row: Livestream | Broadcast) -> dict[str, str] | None:
    return {"code": row.error_code, "detail": row.error_detail} if row.error_code else None
