"""GPU choices in requests, over HTTP: what is refused names the choices, and is never a server error."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client

import jobs.endpoints.apis
import jobs.planning.requests
import jobs.planning.routing
from configuration import GpuConfig
from gpu.devices import Device, DeviceKind, DeviceState, SlotLimits, Verdict
from gpu.services import DeviceDescription, device_report
from jobs.models import Job, Step
from tests.rows import a_policy, a_video, some_facts
from videos.models import Video

pytestmark = pytest.mark.django_db
H264 = "h264_nvenc"


def a_gpu(index: int, *encoders: str, ten_bits: bool = False) -> None:
    device = Device(index=index, uuid=f"GPU-{index}", name="L4", kind=DeviceKind.NVIDIA, driver="570.1")
    verdicts = {
        name: Verdict(encoder=name, available=True, reason="", ten_bits=ten_bits, driver="570.1", ffmpeg_version="9")
        for name in encoders
    }
    described = DeviceDescription(state=DeviceState(device=device), limits=SlotLimits(device=8), verdicts=verdicts)
    device_report(node=f"node-{index}", machine="m", descriptions=[described])


def ask(client: Client, **body: object) -> tuple[int, dict[str, Any]]:
    """Status and document of what is answered when a new video is to be transcoded."""
    return ask_of(client, a_video(), **body)


def ask_of(client: Client, video: Video, **body: object) -> tuple[int, dict[str, Any]]:
    """The same of a video."""
    url = f"/api/v1/videos/{video.id}/transcode"
    answer = client.post(url, data=json.dumps(body), content_type="application/json")
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()


@pytest.mark.parametrize("choice", [{}, {"gpu_device": 1}])
def test_a_dry_run_of_what_only_a_gpu_may_do_says_that_none_can(client: Client, choice: dict[str, object]) -> None:
    a_gpu(1, "hevc_nvenc")
    status, problem = ask(client, gpu="require", dry_run=True, **choice)
    assert (status, problem["code"], problem["retryable"]) == (409, "gpu_unavailable", True)
    assert problem["detail"] == "No GPU that can encode h264 is there now; a job would wait for one."
    assert not Job.objects.exists()


def test_a_job_that_only_a_gpu_may_do_is_accepted_and_waits(client: Client) -> None:
    status, job = ask(client, gpu="require")
    assert (status, job["state"], job["phase"]) == (202, "queued", "waiting")


def test_with_a_gpu_a_dry_run_says_what_it_would_do(client: Client) -> None:
    a_gpu(0, H264)
    status, plan = ask(client, gpu="require", gpu_device=0, dry_run=True)
    assert (status, plan["encoder"]) == (200, H264)


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("policy", ["prefer", "require", None])
@pytest.mark.parametrize("index", [7, 256, -2, 10**30])
def test_an_index_that_no_node_has_is_refused_and_those_that_there_are_named(
    client: Client, index: int, policy: str | None, *, dry_run: bool
) -> None:
    a_gpu(0, H264)
    a_gpu(3)
    choice = {"gpu": policy} if policy else {}
    status, problem = ask(client, gpu_device=index, dry_run=dry_run, **choice)
    assert (status, problem["code"]) == (422, "invalid")
    assert problem["errors"] == [{"field": "gpu_device", "detail": "must be one of: -1, 0, 3"}]
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("body", "field", "choices"),
    [
        ({"gpu": "always"}, "gpu", "prefer, require, never"),
        ({"codec": "h264_nvenc"}, "codec", "h264, h265, hevc, av1, vp9, libx264, libx265, libsvtav1"),
        ({"codec": "vp9", "gpu": "require"}, "gpu", "prefer, never; no GPU encodes vp9"),
    ],
)
def test_an_unknown_policy_or_encoder_is_refused_and_the_known_ones_are_named(
    client: Client, body: dict[str, object], field: str, choices: str
) -> None:
    status, problem = ask(client, **body)
    assert status == 422
    assert [(error["field"], choices in error["detail"]) for error in problem["errors"]] == [(field, True)]


@pytest.mark.parametrize("dry_run", [False, True])
def test_where_gpus_are_switched_off_none_can_be_required(
    client: Client, monkeypatch: pytest.MonkeyPatch, *, dry_run: bool
) -> None:
    monkeypatch.setattr(jobs.endpoints.apis, "job_policy", lambda: replace(a_policy(), gpu=GpuConfig(enable_gpu=False)))
    status, problem = ask(client, gpu="require", dry_run=dry_run)
    assert (status, problem["errors"][0]["field"]) == (422, "gpu")
    assert problem["errors"][0]["detail"].startswith("must be one of: prefer, never")


def test_a_codec_that_no_gpu_encodes_goes_to_the_cpu_at_once_or_is_refused(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every codec of today has encoders on devices; the next one may have none."""
    for module in (jobs.planning.requests, jobs.planning.routing):
        monkeypatch.setattr(module, "hardware_encoders", lambda _: ())
    a_gpu(0, H264)
    status, plan = ask(client, gpu="prefer", dry_run=True)
    assert (status, plan["encoder"]) == (200, "libx264")
    assert "a GPU was preferred, but no GPU encodes this codec" in [reason["because"] for reason in plan["reasons"]]
    _, job = ask(client, gpu="prefer")
    assert Job.objects.get(id=job["id"]).metadata == {"gpu_fallback": True, "fallback_reason": "no_gpu_encoder"}
    status, problem = ask(client, gpu="require")
    assert (status, problem["errors"][0]["field"]) == (422, "gpu")
    assert problem["errors"][0]["detail"] == "must be one of: prefer, never; no GPU encodes h264"


def a_video_of_high_range() -> Video:
    video = a_video()
    color = {"primaries": "bt2020", "transfer": "smpte2084", "matrix": "bt2020nc", "range": "tv"}
    facts = some_facts()
    facts["video_stream"] |= {"color": color, "pixel_format": "yuv420p10le"}  # type: ignore[operator]
    Video.objects.filter(id=video.id).update(facts=facts)
    return video


def test_high_range_goes_only_to_a_gpu_that_has_encoded_ten_bits(client: Client) -> None:
    a_gpu(0, "hevc_nvenc")
    video, high = a_video_of_high_range(), {"codec": "hevc", "dynamic_range": "source"}
    status, plan = ask_of(client, video, gpu="prefer", dry_run=True, **high)
    assert (status, plan["encoder"]) == (200, "libx265")
    assert ask_of(client, video, gpu="require", dry_run=True, **high)[1]["code"] == "gpu_unavailable"
    _, mapped = ask_of(client, video, gpu="require", codec="hevc")
    a_gpu(1, "hevc_nvenc", ten_bits=True)
    status, job = ask_of(client, video, gpu="require", gpu_device=1, **high)
    assert status == 202
    found = Step.objects.filter(kind="chunk").values_list("job_id", "encoder").distinct()
    assert {(str(each), encoder) for each, encoder in found} == {
        (mapped["id"], "hevc_nvenc"),
        (job["id"], "hevc_nvenc:10@1"),
    }
