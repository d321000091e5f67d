"""Filters that give the frames of each rendition their color space: conversion, tone mapping, transparency, tags."""

from collections.abc import Mapping
from dataclasses import replace

from transcoding.color import BT709, ColorRange, ColorSpace, Matrix
from transcoding.hdr import HdrMetadata
from transcoding.planning.encodings import Encoding
from transcoding.planning.plan import EncodePlan
from transcoding.planning.tracks import VideoRendition
from transcoding.tone_mapping import TABLE_NAME, tone_table

_SCALER_MATRICES = {
    Matrix.BT709: "bt709",
    Matrix.BT470BG: "bt470",
    Matrix.SMPTE170M: "smpte170m",
    Matrix.BT2020NC: "bt2020",
}
"""Names in the scaler of the matrices that RGB is converted to."""

_ALPHA_DECODERS: Mapping[str, str] = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Decoders of codecs whose transparency is a second stream in the container, which ffmpeg's own do not read."""


def decoder_options(plan: EncodePlan) -> dict[str, str | None]:
    """Return input options that choose a decoder which reads transparency."""
    video = plan.source.video
    decoder = _ALPHA_DECODERS.get(video.codec) if video.alpha else None
    return {f"c:{video.index}": decoder} if decoder else {}


def composition(plan: EncodePlan) -> list[str]:
    """Return filters that put transparent frames on black.

    Colors count as they are in PNG: not multiplied by their transparency yet. The range is named, since the filter
    takes black for 0 otherwise. With 8 bits it makes white a little darker.
    """
    video = plan.source.video
    if not video.alpha:
        return []
    rgb = video.color is not None and video.color.matrix == Matrix.RGB
    if rgb:
        return ["format=gbrap10le|gbrap12le|gbrap16le", "premultiply=inplace=1"]
    full = video.color is not None and video.color.range == ColorRange.FULL
    formats = "yuva444p10le|yuva444p12le|yuva444p16le"
    return [f"setparams=range={'pc' if full else 'tv'}", f"format={formats}", "premultiply=inplace=1"]


def tone_mapping(plan: EncodePlan) -> list[str]:
    """Return filters from high dynamic range to BT.709; none where the source or the outputs have other ranges.

    The frames are tagged first: without tags in the coded stream there would be "no path between colorspaces".
    """
    source = plan.source.video.color
    if not plan.tone_mapped or source is None:
        return []
    return [
        *color_tags(source.filled),
        "zscale=matrix=gbr:range=full",
        "format=gbrp16le",
        f"lut3d=file={TABLE_NAME}:interp=tetrahedral",
        *color_tags(replace(BT709, matrix=Matrix.RGB, range=ColorRange.FULL)),
        "zscale=matrix=bt709:range=limited",
        "format=yuv420p10le",
    ]


def tone_files(plan: EncodePlan) -> dict[str, str]:
    """Return the files that the filters of `tone_mapping` read, by their names."""
    source = plan.source.video.color
    if not plan.tone_mapped or source is None:
        return {}
    metadata = plan.source.video.hdr or HdrMetadata()
    return {TABLE_NAME: tone_table(source.transfer, metadata.peak)}


def scaler_options(plan: EncodePlan, rendition: VideoRendition) -> str:
    """Return options that keep the scaler from converting colors: ffmpeg 5.1 makes full range limited, 9 does not.

    Only RGB is converted: without an explicit matrix to BT.601, whatever the size.
    """
    color = plan.color_of(rendition)
    if color is None:
        return ""
    rgb = plan.source.video.color and plan.source.video.color.matrix == Matrix.RGB and not _mapped(plan, rendition)
    matrix = f":out_color_matrix={_SCALER_MATRICES[color.matrix]}" if rgb else ""
    return f":out_range={color.range}{matrix}"


def from_rgb(color: ColorSpace | None) -> str:
    """Return options of the scaler that convert RGB to a color space."""
    if color is None:
        return ""
    return f":out_color_matrix={_SCALER_MATRICES.get(color.matrix, 'bt601')}:out_range={color.range}"


def side_data(plan: EncodePlan, encoding: Encoding, rendition: VideoRendition) -> tuple[str, ...]:
    """Return the filter that takes a master's metadata, and that of Dolby Vision, off its frames.

    Encoders would write it into streams that it does not describe. Those of devices have no other way to get it.
    """
    if not plan.of_high_range or (rendition.hdr and encoding.encoder.hardware):
        return ()
    return ("sidedata=mode=delete",)


def _mapped(plan: EncodePlan, rendition: VideoRendition) -> bool:
    return plan.tone_mapped and rendition.hdr is None


def color_tags(color: ColorSpace | None) -> tuple[str, ...]:
    """Return the filter that tags frames with what is known of their color space: encoders and muxers read the tags."""
    if color is None:
        return ()
    tags = {
        "color_primaries": color.primaries,
        "color_trc": color.transfer,
        "colorspace": color.matrix,
        "range": color.range,
    }
    known = ":".join(f"{name}={value}" for name, value in tags.items() if value != "unknown")
    return (f"setparams={known}",) if known else ()
