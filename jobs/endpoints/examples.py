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
TRANSCODE = [
    OpenApiExample("the whole ladder", request_only=True, value={}),
    OpenApiExample(
        "one rendition, urgent, with a file to download",
        request_only=True,
        value={**_REQUEST, "priority": "high", "external_id": "order-4711", "metadata": {"customer": 17}},
    ),
    OpenApiExample("a dry run", request_only=True, value={"ladder": "auto", "dry_run": True}),
    OpenApiExample("the job", response_only=True, status_codes=["202"], value=JOB.value),
]
