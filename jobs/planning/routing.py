"""Routing of a job to an encoder: of a GPU whose trial encodes have verified it, or of the CPU, with the reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gpu.devices import in_ten_bits, without_depth
from gpu.selection import ANY_DEVICE
from gpu.selectors import devices_for_jobs, max_encoder_sessions
from jobs.planning.requests import GpuPolicy, GpuPreference
from jobs.rules.policy import JobPolicy
from jobs.rules.retry import Failure
from transcoding.encoders import VideoEncoder, cpu_encoder, hardware_encoders
from transcoding.errors import DeviceLost, EncoderRefused, TranscodeError
from transcoding.planning.planner import keeps_range
from transcoding.planning.request import JobRequest

DEVICE_FAILURES = frozenset({DeviceLost.code, EncoderRefused.code})
"""Error codes that are the device's fault: another device may succeed."""


class FallbackReason(StrEnum):
    """Reasons why a job that prefers a GPU is on the CPU. After a failure on a GPU, its error code is used instead."""

    NO_GPU_ENCODER = "no_gpu_encoder"
    NO_GPU = "no_gpu"
    GPU_UNAVAILABLE = "gpu_unavailable"
    ORDERED = "ordered"


FALLBACK_TEXTS: Mapping[str, str] = {
    FallbackReason.NO_GPU_ENCODER: "no GPU encodes this codec",
    FallbackReason.NO_GPU: "no GPU is there",
    FallbackReason.GPU_UNAVAILABLE: "no live GPU has been verified to encode this",
    FallbackReason.ORDERED: "an operator ordered it",
}


class GpuUnavailable(TranscodeError):
    """A job requires a GPU, and no live one can encode it."""

    code = FallbackReason.GPU_UNAVAILABLE.value
    retryable = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The encoder of a job for one of its codecs, and the devices that may run it."""

    encoder: VideoEncoder
    sessions: int | None = None
    """Most sessions that one device offers for the encoder; None on the CPU."""
    requirement: str = ""
    """The `device_requirement` of its chunk steps; empty on the CPU."""
    fallback_reason: str = ""
    """The `FallbackReason` or failure code, where a GPU was preferred and the CPU was chosen."""


def device_requirement(encoder: str, index: int) -> str:
    """Format the requirement of a step: "ENCODER", or "ENCODER@INDEX" where one device is requested.

    For renditions of 10 bits, `encoder` is a name of `in_ten_bits`.
    """
    return encoder if index == ANY_DEVICE else f"{encoder}@{index}"


def encoder_of(requirement: str) -> str:
    """Return the encoder in a `device_requirement`."""
    return without_depth(requirement.partition("@")[0])


def requirements_met(encoders: frozenset[str], index: int) -> frozenset[str]:
    """Return every requirement that a device with these verified encoders, some of them in 10 bits, meets."""
    return encoders | {device_requirement(encoder, index) for encoder in encoders}


def sessions_for(requirement: str, *, silence_seconds: float) -> int | None:
    """Return the largest number of sessions of a live device that meets a requirement; None: no device does."""
    encoder, _, index = requirement.partition("@")
    return max_encoder_sessions(encoder, silence_seconds=silence_seconds, index=int(index or ANY_DEVICE))


def route_for(
    requested: JobRequest, preference: GpuPreference, policy: JobPolicy, *, high_range: bool = False
) -> Route:
    """Choose the encoder of a request of one codec; of a source of high range, it may be for renditions in 10 bits.

    Raises GpuUnavailable where a GPU is required and no live one can encode.
    """
    encoders = hardware_encoders(requested.video_codec) if preference.policy is not GpuPolicy.NEVER else ()
    for encoder in encoders:
        deep = high_range and keeps_range(requested, encoder)
        name = in_ten_bits(encoder.ffmpeg_name) if deep else encoder.ffmpeg_name
        requirement = device_requirement(name, preference.index)
        sessions = sessions_for(requirement, silence_seconds=policy.silence_seconds)
        if sessions is not None:
            return Route(encoder=encoder, sessions=sessions, requirement=requirement)
    if preference.policy is GpuPolicy.REQUIRE:
        raise GpuUnavailable(f"no GPU that can encode {requested.video_codec} is there")
    reason = _why_none(encoders, policy) if preference.policy is GpuPolicy.PREFER else ""
    return cpu_route(requested, reason)


def cpu_routes(requested: JobRequest, reason: str = "") -> tuple[Route, ...]:
    """Return the routes to the CPU encoders. `reason`: why it is not a GPU, where one was preferred."""
    return tuple(cpu_route(each, reason) for each in requested.of_each_codec)


def cpu_route(requested: JobRequest, reason: str = "") -> Route:
    """Return the route of a request of one codec to its CPU encoder."""
    return Route(encoder=cpu_encoder(requested.video_codec), fallback_reason=reason)


def _why_none(encoders: tuple[VideoEncoder, ...], policy: JobPolicy) -> FallbackReason:
    if not encoders:
        return FallbackReason.NO_GPU_ENCODER
    live = devices_for_jobs(silence_seconds=policy.silence_seconds)
    return FallbackReason.GPU_UNAVAILABLE if live else FallbackReason.NO_GPU


def blames_device(failure: Failure) -> bool:
    """Return True if the failure is the device's fault, so that another device may succeed."""
    return failure.code in DEVICE_FAILURES
