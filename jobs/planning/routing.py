"""Where a job is encoded: on a GPU that has proven it can, or on the CPU, and why not elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from api.problems import wrong_field
from configuration import GpuConfig
from gpu.selection import ANY_DEVICE
from gpu.selectors import device_indexes_known, devices_live, max_encoder_sessions
from jobs.rules.policy import JobPolicy
from jobs.rules.retry import Failure
from transcoding.encoders import VideoEncoder, cpu_encoder, hardware_encoders
from transcoding.errors import DeviceLost, EncoderRefused, TranscodeError
from transcoding.planning.plan import JobRequest

DEVICE_FAILURES = frozenset({DeviceLost.code, EncoderRefused.code})
"""Codes of failures after which the same device is not the one to ask."""


class GpuPolicy(StrEnum):
    """Whether a job may, must or must not use a GPU."""

    PREFER = "prefer"
    REQUIRE = "require"
    NEVER = "never"


class FallbackReason(StrEnum):
    """Why a job that prefers a GPU was planned for the CPU. One that failed on a GPU has its failure's code."""

    NO_GPU_ENCODER = "no_gpu_encoder"
    NO_GPU = "no_gpu"
    GPU_UNAVAILABLE = "gpu_unavailable"
    ORDERED = "ordered"


FALLBACK_TEXTS: Mapping[str, str] = {
    FallbackReason.NO_GPU_ENCODER: "no GPU encodes this codec",
    FallbackReason.NO_GPU: "no GPU is there",
    FallbackReason.GPU_UNAVAILABLE: "no GPU that is there has proven that it can encode this",
    FallbackReason.ORDERED: "an operator ordered it",
}


class GpuUnavailable(TranscodeError):
    """A job requires a GPU, and none is there that can encode it now."""

    code = FallbackReason.GPU_UNAVAILABLE.value
    retryable = True


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuWish:
    """What a job wants of GPUs; `index` is the only device that it accepts, unless it is `ANY_DEVICE`."""

    policy: GpuPolicy
    index: int = ANY_DEVICE


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An encoder, the most sessions that a device offers it, and what only its devices can do (see `device_need`).

    `fallback_reason` says why it is not a GPU's although one was preferred.
    """

    encoder: VideoEncoder
    sessions: int | None = None
    need: str = ""
    fallback_reason: str = ""


def gpu_wish(request: Mapping[str, Any], wanted: JobRequest, config: GpuConfig) -> GpuWish:
    """What a stored request means; what is only done on the CPU wants no GPU, whatever the installation prefers."""
    if not config.enable_gpu or wanted.cpu_only:
        return GpuWish(policy=GpuPolicy.NEVER)
    policy = GpuPolicy(request.get("gpu") or config.gpu_policy)
    return GpuWish(policy=policy, index=request.get("gpu_device", ANY_DEVICE))


def device_need(encoder: str, index: int) -> str:
    """What a device must offer for a step: an encoder, with the device's index where only that one is accepted."""
    return encoder if index == ANY_DEVICE else f"{encoder}@{index}"


def encoder_of(need: str) -> str:
    """The encoder of a `device_need`."""
    return need.partition("@")[0]


def needs_met(encoders: frozenset[str], index: int) -> frozenset[str]:
    """Everything that a device with these proven encoders offers."""
    return encoders | {device_need(encoder, index) for encoder in encoders}


def sessions_for(need: str, *, silence_seconds: float) -> int | None:
    """The most sessions of a device that meets a need now; None: there is none."""
    encoder, _, index = need.partition("@")
    return max_encoder_sessions(encoder, silence_seconds=silence_seconds, index=int(index or ANY_DEVICE))


def route_for(wanted: JobRequest, wish: GpuWish, policy: JobPolicy) -> Route:
    """Choose. Raises GpuUnavailable where a GPU is required and none is there that can."""
    encoders = hardware_encoders(wanted.video_codec) if wish.policy is not GpuPolicy.NEVER else ()
    for encoder in encoders:
        need = device_need(encoder.ffmpeg_name, wish.index)
        sessions = sessions_for(need, silence_seconds=policy.silence_seconds)
        if sessions is not None:
            return Route(encoder=encoder, sessions=sessions, need=need)
    if wish.policy is GpuPolicy.REQUIRE:
        raise GpuUnavailable(f"no GPU that can encode {wanted.video_codec} is there")
    reason = _why_none(encoders, policy) if wish.policy is GpuPolicy.PREFER else ""
    return cpu_route(wanted, reason)


def cpu_route(wanted: JobRequest, reason: str = "") -> Route:
    """The CPU, and why, if that was not what was wanted."""
    return Route(encoder=cpu_encoder(wanted.video_codec), fallback_reason=reason)


def _why_none(encoders: tuple[VideoEncoder, ...], policy: JobPolicy) -> FallbackReason:
    if not encoders:
        return FallbackReason.NO_GPU_ENCODER
    live = devices_live(silence_seconds=policy.silence_seconds)
    return FallbackReason.GPU_UNAVAILABLE if live else FallbackReason.NO_GPU


def refuse_impossible(request: Mapping[str, Any], wanted: JobRequest, config: GpuConfig) -> None:
    """Refuse a request that no GPU can ever fulfil. Raises Problem: 422 naming the choices."""
    if request.get("gpu") == GpuPolicy.REQUIRE and not config.enable_gpu:
        raise wrong_field("gpu", "must be one of: prefer, never; GPUs are switched off here")
    if gpu_wish(request, wanted, config).policy is GpuPolicy.REQUIRE and not hardware_encoders(wanted.video_codec):
        raise wrong_field("gpu", f"must be one of: prefer, never; no GPU encodes {wanted.video_codec}")
    index = request.get("gpu_device", ANY_DEVICE)
    known = device_indexes_known() if index != ANY_DEVICE else frozenset()
    if index != ANY_DEVICE and index not in known:
        choices = ", ".join(str(each) for each in (ANY_DEVICE, *sorted(known)))
        raise wrong_field("gpu_device", f"must be one of: {choices}")


def blames_device(failure: Failure) -> bool:
    """Whether another device could do what failed here."""
    return failure.code in DEVICE_FAILURES
