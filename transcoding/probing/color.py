"""The colors, the light and the transparency of a video track, read from ffprobe's JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from transcoding.color import ColorRange, ColorSpace, Matrix, Transfer, has_alpha, is_rgb
from transcoding.errors import InputRejected
from transcoding.hdr import DolbyVision, HdrMetadata
from transcoding.probing.streams import VideoStream

_ALPHA_BESIDE = frozenset({"vp8", "vp9"})
"""Codecs whose transparency is a second stream in WebM, which a tag of the track announces."""
_DOLBY_BASES: Mapping[int, Transfer] = {1: Transfer.PQ, 4: Transfer.HLG, 6: Transfer.PQ}
"""Transfer functions of the base layers of Dolby Vision, by their compatibility."""


def color_space(stream: Mapping[str, Any]) -> ColorSpace:
    """Read the color space of a video track, from its pixel format where its tags do not say it.

    The formats of JPEG (yuvj420p) are of full range by their name, and RGB is RGB.
    """
    pixel_format = str(stream.get("pix_fmt", ""))
    color = ColorSpace.of_names(
        primaries=stream.get("color_primaries"),
        transfer=stream.get("color_transfer"),
        matrix=stream.get("color_space"),
        range_="pc" if pixel_format.startswith("yuvj") else stream.get("color_range"),
    )
    if is_rgb(pixel_format):
        color = replace(color, matrix=Matrix.RGB, range=ColorRange.FULL)
    dolby = dolby_vision(stream)
    if dolby and color.transfer == Transfer.UNKNOWN:
        color = replace(color, transfer=_DOLBY_BASES.get(dolby.compatibility, Transfer.UNKNOWN))
    return color


def dolby_vision(stream: Mapping[str, Any]) -> DolbyVision | None:
    """Read the configuration record of Dolby Vision."""
    return DolbyVision.of_side_data(_side_data(stream))


def refuse_foreign_colors(video: VideoStream) -> None:
    """Raise InputRejected for Dolby Vision without a base for other decoders: it would be green and purple."""
    dolby = video.dolby_vision
    if dolby and not dolby.has_base:
        raise InputRejected(
            f"the video is Dolby Vision of profile {dolby.profile}, whose colors no other decoder shows right;"
            " export it as HDR10, as HLG or as Dolby Vision of profile 8"
        )


def hdr_metadata(stream: Mapping[str, Any], color: ColorSpace) -> HdrMetadata | None:
    """Read what the container says of the light of a track. None: it has standard range."""
    return HdrMetadata.of_side_data(_side_data(stream)) if color.hdr else None


def first_frame_metadata(text: str) -> HdrMetadata:
    """Read the output of `first_frame_command`: what the coded stream says of its light."""
    frames = json.loads(text).get("frames", [])
    return HdrMetadata.of_side_data(_side_data(frames[0]) if frames else ())


def is_transparent(stream: Mapping[str, Any]) -> bool:
    """Tell whether a track has transparency."""
    tags = {str(name).lower(): str(value) for name, value in stream.get("tags", {}).items()}
    beside = stream.get("codec_name") in _ALPHA_BESIDE and tags.get("alpha_mode") == "1"
    return beside or has_alpha(str(stream.get("pix_fmt", "")))


def _side_data(document: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    entries: Sequence[Mapping[str, Any]] = document.get("side_data_list", ())
    return entries
