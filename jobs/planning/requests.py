"""The stored request of a job: converted to the input of planning, and its policy for GPUs."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from api.problems import invalid_field
from configuration import GpuConfig
from gpu.selection import ANY_DEVICE
from gpu.selectors import device_indexes_known
from jobs.planning.formats import HLS, M4A, MP4, output_formats
from transcoding.encoders import hardware_encoders
from transcoding.planning.request import JobRequest


class GpuPolicy(StrEnum):
    """The use of GPUs by a job: if one can, always, or never."""

    PREFER = "prefer"
    REQUIRE = "require"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuPreference:
    """The GPU policy of a job."""

    policy: GpuPolicy
    index: int = ANY_DEVICE
    """The only device that it accepts, or `ANY_DEVICE`."""


def job_request(stored: Mapping[str, Any]) -> JobRequest:
    """Convert a stored request to the input of planning."""
    fields = {name: stored[name] for name in JobRequest.__dataclass_fields__ if name in stored}
    formats = output_formats(stored.get("output_format", HLS))
    return JobRequest(**fields, mp4=MP4 in formats, m4a=M4A in formats)


def gpu_preference(stored: Mapping[str, Any], requested: JobRequest, config: GpuConfig) -> GpuPreference:
    """Return the GPU policy of a stored request for one of its codecs: none where only the CPU can do it."""
    if not config.enable_gpu or requested.cpu_only:
        return GpuPreference(policy=GpuPolicy.NEVER)
    policy = GpuPolicy(stored.get("gpu") or config.gpu_policy)
    return GpuPreference(policy=policy, index=stored.get("gpu_device", ANY_DEVICE))


def refuse_impossible(stored: Mapping[str, Any], requested: JobRequest, config: GpuConfig) -> None:
    """Refuse a request that no GPU of this installation can fulfil. Raises Problem: 422 naming the choices."""
    if stored.get("gpu") == GpuPolicy.REQUIRE and not config.enable_gpu:
        raise invalid_field("gpu", "must be one of: prefer, never; GPUs are switched off here")
    for each in requested.of_each_codec:
        required = gpu_preference(stored, each, config).policy is GpuPolicy.REQUIRE
        if required and not hardware_encoders(each.video_codec):
            raise invalid_field("gpu", f"must be one of: prefer, never; no GPU encodes {each.video_codec}")
    index = stored.get("gpu_device", ANY_DEVICE)
    known = device_indexes_known() if index != ANY_DEVICE else frozenset()
    if index != ANY_DEVICE and index not in known:
        choices = ", ".join(str(each) for each in (ANY_DEVICE, *sorted(known)))
        raise invalid_field("gpu_device", f"must be one of: {choices}")
