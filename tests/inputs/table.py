"""The table of inputs: one module for each area, in the order of docs/inputs.md."""

from tests.inputs import (
    audio_codecs,
    audio_only,
    clocks,
    codecs,
    colour,
    doors,
    edits,
    geometry,
    mid_stream,
    ordinary,
    rates,
    refused,
    timeline,
    tracks,
)

AREAS = (
    ordinary,
    codecs,
    audio_codecs,
    rates,
    tracks,
    timeline,
    edits,
    clocks,
    mid_stream,
    geometry,
    colour,
    doors,
    audio_only,
    refused,
)
"""Modules with a `TITLE` and `CASES`; the text of a section stands in the docstring."""

CASES = {case.key: case for area in AREAS for case in area.CASES}

ALIKE = {
    # the path of h264-mp4, open-gop, program-stream
    "all-intra", "dvd", "m4v", "no-b-frames",
    # another codec or container on a path that others of the same section go
    "av1-webm", "dnxhr-mov", "ffv1", "flv1", "h264-422", "mjpeg-mov", "mpeg1", "mpeg2-ts", "msmpeg4v2", "prores-422",
    "raw-mkv", "raw-mov", "theora", "vp9-mp4", "wmv1",
    "aac-44k", "ac3-ts", "adpcm-avi", "adpcm-mov", "alac-mov", "flac-mkv", "mp2-ts", "mp3-22k", "mp3-mkv", "mulaw-mov",
    "opus-webm", "pcm-24-mov", "pcm-be-mov", "pcm-float-mov", "quad", "stereo-right", "truehd-mkv", "vorbis-mkv",
    "avi-ffvhuff", "avi-huffyuv", "avi-msvideo1", "avi-utvideo", "dv-avi", "quicktime-png", "quicktime-rpza",
    "quicktime-svq1",
    "audio-au", "audio-caf", "audio-dts", "audio-eac3", "audio-mka", "audio-mov", "audio-w64", "audio-wav-float",
    # rates on the grid of their own, as rate-29.97 and rate-12.5
    "rate-10", "rate-15", "rate-20", "rate-24", "rate-30", "rate-48", "rate-50", "rate-60",
    # the same in another container, or by a request that says it in another way
    "audio-longer-hevc", "audio-longer-mkv", "audio-named", "cover-mkv", "hdr10-mkv", "joined-mkv-beside",
    "packed-b-frames-silent", "podcast-mkv", "truncated-mkv", "video-late-mkv",
    # another value of what is tested with three
    "alpha-vp8", "becomes-landscape", "joined-ts-forward", "m2ts-behind-junk", "mp4-unknown-first", "mp4-uuid-first",
    "rgb-raw", "rotated-270",
}  # fmt: skip
"""Cases of paths that other cases go, for `--thorough` only."""
