"""Examples of live streams in the schema."""

from typing import Any

from drf_spectacular.utils import OpenApiExample

_ID = "7c0f3b0e-6f0e-4a3c-9a55-1f2f6f5f0c1d"
_VIDEO = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
_JOB = "5b0a4f0f-55b1-4cf5-8b35-0d8a7a3f6d27"
_PATH = f"/api/v1/livestreams/{_ID}"
_WATCH = "https://video.example.com/streams/p7k2m9q4x1zt5c8w"

REQUEST = OpenApiExample(
    "a stream for OBS, with a copy to another platform",
    request_only=True,
    value={
        "name": "Council meeting",
        "ladder": ["1080p", "720p", "360p"],
        "encoder": "auto",
        "latency": "low",
        "dvr_seconds": 3600,
        "push": [{"name": "second platform", "url": "rtmps://live.example.org/app/s3cr3t"}],
    },
)
_IDLE: dict[str, Any] = {
    "id": _ID,
    "name": "Council meeting",
    "state": "idle",
    "playback_id": "p7k2m9q4x1zt5c8w",
    "ingest": {
        "rtmp_url": "rtmp://video.example.com:1935/live",
        "rtmps_url": "rtmps://video.example.com:1936/live",
        "stream_key": "q3v8n2k5d7?key=sk_4f9c0c1be8d14d0f8e6a4d0b7c21e5a9",
        "key_hint": "e5a9",
    },
    "playback": {
        "hls_url": f"{_WATCH}/master.m3u8",
        "dash_url": f"{_WATCH}/dash/manifest.mpd",
        "expires_at": None,
    },
    "broadcast": None,
    "ladder": ["1080p", "720p", "360p"],
    "encoder": "auto",
    "preset": None,
    "latency": "low",
    "record": True,
    "dvr_seconds": 3600,
    "private": False,
    "reconnect_seconds": 30,
    "max_bitrate": None,
    "max_height": None,
    "mp4": False,
    "push": [
        {
            "id": "9f86d081",
            "name": "second platform",
            "url": "rtmps://live.example.org/…",
            "state": None,
            "error": None,
            "dropped_frames": None,
        }
    ],
    "external_id": "",
    "metadata": {},
    "error": None,
    "created_at": "2026-12-01T19:00:00Z",
    "links": {
        "self": _PATH,
        "rotate_key": f"{_PATH}/rotate-key",
        "stop": f"{_PATH}/stop",
        "recordings": f"{_PATH}/recordings",
        "refusals": f"{_PATH}/refusals",
    },
}
CREATED = OpenApiExample("a live stream that was just created, with its stream key", response_only=True, value=_IDLE)
_BROADCAST: dict[str, Any] = {
    "id": "1d3c9a80-4f4e-4a83-a4f3-6d7f0a2f9b11",
    "number": 1,
    "state": "live",
    "video_id": _VIDEO,
    "job_id": _JOB,
    "recorded": True,
    "publisher_address": "198.51.100.7",
    "publisher_connected": True,
    "stop_requested": False,
    "started_at": "2026-12-01T20:00:00Z",
    "live_at": "2026-12-01T20:00:02.100000Z",
    "ended_at": None,
    "health": {
        "measured_at": "2026-12-01T20:05:00Z",
        "bitrate": 6190000,
        "frame_rate": 30.0,
        "width": 1920,
        "height": 1080,
        "video_codec": "h264",
        "audio_codec": "aac",
        "keyframe_seconds": 2.0,
        "dropped_frames": 0,
        "drift_ms": 4,
        "silent_seconds": 0.0,
        "segment_seconds": 1.2,
        "behind_seconds": 0.0,
        "encoder_too_slow": False,
        "restarts": 0,
        "reconnects": 0,
        "encoder": "h264_nvenc",
        "renditions": ["1080p", "720p", "360p"],
        "fallback": None,
    },
    "viewers": {"total": 41, "renditions": {"1080p": 29, "720p": 10, "360p": 2}},
    "error": None,
    "links": {
        "video": f"/api/v1/videos/{_VIDEO}",
        "job": f"/api/v1/jobs/{_JOB}",
        "playback": f"/api/v1/videos/{_VIDEO}/playback",
    },
}
LIVE = OpenApiExample(
    "a live stream that is on air",
    response_only=True,
    value={
        **_IDLE,
        "state": "live",
        "ingest": {**_IDLE["ingest"], "stream_key": None},
        "broadcast": _BROADCAST,
        "push": [{**_IDLE["push"][0], "state": "sending", "dropped_frames": 0}],
    },
)
REFUSAL = OpenApiExample(
    "an encoder with an old key",
    response_only=True,
    value={
        "next": None,
        "previous": None,
        "results": [
            {
                "code": "wrong_key",
                "detail": "The stream key is wrong. Copy it again, or rotate it.",
                "publisher_address": "198.51.100.7",
                "count": 12,
                "created_at": "2026-12-01T20:00:00Z",
                "last_at": "2026-12-01T20:01:00Z",
            }
        ],
    },
)
