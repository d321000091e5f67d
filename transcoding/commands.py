"""ffmpeg and ffprobe commands as data. Text is made in one place, in the one order that ffmpeg accepts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType

from transcoding.decoders import WHITELIST
from transcoding.encoders import AAC, EncodeTarget, HardwareDevice, HardwarePath, RateControl, VideoEncoder
from transcoding.plan import AUDIO, EncodePlan, VideoRendition

Options = Mapping[str, str | None]
"""Option names without the dash; None for options that take no value."""

PICTURES, SOUND, MOVIE = "pictures", "sound", "movie"
"""What a movie command reads, fed through pipes, and what it writes."""

TRIAL = "trial"
"""Label of the pictures that a trial encodes."""

AUDIO_RATE = 48_000
"""Samples per second of every sound rendition, and its time scale."""

_SEEK_MARGIN = Fraction(1)
"""Seconds before a chunk's start at which decoding begins at the latest, so that the frame shown there is known."""
_FACTS = (
    "format=format_name"
    ":stream=index,codec_type,codec_name,width,height,pix_fmt,field_order,color_transfer,sample_aspect_ratio"
    ",time_base,duration,bit_rate,channels,sample_rate"
    ":stream_disposition=attached_pic:stream_tags=DURATION:stream_side_data=rotation"
)
"""Exactly what is read: tags and chapters can be as long as the file."""
_PROTOCOLS = "file,pipe"
_NO_PIPES: Mapping[str, str] = MappingProxyType({})
_SILENT = {"hide_banner": None, "nostdin": None, "y": None, "v": "error"}
"""Without `y`, ffmpeg 9 leaves an output file that is there as it was, and ends with 0."""
_ANONYMOUS = {"map_metadata": "-1", "map_chapters": "-1", "fflags": "+bitexact"}
"""Leaves out where and with what a video was taken, and the muxer's version, which would differ between workers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input file, or the name of what the runner feeds through a pipe, and the options in front of its `-i`.

    `made_up`: not a file but the description of a picture that ffmpeg draws itself.
    """

    path: str
    options: Options = field(default_factory=dict)
    made_up: bool = False

    @property
    def address(self) -> str:
        """What follows `-i`; no name of a file is taken for an option or a protocol."""
        return self.path if self.made_up else f"file:{self.path}"

    def bounded(self, max_pixels: int) -> Options:
        """Its options and the bounds of decoders, which some options narrow or widen; what we draw needs none."""
        bounds = {} if self.made_up else decoder_bounds(max_pixels)
        return {**self.options, **bounds, **self.options}


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One output: its maps, its options, and the name that the runner replaces by a pipe or a path."""

    target: str
    maps: tuple[str, ...]
    options: Options = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FfmpegCommand:
    """A whole ffmpeg command."""

    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    filter_graph: str | None = None
    global_options: Options = field(default_factory=lambda: _SILENT)

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return tuple(output.target for output in self.outputs)

    def argv(
        self,
        binary: str,
        targets: Mapping[str, str],
        *,
        progress: str,
        max_pixels: int,
        pipes: Mapping[str, str] = _NO_PIPES,
    ) -> list[str]:
        """Render the command: globals, input options, inputs, graph, then maps, options and target of every output.

        `pipes` are the addresses of the inputs that are fed. Of files, no picture larger than `max_pixels` is decoded.
        """
        words = [binary, *_words(self.global_options), "-progress", progress, "-stats_period", "0.5"]
        for source in self.inputs:
            words += [*_words(source.bounded(max_pixels)), "-i", pipes.get(source.path, source.address)]
        if self.filter_graph:
            words += ["-filter_complex", self.filter_graph]
        for output in self.outputs:
            for chosen in output.maps:
                words += ["-map", chosen]
            words += [*_words(output.options), targets[output.target]]
        return words


def decoder_bounds(max_pixels: int) -> dict[str, str | None]:
    """Options for whoever opens a file, if only to probe it: no decoder but the listed, no larger picture than allowed.

    A header says nothing about the pictures behind it. The quarter on top is for the edges that codecs add and crop:
    1080 lines are coded as 1088.
    """
    return {"max_pixels": str(max_pixels + max_pixels // 4), "codec_whitelist": WHITELIST}


def _words(options: Options) -> list[str]:
    return [
        word for name, value in options.items() for word in ((f"-{name}",) if value is None else (f"-{name}", value))
    ]


def chunk_command(  # noqa: PLR0913 - what a run depends on, by name
    plan: EncodePlan,
    source: str,
    *,
    first_segment: int,
    segments: int,
    renditions: Sequence[str] | None = None,
    device: HardwareDevice | None = None,
    threads: int = 0,
    statistics: str = "",
) -> FfmpegCommand:
    """Decode a stretch once and encode it into rungs, as CMAF fragments that continue exactly where others end.

    All rungs unless `renditions` names some. An encoder for hardware needs to know its `device`. `statistics`: where
    the analysis of this very stretch lies, for the second of two passes. Raises ValueError without a device.
    """
    chosen, passes = _chosen(plan, renditions), 2 if statistics else 0
    outputs = tuple(
        Output(
            target=rendition.name,
            maps=(f"[{rendition.name}]",),
            options={
                **_video_options(
                    plan, plan.target(rendition, pass_number=passes, statistics=statistics, threads=threads), device
                ),
                **_fragment_options(plan, first_segment, segments),
            },
        )
        for rendition in chosen
    )
    return _encoding(plan, source, chosen, outputs, device, first_segment=first_segment, segments=segments)


def analysis_command(  # noqa: PLR0913 - what a run depends on, by name
    plan: EncodePlan,
    source: str,
    *,
    first_segment: int,
    segments: int,
    renditions: Sequence[str] | None = None,
    threads: int = 0,
    statistics: str,
) -> FfmpegCommand:
    """The first of two passes over a stretch: what it finds goes to files whose names begin with `statistics`."""
    chosen = _chosen(plan, renditions)
    outputs = tuple(
        Output(
            target=rendition.name,
            maps=(f"[{rendition.name}]",),
            options={
                **_video_options(
                    plan, plan.target(rendition, pass_number=1, statistics=statistics, threads=threads), None
                ),
                **_cut(plan, first_segment, segments),
                "f": "null",
            },
        )
        for rendition in chosen
    )
    return _encoding(plan, source, chosen, outputs, None, first_segment=first_segment, segments=segments)


def _chosen(plan: EncodePlan, names: Sequence[str] | None) -> list[VideoRendition]:
    return [rendition for rendition in plan.renditions if names is None or rendition.name in names]


def _encoding(  # noqa: PLR0913 - what a run depends on, by name
    plan: EncodePlan,
    source: str,
    chosen: Sequence[VideoRendition],
    outputs: tuple[Output, ...],
    device: HardwareDevice | None,
    *,
    first_segment: int,
    segments: int,
) -> FfmpegCommand:
    opening = {**_decoding(plan), **_steady_graph(plan), **_seek(plan, first_segment)}
    return FfmpegCommand(
        inputs=(_input(plan, source, opening),),
        filter_graph=_chunk_graph(plan, chosen, first_segment, segments),
        outputs=outputs,
        global_options={**_SILENT, **_opening(plan.encoder, device, plan.hardware_path)},
    )


def trial_command(encoder: VideoEncoder, device: HardwareDevice | None, *, frames: int = 30) -> FfmpegCommand:
    """Encode a few frames that ffmpeg draws, with the options of a real job; what comes out goes to `nothing`.

    That a device is there, or listed, proves nothing, and NVENC refuses pictures below 145 pixels.
    """
    width, height, rate = 640, 360, Fraction(25)
    control = RateControl.for_bitrate(1_000_000)
    target = EncodeTarget(
        preset="medium",
        profile=encoder.presets["medium"].profile,
        level=encoder.level(width, height, rate, control),
        control=control,
        gop=frames,
    )
    path = encoder.paths[0]
    return FfmpegCommand(
        inputs=(Input(path=f"testsrc2=size={width}x{height}:rate={rate}", options={"f": "lavfi"}, made_up=True),),
        filter_graph=f"[0:0]{_uploaded(encoder)}[{TRIAL}]",
        outputs=(
            Output(
                target="nothing",
                maps=(f"[{TRIAL}]",),
                options={**_encoder_options(encoder, target, device, path), "frames:v": str(frames), "f": "null"},
            ),
        ),
        global_options={**_SILENT, **_opening(encoder, device, path)},
    )


def _opening(encoder: VideoEncoder, device: HardwareDevice | None, path: HardwarePath) -> Options:
    return encoder.device.opening(_needed(encoder, device), path) if encoder.device else {}


def _needed(encoder: VideoEncoder, device: HardwareDevice | None) -> HardwareDevice:
    if device is None:
        raise ValueError(f"{encoder.ffmpeg_name} needs a device")
    return device


def _decoding(plan: EncodePlan) -> Options:
    """Options that have the device decode, so that frames never leave it."""
    on_device = plan.hardware_path == HardwarePath.DEVICE
    return plan.encoder.device.decoding if plan.encoder.device and on_device else {}


def _uploaded(encoder: VideoEncoder) -> str:
    """Filters that give an encoder frames from memory."""
    return ",".join([f"format={encoder.pixel_format}", *(encoder.device.upload if encoder.device else ())])


def _input(plan: EncodePlan, path: str, options: Options = MappingProxyType({})) -> Input:
    """Open the source with its demuxer forced and its own clock kept."""
    opening = {"f": plan.source.demuxer, "protocol_whitelist": _PROTOCOLS, "copyts": None}
    return Input(path=path, options={**opening, **options})


def _steady_graph(plan: EncodePlan) -> dict[str, str | None]:
    """Let pictures that change size or format in mid-stream through to the scaler: a new graph would begin at 0 again.

    The deinterlacer, unlike the scaler, expects all pictures to be alike, and so do all filters on a device.
    """
    alike = plan.source.video.interlaced or plan.hardware_path == HardwarePath.DEVICE
    return {} if alike else {"reinit_filter": "0"}


def seek_time(plan: EncodePlan, first_segment: int) -> Fraction | None:
    """Where a run that begins with this segment seeks to, in seconds on the source's clock; None: it does not."""
    if not first_segment:
        return None
    return max(Fraction(0), plan.source.first + plan.grid.start(first_segment) - _SEEK_MARGIN)


def read_until(plan: EncodePlan, first_segment: int, segments: int) -> Fraction:
    """Up to which time such a run needs frames, in seconds on the source's clock: a frame beyond the end settles it."""
    return plan.source.first + plan.grid.start(first_segment + segments) + 1 / plan.grid.rate


def _seek(plan: EncodePlan, first_segment: int) -> dict[str, str | None]:
    """To a key frame some time before a segment, on the source's own clock, keeping everything from there on."""
    time = seek_time(plan, first_segment)
    return {} if time is None else {"noaccurate_seek": None, "seek_timestamp": "1", "ss": _seconds(time)}


def _chunk_graph(plan: EncodePlan, chosen: Sequence[VideoRendition], first_segment: int, segments: int) -> str:
    """Shift to the video's own clock, put frames on the grid from the chunk's first one on, and scale for each rung."""
    grid = plan.grid
    chain = [f"[0:{plan.source.video.index}]" + _on_own_clock("setpts", plan.source.first)]
    if plan.source.video.interlaced:
        chain.append(_deinterlacer(plan))
    chain.append(f"fps={_ratio(grid.rate)}:start_time={_seconds(grid.start(first_segment))}")
    if not plan.source.constant and first_segment + segments == grid.total_segments:
        # The length of a varying source's last frame is a matter of rounding; a copy or two of it settle that.
        chain.append("tpad=stop=2:stop_mode=clone")
    chain += ["setpts=PTS-STARTPTS", f"split={len(chosen)}"]
    heads = "".join(f"[in{number}]" for number in range(len(chosen)))
    scaled = (f"[in{number}]{_scaling(plan, rung)}[{rung.name}]" for number, rung in enumerate(chosen))
    return ";".join([",".join(chain) + heads, *scaled])


def _deinterlacer(plan: EncodePlan) -> str:
    if plan.encoder.device and plan.hardware_path == HardwarePath.DEVICE:
        return plan.encoder.device.deinterlacer
    return "bwdif=mode=send_frame:deint=interlaced"


def _scaling(plan: EncodePlan, rendition: VideoRendition) -> str:
    if plan.encoder.device and plan.hardware_path == HardwarePath.DEVICE:
        return f"{plan.encoder.device.scaling(rendition.width, rendition.height)},setsar=1"
    return f"scale={rendition.width}:{rendition.height}:flags=bicubic,setsar=1,{_uploaded(plan.encoder)}"


def _on_own_clock(filter_name: str, first: Fraction) -> str:
    """Shift times so that the first video frame is at 0; whole ticks, or a coarse time base would lose a frame."""
    return f"{filter_name}=round(PTS-({_ratio(first)})/TB)"


def _video_options(plan: EncodePlan, target: EncodeTarget, device: HardwareDevice | None) -> dict[str, str | None]:
    return _encoder_options(plan.encoder, target, device, plan.hardware_path)


def _encoder_options(
    encoder: VideoEncoder, target: EncodeTarget, device: HardwareDevice | None, path: HardwarePath
) -> dict[str, str | None]:
    options: dict[str, str | None] = {"c:v": encoder.ffmpeg_name, **encoder.options(target)}
    if encoder.device and path == HardwarePath.UPLOAD:
        options.update(encoder.device.chosen(_needed(encoder, device)))
    return options


def _fragment_options(plan: EncodePlan, first_segment: int, segments: int) -> dict[str, str | None]:
    grid = plan.grid
    return {
        **_cut(plan, first_segment, segments),
        **_ANONYMOUS,
        "video_track_timescale": str(grid.timescale),
        "output_ts_offset": _seconds(grid.start(first_segment)),
        **_fragments("frag_keyframe+frag_discont"),
        "flush_packets": "1",
        "f": "mp4",
    }


def _cut(plan: EncodePlan, first_segment: int, segments: int) -> dict[str, str | None]:
    """By number of frames; nothing is dropped or doubled behind the filters."""
    return {"frames:v": str(plan.grid.frames_in(first_segment, segments)), "fps_mode": "passthrough"}


def _fragments(cut: str) -> dict[str, str]:
    """CMAF fragments; that pictures are reordered and sound is primed is said by an edit list in the init segment.

    ffmpeg 9 writes one by itself, 5.1 leaves it out of CMAF unless told so.
    """
    return {"movflags": f"+cmaf+delay_moov+default_base_moof+skip_trailer+{cut}", "use_editlist": "1"}


def sound_needed_until(plan: EncodePlan, segments: int) -> Fraction:
    """Up to which time an audio command for the first so many segments reads sound, in seconds on the source's clock.

    A segment beyond the one that is encoded along: more than ffmpeg's queues hold.
    """
    return plan.source.first + plan.grid.start(segments + 2)


def audio_command(plan: EncodePlan, source: str, *, segments: int | None = None) -> FfmpegCommand:
    """Encode the sound track, in step with the video grid and exactly as long; one fragment per AAC frame.

    The assembler joins the frames to segments at the video's boundaries. Of a command for the first `segments`, these
    are the same as of a command for all; what it gives beyond them is not. Raises ValueError when there is no sound.
    """
    if plan.audio is None or plan.source.audio is None:
        raise ValueError("the source has no sound")
    length = _seconds(plan.grid.duration if segments is None else plan.grid.start(segments + 1))
    graph = ",".join(
        (
            f"[0:{plan.source.audio.index}]" + _on_own_clock("asetpts", plan.source.first),
            f"atrim=end={length}",  # a gap up to sound behind the video's end would be filled first, at any length
            f"aresample={AUDIO_RATE}:async=1:first_pts=0",
            "aformat=sample_fmts=fltp:channel_layouts=stereo",
            f"apad=whole_dur={length}",
            f"atrim=end={length}[{AUDIO}]",
        )
    )
    options: dict[str, str | None] = {
        "c:a": AAC.ffmpeg_name,
        "b:a": str(plan.audio.bitrate),
        **_ANONYMOUS,
        **_fragments("frag_every_frame"),
        "f": "mp4",
    }
    return FfmpegCommand(
        inputs=(_input(plan, source),),
        filter_graph=graph,
        outputs=(Output(target=AUDIO, maps=(f"[{AUDIO}]",), options=options),),
    )


def index_command(source: str, *, demuxer: str) -> FfmpegCommand:
    """Copy, not encode, a source without a reliable index into Matroska, which has one; target `indexed`.

    AVI gives packets without presentation times, which Matroska refuses: they are generated.
    """
    opening: dict[str, str | None] = {
        "fflags": "+genpts",
        "f": demuxer,
        "protocol_whitelist": _PROTOCOLS,
        "copyts": None,
    }
    copy: dict[str, str | None] = {"c": "copy", "map_metadata": "-1", "map_chapters": "-1", "f": "matroska"}
    return FfmpegCommand(
        inputs=(Input(path=source, options=opening),),
        outputs=(Output(target="indexed", maps=("0:V:0", "0:a:0?"), options=copy),),
    )


def movie_command(plan: EncodePlan) -> FfmpegCommand:
    """Copy, not encode, one rung and the sound into a progressive MP4 with its index in front.

    `copyts` and the exact time scales keep both edit lists, so that pictures and sound stay in step. Inputs are the
    init segment and all segments of each, in order, fed under the names `PICTURES` and `SOUND`; the target is `MOVIE`.
    """
    tracks = (PICTURES, SOUND) if plan.audio else (PICTURES,)
    opening: dict[str, str | None] = {"f": "mov", "protocol_whitelist": _PROTOCOLS, "copyts": None}
    timescale = str(plan.grid.timescale)
    copy: dict[str, str | None] = {
        "c": "copy",
        **_ANONYMOUS,
        "video_track_timescale": timescale,
        "movie_timescale": timescale,
        "movflags": "+faststart",
        "f": "mp4",
    }
    return FfmpegCommand(
        inputs=tuple(Input(path=track, options=opening) for track in tracks),
        outputs=(Output(target=MOVIE, maps=("0:v:0", "1:a:0")[: len(tracks)], options=copy),),
    )


def decode_command(path: str) -> FfmpegCommand:
    """Decode a sample of our own output to nothing: its frame count and its silence prove that it plays."""
    return FfmpegCommand(
        inputs=(Input(path=path, options={"f": "mov", "protocol_whitelist": _PROTOCOLS}),),
        outputs=(Output(target="nothing", maps=("0:v:0",), options={"f": "null"}),),
    )


def streams_command(binary: str, path: str, *, demuxer: str, max_pixels: int) -> list[str]:
    """The ffprobe command whose output `parse_ffprobe` reads."""
    return [*_probe(binary, demuxer, max_pixels), "-show_entries", _FACTS, "-of", "json", f"file:{path}"]


def packets_command(  # noqa: PLR0913 - a whole command, by name
    binary: str, path: str, *, demuxer: str, stream: int, max_pixels: int, parsed: bool = True
) -> list[str]:
    """The ffprobe command whose output `parse_packets` reads. Not `parsed`: the packets as the container has them."""
    wanted = ["-select_streams", str(stream), "-show_entries", "packet=pts,duration,size,pos,flags", "-of", "csv=p=0"]
    raw = [] if parsed else ["-fflags", "noparse"]
    return [*_probe(binary, demuxer, max_pixels), *raw, *wanted, f"file:{path}"]


def _probe(binary: str, demuxer: str, max_pixels: int) -> list[str]:
    bounds = _words(decoder_bounds(max_pixels))
    return [binary, "-v", "error", "-f", demuxer, "-protocol_whitelist", _PROTOCOLS, *bounds]


def _seconds(time: Fraction) -> str:
    """Seconds to the microsecond, which is all that ffmpeg reads; grid times are whole microseconds anyway."""
    return f"{float(max(time, Fraction(0))):.6f}"


def _ratio(number: Fraction) -> str:
    return f"{number.numerator}/{number.denominator}"
