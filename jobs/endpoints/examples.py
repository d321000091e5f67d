"""Examples of jobs in the OpenAPI document."""

from drf_spectacular.utils import OpenApiExample

_ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
_VIDEO = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
_URL, _VIDEO_URL = f"/api/v1/jobs/{_ID}", f"/api/v1/videos/{_VIDEO}"

_REQUEST = {"resolution": "1080p", "codec": "h264", "preset": "medium", "bitrate": 5000000, "output_format": "mp4"}

JOB = OpenApiExample(
    "a job in the middle",
    response_only=True,
    value={
        "id": _ID,
        "video_id": _VIDEO,
        "state": "processing",
        "status": "processing",
        "phase": "encoding",
        "priority": 50,
        "progress": 42,
        "speed": 3.2,
        "eta_seconds": 11,
        "created_at": "2026-01-31T12:00:02Z",
        "started_at": "2026-01-31T12:00:03Z",
        "playable_at": "2026-01-31T12:00:06Z",
        "finished_at": None,
        "error": None,
        "request": _REQUEST,
        "delivery": None,
        "external_id": "order-4711",
        "metadata": {"customer": 17},
        "links": {
            "self": _URL,
            "outputs": f"{_URL}/outputs",
            "plan": f"{_URL}/plan",
            "video": _VIDEO_URL,
            "playback": f"{_VIDEO_URL}/playback",
        },
    },
)
_COMMAND = ["ffmpeg", "-nostdin", "-i", "{source}", "-c:v", "libx264", "-f", "mp4", "{360p}"]
PLAN = OpenApiExample(
    "the plan of a dry run",
    response_only=True,
    status_codes=["200"],
    value={
        "video_id": _VIDEO,
        "job_id": None,
        "generation": None,
        "codec": "h264",
        "encoder": "libx264",
        "preset": "veryfast",
        "devices": [],
        "frame_rate": 25.0,
        "duration": 40.0,
        "total_frames": 1000,
        "total_segments": 10,
        "encodings": [
            {
                "codec": "h264",
                "encoder": "libx264",
                "preset": "veryfast",
                "device": "cpu",
                "passes": 1,
                "speed": 3.5,
                "work_seconds": 12.0,
                "renditions": ["360p"],
            }
        ],
        "renditions": [
            {
                "name": "360p",
                "codec": "h264",
                "width": 640,
                "height": 360,
                "bitrate": 800000,
                "max_rate": 1200000,
                "buffer_size": 1600000,
                "profile": "high",
                "level": "3.0",
                "tier": "",
                "constant_quality": False,
                "codecs": "avc1.64001e",
                "peak_bandwidth": 1320000,
                "hdr": None,
            }
        ],
        "audio": [
            {
                "name": "audio",
                "stream": 1,
                "language": "eng",
                "role": "main",
                "default": True,
                "channels": 2,
                "bitrate": 128000,
                "codec": "aac",
                "codecs": "mp4a.40.2",
                "mix": "none",
                "normalized": False,
                "peak_bandwidth": 141000,
            }
        ],
        "color": {"primaries": "bt709", "transfer": "bt709", "matrix": "bt709", "range": "tv"},
        "warnings": [],
        "reasons": [{"choice": "ladder", "value": "360p", "because": "the source has 360 lines; nothing is enlarged"}],
        "step_counts": {"chunk": 1},
        "steps_total": 1,
        "steps": [
            {
                "kind": "chunk",
                "ordinal": 0,
                "first_segment": 0,
                "segments": 10,
                "start": 0.0,
                "duration": 40.0,
                "command": _COMMAND,
            }
        ],
        "estimate": {"speed": 3.5, "work_seconds": 12.0, "step_seconds": 6.5, "slots": 2, "seconds": 6.5},
        "budget": {
            "job_seconds": 12.0,
            "max_job_seconds": 500_000,
            "open_seconds": 0.0,
            "max_open_seconds": 1_500_000,
            "fits": True,
        },
    },
)
TRANSCODE = [
    OpenApiExample("the whole ladder", request_only=True, value={}),
    OpenApiExample(
        "one rendition, urgent, with a file to download",
        request_only=True,
        value={**_REQUEST, "priority": "high", "external_id": "order-4711", "metadata": {"customer": 17}},
    ),
    OpenApiExample("a dry run", request_only=True, value={"ladder": "auto", "dry_run": True}),
    PLAN,
    OpenApiExample("the job", response_only=True, status_codes=["202"], value=JOB.value),
]
