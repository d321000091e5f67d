"""Examples of video documents in the schema."""

from drf_spectacular.utils import OpenApiExample

_ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
_PATH = f"/api/v1/videos/{_ID}"
_PLAY = "https://video.example.com/play/3fa85f6457174562b3fc2c963f66afa6-69209c80.c2ln/1"
_WATCH = "https://video.example.com/watch/3fa85f6457174562b3fc2c963f66afa6-69209c80.c2ln"

VIDEO = OpenApiExample(
    "an inspected video",
    response_only=True,
    value={
        "id": _ID,
        "filename": "holiday.mov",
        "status": "ready",
        "size": 104857600,
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "container": "mov",
        "parts": [],
        "imported_from": None,
        "original_url": f"https://video.example.com{_PATH}/original",
        "duration": 61.5,
        "width": 1920,
        "height": 1080,
        "codec": "h264",
        "bitrate": 13639948,
        "frame_rate": 29.97,
        "external_id": "asset-17",
        "metadata": {"project": "summer", "audio_codec": "aac", "audio_channels": 2},
        "streams": [
            {
                "index": 0,
                "kind": "video",
                "codec": "h264",
                "language": None,
                "role": None,
                "default": True,
                "forced": False,
                "cover": False,
                "width": 1920,
                "height": 1080,
                "channels": None,
                "layout": None,
                "sample_rate": None,
                "duration": 61.5,
                "used": True,
            },
            {
                "index": 1,
                "kind": "audio",
                "codec": "aac",
                "language": "eng",
                "role": "main",
                "default": True,
                "forced": False,
                "cover": False,
                "width": None,
                "height": None,
                "channels": 2,
                "layout": "stereo",
                "sample_rate": 48000,
                "duration": 61.5,
                "used": True,
            },
        ],
        "warnings": [
            {
                "code": "rotated",
                "detail": "The video is stored turned. The outputs are upright, as a player would show it.",
                "seconds": None,
                "count": None,
            }
        ],
        "thumbnails": None,
        "texts": [
            {
                "id": "8d4f5c1e-92ab-4d3f-b1c7-5a0e6f2d9b34",
                "name": "de-8d4f5c1e92ab",
                "language": "de",
                "label": "Deutsch",
                "default": False,
                "forced": False,
                "sdh": False,
                "origin": "uploaded",
                "stream": None,
                "state": "ready",
                "error": None,
            }
        ],
        "error": None,
        "created_at": "2026-01-31T12:00:00Z",
        "inspected_at": "2026-01-31T12:00:01Z",
        "source_expires_at": "2026-03-02T12:00:01Z",
        "expires_at": None,
        "links": {
            "self": _PATH,
            "playback": f"{_PATH}/playback",
            "transcode": f"{_PATH}/transcode",
            "jobs": f"{_PATH}/jobs",
            "outputs": f"{_PATH}/outputs",
            "texts": f"{_PATH}/texts",
        },
    },
)
PLAYBACK = OpenApiExample(
    "a complete video",
    response_only=True,
    value={
        "video_id": _ID,
        "state": "complete",
        "generation": 1,
        "hls_url": f"{_PLAY}/master.m3u8",
        "dash_url": f"{_PLAY}/manifest.mpd",
        "expires_at": "2026-02-01T12:00:00Z",
        "watch_url": _WATCH,
        "embed_html": f'<iframe src="{_WATCH}?embed=1" title="Video" allowfullscreen></iframe>',
        "renditions": [
            {
                "name": "1080p",
                "kind": "video",
                "width": 1920,
                "height": 1080,
                "bitrate": 5000000,
                "frame_rate": "30000/1001",
                "codecs": "avc1.640028",
            }
        ],
        "thumbnails": None,
        "texts": [
            {
                "name": "de-9f86d081884c",
                "language": "de",
                "label": "Deutsch",
                "default": True,
                "forced": False,
                "sdh": False,
                "url": f"{_PLAY}/texts/de-9f86d081884c.vtt",
            }
        ],
    },
)
