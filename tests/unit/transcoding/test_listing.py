"""The streams of a source that ffprobe gives up, as ffmpeg lists them."""

from transcoding.probing.listing import parse_listing, readable_streams
from transcoding.probing.streams import Resolution, StreamKind

LISTING = """#software: Lavf59.27.100
#tb 0: 1/1000
#media_type 0: audio
#codec_id 0: tta
#sample_rate 0: 48000
#channel_layout_name 0: stereo
#tb 1: 1/1000
#media_type 1: video
#codec_id 1: h264
#dimensions 1: 160x90
#sar 1: 1/1
#tb 2: 1/1000
#media_type 2: audio
#codec_id 2: aac
#sample_rate 2: 44100
#media_type 3: data
#codec_id 3: none
#media_type 4: video
#codec_id 4: jpeg2000
#dimensions 4: 9999x9999
"""


def test_streams_are_listed() -> None:
    streams = parse_listing(LISTING.splitlines())
    assert [(each.index, each.kind, each.codec, each.decodable) for each in streams] == [
        (0, StreamKind.AUDIO, "tta", False),
        (1, StreamKind.VIDEO, "h264", True),
        (2, StreamKind.AUDIO, "aac", True),
        (3, StreamKind.DATA, "unknown", False),
        (4, StreamKind.VIDEO, "jpeg2000", False),
    ]
    assert (streams[1].size, streams[2].sample_rate) == (Resolution(width=160, height=90), 44_100)


def test_only_streams_of_accepted_codecs_are_copied_and_the_video_alone_at_last() -> None:
    assert list(readable_streams(parse_listing(LISTING.splitlines()))) == [(1, 2), (1,)]


def test_without_a_video_nothing_is_copied() -> None:
    assert list(readable_streams(parse_listing(LISTING.splitlines()[:6]))) == []


def test_what_is_no_listing_lists_nothing() -> None:
    assert parse_listing(["", "0, 0, 0, 1, 2, 0x1", "#codec_id x: h264", "#dimensions 0: 0x0" + "9" * 99]) == ()
