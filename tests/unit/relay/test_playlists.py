from __future__ import annotations

import pytest

from outbound.fetching import Part
from relay.errors import SourceNotMedia, SourceUnsupported
from relay.sources.playlists import Variant, chosen_variant, is_master, media_playlist, single_stream, variants_of

URL = "http://example.org/live/index.m3u8?token=1"


def a_playlist(*lines: str, segments: int = 0) -> bytes:
    listed = [line for number in range(segments) for line in ("#EXTINF:4,", f"{number}.ts")]
    return "\n".join(["#EXTM3U", *lines, *listed, ""]).encode()


def a_variant(
    name: str, *, height: int = 0, bandwidth: int = 1, video: bool = True, elsewhere: bool = False
) -> Variant:
    return Variant(url=name, bandwidth=bandwidth, height=height, has_video=video, audio_elsewhere=elsewhere)


@pytest.mark.parametrize(
    ("lines", "edge"),
    [
        ((), 12),
        (("#EXT-X-ENDLIST",), 10),
        (("#EXT-X-START:TIME-OFFSET=0",), 10),
        (("#EXT-X-START:TIME-OFFSET=5",), 11),
        (("#EXT-X-START:TIME-OFFSET=-4",), 14),
        (("#EXT-X-START:TIME-OFFSET=-100",), 10),
        (("#EXT-X-START:TIME-OFFSET=100",), 14),
    ],
)
def test_a_stream_is_joined_near_its_edge_or_where_it_says(lines: tuple[str, ...], edge: int) -> None:
    playlist = media_playlist(a_playlist("#EXT-X-MEDIA-SEQUENCE:10", *lines, segments=5), URL)
    assert (playlist.first, playlist.behind, playlist.edge()) == (10, 15, edge)


def test_short_playlists_are_joined_at_their_beginning() -> None:
    assert media_playlist(a_playlist(segments=2), URL).edge() == 0
    assert media_playlist(a_playlist(), URL).edge() == 0


@pytest.mark.parametrize(("text", "seconds"), [("6", 6), ("0", 4), ("86400", 30), ("x", 4)])
def test_the_target_duration_is_bounded(text: str, seconds: float) -> None:
    assert media_playlist(a_playlist(f"#EXT-X-TARGETDURATION:{text}", segments=1), URL).target_seconds == seconds


def test_urls_are_relative_to_the_playlist() -> None:
    text = a_playlist("#EXTINF:4,", "a.ts", "#EXTINF:4,", "/b.ts", "#EXTINF:4,", "https://cdn.example/c.ts")
    urls = [segment.piece.url for segment in media_playlist(text, URL).segments]
    assert urls == ["http://example.org/live/a.ts", "http://example.org/b.ts", "https://cdn.example/c.ts"]


def test_parts_of_one_file_follow_each_other() -> None:
    lines = ['#EXT-X-MAP:URI="all.mp4",BYTERANGE="100@0"']
    for text in ("50@100", "60", "70"):
        lines += ["#EXTINF:4,", f"#EXT-X-BYTERANGE:{text}", "all.mp4"]
    segments = media_playlist(a_playlist(*lines), URL).segments
    assert [segment.piece.part for segment in segments] == [Part(100, 50), Part(150, 60), Part(210, 70)]
    assert {segment.header.part for segment in segments if segment.header} == {Part(0, 100)}


def test_keys_and_gaps_hold_for_the_segments_behind_them() -> None:
    text = a_playlist(
        "#EXTINF:4,", "0.ts", '#EXT-X-KEY:METHOD=AES-128,URI="k"', "#EXT-X-GAP", "#EXTINF:4,", "1.ts",
        "#EXT-X-KEY:METHOD=NONE", "#EXTINF:4,", "2.ts",
    )  # fmt: skip
    segments = media_playlist(text, URL).segments
    assert [segment.encrypted for segment in segments] == [False, True, False]
    assert [segment.missing for segment in segments] == [False, True, False]


def test_something_else_than_a_playlist_is_refused() -> None:
    with pytest.raises(SourceNotMedia):
        media_playlist(b"<html>", URL)


def test_variants_have_their_properties() -> None:
    text = (
        b'\xef\xbb\xbf#EXTM3U\r\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="de, en",URI="a.m3u8"\r\n'
        b'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="in",NAME="de"\r\n'
        b'#EXT-X-STREAM-INF:BANDWIDTH=3000000,RESOLUTION=1280x720,CODECS="avc1.64,mp4a.40",AUDIO="in"\r\nhigh.m3u8\r\n'
        b'#EXT-X-STREAM-INF:AUDIO="a",BANDWIDTH=1,CODECS="avc1"\r\n\r\nsplit.m3u8\r\n'
        b'#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS="mp4a.40"\r\n# a comment\r\nradio.m3u8\r\n'
    )
    assert is_master(text)
    assert variants_of(text, URL) == [
        a_variant("http://example.org/live/high.m3u8", height=720, bandwidth=3_000_000),
        a_variant("http://example.org/live/split.m3u8", elsewhere=True),
        a_variant("http://example.org/live/radio.m3u8", bandwidth=64_000, video=False),
    ]


@pytest.mark.parametrize(("height", "name"), [(None, "1080"), (720, "720 high"), (600, "720 high"), (2160, "1080")])
def test_the_smallest_variant_that_is_enough_is_chosen(height: int | None, name: str) -> None:
    variants = [
        a_variant("radio", bandwidth=9, video=False),
        a_variant("480", height=480),
        a_variant("720", height=720),
        a_variant("720 high", height=720, bandwidth=2),
        a_variant("1080", height=1080),
        a_variant("2160", height=2160, elsewhere=True),
    ]
    assert chosen_variant(variants, height=height).url == name


def test_radio_is_chosen_where_there_is_nothing_else() -> None:
    assert chosen_variant([a_variant("radio", video=False)], height=720).url == "radio"
    with pytest.raises(SourceUnsupported):
        chosen_variant([a_variant("split", elsewhere=True)], height=None)


def test_lists_of_receivers_are_distinguished_from_hls() -> None:
    assert (
        single_stream(b"#EXTM3U\n#EXTVLCOPT--http-reconnect=true\n/stream\n/other\n", URL)
        == "http://example.org/stream"
    )
    assert single_stream(a_playlist("#EXT-X-TARGETDURATION:4", segments=1), URL) == ""
    assert single_stream(b"#EXTM3U\n", URL) == ""


@pytest.mark.parametrize(
    "lines",
    [
        ("#EXT-X-KEY:" + "A" * 8192,),
        ("#",) * 100_001,
        ("a.ts",) * 20_001,
        ("#EXT-X-STREAM-INF:BANDWIDTH=1", "a.m3u8") * 201,
    ],
)
def test_playlists_have_limits(lines: tuple[str, ...]) -> None:
    text = a_playlist(*lines)
    with pytest.raises(SourceNotMedia, match="more than"):
        variants_of(text, URL) if is_master(text) else media_playlist(text, URL)


def test_as_much_as_is_allowed_is_read() -> None:
    assert len(media_playlist(a_playlist("#" * 8192, segments=20_000), URL).segments) == 20_000
    assert len(variants_of(a_playlist(*("#EXT-X-STREAM-INF:BANDWIDTH=1", "a.m3u8") * 200), URL)) == 200


def test_names_of_attributes_are_matched_from_their_beginning() -> None:
    text = a_playlist(f"#EXT-X-KEY:{'A' * 64}METHOD=AES-128", segments=1)
    assert not media_playlist(text, URL).segments[0].encrypted
    master = a_playlist(f"#EXT-X-STREAM-INF:{'A' * 64}-CODECS={'B' * 64}", "a.m3u8")
    assert variants_of(master, URL)
