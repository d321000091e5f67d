"""Plans of live streams: the ladder that a stream is to have, and what becomes of it once its size is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Self

from transcoding.color import ColorSpace
from transcoding.encoders import ENCODERS, PRESETS, VideoEncoder, cpu_encoder, hardware_encoders
from transcoding.errors import RequestUnfit
from transcoding.flv.facts import IncomingFacts
from transcoding.grid import FrameGrid, snap_rate
from transcoding.planning.encodings import Encoding
from transcoding.planning.fields import deinterlacing_of
from transcoding.planning.ladder import RUNGS, fitting_ladder
from transcoding.planning.latency import Latency
from transcoding.planning.live import MAX_VIDEO_BITRATE, MIN_VIDEO_BITRATE, live_rates
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import outputs_color, rendition_of
from transcoding.planning.request import JobRequest
from transcoding.planning.tracks import audio_renditions
from transcoding.probing.facts import SourceFacts
from transcoding.probing.streams import AudioStream, Resolution, VideoStream

AUDIO = "audio"
"""Name of the only audio rendition."""
DEMUXER = "live_flv"
SEGMENT_GOPS = 1
MIN_SHORT_SIDE = 240
MAX_RUNGS = 6
RUNG_NAMES = tuple(rung.name for rung in RUNGS if rung.short_side >= MIN_SHORT_SIDE)
"""Names that a rung may have."""
MIN_SIDE, MAX_SIDE = 64, 8192
"""Pixels of a requested side."""
_USUAL_RATE = Fraction(30)
"""Of a stream that does not say its own."""
_CHANNELS, _SAMPLE_RATE = 2, 48_000
"""Of a stream whose audio has not come yet."""
_RUNG_FIELDS = frozenset({"width", "height", "bitrate"})
_LADDER_FIELDS = frozenset({"rungs", "encoder", "preset"})


def _of(*names: str) -> tuple[VideoEncoder, ...]:
    return tuple(ENCODERS[name] for name in names)


AUTO = "auto"
ENCODER_CHOICES: Mapping[str, tuple[VideoEncoder, ...]] = MappingProxyType(
    {
        AUTO: (*hardware_encoders("h264"), cpu_encoder("h264")),
        "x264": _of("libx264"),
        "x265": _of("libx265"),
        "nvenc_h264": _of("h264_nvenc", "libx264"),
        "nvenc_h265": _of("hevc_nvenc", "libx265"),
        "amf_h264": _of("h264_amf", "h264_vaapi", "libx264"),
        "amf_h265": _of("hevc_amf", "hevc_vaapi", "libx265"),
        "qsv_h264": _of("h264_qsv", "h264_vaapi", "libx264"),
        "qsv_h265": _of("hevc_qsv", "hevc_vaapi", "libx265"),
        "vaapi_h264": _of("h264_vaapi", "libx264"),
        "vaapi_h265": _of("hevc_vaapi", "libx265"),
    }
)
"""The encoders behind a name in a request, in order of preference. The last one runs on the CPU, and so everywhere.

AMD's cards encode on Linux by VAAPI where AMD's own runtime is not installed.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RungRequest:
    """One rung of a ladder: one of `RUNG_NAMES`, or a box such as "1280x720" and its bits per second."""

    size: str
    bitrate: int | None = None
    """None: that of its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderRequest:
    """The renditions that a stream is to have, before anything is known of its source."""

    rungs: tuple[RungRequest, ...] = ()
    """None given: the ladder of videos."""
    encoder: str = AUTO
    """A key of `ENCODER_CHOICES`."""
    preset: str | None = None
    """One of `PRESETS`. None: the installation's."""

    def __post_init__(self) -> None:
        if self.encoder not in tuple(ENCODER_CHOICES):  # whatever type a request has
            raise RequestUnfit(f"{self.encoder!r} is none of {', '.join(ENCODER_CHOICES)}", field="encoder")
        if self.preset is not None and self.preset not in PRESETS:
            raise RequestUnfit(f"{self.preset!r} is none of {', '.join(PRESETS)}", field="preset")
        if len(self.rungs) > MAX_RUNGS:
            raise _unfit(f"a ladder has at most {MAX_RUNGS} rungs, got {len(self.rungs)}")

    @property
    def encoders(self) -> tuple[VideoEncoder, ...]:
        """The encoders that it may be made with, in order of preference; the last one runs everywhere."""
        return ENCODER_CHOICES[self.encoder]

    def to_json(self) -> dict[str, object]:
        """Return it as JSON-ready values."""
        return {
            "rungs": [_rung_to_json(rung) for rung in self.rungs] or None,
            "encoder": self.encoder,
            "preset": self.preset,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read a ladder. Raises RequestUnfit for one that nothing can be made of."""
        if unknown := data.keys() - _LADDER_FIELDS:
            raise _unfit(f"a ladder has no {', '.join(sorted(unknown))}")
        return cls(
            rungs=tuple(_rung_from_json(each) for each in data.get("rungs") or ()),
            encoder=data.get("encoder", AUTO),
            preset=data.get("preset"),
        )


def _rung_to_json(rung: RungRequest) -> object:
    if rung.bitrate is None:
        return rung.size
    width, _, height = rung.size.partition("x")
    return {"width": int(width), "height": int(height), "bitrate": rung.bitrate}


def _rung_from_json(data: object) -> RungRequest:
    if isinstance(data, str):
        if data not in RUNG_NAMES:
            raise _unfit(f"{data!r} is none of {', '.join(RUNG_NAMES)}")
        return RungRequest(size=data)
    if not isinstance(data, Mapping) or data.keys() != _RUNG_FIELDS or not all(type(n) is int for n in data.values()):
        raise _unfit(f"a rung is a name, or has whole numbers as {', '.join(sorted(_RUNG_FIELDS))}; got {data!r}")
    width, height, bitrate = data["width"], data["height"], data["bitrate"]
    for side in (width, height):
        if not MIN_SIDE <= side <= MAX_SIDE:
            raise _unfit(f"a side has {MIN_SIDE} to {MAX_SIDE} pixels, got {side}")
    if not MIN_VIDEO_BITRATE <= bitrate <= MAX_VIDEO_BITRATE:
        raise _unfit(f"a bitrate is {MIN_VIDEO_BITRATE} to {MAX_VIDEO_BITRATE} b/s, got {bitrate}")
    return RungRequest(size=f"{width}x{height}", bitrate=bitrate)


def _unfit(text: str) -> RequestUnfit:
    return RequestUnfit(text, field="ladder")


def plan_livestream(  # noqa: PLR0913 - all that decides about a plan, by name
    facts: IncomingFacts,
    request: LadderRequest,
    *,
    encoder: VideoEncoder | None = None,
    latency: Latency = Latency.NORMAL,
    preset: str = "veryfast",
    mp4: bool = False,
) -> EncodePlan:
    """Plan a stream from its first key frame on, for one of the request's encoders; None: that of the CPU.

    It has one segment per GOP, no end yet, and always audio. `preset` is the installation's. Raises InputRejected where
    no level of the codec allows the size and the rate.
    """
    encoder = encoder or request.encoders[-1]
    source = _source(facts)
    grid = FrameGrid(rate=source.rate, total_frames=None, segment_gops=SEGMENT_GOPS)
    chosen = request.preset or preset
    return EncodePlan(
        source=source,
        color=outputs_color(source),
        encodings=(Encoding(encoder_name=encoder.ffmpeg_name, preset=chosen, hardware_path=encoder.paths[0]),),
        renditions=tuple(
            rendition_of(size, encoder, chosen, grid, live_rates(size.bitrate))
            for size in fitting_ladder(
                source.video.display, [(rung.size, rung.bitrate) for rung in request.rungs]
            ).rungs
        ),
        deinterlacing=deinterlacing_of(source, None),
        chunks=(),
        audio=audio_renditions(source.audio, grid, JobRequest()),
        mp4=mp4,
        segment_gops=SEGMENT_GOPS,
        latency=latency,
    )


def _source(facts: IncomingFacts) -> SourceFacts:
    """Describe the stream as it is fed to ffmpeg. Its frames may change their size later on."""
    coded = Resolution(width=facts.width, height=facts.height)
    video = VideoStream(
        index=0,
        source_index=0,
        codec=facts.video_codec,
        coded=coded,
        sample_aspect=facts.sample_aspect,
        display=Resolution(width=max(1, round(coded.width * facts.sample_aspect)), height=coded.height),
        rotation=0,
        changes=True,
        pixel_format="yuv420p",
        interlaced=facts.interlaced,
        color=facts.color or ColorSpace(),
        time_base=Fraction(1, 1000),
        bit_rate=facts.video_bitrate,
    )
    audio = AudioStream(
        index=1,
        source_index=1,
        codec="aac",
        channels=facts.audio_channels or _CHANNELS,
        sample_rate=facts.audio_sample_rate or _SAMPLE_RATE,
    )
    return SourceFacts(
        demuxer=DEMUXER,
        remuxed=False,
        video_stream=video,
        audio=(audio,),
        first=Fraction(0),
        rate=snap_rate(facts.rate or _USUAL_RATE),
        constant=True,
        total_frames=None,
        warnings=(),
    )
