"""The command that encodes a live stream: FLV comes in through a pipe, fragments go out, a pipe for each rendition.

Whoever feeds it has put the stream on a clock of ours, without jumps and with audio from the beginning to the end. So
the clock is taken as it is, and an output depends on the plan, the number of its first segment and what is fed alone:
a run continues where another one was killed, with the same init segments.
"""

from collections.abc import Sequence
from fractions import Fraction

from transcoding.commands.color import color_tags, scaler_options
from transcoding.commands.command import (
    ANONYMOUS,
    QUIET,
    FfmpegCommand,
    Input,
    Options,
    Output,
    fragment_options,
    on_own_clock,
    ratio_text,
    seconds_text,
    source_input,
)
from transcoding.commands.deinterlace import deinterlacing_filters
from transcoding.commands.downmix import mix_filters
from transcoding.commands.geometry import fitted, steady
from transcoding.commands.hardware import device_opening, encoder_options, upload_filters
from transcoding.encoders import HardwareDevice, VideoEncoder, encoding_memory
from transcoding.grid import FrameGrid
from transcoding.planning.encodings import Encoding
from transcoding.planning.fields import Deinterlacing
from transcoding.planning.latency import Latency
from transcoding.planning.plan import EncodePlan
from transcoding.planning.tracks import AudioRendition, VideoRendition

FEED = "feed"
"""Name of the input. The outputs have the names of their renditions."""
_DECODER_THREADS = 2
"""Each further one holds back a frame."""
_FILTER_THREADS = 2
_MAX_STRETCH = 1000
"""Samples in a second by which audio is stretched or squeezed where its clock is not that of the video: 2 %."""
_NO_CAPTIONS = "sidedata=mode=delete:type=A53_CC"
"""Encoders would copy the closed captions of frames, each in its own way, and playlists say that there are none."""


def livestream_command(  # noqa: PLR0913 - what a run depends on, by name
    plan: EncodePlan,
    *,
    first_segment: int,
    starts_at: Fraction = Fraction(0),
    encoder: VideoEncoder | None = None,
    device: HardwareDevice | None = None,
    threads: int = 0,
    renditions: Sequence[str] | None = None,
) -> FfmpegCommand:
    """Encode what is fed into renditions and audio, as fragments, from a segment on until the input ends.

    `starts_at` is the time in seconds on the clock of the feed at which the first frame of the segment is shown: what
    is fed before that is decoded only. `renditions` are the names of those to encode; None means all. `encoder` is
    another one of the same codec than the plan's, for when its device is gone: its init segments differ. `threads`
    limits an encoder on the CPU; 0 leaves the number to it. Raises ValueError for a hardware encoder without a
    `device`.
    """
    chosen = [rendition for rendition in plan.renditions if renditions is None or rendition.name in renditions]
    planned = plan.encoding_of(rendition.name for rendition in chosen)
    encoder = encoder or planned.encoder
    encoding = Encoding(encoder_name=encoder.ffmpeg_name, preset=planned.preset, hardware_path=encoder.paths[0])
    (track,) = plan.audio
    return FfmpegCommand(
        inputs=(_feed(plan),),
        filter_graph=";".join(
            (
                *_video_graph(plan, encoding, chosen, starts_at),
                _audio_graph(plan, track, first_segment=first_segment, starts_at=starts_at),
            )
        ),
        outputs=(
            *(
                Output(
                    target=rendition.name,
                    maps=(f"[{rendition.name}]",),
                    options={
                        **_video_options(plan, encoding, rendition, device, threads),
                        **_fragments(plan, first_segment),
                    },
                )
                for rendition in chosen
            ),
            Output(target=track.name, maps=(f"[{track.name}]",), options=_audio_options(track)),
        ),
        global_options={
            **QUIET,
            "filter_complex_threads": str(_FILTER_THREADS),
            **device_opening(encoder, device, encoding.hardware_path),
        },
        memory_bytes=encoding_memory(encoder, plan.source.video.display, chosen),
        device=device,
    )


def audio_base(grid: FrameGrid, track: AudioRendition, first_segment: int) -> int:
    """Return the decode tick of the first frame of a run of `livestream_command` in the whole track.

    ffmpeg counts from 0 in every run: its muxer would write an offset into the init segment, or be a frame off. Of a
    later run the first frame, which only primes decoders, belongs to the segment before its own.
    """
    encoder = track.encoder
    return encoder.boundary(grid.start(first_segment)) - encoder.frame_samples if first_segment else 0


def _feed(plan: EncodePlan) -> Input:
    """Open the pipe at once: the first packets tell all that is known in advance, and decoders find out the rest."""
    opening: Options = {
        "protocol_whitelist": "pipe",
        "fpsprobesize": "0",
        "analyzeduration": "0",
        "threads": str(_DECODER_THREADS),
        "reinit_filter": "0",  # a new graph would begin at 0 again
        "noautorotate": None,
    }
    return source_input(plan, FEED, opening)


def _video_graph(
    plan: EncodePlan, encoding: Encoding, chosen: Sequence[VideoRendition], starts_at: Fraction
) -> list[str]:
    rate = plan.grid.rate
    chain = ",".join(
        (
            f"[0:v:0]{_NO_CAPTIONS}",
            on_own_clock("setpts", starts_at),
            *(steady(plan, encoding) if plan.deinterlacing is not Deinterlacing.NONE else ()),
            *deinterlacing_filters(plan, encoding, 0),
            f"fps={ratio_text(rate)}:start_time=0",
            f"split={len(chosen)}",
        )
    )
    heads = "".join(f"[in{number}]" for number in range(len(chosen)))
    return [
        f"{chain}{heads}",
        *(f"[in{number}]{_scaled(plan, encoding, rung)}[{rung.name}]" for number, rung in enumerate(chosen)),
    ]


def _scaled(plan: EncodePlan, encoding: Encoding, rendition: VideoRendition) -> str:
    size, *bars = fitted(plan, encoding, rendition)
    scale = f"scale={size}:flags=bicubic{scaler_options(plan, rendition)}"
    tags = color_tags(plan.color_of(rendition))
    return ",".join((scale, *bars, "setsar=1", *tags, upload_filters(encoding.encoder)))


def _video_options(
    plan: EncodePlan, encoding: Encoding, rendition: VideoRendition, device: HardwareDevice | None, threads: int
) -> Options:
    target = plan.target(rendition, threads=threads)
    options = encoder_options(encoding.encoder, target, device, encoding.hardware_path)
    return {**options, **(encoding.encoder.low_delay if plan.latency is Latency.LOW else {})}


def _fragments(plan: EncodePlan, first_segment: int) -> Options:
    """Cut at key frames, and in low latency at parts. Nothing is dropped or doubled behind the filters."""
    grid, parts = plan.grid, plan.part_frames
    return {
        "fps_mode": "passthrough",
        **ANONYMOUS,
        "video_track_timescale": str(grid.timescale),
        "output_ts_offset": seconds_text(grid.start(first_segment)),
        **fragment_options("frag_keyframe+frag_discont"),
        **({"frag_duration": _microseconds((parts - Fraction(1, 2)) / grid.rate)} if parts else {}),
        "flush_packets": "1",
        "f": "mp4",
    }


def _microseconds(seconds: Fraction) -> str:
    return str(round(seconds * 1_000_000))


def _audio_graph(plan: EncodePlan, track: AudioRendition, *, first_segment: int, starts_at: Fraction) -> str:
    """Keep the audio in step with the video, and begin it where the first frame of the run belongs.

    That is up to half a frame beside the video's beginning: silence is put in, or audio cut off. The resampler is there
    from the beginning: ffmpeg 5.1 begins at 0 again where it must start one to stretch audio.
    """
    encoder, grid = track.encoder, plan.grid
    ahead = audio_base(grid, track, first_segment) - round(grid.start(first_segment) * encoder.sample_rate)
    first = starts_at + Fraction(ahead, encoder.sample_rate)
    return ",".join(
        (
            f"[0:a:0]{on_own_clock('asetpts', first)}",
            f"aresample={encoder.sample_rate}:async={_MAX_STRETCH}:first_pts=0:flags=res",
            f"{mix_filters(track, 'fltp')}[{track.name}]",
        )
    )


def _audio_options(track: AudioRendition) -> Options:
    return {
        "c:a": track.encoder.ffmpeg_name,
        "b:a": str(track.bitrate),
        **track.encoder.options,
        **ANONYMOUS,
        **fragment_options("frag_every_frame"),
        "flush_packets": "1",
        "f": "mp4",
    }
