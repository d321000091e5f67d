"""Request bodies of jobs."""

import math
from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from api.fields import (
    Choice,
    ExternalId,
    Metadata,
    StrictBoolean,
    StrictInteger,
    StrictNumber,
    StrictSerializer,
)
from gpu.selection import ANY_DEVICE
from jobs.endpoints.burning import BurnInRequest
from jobs.endpoints.destinations import DestinationRequest
from jobs.endpoints.fields import OutputFormatField, PriorityField, ResolutionField
from jobs.endpoints.retention import MAX_RETENTION_DAYS
from jobs.endpoints.thumbnail_requests import ThumbnailsField
from jobs.endpoints.watermarks import WatermarkRequest
from jobs.planning.formats import HLS, M4A, output_formats
from jobs.planning.requests import GpuPolicy
from transcoding.encoders import AUDIO_ENCODERS, CODEC_NAMES, CPU_PRESET, PRESETS, cpu_encoder
from transcoding.planning.fields import DEINTERLACE_CHOICES
from transcoding.planning.request import AudioChannels, DynamicRange
from transcoding.probing.media import MAX_AUDIO_TRACKS
from transcoding.timeline import Timeline

LARGEST_STREAM = 65_535
_MAX_SECONDS = 1_000_000
LOWEST_BITRATE = 50_000
HIGHEST_BITRATE = 200_000_000
_ABOUT_AUDIO = ("audio_codec", "audio_channels", "normalize_audio")
CODECS = list(CODEC_NAMES)
PRESET_NAMES = [*PRESETS, CPU_PRESET]
_MAX_RESOLUTIONS = 12
_PRIORITY_HELP = (
    "0 to 100, higher first, or low, medium, high; among your own jobs. Above 80 it requires the scope jobs:urgent. "
    "Settings: TRANSCODER_PRIORITY_CEILING, and TRANSCODER_PRIORITY_SCALE for another highest number."
)
PROCESSING = frozenset(
    {"gpu_enabled", "gpu_device", "gpu_codec", "gpu_fallback", "fallback_reason", "cpu_codec"}
    | {"processing_time_seconds", "processing_speed", "retries", "segments_kept"}
)
"""Names in a job's metadata that the product writes: clients must not send them."""


class TranscodeRequest(StrictSerializer):
    """One rendition (resolution, bitrate), or with neither of them the whole ladder."""

    resolution = ResolutionField(
        required=False, help_text='"1080p" … "240p", or "1920x1080". Never larger than the source.'
    )
    resolutions = serializers.ListField(
        child=ResolutionField(),
        min_length=1,
        max_length=_MAX_RESOLUTIONS,
        required=False,
        help_text="A ladder of these sizes, as in `resolution`. Those larger than the source are left out.",
    )
    codec = Choice(choices=CODECS, default="h264", help_text="The name of an encoder, such as libx264, forces the CPU.")
    codecs = serializers.ListField(
        child=Choice(choices=CODECS),
        min_length=1,
        max_length=len({choice.codec for choice in CODEC_NAMES.values()}),
        required=False,
        help_text="Several codecs in one presentation, instead of `codec`. Players begin with h264 if it is among them,"
        " else with the first; they get another codec once all of it is there.",
    )
    preset = Choice(
        choices=PRESET_NAMES,
        required=False,
        help_text='Speed against size; the names of x264. "cpu" is the usual one, on the CPU.',
    )
    bitrate = StrictInteger(
        min_value=LOWEST_BITRATE, max_value=HIGHEST_BITRATE, required=False, help_text="Bits per second."
    )
    ladder = Choice(choices=["auto"], required=False, help_text="All renditions that suit the source; the default.")
    output_format = OutputFormatField(
        default=HLS,
        help_text="hls and dash: both are made by every job, whichever is named; the playback document has their URLs. "
        "mp4 adds a progressive file for each rendition, m4a a file of each audio track alone.",
    )
    beside = StrictBoolean(
        required=False,
        help_text="true: when it is complete, players get its renditions beside those that the video has, for example "
        "in another codec. Refused where their segments would not match. Default: false, they take their place.",
    )
    enable_hls = StrictBoolean(required=False, help_text="false: players get no HLS. Default: true.")
    enable_dash = StrictBoolean(required=False, help_text="false: players get no DASH. Default: true.")
    priority = PriorityField(required=False, help_text=_PRIORITY_HELP)
    external_id = ExternalId(help_text="Your own name for the job.")
    metadata = Metadata(reserved=PROCESSING)
    two_pass = StrictBoolean(
        required=False,
        help_text="Analyse before encoding, to meet the bitrate; on the CPU, and not for AV1. Default: a setting.",
    )
    video_stream = StrictInteger(
        min_value=0,
        max_value=LARGEST_STREAM,
        required=False,
        help_text="The video track, by its `index` in `streams` of the video. Default: chosen by rule.",
    )
    audio_streams = serializers.ListField(
        child=StrictInteger(min_value=0, max_value=LARGEST_STREAM),
        max_length=MAX_AUDIO_TRACKS,
        required=False,
        help_text="The audio tracks, likewise; players begin with the first. None of them: no audio. Default: all that"
        " can be decoded, the one that is chosen by rule first.",
    )
    audio_codec = Choice(
        choices=list(AUDIO_ENCODERS), required=False, help_text="Of all audio renditions. Default: aac."
    )
    audio_channels = Choice(
        choices=[each.value for each in AudioChannels],
        required=False,
        help_text="surround: of tracks with four channels or more, 5.1 beside stereo; players choose. Default: stereo "
        "alone.",
    )
    normalize_audio = StrictBoolean(
        required=False,
        help_text="Bring all audio to -16 LUFS with true peaks up to -1.5 dBTP (EBU R 128). Default: false.",
    )
    dynamic_range = Choice(
        choices=[each.value for each in DynamicRange],
        required=False,
        help_text="Of a source of high dynamic range (HDR10, HLG): sdr maps its colors to standard range. source keeps "
        "it in 10 bits, for h265 and av1, beside the renditions of standard range. Default: sdr.",
    )
    timeline = Choice(
        choices=[timeline.value for timeline in Timeline],
        required=False,
        help_text="union, the default: from where audio or video begins to where both have ended; the first and the "
        "last frame stay meanwhile. video: as long as the video; the audio is cut.",
    )
    start = StrictNumber(
        min_value=0,
        max_value=_MAX_SECONDS,
        required=False,
        help_text="Seconds of the video, as players show them: outputs begin with the first frame that starts then or "
        "later. Default: 0.",
    )
    end = StrictNumber(
        min_value=0,
        max_value=_MAX_SECONDS,
        required=False,
        help_text="Likewise: they end before the first frame that starts then or later. Default: the end of the video.",
    )
    watermark = WatermarkRequest(required=False)
    burn_in = BurnInRequest(required=False)
    deinterlace = Choice(
        choices=[choice.value for choice in DEINTERLACE_CHOICES],
        required=False,
        help_text="For interlaced sources. frame: as many frames as the source has; field: twice as many, 50 of 50i. "
        "Default: frames, or those of the film where the source is film.",
    )
    thumbnails = ThumbnailsField(
        required=False,
        help_text="Make a poster, thumbnails, sprite sheets and an animated preview of the video once the job is"
        " completed, if it has none like these. Default: a setting.",
    )
    generate_thumbnails = StrictBoolean(required=False, help_text="Another name of thumbnails: true or false.")
    extract_subtitles = StrictBoolean(
        required=False, help_text="true changes nothing: the subtitles in the file become texts of the video anyway."
    )
    gpu = Choice(
        choices=[policy.value for policy in GpuPolicy],
        required=False,
        help_text="prefer: a GPU if one can, else the CPU; require: no CPU; never: no GPU. Default: a setting.",
    )
    gpu_device = StrictInteger(
        required=False,
        help_text="The only GPU that may encode it, by its index in the GPU status. -1, the default: any.",
    )
    destination = DestinationRequest(
        required=False, help_text="Deliver the outputs to a bucket of yours, too, when the job is completed."
    )
    output_retention_days = StrictInteger(
        required=False,
        min_value=1,
        max_value=MAX_RETENTION_DAYS,
        help_text="Days after its completion at which the outputs are deleted. Default: that of the owner.",
    )
    dry_run = StrictBoolean(required=False, help_text="Answer with the plan and queue nothing. Default: false.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        _refuse_two_ladders(attrs)
        if not (attrs.get("enable_hls", True) or attrs.get("enable_dash", True)):
            raise serializers.ValidationError({"enable_dash": ["cannot be false beside enable_hls false"]})
        self._refuse_codecs(attrs)
        if "codecs" in attrs:
            attrs["codec"] = attrs["codecs"][0]
        codecs = {CODEC_NAMES[name].codec for name in attrs.get("codecs", [attrs["codec"]])}
        if attrs.get("dynamic_range") == DynamicRange.SOURCE and not any(cpu_encoder(each).ten_bits for each in codecs):
            refusal = f"source needs codec h265 or av1; {' and '.join(sorted(codecs))} have 8 bits"
            raise serializers.ValidationError({"dynamic_range": [refusal]})
        if "thumbnails" in attrs and "generate_thumbnails" in attrs:
            raise serializers.ValidationError({"generate_thumbnails": ["cannot be combined with thumbnails"]})
        if not attrs.get("extract_subtitles", True):
            refusal = "must be true: they belong to the video, not to a job; delete the texts that you do not want"
            raise serializers.ValidationError({"extract_subtitles": [refusal]})
        _refuse_gpu_on_cpu(attrs)
        if attrs.get("end", math.inf) <= attrs.get("start", 0):
            raise serializers.ValidationError({"end": ["must be later than start"]})
        audio = attrs.get("audio_streams", [])
        if len(set(audio)) < len(audio):
            raise serializers.ValidationError({"audio_streams": ["names a stream twice"]})
        _refuse_choices_for_no_audio(attrs)
        return attrs

    def _refuse_codecs(self, attrs: Mapping[str, Any]) -> None:
        """Refuse several codecs of which two are the same, and one beside several."""
        names = attrs.get("codecs", [])
        if names and "codec" in self.initial_data:
            raise serializers.ValidationError({"codecs": ["cannot be combined with codec"]})
        if len({CODEC_NAMES[name].codec for name in names}) < len(names):
            raise serializers.ValidationError({"codecs": ["names a codec twice"]})


def _refuse_two_ladders(attrs: Mapping[str, Any]) -> None:
    """Refuse a whole ladder, a chosen one and a single rendition beside each other, and a size that is named twice."""
    single = [name for name in ("resolution", "bitrate") if name in attrs]
    if "ladder" in attrs and single:
        raise serializers.ValidationError({"ladder": [f"cannot be combined with {' and '.join(single)}"]})
    others = [name for name in ("resolution", "bitrate", "ladder") if name in attrs]
    if "resolutions" in attrs and others:
        raise serializers.ValidationError({"resolutions": [f"cannot be combined with {' and '.join(others)}"]})
    sizes = attrs.get("resolutions", [])
    if len(set(sizes)) < len(sizes):
        raise serializers.ValidationError({"resolutions": ["names a size twice"]})


def _refuse_choices_for_no_audio(attrs: Mapping[str, Any]) -> None:
    """Refuse choices about audio where no audio is requested."""
    if attrs.get("audio_streams") == []:
        named = [*_ABOUT_AUDIO, *(["output_format"] if M4A in output_formats(attrs["output_format"]) else [])]
        errors = {name: ["audio_streams names no track"] for name in named if name in attrs}
        if errors:
            raise serializers.ValidationError(errors)


def _refuse_gpu_on_cpu(attrs: Mapping[str, Any]) -> None:
    """Refuse gpu=require with a choice that only the CPU can do, and gpu=never with a device."""
    cpu = {
        **{f"codec {name}": CODEC_NAMES[name].cpu_only for name in attrs.get("codecs", [attrs["codec"]])},
        f"preset {CPU_PRESET}": attrs.get("preset") == CPU_PRESET,
        "two_pass": attrs.get("two_pass", False),
    }
    reasons = [name for name, chosen in cpu.items() if chosen]
    if attrs.get("gpu") == GpuPolicy.REQUIRE and reasons:
        raise serializers.ValidationError({"gpu": [f"require cannot be combined with {' and '.join(reasons)}"]})
    if attrs.get("gpu") == GpuPolicy.NEVER and attrs.get("gpu_device", ANY_DEVICE) != ANY_DEVICE:
        raise serializers.ValidationError({"gpu_device": ["cannot be combined with gpu never"]})


class ReprioritizeRequest(StrictSerializer):
    """The new priority of a job."""

    priority = PriorityField(help_text=_PRIORITY_HELP)
