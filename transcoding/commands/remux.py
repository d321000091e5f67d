"""Commands that copy streams without encoding them, and the one that decodes a sample of our own output."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

from transcoding.commands.command import ANONYMOUS, PROTOCOLS, FfmpegCommand, Input, Output, demuxer_options
from transcoding.commands.timestamps import ORDERED_CODECS, UNPACK_B_FRAMES, decoded_every, shift_filters
from transcoding.encoders import decoding_memory
from transcoding.languages import language_of_mp4
from transcoding.planning.plan import EncodePlan
from transcoding.planning.tracks import AudioRendition
from transcoding.probing.clock import Clock
from transcoding.probing.streams import AudioRole, AudioStream, Resolution, VideoStream

WITHOUT_SHAPE = frozenset({"mpegts", "mpeg"})
"""Demuxers of containers that do not say what shape frames have; frames say it, and may change it."""
VIDEO_INPUT, MP4_TARGET = "video", "mp4"
"""Names under which `mp4_command` reads the video rendition, fed through a pipe, and writes its output."""
INDEXED, UNPACKED, RAW = "indexed", "unpacked", "raw"
"""Targets of the commands that copy a source."""
_DISPOSITIONS: Mapping[AudioRole, tuple[str, ...]] = MappingProxyType(
    {
        AudioRole.DUB: ("dub",),
        AudioRole.COMMENTARY: ("comment",),
        AudioRole.DESCRIPTION: ("visual_impaired", "descriptions"),
        AudioRole.CLEAR_SPEECH: ("hearing_impaired",),
    }
)
_HEALTHY = Clock()
_UNCOMPRESSED = MappingProxyType(
    {"adpcm_swf": "pcm_s16le", "nellymoser": "pcm_s16le", "pcm_bluray": "pcm_s24le", "pcm_dvd": "pcm_s24le"}
)
"""Codecs of audio that Matroska has no name for, and what they become in the copy of a source: nothing is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedVideo:
    """A Matroska with nothing but the video of a source, whose frames have the times at which they are shown."""

    path: str
    step: Fraction
    """Milliseconds from one frame to the next."""
    lag: int
    """Milliseconds by which a frame would be decoded too late, if they were decoded from 0 on."""


def index_command(  # noqa: PLR0913 - what the copy depends on, by name
    source: str,
    *,
    demuxer: str,
    videos: Sequence[VideoStream],
    audio: Sequence[AudioStream] = (),
    clock: Clock = _HEALTHY,
    ordered: OrderedVideo | None = None,
    filters: str = "",
    late: bool = False,
    max_streams: int,
) -> FfmpegCommand:
    """Copy, not encode, a source without a reliable index into Matroska, which has one; target `INDEXED`.

    `audio` are the streams that are copied behind the video streams, with their languages and nothing else that is
    written in the source. What Matroska does not take is decoded. `clock` has what mends one that jumps. AVI gives
    packets without presentation times, which Matroska refuses: they are generated, by these `filters` of the video if
    there are any (see `transcoding.commands.timestamps`, also for `late`). `ordered` takes the place of the video.
    """
    videos_copied, audio_copied = [video.index for video in videos], [track.index for track in audio]
    decoded = {track.index for track in audio if track.codec in _UNCOMPRESSED}
    copy: dict[str, str | None] = {
        "c": "copy",
        **_not_in_matroska(videos, audio),
        "map_metadata": "-1",
        **_languages(track.language for track in audio),
        **_transparent(video.alpha for video in videos),
        "map_chapters": "-1",
        **_no_shapes(demuxer, videos),
        **shift_filters(clock, videos=videos_copied, audio=audio_copied, decoded=decoded, late=late),
        **({"bsf:v": filters} if filters else {}),
        "f": "matroska",
    }
    generated: dict[str, str | None] = {} if filters else {"fflags": "+genpts"}
    inputs, maps = [Input(path=source, options={**generated, **_copying(demuxer, max_streams)})], _maps(videos_copied)
    if ordered:
        copy["bsf:v"] = decoded_every(ordered.step, ordered.lag)
        inputs.append(Input(path=ordered.path, options=_copying("matroska", max_streams)))
        maps = ("1:0",)
    output = Output(target=INDEXED, maps=(*maps, *_maps(audio_copied)), options=copy)
    return FfmpegCommand(inputs=tuple(inputs), outputs=(output,))


def raw_command(
    source: str, *, demuxer: str, video: VideoStream, packets: int | None = None, max_streams: int
) -> FfmpegCommand:
    """Copy a video as a raw stream, or its first `packets`; the target is `RAW`.

    H.264 and HEVC get their parameter sets in front of key frames.
    """
    filters = f"{video.codec}_mp4toannexb,dump_extra"
    copy: dict[str, str | None] = {
        "c": "copy",
        "map_metadata": "-1",
        **({"bsf:v:0": filters} if video.codec in ORDERED_CODECS else {}),
        **({"frames:v": str(packets)} if packets else {}),
        "f": video.codec,
    }
    return FfmpegCommand(
        inputs=(Input(path=source, options=_copying(demuxer, max_streams)),),
        outputs=(Output(target=RAW, maps=_maps([video.index]), options=copy),),
    )


def unpack_command(source: str, *, streams: Sequence[int], max_streams: int) -> FfmpegCommand:
    """Copy streams of an AVI with packed B-frames into one without, whose frames have times of their own.

    The first of them is the video. The target is `UNPACKED`.
    """
    copy: dict[str, str | None] = {"c": "copy", "map_metadata": "-1", "bsf:v:0": UNPACK_B_FRAMES, "f": "avi"}
    return FfmpegCommand(
        inputs=(Input(path=source, options=_copying("avi", max_streams)),),
        outputs=(Output(target=UNPACKED, maps=_maps(streams), options=copy),),
    )


def _copying(demuxer: str, max_streams: int) -> dict[str, str | None]:
    bounds = {"protocol_whitelist": PROTOCOLS, "max_streams": str(max_streams)}
    return {**demuxer_options(demuxer), **bounds, "copyts": None}


def _maps(streams: Iterable[int]) -> tuple[str, ...]:
    return tuple(f"0:{stream}" for stream in streams)


def _not_in_matroska(videos: Sequence[VideoStream], audio: Sequence[AudioStream]) -> dict[str, str | None]:
    """Return options for what Matroska does not take as it is: some audio, and uncompressed RGB.

    It takes RGB the way AVI has it. It would lose a palette, so such video is encoded without loss.
    """
    options: dict[str, str | None] = {}
    for n, video in enumerate(videos):
        if video.codec == "rawvideo":
            options["allow_raw_vfw"] = "1"
        if video.pixel_format == "pal8" and video.codec == "rawvideo":
            options |= {f"c:v:{n}": "ffv1", f"pix_fmt:v:{n}": "bgr0"}
    return options | {
        f"c:a:{n}": _UNCOMPRESSED[track.codec] for n, track in enumerate(audio) if track.codec in _UNCOMPRESSED
    }


def _no_shapes(demuxer: str, videos: Sequence[VideoStream]) -> dict[str, str | None]:
    """Have Matroska name a shape that is hardly another, for `forget_shapes`: otherwise it would name none."""
    if demuxer not in WITHOUT_SHAPE:
        return {}
    sizes = ((number, each.coded) for number, each in enumerate(videos) if each.coded)
    shapes = {f"aspect:v:{number}": f"{size.width + 1}:{size.height}" for number, size in sizes}
    return {**shapes, "write_crc32": "0"} if shapes else {}


def mp4_command(plan: EncodePlan) -> FfmpegCommand:
    """Copy, not encode, a video rendition, if there is one, and all audio tracks into a progressive MP4.

    Its index is in front. `copyts` and the exact time scales keep all edit lists, so that video and audio stay in step.
    Inputs are the init segment and all segments of each, in order, fed as `VIDEO_INPUT` and by the names of the audio
    tracks; the target is `MP4_TARGET`.
    """
    videos = () if plan.audio_only else (VIDEO_INPUT,)
    timescale = plan.audio[0].encoder.sample_rate if plan.audio_only else plan.grid.timescale
    return _in_one_file(videos, plan.audio, timescale)


def m4a_command(track: AudioRendition) -> FfmpegCommand:
    """Copy one audio rendition into a file of its own, like those of `mp4_command`."""
    return _in_one_file((), (track,), track.encoder.sample_rate)


def _in_one_file(videos: Sequence[str], audio: Sequence[AudioRendition], timescale: int) -> FfmpegCommand:
    opening: dict[str, str | None] = {"f": "mov", "protocol_whitelist": PROTOCOLS, "copyts": None}
    copy: dict[str, str | None] = {
        "c": "copy",
        **ANONYMOUS,
        **_track_options(audio),
        "video_track_timescale": str(timescale),
        "movie_timescale": str(timescale),
        "movflags": "+faststart",
        "f": "mp4",
    }
    maps = (*("0:v:0" for _ in videos), *(f"{number}:a:0" for number, _ in enumerate(audio, start=len(videos))))
    return FfmpegCommand(
        inputs=tuple(Input(path=path, options=opening) for path in (*videos, *(track.name for track in audio))),
        outputs=(Output(target=MP4_TARGET, maps=maps, options=copy),),
    )


def _track_options(audio: Sequence[AudioRendition]) -> dict[str, str | None]:
    """Say of each audio track its language, and where there are several, which one players begin with."""
    options = _languages(language_of_mp4(track.language) for track in audio)
    if len(audio) > 1:
        first = next((n for n, track in enumerate(audio) if track.default), None)
        options |= {f"disposition:a:{n}": _disposition(track, default=n == first) for n, track in enumerate(audio)}
    return options


def _disposition(track: AudioRendition, *, default: bool) -> str:
    """Return what is marked of a track; MP4 has it as roles of DASH."""
    flags = (*(("default",) if default else ()), *_DISPOSITIONS.get(track.role, ()))
    return "+".join(flags) or "0"


def _transparent(tracks: Iterable[bool]) -> dict[str, str | None]:
    """Keep the tag of VP8 and VP9 in WebM by which their transparency is known."""
    return {f"metadata:s:v:{number}": "alpha_mode=1" for number, alpha in enumerate(tracks) if alpha}


def _languages(languages: Iterable[str]) -> dict[str, str | None]:
    return {f"metadata:s:a:{n}": f"language={language}" for n, language in enumerate(languages) if language}


def decode_command(path: str, size: Resolution) -> FfmpegCommand:
    """Decode a sample of our own output, in frames of this size, to nothing.

    Its frame count and an empty stderr show that it plays.
    """
    return FfmpegCommand(
        inputs=(Input(path=path, options={"f": "mov", "protocol_whitelist": PROTOCOLS}),),
        outputs=(Output(target="nothing", maps=("0:v:0",), options={"f": "null"}),),
        memory_bytes=decoding_memory(size),
    )
