"""docs/coming-from.md names only what exists of ours, and leaves out nothing that users of the others type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from configuration.loading import all_settings
from configuration.other_names import OTHER_NAMES, WITHOUT_EFFECT
from events.types import EVENT_TYPES
from jobs.endpoints.requests import PROCESSING
from jobs.rules.rank import PRIORITY_NAMES
from livestreams.playback.urls import MASTER, MPD, PREFIX
from relay.http.app import PUSH, REMUX, TRANSCODE
from transcoder_site.probes import ALIVE, HEALTH, METRICS, READY

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "coming-from.md").read_text()
OUTSIDE_THE_SCHEMA = {
    *(f"GET {path}" for path in (ALIVE, READY, HEALTH, METRICS, "/api/", TRANSCODE, REMUX)),
    f"POST {PUSH}",
    *(f"GET {PREFIX}{{}}/{file}" for file in (MASTER, MPD)),
}
UNAVAILABLE = ("not yet", "not offered")

THEIRS = {
    "Video Transcoding Pipeline": """
        /health /videos/upload /videos /videos/:id /videos/:id/transcode /jobs/:id /videos/:id/jobs /jobs/:id/cancel
        /videos/:id/outputs /auth/register /auth/login /uploads/initiate /jobs/:id/pause /jobs/:id/resume /webhooks
        /metrics /workers/health /system/health /queue/stats /api/v1/system/gpu/status /videos/:id/analyze /livestreams
        resolution output_format codec bitrate preset priority enable_hls enable_dash generate_thumbnails
        extract_subtitles normalize_audio gpu_enabled gpu_device gpu_codec gpu_fallback cpu_codec
        processing_time_seconds processing_speed
        workerCount tempDir ffmpegPath ffprobePath maxConcurrent chunkSize enableGPU gpuDeviceIndex enableTwoPass
        enableCache cacheTTL parallelUpload uploadPartSize maxConcurrentParts
        job_started job_completed job_failed job_progress video_uploaded stream_started stream_ended
        transcode_http_requests_total transcode_http_request_duration_seconds transcode_video_uploads_total
        transcode_video_upload_size_bytes transcode_jobs_created_total transcode_jobs_completed_total
        transcode_jobs_in_progress transcode_jobs_queue_depth transcode_job_duration_seconds
        transcode_job_queue_time_seconds transcode_worker_active transcode_worker_jobs_processed_total
        transcode_speed_ratio transcode_output_bitrate_bps transcode_gpu_utilization_percent
        transcode_gpu_memory_used_bytes transcode_gpu_temperature_celsius transcode_storage_operations_total
        transcode_storage_operation_duration_seconds transcode_storage_bytes_transferred_total
        transcode_database_operations_total _operation_duration_seconds _connections_active transcode_vmaf_score
        transcode_bitrate_optimization_savings_percent transcode_cache_hits_total transcode_cache_misses_total
        transcode_errors_total transcode_video_duration_processed_seconds_total
        transcode_estimated_cost_per_job_dollars""",
    "xg2g GPU Transcoder": """
        /transcode?source_url=… /transcode/stream /health /metrics VAAPI_DEVICE FFMPEG_PATH VIDEO_CODEC VIDEO_BITRATE
        AUDIO_CODEC AUDIO_BITRATE AUDIO_CHANNELS ANALYZE_DURATION PROBE_SIZE PORT XG2G_GPU_TRANSCODE
        XG2G_TRANSCODER_URL xg2g_transcoder_requests_total xg2g_transcoder_active_sessions
        xg2g_transcoder_duration_seconds""",
    "xg2g Native Audio Remuxer": """
        XG2G_USE_RUST_REMUXER XG2G_ENABLE_AUDIO_TRANSCODING XG2G_AUDIO_CODEC XG2G_AUDIO_BITRATE XG2G_AUDIO_CHANNELS
        XG2G_ENABLE_STREAM_PROXY XG2G_PROXY_TARGET XG2G_PROXY_LISTEN /path/to/stream http_requests_total
        http_request_duration_seconds transcode.rust""",
    "MarchProxy RTMP Container": """
        /streams/{key}/master.m3u8 /streams/{key}/dash/manifest.mpd GetStatus GetRoutes GetMetrics HealthCheck GetStats
        host port grpc-port encoder nvenc_h264 nvenc_h265 amf_h264 amf_h265 preset enable-hls enable-dash
        segment-duration max-bitrate max-streams max-resolution output-dir""",
    "FFmpeg-RTMP": """
        POST /jobs /jobs/{id} /nodes/register /nodes /health /metrics scenario confidence engine queue priority
        --db --db-type --db-dsn --port --tls --cert --key --mtls --api-key --metrics --metrics-port --max-retries
        --scheduler-interval --master --register --max-concurrent-jobs --poll-interval --heartbeat-interval
        --generate-input --ca --insecure-skip-verify MASTER_API_KEY FFMPEG_RTMP_API_KEY ffrtmp_jobs_total
        ffrtmp_jobs_completed_by_engine scheduler_http_bandwidth_bytes_total scheduler_jobs_by_queue
        scheduler_nodes_total ffrtmp_worker_active_jobs ffrtmp_worker_jobs_total ffrtmp_worker_heartbeat_total
        ffrtmp_worker_job_duration_seconds""",
}
"""Names that their documents have users type, call or watch."""


def rows(text: str) -> Iterator[list[str]]:
    """Cells of the tables that say what takes the place of what."""
    ours = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            ours = False
        elif cells[:2] == ["theirs", "vodmill"]:
            ours = True
        elif ours and not line.startswith("|---"):
            yield cells


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@cache
def schema() -> Any:  # noqa: ANN401 - a document
    return yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())


@cache
def endpoints() -> frozenset[str]:
    found = {
        f"{method.upper()} {plain(path)}" for path, operations in schema()["paths"].items() for method in operations
    }
    return frozenset(found | OUTSIDE_THE_SCHEMA)


def plain(path: str) -> str:
    """A path without the names of what varies in it."""
    return re.sub(r"{\w+}", "{}", path)


@cache
def words() -> tuple[frozenset[str], frozenset[str]]:
    """Names of fields, and the values that a field may have."""
    fields, values = set(PROCESSING), set(PRIORITY_NAMES)

    def walk(node: object) -> None:
        if isinstance(node, dict):
            fields.update(node.get("properties", {}))
            values.update(value for value in node.get("enum", ()) if isinstance(value, str))
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(schema())
    return frozenset(fields), frozenset(values)


def exists(name: str) -> bool:
    """Return True if the product has an endpoint, setting, metric, event, command, field or value of this name."""
    fields, values = words()
    if re.match(r"[A-Z]+ /", name):
        return plain(name) in endpoints()
    if name.startswith("TRANSCODER_"):
        return name.partition("=")[0] in {setting.variable for setting in all_settings()}
    if name.startswith("vodmill_"):
        return f"| `{name}` |" in (ROOT / "docs" / "metrics.md").read_text()  # which is compared with what is shown
    if name.startswith("manage.py "):
        return bool(list(ROOT.glob(f"*/management/commands/{name.removeprefix('manage.py ')}.py")))
    field, separator, value = name.partition(": ")
    if separator:
        return field in fields and value in values
    return name in fields or name in values or name in EVENT_TYPES


def test_everything_of_ours_exists() -> None:
    missing = [(cells[0], name) for cells in rows(PAGE) for name in quoted(cells[1]) if not exists(name)]
    assert missing == []


@pytest.mark.parametrize(
    "name", ["GET /api/v1/jobs/{x}/nothing", "TRANSCODER_NONE", "vodmill_none", "job.lost", "gpu: x"]
)
def test_what_does_not_exist_is_found_out(name: str) -> None:
    assert not exists(name)


def test_every_row_says_what_takes_the_place_or_that_nothing_does() -> None:
    assert [cells for cells in rows(PAGE) if len(cells) != 3 or not (quoted(cells[1]) or cells[1] in UNAVAILABLE)] == []


def test_what_is_not_offered_has_a_reason() -> None:
    assert [cells for cells in rows(PAGE) if cells[1] == "not offered" and not cells[2]] == []


@pytest.mark.parametrize("system", THEIRS)
def test_everything_that_their_documents_name_is_answered(system: str) -> None:
    (section,) = re.findall(rf"^## \d\. {re.escape(system)}$(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
    answered = " ".join(name for cells in rows(section) for name in quoted(cells[0]))
    missing = [name for name in THEIRS[system].split() if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", answered)]
    assert missing == []


def test_every_setting_of_theirs_that_is_accepted_is_in_its_table() -> None:
    left = {name: cells[1] for cells in rows(PAGE) for name in quoted(cells[0])}
    for other in OTHER_NAMES:
        assert f"TRANSCODER_{other.setting.upper()}" in quoted(left[other.variable])
    assert set(WITHOUT_EFFECT) <= left.keys()


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)", PAGE)
    assert [target for target in targets if not (ROOT / "docs" / target).exists()] == []
