"""GET /api/v1/system/gpu/status, and the command that requests trials."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F
from rest_framework.test import APIClient, APIRequestFactory

from gpu.apis import GpuStatusApi
from gpu.devices import Device, DeviceKind, DeviceState, FailureKind, Reading, SlotLimits, Verdict
from gpu.models import DeviceReport
from gpu.services import DeviceDescription, device_pop_trial_request, device_record_failure, device_report
from tests.rows import a_key

pytestmark = pytest.mark.django_db
URL = "/api/v1/system/gpu/status"


def described(index: int = 0, *, reason: str = "", name: str = "Tesla T4") -> DeviceDescription:
    encoder = "h264_nvenc"
    verdict = Verdict(encoder=encoder, available=not reason, reason=reason, driver="570.86", ffmpeg_version="9.0.2")
    reading = Reading(
        memory_total_mb=16_000, memory_used_mb=1_000, memory_free_mb=15_000, utilization_percent=12, sessions=3
    )
    device = Device(index=index, uuid=f"GPU-{index}", name=name, kind=DeviceKind.NVIDIA, driver="570.86")
    return DeviceDescription(
        state=DeviceState(device=device, reading=reading), limits=SlotLimits(device=16), verdicts={encoder: verdict}
    )


def report(*devices: DeviceDescription, node: str = "n1") -> None:
    device_report(node=node, machine="m1", descriptions=devices)


def status() -> dict[str, Any]:
    response = APIClient().get(URL, headers={"X-API-Key": a_key()})
    assert response.status_code == 200
    document: dict[str, Any] = response.json()
    return document


def test_without_devices_nothing_is_available() -> None:
    assert status() == {"available": False, "nvenc_supported": False, "device_count": 0, "devices": []}


def test_the_document_has_the_seed_s_shape_and_our_additions() -> None:
    report(described())
    assert status() == {
        "available": True,
        "nvenc_supported": True,
        "device_count": 1,
        "devices": [
            {
                "index": 0,
                "name": "Tesla T4",
                "memory_total_mb": 16_000,
                "memory_used_mb": 1_000,
                "memory_free_mb": 15_000,
                "utilization_percent": 12,
                "encoder_utilization_percent": None,
                "temperature_c": None,
                "power_watts": None,
                "sessions": 3,
                "uuid": "GPU-0",
                "kind": "nvidia",
                "driver": "570.86",
                "node": "n1",
                "nodes": ["n1"],
                "stale": False,
                "error": "",
                "slots": {"used": 0, "total": 16, "system_total": None},
                "encoders": [
                    {
                        "name": "h264_nvenc",
                        "available": True,
                        "reason": "",
                        "ten_bits": False,
                        "ten_bits_reason": "",
                        "driver": "570.86",
                        "ffmpeg_version": "9.0.2",
                        "retry_at": None,
                    }
                ],
            }
        ],
    }


def test_a_device_without_nvenc_is_shown_with_its_reason() -> None:
    report(described(reason="unsupported device (2)", name="NVIDIA H200"))
    document = status()
    assert (document["available"], document["nvenc_supported"], document["device_count"]) == (False, False, 1)
    (device,) = document["devices"]
    assert device["slots"]["total"] == 0
    assert (device["encoders"][0]["available"], device["encoders"][0]["reason"]) == (False, "unsupported device (2)")


def test_a_device_of_several_nodes_is_one_entry_as_a_live_node_reports_it() -> None:
    report(described(), node="n1")
    DeviceReport.objects.update(reported_at=F("reported_at") - timedelta(seconds=60))
    report(described(name="T4 of n2"), node="n2")
    document = status()
    assert document["device_count"] == 1
    (device,) = document["devices"]
    assert (device["name"], device["node"], device["nodes"], device["stale"]) == (
        "T4 of n2",
        "n2",
        ["n1", "n2"],
        False,
    )


def test_a_device_that_works_on_one_of_its_nodes_is_available() -> None:
    """Jobs go to that node: its report is shown, whichever node is first by name."""
    report(described(reason="libnvidia-encode is missing"), node="n1")
    report(described(), node="n2")
    document = status()
    assert (document["available"], document["nvenc_supported"], document["device_count"]) == (True, True, 1)
    (device,) = document["devices"]
    assert (device["node"], device["slots"]["total"], device["encoders"][0]["available"]) == ("n2", 16, True)


def test_devices_of_a_silent_node_are_stale_then_removed() -> None:
    report(described())
    DeviceReport.objects.update(reported_at=F("reported_at") - timedelta(seconds=60))
    document = status()
    assert (document["available"], document["nvenc_supported"]) == (False, False)
    assert [each["stale"] for each in document["devices"]] == [True]
    DeviceReport.objects.update(reported_at=F("reported_at") - timedelta(seconds=600))
    assert status()["devices"] == []


def test_an_encoder_that_is_set_aside_has_a_retry_time() -> None:
    report(described())
    for _ in range(3):
        device_record_failure(
            node="n1", uuid="GPU-0", encoder="h264_nvenc", kind=FailureKind.ENCODER_REFUSED, pause_seconds=60
        )
    (encoder,) = status()["devices"][0]["encoders"]
    assert (encoder["available"], encoder["reason"]) == (False, "set aside after 3 failures")
    assert encoder["retry_at"] is not None


def test_used_slots_come_from_the_mounting_package() -> None:
    report(described())
    view = GpuStatusApi.as_view(slots_used=lambda: {"GPU-0": 5})
    response = view(APIRequestFactory().get(URL, headers={"X-API-Key": a_key()}))
    assert response.data["devices"][0]["slots"]["used"] == 5


def _command(name: str, *args: str) -> str:
    out = StringIO()
    call_command(name, *args, stdout=out)
    return out.getvalue()


def test_the_command_requests_trials() -> None:
    with pytest.raises(CommandError, match="no worker node has a device"):
        _command("gpu_trial")
    report(described(0), described(1))
    assert _command("gpu_trial", "n1") == "requested on 2 devices\n"
    assert device_pop_trial_request(node="n1")
    with pytest.raises(CommandError, match="no worker node 'n9' has a device"):
        _command("gpu_trial", "n9")
