"""ffprobe commands."""

from collections.abc import Sequence
from fractions import Fraction

from transcoding.commands.command import (
    PROTOCOLS,
    allocation_bound,
    decoder_bounds,
    demuxer_options,
    option_words,
    seconds_text,
)

_LIGHT = (
    "red_x,red_y,green_x,green_y,blue_x,blue_y,white_point_x,white_point_y,min_luminance,max_luminance"
    ",max_content,max_average"
)
"""The fields of side data about the light of a video."""

_FACTS = (
    "format=format_name,duration"
    ":stream=index,codec_type,codec_name,width,height,pix_fmt,field_order,sample_aspect_ratio"
    ",color_primaries,color_transfer,color_space,color_range,time_base,duration,nb_frames,avg_frame_rate,bit_rate"
    ",channels,channel_layout,sample_rate"
    ":stream_disposition=default,forced,attached_pic,timed_thumbnails,comment,hearing_impaired,visual_impaired"
    ",descriptions,karaoke,lyrics,dub"
    ":stream_tags=DURATION,language,alpha_mode"
    f":stream_side_data=rotation,displaymatrix,dv_profile,dv_bl_signal_compatibility_id,{_LIGHT}"
)
"""The fields that are read, and no others: tags and chapters can be as long as the file."""

_FORMATS = (
    "frame=width,height,pix_fmt,sample_aspect_ratio,interlaced_frame,top_field_first,channels,channel_layout"
    ",color_primaries,color_transfer,color_space,color_range"
    ":frame_side_data=side_data_type,rotation,displaymatrix"
)


def streams_command(binary: str, path: str, *, demuxer: str, max_pixels: int, max_streams: int) -> list[str]:
    """Return the ffprobe command whose output `parse_ffprobe` reads."""
    return [*_probe(binary, demuxer, max_pixels, max_streams), "-show_entries", _FACTS, "-of", "json", f"file:{path}"]


def first_frame_command(  # noqa: PLR0913 - a whole command, by name
    binary: str, path: str, *, demuxer: str, stream: int, max_pixels: int, max_streams: int
) -> list[str]:
    """Return the ffprobe command whose output `first_frame_metadata` reads. One packet is read."""
    entries = ["-read_intervals", "%+#1", "-show_frames", "-show_entries", f"frame_side_data={_LIGHT}", "-of", "json"]
    chosen = ["-threads", "1", "-select_streams", str(stream)]  # threads would each hold frames
    return [*_probe(binary, demuxer, max_pixels, max_streams), *chosen, *entries, f"file:{path}"]


def packets_command(  # noqa: PLR0913 - a whole command, by name
    binary: str,
    path: str,
    *,
    demuxer: str,
    stream: int,
    max_pixels: int,
    max_streams: int,
    parsed: bool = True,
    cuts: bool = False,
) -> list[str]:
    """Return the ffprobe command whose output `parse_packets` reads.

    `parsed` has ffprobe split packets into frames; otherwise they are those of the container. `cuts` lists also how
    many samples of audio the container says to cut off from a packet, for `AudioMeter`.
    """
    fields = "packet=pts,duration,size,pos,flags" + (":packet_side_data=skip_samples,discard_padding" if cuts else "")
    entries = ["-select_streams", str(stream), "-show_entries", fields, "-of", "csv=p=0"]
    raw = [] if parsed else ["-fflags", "noparse"]
    return [*_probe(binary, demuxer, max_pixels, max_streams), *raw, *entries, f"file:{path}"]


def clock_command(binary: str, path: str, *, demuxer: str, max_pixels: int, max_streams: int) -> list[str]:
    """Return the ffprobe command whose output `parse_clock_packets` reads: all streams, in the order of the file.

    Missing times are generated, as they are when the streams are copied.
    """
    entries = [
        "-fflags",
        "+genpts",
        "-show_entries",
        "packet=stream_index,pts_time,dts_time,duration_time,pos",
        "-of",
        "csv=p=0",
    ]
    return [*_probe(binary, demuxer, max_pixels, max_streams), *entries, f"file:{path}"]


def frames_command(  # noqa: PLR0913 - a whole command, by name
    binary: str, path: str, *, demuxer: str, stream: int, times: Sequence[Fraction], max_pixels: int, max_streams: int
) -> list[str]:
    """Return the ffprobe command whose output `parse_frames` and `layouts_in` read.

    It shows the key frame at or before each of these times, or of an audio track the frame there.
    """
    intervals = ",".join(f"{seconds_text(time)}%+#1" for time in times)
    chosen = ["-select_streams", str(stream), "-skip_frame", "nokey", "-read_intervals", intervals]
    return [
        *_probe(binary, demuxer, max_pixels, max_streams),
        *chosen,
        *("-show_entries", _FORMATS, "-of", "json", f"file:{path}"),
    ]


def _probe(binary: str, demuxer: str, max_pixels: int, max_streams: int) -> list[str]:
    """Return the beginning of a command. The demuxer gives up at the first stream beyond `max_streams`."""
    bounds = option_words({**decoder_bounds(max_pixels), "max_streams": str(max_streams)})
    limit, forced = option_words(allocation_bound(max_pixels)), option_words(demuxer_options(demuxer))
    return [binary, "-v", "error", *limit, *forced, "-protocol_whitelist", PROTOCOLS, *bounds]
