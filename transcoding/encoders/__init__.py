"""The registry of encoders: one record each; nothing else in the project compares encoder names."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from transcoding.encoders.amf import AV1_AMF, H264_AMF, HEVC_AMF
from transcoding.encoders.memory import decoding_memory, encoding_memory
from transcoding.encoders.nvenc import AV1_NVENC, H264_NVENC, HEVC_NVENC
from transcoding.encoders.qsv import AV1_QSV, H264_QSV, HEVC_QSV
from transcoding.encoders.svtav1 import SVTAV1
from transcoding.encoders.traits import (
    AudioEncoder,
    CodecLevel,
    EncodeTarget,
    Family,
    HardwareDevice,
    HardwarePath,
    RateControl,
    VideoEncoder,
)
from transcoding.encoders.vaapi import AV1_VAAPI, H264_VAAPI, HEVC_VAAPI
from transcoding.encoders.vpx import VPX_VP9
from transcoding.encoders.x264 import X264
from transcoding.encoders.x265 import X265

AAC = AudioEncoder(
    ffmpeg_name="aac",
    codec="aac",
    codecs="mp4a.40.2",
    bitrate=128_000,
    surround_bitrate=384_000,
    sample_rate=48_000,
    channels=2,
    priming_samples=1024,
    frame_samples=1024,
)
"""ffmpeg's own AAC-LC encoder: frames of 1,024 samples after 1,024 samples of priming (see `docs/media.md`)."""

OPUS = AudioEncoder(
    ffmpeg_name="libopus",
    codec="opus",
    codecs="opus",
    bitrate=128_000,
    surround_bitrate=320_000,
    sample_rate=48_000,
    channels=2,
    priming_samples=312,
    frame_samples=960,
    options=MappingProxyType({"vbr": "constrained", "frame_duration": "20"}),
)
"""libopus: frames of 20 ms after 312 samples of priming. With `constrained`, a frame takes what others saved."""

AUDIO_ENCODERS: Mapping[str, AudioEncoder] = MappingProxyType({encoder.codec: encoder for encoder in (AAC, OPUS)})
"""Every audio encoder by its codec, which is what a request names."""


@dataclass(frozen=True, slots=True)
class CodecChoice:
    """The codec behind a name in a request. The name of a CPU encoder forces the CPU."""

    codec: str
    cpu_only: bool = False


_CPU = (X264, X265, SVTAV1, VPX_VP9)
_HARDWARE = (
    *(H264_NVENC, HEVC_NVENC, AV1_NVENC),
    *(H264_QSV, HEVC_QSV, AV1_QSV),
    *(H264_AMF, HEVC_AMF, AV1_AMF),
    *(H264_VAAPI, HEVC_VAAPI, AV1_VAAPI),
)
"""Hardware encoders, in order of preference where a device offers several."""

ENCODERS: Mapping[str, VideoEncoder] = MappingProxyType(
    {encoder.ffmpeg_name: encoder for encoder in (*_CPU, *_HARDWARE)}
)
"""Every video encoder by its name in ffmpeg."""

CODEC_NAMES: Mapping[str, CodecChoice] = MappingProxyType(
    {
        "h264": CodecChoice("h264"),
        "h265": CodecChoice("hevc"),
        "hevc": CodecChoice("hevc"),
        "av1": CodecChoice("av1"),
        "vp9": CodecChoice("vp9"),
        **{each.ffmpeg_name: CodecChoice(each.codec, cpu_only=True) for each in _CPU},
    }
)
"""Names that a request may use for a video codec."""

COMPATIBLE_CODEC = "h264"
"""The codec that every player plays. Of several it comes first."""

PRESETS = tuple(X264.presets)
"""Names of presets, which every encoder has."""

CPU_PRESET = "cpu"
"""A value that a request may have in place of a preset: the usual preset, on the CPU."""


def cpu_encoder(codec: str) -> VideoEncoder:
    """Return the encoder of a codec that runs everywhere. Raises KeyError for an unknown codec."""
    return _CPU_ENCODERS[codec]


def hardware_encoders(codec: str) -> tuple[VideoEncoder, ...]:
    """List the encoders of a codec that run on devices, preferred ones first."""
    return tuple(encoder for encoder in _HARDWARE if encoder.codec == codec)


_CPU_ENCODERS = {encoder.codec: encoder for encoder in _CPU}

__all__ = [
    "AAC",
    "AUDIO_ENCODERS",
    "CODEC_NAMES",
    "COMPATIBLE_CODEC",
    "CPU_PRESET",
    "ENCODERS",
    "OPUS",
    "PRESETS",
    "AudioEncoder",
    "CodecChoice",
    "CodecLevel",
    "EncodeTarget",
    "Family",
    "HardwareDevice",
    "HardwarePath",
    "RateControl",
    "VideoEncoder",
    "cpu_encoder",
    "decoding_memory",
    "encoding_memory",
    "hardware_encoders",
]
