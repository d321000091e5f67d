"""Devices of a GPU worker, up to a device that turns out to be missing when ffmpeg opens it."""

from pathlib import Path

import pytest

from gpu.devices import Device, DeviceKind, DeviceState, Reading, SlotLimits, Verdict
from gpu.models import DeviceReport
from gpu.services import DeviceDescription, device_report
from jobs.models import Job, Step
from jobs.rules.steps import StepKind
from tests.pipeline_client import PipelineClient
from workers.node.devices import device_offers
from workers.runner import StepRunner
from workers.tools import Tools

H264 = "h264_nvenc"


def describe(
    index: int, *, free_mb: int = 8000, slots: int = 8, encoder: str = H264, ten_bits: bool = False
) -> DeviceDescription:
    device = Device(index=index, uuid=f"GPU-{index}", name="L4", kind=DeviceKind.NVIDIA, driver="570.1")
    verdict = Verdict(encoder=encoder, available=True, reason="", ten_bits=ten_bits, driver="570.1", ffmpeg_version="9")
    state = DeviceState(device=device, reading=Reading(memory_free_mb=free_mb, utilization_percent=0))
    return DeviceDescription(state=state, limits=SlotLimits(device=slots), verdicts={encoder: verdict})


def test_a_worker_offers_its_own_devices_the_best_first(tools: Tools) -> None:
    device_report(
        node=tools.node, machine="m", descriptions=[describe(0, free_mb=400), describe(1), describe(2, free_mb=9000)]
    )
    device_report(node="other", machine="x", descriptions=[describe(7)])
    offers = list(device_offers(node=tools.node, config=tools.config))
    assert [offer.uuid for offer in offers] == ["GPU-2", "GPU-1"]
    assert offers[0].encoders == {H264, f"{H264}@2"}


def test_a_device_that_has_encoded_ten_bits_is_offered_for_them(tools: Tools) -> None:
    device_report(node=tools.node, machine="m", descriptions=[describe(0, encoder="hevc_nvenc", ten_bits=True)])
    (offer,) = device_offers(node=tools.node, config=tools.config)
    assert offer.encoders == {"hevc_nvenc", "hevc_nvenc:10", "hevc_nvenc@0", "hevc_nvenc:10@0"}


@pytest.mark.parametrize("gpu", ["prefer", "require"])
def test_a_driver_that_is_not_there_after_all(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, clip: Path, gpu: str
) -> None:
    """The report says that the trial encode on the device worked; ffmpeg finds no driver for it on this machine."""
    video = pipeline.upload(clip)
    runner.work("cpu")
    device_report(node=tools.node, machine="m", descriptions=[describe(0)])
    job = pipeline.transcode(video, chunk_seconds=8, gpu=gpu)
    assert Step.objects.filter(job=job, queue="gpu", kind=StepKind.CHUNK).count() == 2
    runner.work("gpu")
    runner.work("cpu")
    job = Job.objects.get(id=job.id)
    breakers = DeviceReport.objects.get().breakers
    assert breakers[H264]["failures"] >= 1
    if gpu == "prefer":
        assert job.state == "completed"
        assert job.metadata["cpu_codec"] == "libx264"
        assert (job.metadata["gpu_enabled"], job.metadata["gpu_fallback"]) == (False, True)
        assert job.metadata["fallback_reason"] in {"device_lost", "encoder_refused"}
        assert video.generations.count() == 2
    else:
        assert job.state == "processing"
        assert not Step.objects.filter(job=job, queue="cpu", kind=StepKind.CHUNK).exists()
