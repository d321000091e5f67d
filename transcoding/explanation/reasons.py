"""Choices of a plan, with their reasons."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from transcoding.color import Matrix
from transcoding.encoders import HardwarePath
from transcoding.loudness import MAX_TRUE_PEAK, TARGET_LUFS
from transcoding.planning.encodings import Encoding
from transcoding.planning.fields import Deinterlacing
from transcoding.planning.ladder import is_larger
from transcoding.planning.plan import EncodePlan
from transcoding.planning.request import AudioChannels, JobRequest
from transcoding.planning.sizing import ChunkSizing, SizedBy
from transcoding.planning.tracks import AudioRendition, Mix
from transcoding.probing.facts import SourceFacts
from transcoding.probing.streams import AudioRole
from transcoding.timeline import Timeline

_COPIES: Mapping[str, tuple[str, str]] = {
    "matroska": (
        "a copy in Matroska",
        "its own container has no reliable index, so chunks could not be cut exactly",
    ),
    "mov": (
        "a copy in QuickTime",
        "it has a stream that no program may open or can, which the copy leaves out",
    ),
}
_OTHER_COPY = "a copy in its own container", "ffmpeg would not show it as players do as it is"
"""Values and reasons of copies, by the demuxer that reads them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One choice of a plan, its value and its reason."""

    choice: str
    value: str
    because: str


def explain(plan: EncodePlan, request: JobRequest) -> list[Reason]:
    """Explain each choice of a plan, in the order in which they were made."""
    if plan.audio_only:
        return [
            *_no_video_reasons(request),
            *_cut_reasons(plan),
            *_audio_reasons(plan, request),
            *_segment_reasons(plan),
        ]
    return [
        *_source_reasons(plan, request),
        *_timeline_reasons(plan),
        *_video_reasons(plan, request),
        *_watermark_reasons(plan),
        *_burn_in_reasons(plan),
        *_audio_reasons(plan, request),
        *_segment_reasons(plan),
        *_chunk_reasons(plan),
    ]


def _no_video_reasons(request: JobRequest) -> Iterator[Reason]:
    """Say that there is no video, and which parts of the request that leaves without effect."""
    yield Reason(choice="renditions", value="none", because="the source has no video track, only audio")
    requested = {
        "resolution": request.resolution,
        "resolutions": ", ".join(request.resolutions or ()) or None,
        "bitrate": request.bitrate,
        "codec": None if request.codec == JobRequest().codec else request.codec,
        "codecs": ", ".join(request.codecs or ()) or None,
        "preset": request.preset,
        "two_pass": request.two_pass,
        "deinterlace": request.deinterlace,
        "watermark": "one" if request.watermark else None,
        "burn_in": "a text" if request.burn_in else None,
    }
    for choice, value in requested.items():
        if value is not None:
            because = f"{value} was requested of video, and the source has none"
            yield Reason(choice=choice, value="no effect", because=because)


def _source_reasons(plan: EncodePlan, request: JobRequest) -> Iterator[Reason]:
    source = plan.source
    if source.remuxed:
        value, because = _COPIES.get(source.demuxer, _OTHER_COPY)
        yield Reason(choice="source", value=value, because=because)
    yield Reason(choice="frame_rate", value=f"{float(source.rate):.5g} per second", because=_why_this_rate(source))
    yield from _geometry_reasons(plan, request)
    if plan.color:
        yield Reason(choice="color_space", value=str(plan.color), because=_why_this_color(plan))


def _why_this_rate(source: SourceFacts) -> str:
    if source.constant:
        return "every frame of the source has a slot on this grid"
    if source.total_frames == 1:
        return "the source has one frame, and no rate"
    if source.steady:
        return "outputs have standard rates of up to 60 per second; the source has another one, to which this is next"
    return "the source has no constant rate; its frames are put on the grid of the rate nearest to its usual one"


def _timeline_reasons(plan: EncodePlan) -> Iterator[Reason]:
    """Say where the outputs are longer than the video, or where audio is cut."""
    yield from _cut_reasons(plan)
    behind = 0 if plan.video_end is None or plan.grid.is_open else plan.total_frames - plan.video_end
    before, after = (float(max(0, frames) / plan.grid.rate) for frames in (plan.video_start, behind))
    changes, reasons = [], []
    if before or after:
        held = [f"the first frame {before:.4g} s longer"] * bool(before) + [f"the last one {after:.4g} s"] * bool(after)
        changes.append(" and ".join(held))
        reasons.append("audio that begins before the video or ends after it is kept")
    if plan.audio_cut:
        changes.append(f"{float(plan.audio_cut):.4g} s of audio before or after the video are cut")
        requested = plan.timeline == Timeline.VIDEO
        reasons.append("requested" if requested else "hardly any of the time that the audio would add has audio in it")
    if changes:
        yield Reason(choice="timeline", value=f"{plan.timeline}: {'; '.join(changes)}", because="; ".join(reasons))


def _cut_reasons(plan: EncodePlan) -> Iterator[Reason]:
    if plan.cut:
        start, end = float(plan.cut.start), float(plan.cut.start + plan.cut.length)
        frames = "" if plan.audio_only else f", {plan.total_frames} frames"
        because = "requested; it begins and ends with the frames that start then, or next"
        yield Reason(
            choice="cut",
            value=f"{start:.6g} to {end:.6g} s of the video{frames}",
            because="requested" if plan.audio_only else because,
        )


def _watermark_reasons(plan: EncodePlan) -> Iterator[Reason]:
    if mark := plan.watermark:
        what, where = ("its letters are", "height") if mark.text else ("it is", "width")
        because = f"requested; {what} {mark.scale:.3g} of the {where} of every rendition"
        yield Reason(
            choice="watermark", value=f"{'a text' if mark.text else 'an image'}, {mark.position}", because=because
        )


def _burn_in_reasons(plan: EncodePlan) -> Iterator[Reason]:
    if plan.burn_in:
        because = "requested; it is drawn on every rendition, and players do not list it again"
        burned = plan.burn_in
        what = f"text {burned.text}" if burned.text else f"images of stream {burned.bitmaps}"
        yield Reason(choice="burn_in", value=f"{what}, {burned.language}", because=because)


def _geometry_reasons(plan: EncodePlan, request: JobRequest) -> Iterator[Reason]:
    """Explain how frames become whole, upright and of one size."""
    video = plan.source.video
    if plan.deinterlacing is not Deinterlacing.NONE:
        because = _FIELDS[plan.deinterlacing]
        unmarked = "; its frames do not say so, or wrongly" if video.fields_unmarked else ""
        yield Reason(choice="deinterlacing", value=plan.deinterlacing, because=f"{because}{unmarked}")
    elif request.deinterlace:
        yield Reason(choice="deinterlacing", value=plan.deinterlacing, because="the source is not interlaced")
    if video.rotation or video.mirrored:
        turn = f"turned by {video.rotation} degrees" if video.rotation else ""
        value = " and ".join(filter(None, ("mirrored" if video.mirrored else "", turn)))
        yield Reason(choice="orientation", value=value, because="the source says that players should do so")
    if video.changes and video.coded:
        because = "frames change in mid-stream; this is the usual one, and others are fitted into it with black bars"
        yield Reason(choice="frame", value=f"{video.coded.width}x{video.coded.height}", because=because)


_FIELDS: Mapping[Deinterlacing, str] = {
    Deinterlacing.FRAME: "the source is interlaced; each frame is made of both of its fields",
    Deinterlacing.FIELD: "the source is interlaced, and a frame for each field is requested",
    Deinterlacing.FILM: "the source is film, spread over the fields of video; these are the frames of the film",
}


def _why_this_color(plan: EncodePlan) -> str:
    tagged = plan.source.video.color
    if plan.tone_mapped:
        return "the source has high dynamic range; its colors are mapped to standard range"
    if tagged == plan.color:
        return "the source says so; colors are not converted"
    if tagged and tagged.matrix == Matrix.RGB:
        return "the source is RGB, which is encoded as YCbCr of limited range"
    return "the source does not say all of it; this is what players take a source of its size for"


def _video_reasons(plan: EncodePlan, request: JobRequest) -> Iterator[Reason]:
    display = plan.source.video.display
    size = f"{display.width}x{display.height}"
    names = ", ".join(rendition.name for rendition in plan.renditions)
    ladder = f"all rungs that the source of {size} fills; nothing is enlarged"
    skipped = [each for each in request.resolutions or () if is_larger(each, display)]
    chosen = "the sizes that were requested" + (
        f", but {', '.join(skipped)}: the source is {size}, and nothing is enlarged" if skipped else ""
    )
    if any(rendition.hdr for rendition in plan.renditions):
        yield Reason(choice="dynamic_range", value="that of the source, and standard", because="it was requested")
    single = f"one rendition was requested; the source is {size}, and nothing is enlarged"
    because = chosen if request.resolutions else ladder if request.is_ladder else single
    yield Reason(choice="renditions", value=names, because=because)
    if len(plan.encodings) > 1:
        codecs = ", ".join(encoding.codec for encoding in plan.encodings)
        because = f"requested; players begin with {plan.encodings[0].codec}, and get another when all of it is there"
        yield Reason(choice="codecs", value=codecs, because=because)
    for encoding in plan.encodings:
        yield from _encoding_reasons(encoding, request)


def _encoding_reasons(encoding: Encoding, request: JobRequest) -> Iterator[Reason]:
    encoder = f"{encoding.encoder_name}, preset {encoding.preset}"
    preset = "requested" if request.preset else "this installation's usual one"
    yield Reason(
        choice="encoder", value=encoder, because=f"{encoding.codec} is requested or usual; the preset is {preset}"
    )
    if encoding.two_pass:
        because = "requested" if request.two_pass else "this installation's usual way"
        yield Reason(choice="passes", value="two, the first one for analysis", because=because)
    yield Reason(choice="device", value=_DEVICES[encoding.hardware_path], because=_why_there(encoding))


CPU_DEVICE = "cpu"
"""Value of the choice of a device where there is none."""
_DEVICES: Mapping[HardwarePath, str] = {
    HardwarePath.CPU: CPU_DEVICE,
    HardwarePath.UPLOAD: "gpu, frames uploaded",
    HardwarePath.DEVICE: "gpu, decoding included",
}


def _why_there(encoding: Encoding) -> str:
    name = encoding.encoder_name
    if encoding.hardware_path == HardwarePath.CPU:
        return f"{name} runs on the CPU"
    if encoding.hardware_path == HardwarePath.DEVICE:
        return f"{name} runs on a device that can decode and scale this source, too"
    return f"{name} runs on a device; decoding and scaling on the CPU bears every source"


def _audio_reasons(plan: EncodePlan, request: JobRequest) -> Iterator[Reason]:
    if not plan.audio:
        because = "no track is requested" if plan.source.audio else "the source has none"
        yield Reason(choice="audio", value="none", because=because)
    beside = "one rendition serves all rungs, encoded once beside the first chunk"
    alone = "one rendition of a rate that speech and music are transparent or nearly so at, encoded in one go"
    because = alone if plan.audio_only else beside
    for track in plan.audio:
        said = (track.language, _purpose(track), _CHANNELS[track.mix], track.codecs, f"{track.bitrate} bit/s")
        why = "surround is requested, and the source has it" if track.surround else because
        yield Reason(choice=track.name, value=", ".join(filter(None, said)), because=f"{why}{_MIXED[track.mix]}")
    if (
        plan.audio
        and request.audio_channels == AudioChannels.SURROUND
        and not any(each.surround for each in plan.audio)
    ):
        because = "surround is requested, and no track has four channels or more whose places are known"
        yield Reason(choice="audio_channels", value="stereo alone", because=because)
    yield from _more_audio_reasons(plan)


def _more_audio_reasons(plan: EncodePlan) -> Iterator[Reason]:
    """Explain what is done with audio beside encoding it."""
    if any(track.normalized for track in plan.audio):
        known = any(plan.known_loudness(track) for track in plan.audio)
        measured = "that of the first track was measured at inspection" if known else "all of it is measured first"
        yield Reason(
            choice="loudness",
            value=f"{TARGET_LUFS:g} LUFS, true peaks up to {MAX_TRUE_PEAK:g} dBTP",
            because=f"requested; {measured}, then there is one gain for each track, and a limiter where peaks need it",
        )
    if plan.m4a_names:
        yield Reason(choice="m4a", value=", ".join(plan.m4a_names), because="requested; copied, not encoded again")


def _purpose(track: AudioRendition) -> str:
    return "" if track.role is AudioRole.MAIN else track.role.replace("_", " ")


_CHANNELS: Mapping[Mix, str] = {Mix.NONE: "stereo", Mix.STEREO: "stereo", Mix.SURROUND: "5.1"}
_MIXED: Mapping[Mix, str] = {
    Mix.NONE: "",
    Mix.STEREO: "; all channels but those of low frequencies are mixed, and cannot clip",
    Mix.SURROUND: "; channels that 5.1 does not have are mixed into those next to them",
}


def _segment_reasons(plan: EncodePlan) -> Iterator[Reason]:
    segment = plan.grid.segment_seconds
    length = f"of {float(segment):.4g} s"
    gops = "one GOP" if plan.segment_gops == 1 else f"{plan.segment_gops} GOPs"
    yield Reason(
        choice="segments",
        value=f"{length}, until the source ends" if plan.grid.is_open else f"{plan.total_segments} {length}",
        because=_AUDIO_SEGMENTS if plan.audio_only else f"{gops} of 2 s; all rungs switch at the same frames",
    )


_AUDIO_SEGMENTS = "as long as those of video, to the nearest frame of the codec"


def _chunk_reasons(plan: EncodePlan) -> Iterator[Reason]:
    segment = plan.grid.segment_seconds
    if plan.sizing:
        value = f"{len(plan.chunks)} of at most {float(plan.sizing.segments * segment):.4g} s"
        yield Reason(choice="chunks", value=value, because=_why_so_long(plan.sizing))


def _why_so_long(sizing: ChunkSizing) -> str:
    measured = f"measured on the last {sizing.samples} chunks like these"
    known = measured if sizing.samples else "assumed until chunks like these have been measured"
    expected = f"workers are expected to encode {sizing.speed:.3g} s of video per second ({known})"
    return f"{expected}; {_DECIDED[sizing.sized_by].format(work=sizing.work_seconds)}"


_DECIDED: Mapping[SizedBy, str] = {
    SizedBy.WORK: "a chunk should be {work} s of work",
    SizedBy.SHORTEST: "{work} s of work would be less than the shortest chunk",
    SizedBy.LONGEST: "{work} s of work would be more than the longest chunk",
    SizedBy.NUMBER: "{work} s of work each would be more chunks than are allowed",
    SizedBy.WHOLE: "a chunk of {work} s of work would decode all frames before it again",
}
