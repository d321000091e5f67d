"""Commands that join videos: one for each part, and one that puts the parts behind each other.

All parts have one time scale for video and one for audio, and begin at 0. Parameter sets are in front of every key
frame, so that a decoder that was opened on the first part reads on in the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from transcoding.color import ColorSpace, Primaries, Transfer
from transcoding.commands.audio import audio_filters
from transcoding.commands.chunk import chunk_command
from transcoding.commands.color import color_tags
from transcoding.commands.command import ANONYMOUS, PROTOCOLS, FfmpegCommand, Input, Output, source_input
from transcoding.commands.steady_audio import of_steady_audio
from transcoding.commands.timestamps import ORDERED_CODECS
from transcoding.loudness import UNCHANGED
from transcoding.planning.joining import SAMPLE_RATE, JoinedPart, JoinPlan
from transcoding.planning.plan import EncodePlan
from transcoding.planning.tracks import AudioRendition

PART_TARGET, JOINED_TARGET = "part", "joined"
TIMESCALE = 240_000
"""Ticks per second of joined video: a frame of every standard rate is a whole number of them, and so is 1 ms."""
_LIST_NAME = "parts"
_QUALITY = "12"
"""Constant rate factor of parts that are encoded again: what is lost is far below what any output loses."""
_AUDIO_CODEC = "alac"
"""Lossless, in MP4 and QuickTime, and without priming: samples stay where they are."""
_LAYOUTS = {True: "5.1", False: "stereo"}


def part_command(join: JoinPlan, part: JoinedPart, source: str, *, steady: str = "", threads: int = 0) -> FfmpegCommand:
    """Make one part of its source; target `PART_TARGET`. Its audio is exactly as long as it is on the grid.

    `steady` is the path of what `steady_audio_command` made of its audio, where that changes in mid-stream.
    """
    command = _copy(join, part, source, steady) if part.copied else _encode(join, part, source, steady, threads)
    return replace(command, inputs=(*command.inputs, *_steady_input(steady)))


def _steady_input(path: str) -> tuple[Input, ...]:
    return (
        (Input(path=path, options={"f": "matroska", "protocol_whitelist": PROTOCOLS, "copyts": None}),) if path else ()
    )


def _copy(join: JoinPlan, part: JoinedPart, source: str, steady: str) -> FfmpegCommand:
    plan = part.plan
    video = plan.source.video
    filters = {"bsf:v": f"{video.codec}_mp4toannexb,dump_extra"} if video.codec in ORDERED_CODECS else {}
    audio = _audio(join, part, _from_zero(plan), steady)
    return FfmpegCommand(
        inputs=(source_input(plan, source, {"itsoffset": f"{float(-plan.first):.6f}"}),),
        filter_graph=audio or None,
        outputs=(_output(join, f"0:{video.index}", {"c:v": "copy", **filters}, audio=bool(audio)),),
    )


def _encode(join: JoinPlan, part: JoinedPart, source: str, steady: str, threads: int) -> FfmpegCommand:
    plan = part.plan
    command = chunk_command(plan, source, first_segment=0, segments=plan.total_segments)
    (rendition,), (chunk,) = plan.renditions, command.outputs
    audio = _audio(join, part, plan, steady)
    graph = [f"{command.filter_graph};[{rendition.name}]{_in_color(plan.color_of(rendition), join.color)}[video]"]
    options = {
        "c:v": "libx264",
        "preset": plan.encoding_of([rendition.name]).preset,
        "crf": _QUALITY,
        "profile:v": "high",
        "g": str(plan.grid.gop_frames),
        "flags": "+cgop",
        **({"threads": str(threads)} if threads else {}),
        "bsf:v": "dump_extra",
        "frames:v": chunk.options["frames:v"],
        "fps_mode": "passthrough",
    }
    return replace(
        command,
        filter_graph=";".join([*graph, *([audio] if audio else [])]),
        outputs=(_output(join, "[video]", options, audio=bool(audio)),),
    )


def _output(join: JoinPlan, video: str, options: Mapping[str, str | None], *, audio: bool) -> Output:
    return Output(
        target=PART_TARGET,
        maps=(video, *(["[audio]"] if audio else [])),
        options={
            **options,
            **({"c:a": _AUDIO_CODEC} if audio else {}),
            **ANONYMOUS,
            "video_track_timescale": str(TIMESCALE),
            "f": join.container,
        },
    )


def _in_color(color: ColorSpace | None, target: ColorSpace) -> str:
    """Return the filters from the colors of a part to those of all parts; frames without any tags pass as they are."""
    if color is None or color == target:
        return "format=yuv420p"
    known = replace(
        color,
        primaries=target.primaries if color.primaries == Primaries.UNKNOWN else color.primaries,
        transfer=target.transfer if color.transfer == Transfer.UNKNOWN else color.transfer,
    )
    converted = f"zscale=matrix={target.matrix}:primaries={target.primaries}:transfer={target.transfer}:range=limited"
    return ",".join((*color_tags(known), converted, "format=yuv420p", *color_tags(target)))


def _audio(join: JoinPlan, part: JoinedPart, plan: EncodePlan, steady: str) -> str:
    """Return the graph of the part's audio, or of silence; empty where nothing that is joined has audio."""
    if not join.has_audio:
        return ""
    track, samples, layout = join.track(part), join.samples(part), _LAYOUTS[join.surround]
    audible = _audible(plan, track, steady) if track else f"anullsrc=sample_rate={SAMPLE_RATE}:channel_layout={layout}"
    exact = f"apad=whole_len={samples},atrim=end_sample={samples}"
    return f"{audible},aformat=sample_fmts=s32p:channel_layouts={layout},{exact}[audio]"


def _audible(plan: EncodePlan, track: AudioRendition, steady: str) -> str:
    if steady:
        plan, track = of_steady_audio(plan, track)
    return audio_filters(plan, track, plan.grid.duration, UNCHANGED, number=int(bool(steady)))


def _from_zero(plan: EncodePlan) -> EncodePlan:
    """Return the plan of a source whose clock is shifted to that of the part."""
    return replace(plan, source=replace(plan.source, first=plan.source.first - plan.first))


def join_command(join: JoinPlan, names: Sequence[str]) -> FfmpegCommand:
    """Put the parts behind each other without decoding them; target `JOINED_TARGET`.

    `names` are those of their files in the folder that the run works in. The packets of each part are shifted by whole
    frames of the grid, to the microsecond.
    """
    listed = zip(names, join.parts, strict=True)
    lines = ["ffconcat version 1.0", *(line for name, part in listed for line in (f"file {name}", _lasts(join, part)))]
    opening: dict[str, str | None] = {"f": "concat", "auto_convert": "0", "protocol_whitelist": PROTOCOLS}
    copy: dict[str, str | None] = {
        "c": "copy",
        **ANONYMOUS,
        "video_track_timescale": str(TIMESCALE),
        "movflags": "+faststart",
        "f": join.container,
    }
    maps = ("0:v:0", *(["0:a:0"] if join.has_audio else []))
    return FfmpegCommand(
        inputs=(Input(path=_LIST_NAME, options=opening),),
        outputs=(Output(target=JOINED_TARGET, maps=maps, options=copy),),
        files={_LIST_NAME: "\n".join([*lines, ""])},
    )


def _lasts(join: JoinPlan, part: JoinedPart) -> str:
    """Return the line that says where the next part begins: differences of rounded times, so that nothing adds up."""
    start, end = (round(join.seconds(frame) * 1_000_000) for frame in (part.start, part.start + part.frames))
    return f"duration {(end - start) / 1_000_000:.6f}"
