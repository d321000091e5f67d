from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest

from tests.unit.transcoding.builders import NTSC, PQ
from transcoding.color import BT709, VideoRange
from transcoding.manifests.hls.iframes import IFrame, iframe_playlist
from transcoding.manifests.hls.master import master_playlist
from transcoding.manifests.hls.media import media_playlist, target_seconds, webvtt_playlist
from transcoding.manifests.hls.rates import average_rate, peak_rate
from transcoding.manifests.hls.tags import quoted
from transcoding.manifests.names import segment_name
from transcoding.manifests.variants import AudioVariant, IFrames, Presentation, TextVariant, VideoVariant

HD = VideoVariant(
    name="720p",
    width=1280,
    height=720,
    frame_rate=NTSC,
    codecs="avc1.64001f",
    peak_bandwidth=6_180_000,
    average_bandwidth=3_000_000,
)
SMALL = VideoVariant(
    name="360p",
    width=640,
    height=360,
    frame_rate=NTSC,
    codecs="avc1.64001e",
    peak_bandwidth=1_648_000,
    average_bandwidth=800_000,
)
AUDIO = AudioVariant(
    name="audio",
    language="",
    default=True,
    codecs="mp4a.40.2",
    channels=2,
    peak_bandwidth=156_876,
    average_bandwidth=128_000,
)


def test_a_master_playlist_with_audio() -> None:
    assert master_playlist(Presentation(videos=(HD, SMALL), audio=(AUDIO,))) == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="audio",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",'
        'URI="audio/index.m3u8"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=6336876,AVERAGE-BANDWIDTH=3128000,CODECS="avc1.64001f,mp4a.40.2",'
        'RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO="audio",CLOSED-CAPTIONS=NONE\n'
        "720p/index.m3u8\n"
        '#EXT-X-STREAM-INF:BANDWIDTH=1804876,AVERAGE-BANDWIDTH=928000,CODECS="avc1.64001e,mp4a.40.2",'
        'RESOLUTION=640x360,FRAME-RATE=29.970,AUDIO="audio",CLOSED-CAPTIONS=NONE\n'
        "360p/index.m3u8\n"
    )


def test_a_master_of_high_dynamic_range_names_the_range_of_every_variant() -> None:
    standard = replace(HD, color=BT709, video_range=VideoRange.SDR)
    high = replace(HD, name="720p-hdr", codecs="hvc1.2.4.L93.90", color=PQ, video_range=VideoRange.PQ)
    variants = [
        line
        for line in master_playlist(Presentation(videos=(standard, high), audio=(AUDIO,))).splitlines()
        if "STREAM-INF" in line
    ]
    assert [line.partition("FRAME-RATE=29.970,")[2] for line in variants] == [
        'VIDEO-RANGE=SDR,AUDIO="audio",CLOSED-CAPTIONS=NONE',
        'VIDEO-RANGE=PQ,AUDIO="audio",CLOSED-CAPTIONS=NONE',
    ]


def test_audio_tracks_are_one_group_that_players_choose_from_by_language() -> None:
    english = replace(AUDIO, language="eng")
    german = replace(AUDIO, name="audio-2", language="deu", default=False, channels=1, peak_bandwidth=200_000)
    lines = master_playlist(Presentation(videos=(HD,), audio=(english, german))).splitlines()
    assert lines[3:6] == [
        (
            '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",LANGUAGE="eng",NAME="audio",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",'
            'URI="audio/index.m3u8"'
        ),
        (
            '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",LANGUAGE="deu",NAME="audio-2",DEFAULT=NO,AUTOSELECT=YES,CHANNELS="1",'
            'URI="audio-2/index.m3u8"'
        ),
        (
            '#EXT-X-STREAM-INF:BANDWIDTH=6380000,AVERAGE-BANDWIDTH=3128000,CODECS="avc1.64001f,mp4a.40.2",'
            'RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO="audio",CLOSED-CAPTIONS=NONE'
        ),
    ]


def test_players_can_be_made_to_begin_with_an_audio_track() -> None:
    english = replace(AUDIO, language="en")
    german = replace(AUDIO, name="audio-2", language="de", default=False)
    surround = tuple(
        replace(track, name=f"{track.name}-surround", group="audio-surround") for track in (english, german)
    )
    offered = Presentation(videos=(HD,), audio=(english, german, *surround))
    defaults = [track.name for track in offered.starting_with("audio-2").audio if track.default]
    assert defaults == ["audio-2", "audio-2-surround"]
    with pytest.raises(KeyError):
        offered.starting_with("audio-3")


def test_every_rung_goes_with_each_group_of_audio() -> None:
    surround = replace(AUDIO, name="audio-5.1", channels=6, group="surround", peak_bandwidth=400_000)
    lines = master_playlist(Presentation(videos=(HD, SMALL), audio=(AUDIO, surround))).splitlines()
    assert [line.partition("GROUP-ID=")[2].partition(",")[0] for line in lines[3:5]] == ['"audio"', '"surround"']
    variants = [(uri, line.partition("AUDIO=")[2]) for line, uri in pairwise(lines) if "STREAM-INF" in line]
    assert variants == [
        ("720p/index.m3u8", '"audio",CLOSED-CAPTIONS=NONE'),
        ("360p/index.m3u8", '"audio",CLOSED-CAPTIONS=NONE'),
        ("720p/index.m3u8", '"surround",CLOSED-CAPTIONS=NONE'),
        ("360p/index.m3u8", '"surround",CLOSED-CAPTIONS=NONE'),
    ]
    assert [line.partition("BANDWIDTH=")[2].partition(",")[0] for line in lines if "STREAM-INF" in line] == [
        "6336876",
        "1804876",
        "6580000",
        "2048000",
    ]


def a_text(name: str, language: str, label: str, **more: bool) -> TextVariant:
    flags = dict.fromkeys(("default", "forced", "captions"), False) | more
    return TextVariant(name=name, language=language, label=label, **flags)


def test_subtitles_are_a_group_that_says_whom_they_are_for() -> None:
    english = a_text("en-1", "en", 'The "best"', default=True, captions=True)
    german = a_text("de-2", "de", "de", forced=True)
    lines = master_playlist(Presentation(videos=(HD,), texts=(german, english))).splitlines()
    assert lines[3:5] == [
        (
            '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="text",LANGUAGE="en",NAME="The \'best\'",DEFAULT=YES,AUTOSELECT=YES,'
            'FORCED=NO,CHARACTERISTICS="public.accessibility.transcribes-spoken-dialog,'
            'public.accessibility.describes-music-and-sound",URI="texts/en-1/index.m3u8"'
        ),
        (
            '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="text",LANGUAGE="de",NAME="de",DEFAULT=NO,AUTOSELECT=YES,FORCED=YES,'
            'URI="texts/de-2/index.m3u8"'
        ),
    ]
    assert lines[5].endswith(',SUBTITLES="text",CLOSED-CAPTIONS=NONE')


def test_players_begin_with_the_variant_nearest_to_two_megabits_that_all_of_them_can_show() -> None:
    full = replace(HD, name="1080p", average_bandwidth=5_000_000)
    modern = replace(HD, name="720p-av1", codecs="av01.0.05M.08", average_bandwidth=2_000_000)
    high = replace(HD, name="1080p-hdr", video_range=VideoRange.PQ, average_bandwidth=2_000_000)
    text = master_playlist(Presentation(videos=(high, full, HD, SMALL, modern), audio=(AUDIO,)))
    assert [line.partition("/")[0] for line in text.splitlines() if not line.startswith("#")] == [
        "720p",
        "1080p-hdr",
        "1080p",
        "360p",
        "720p-av1",
    ]


def test_key_frames_are_variants_of_their_own() -> None:
    """Rates are those of the key frames alone; an average that nobody measured is not stated."""
    measured = replace(HD, iframes=IFrames(peak_bandwidth=400_000, average_bandwidth=150_000))
    growing = replace(SMALL, video_range=VideoRange.SDR, iframes=IFrames(peak_bandwidth=99, average_bandwidth=None))
    text = master_playlist(Presentation(videos=(measured, growing), audio=(AUDIO,)))
    assert text.splitlines()[-2:] == [
        (
            '#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=400000,AVERAGE-BANDWIDTH=150000,CODECS="avc1.64001f",'
            'RESOLUTION=1280x720,URI="720p/iframes.m3u8"'
        ),
        (
            '#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=99,CODECS="avc1.64001e",RESOLUTION=640x360,VIDEO-RANGE=SDR,'
            'URI="360p/iframes.m3u8"'
        ),
    ]


def test_subtitles_with_one_name_and_purpose_get_others() -> None:
    """RFC 8216, section 4.3.4.1.1: names differ, and so does what players choose by themselves."""
    texts = (a_text("a", "de", "de"), a_text("b", "de", "de"), a_text("c", "de", "de", forced=True))
    lines = [
        line for line in master_playlist(Presentation(videos=(HD,), texts=texts)).splitlines() if "SUBTITLES,G" in line
    ]
    found = [(line.split('NAME="')[1].split('"')[0], "AUTOSELECT=YES" in line) for line in lines]
    assert found == [("de", True), ("de (2)", False), ("de (3)", True)]


def test_the_playlist_of_a_text_has_segments_without_an_init_segment() -> None:
    assert webvtt_playlist([Fraction(4), Fraction(1, 2)], target_seconds=4, complete=True) == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-TARGETDURATION:4\n"
        "#EXT-X-MEDIA-SEQUENCE:0\n"
        "#EXT-X-PLAYLIST-TYPE:VOD\n"
        "#EXT-X-START:TIME-OFFSET=0,PRECISE=YES\n"
        "#EXTINF:4.000000,\n"
        "0.vtt\n"
        "#EXTINF:0.500000,\n"
        "1.vtt\n"
        "#EXT-X-ENDLIST\n"
    )


def test_a_master_playlist_without_audio() -> None:
    assert master_playlist(Presentation(videos=(SMALL,))) == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-STREAM-INF:BANDWIDTH=1648000,AVERAGE-BANDWIDTH=800000,CODECS="avc1.64001e",'
        "RESOLUTION=640x360,FRAME-RATE=29.970,CLOSED-CAPTIONS=NONE\n"
        "360p/index.m3u8\n"
    )


def test_audio_without_video_is_the_only_variant() -> None:
    assert master_playlist(Presentation(audio=(AUDIO,))) == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-STREAM-INF:BANDWIDTH=156876,AVERAGE-BANDWIDTH=128000,CODECS="mp4a.40.2"\n'
        "audio/index.m3u8\n"
    )


def test_languages_without_video_are_a_group() -> None:
    """The variant is the track that players begin with, so that they need not load another one first."""
    english = replace(AUDIO, language="eng", default=False)
    german = replace(AUDIO, name="audio-2", language="deu", peak_bandwidth=200_000)
    lines = master_playlist(Presentation(audio=(english, german))).splitlines()
    assert [line.partition(",NAME=")[2].partition(",")[0] for line in lines[3:5]] == ['"audio"', '"audio-2"']
    assert lines[5:] == [
        '#EXT-X-STREAM-INF:BANDWIDTH=200000,AVERAGE-BANDWIDTH=128000,CODECS="mp4a.40.2",AUDIO="audio"',
        "audio-2/index.m3u8",
    ]


def test_the_playlist_of_a_finished_rendition() -> None:
    durations = [Fraction(120_120, 30_000), Fraction(40_040, 30_000)]
    assert media_playlist(durations, target_seconds=4, complete=True) == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-TARGETDURATION:4\n"
        "#EXT-X-MEDIA-SEQUENCE:0\n"
        "#EXT-X-PLAYLIST-TYPE:VOD\n"
        "#EXT-X-START:TIME-OFFSET=0,PRECISE=YES\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MAP:URI="init.mp4"\n'
        "#EXTINF:4.004000,\n"
        "0.m4s\n"
        "#EXTINF:1.334667,\n"
        "1.m4s\n"
        "#EXT-X-ENDLIST\n"
    )


def test_the_playlist_of_a_growing_rendition() -> None:
    """Players join what has no end at its live edge, unless set otherwise."""
    assert media_playlist([Fraction(4)], target_seconds=4, complete=False) == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-TARGETDURATION:4\n"
        "#EXT-X-MEDIA-SEQUENCE:0\n"
        "#EXT-X-PLAYLIST-TYPE:EVENT\n"
        "#EXT-X-START:TIME-OFFSET=0,PRECISE=YES\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MAP:URI="init.mp4"\n'
        "#EXTINF:4.000000,\n"
        "0.m4s\n"
    )


KEY_FRAMES = [
    IFrame(segment=0, offset=0, size=9000, duration=Fraction(2)),
    IFrame(segment=0, offset=40_000, size=8000, duration=Fraction(2)),
    IFrame(segment=1, offset=0, size=7000, duration=Fraction(4, 3)),
]


def test_an_iframe_playlist_lists_byte_ranges_of_the_segments() -> None:
    assert iframe_playlist(KEY_FRAMES, target_seconds=4, complete=True) == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-TARGETDURATION:4\n"
        "#EXT-X-MEDIA-SEQUENCE:0\n"
        "#EXT-X-PLAYLIST-TYPE:VOD\n"
        "#EXT-X-START:TIME-OFFSET=0,PRECISE=YES\n"
        "#EXT-X-I-FRAMES-ONLY\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MAP:URI="init.mp4"\n'
        "#EXTINF:2.000000,\n"
        "#EXT-X-BYTERANGE:9000@0\n"
        "0.m4s\n"
        "#EXTINF:2.000000,\n"
        "#EXT-X-BYTERANGE:8000@40000\n"
        "0.m4s\n"
        "#EXTINF:1.333333,\n"
        "#EXT-X-BYTERANGE:7000@0\n"
        "1.m4s\n"
        "#EXT-X-ENDLIST\n"
    )


def test_an_iframe_playlist_only_grows_until_it_is_complete() -> None:
    growing = [iframe_playlist(KEY_FRAMES[:count], target_seconds=4, complete=False) for count in range(4)]
    assert all(later.startswith(earlier) for earlier, later in pairwise(growing))
    complete = iframe_playlist(KEY_FRAMES, target_seconds=4, complete=True)
    assert complete == growing[-1].replace("EVENT", "VOD") + "#EXT-X-ENDLIST\n"


@pytest.mark.parametrize(
    ("sizes", "ticks", "peak"),
    [
        ([500, 1000, 500], [4, 4, 4], 2000),
        ([500, 500, 300], [4, 4, 2], 1200),  # a short last one counts from half a target duration on
        ([500, 500, 300], [4, 4, 1], 1280),  # a shorter one counts with the one before it
        ([100, 400, 100, 100], [2, 2, 2, 2], 1600),  # key frames: one of them is half a target duration
        ([100], [1], 800),  # nothing is as long
        ([], [], 0),
    ],
)
def test_the_peak_rate_is_that_of_a_stretch_near_the_target_duration(
    sizes: list[int], ticks: list[int], peak: int
) -> None:
    assert peak_rate(sizes, ticks, timescale=1, target_seconds=4) == peak
    assert average_rate(sizes, ticks, timescale=1) == sum(sizes) * 8 // max(1, sum(ticks))


def test_a_playlist_only_grows_until_it_is_complete() -> None:
    lengths = [Fraction(4)] * 5
    growing = [media_playlist(lengths[:count], target_seconds=4, complete=False) for count in range(6)]
    assert all(later.startswith(earlier) for earlier, later in pairwise(growing))
    complete = media_playlist(lengths, target_seconds=4, complete=True)
    assert complete == growing[-1].replace("EVENT", "VOD") + "#EXT-X-ENDLIST\n"


@pytest.mark.parametrize(
    ("segment", "target"), [(Fraction(4), 4), (Fraction(4004, 1000), 4), (Fraction(1, 25), 1), (Fraction(44, 10), 4)]
)
def test_the_target_duration_is_the_segment_s_in_whole_seconds(segment: Fraction, target: int) -> None:
    assert target_seconds(segment) == target


def test_segments_are_named_by_their_number() -> None:
    assert segment_name(12) == "12.m4s"


def test_quotes_and_line_breaks_are_in_no_quoted_string() -> None:
    assert quoted('the "best"\r\nof') == "\"the 'best' of\""
    assert quoted("") is None
