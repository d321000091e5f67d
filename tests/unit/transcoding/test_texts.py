"""Texts: files of three formats become cues with the markup of WebVTT alone, and those become files and segments."""

from __future__ import annotations

import time
from contextlib import suppress
from fractions import Fraction

import pytest

from transcoding.errors import TextRejected
from transcoding.texts.cues import MAX_CUES, Cue, Cues
from transcoding.texts.markup import cleaned
from transcoding.texts.reading import read_text
from transcoding.texts.webvtt import parse_webvtt, webvtt, webvtt_segment

SUBRIP = "1\n00:00:01,000 --> 00:00:02,500\nGrüße\n<i>two</i>\n\n2\n00:01:00,000 --> 00:01:01,000\n{\\an8}above\n"
ASS = """[Script Info]
Title: a title
[V4+ Styles]
Style: Default,Arial,20
[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:05.00,Default,,0,0,0,,nothing
Dialogue: 0,0:00:03.50,0:00:04.00,Default,,0,0,0,,{\\an8\\i1}above{\\i0}, a\\Nb & <c>
Dialogue: 1,0:00:01.00,0:00:02.00,Default,,0,0,0,,first
Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,first
Dialogue: 0,0:00:06.00,0:00:07.00,Default,,0,0,0,,{\\p1}m 0 0 l 10 10{\\p0}
"""


def read(text: str, encoding: str = "utf-8") -> list[tuple[int, int, str, str]]:
    cues = read_text(text.encode(encoding))
    return [(cue.start, cue.end, cue.text, cue.settings) for cue in cues]


def test_subrip_becomes_cues() -> None:
    assert read(SUBRIP) == [
        (1000, 2500, "Grüße\n<i>two</i>", ""),
        (60_000, 61_000, "above", "line:0"),
    ]


def test_subrip_as_people_write_it() -> None:
    """Without numbers, with other line ends, points for commas, short times, and blank lines in a cue."""
    text = "0:0:1.5-->0:0:2,25\r\none\r\n\r\nmore\r\n\r\n7\r\n00:00:03,000 --> 00:00:04,000 X1:40 X2:600\r\n2024\r\n"
    assert read(text) == [(1500, 2250, "one\nmore", ""), (3000, 4000, "2024", "")]


def test_ass_becomes_words_in_order_without_drawings_and_doubles() -> None:
    assert read(ASS) == [
        (1000, 2000, "first", ""),
        (3500, 4000, "<i>above</i>, a\nb &amp; &lt;c&gt;", "line:0"),
    ]


def test_webvtt_stays_what_it_is_but_styles_regions_and_other_tags() -> None:
    text = (
        "WEBVTT - a title\n\nSTYLE\n::cue { background: url(http://example.org/x) }\n\nREGION\nid:r\n\nNOTE no cue\n\n"
        "name\n00:01.000 --> 00:02.000 region:r line:0 align:start position:10%,line-left size:x\n"
        "<v.loud Mary O'Brien>Hi</v> <c.yellow.bg_blue>there</c> &amp; <00:00:01.500><b>now\n"
    )
    assert read(text) == [
        (
            1000,
            2000,
            "<v.loud Mary O'Brien>Hi</v> <c.yellow.bg_blue>there</c> &amp; <b>now</b>",
            "line:0 align:start position:10%,line-left",
        )
    ]


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("<script>alert(1)</script>", "alert(1)"),
        ("<img src=x onerror=alert(1)>x", "x"),
        ("<b onclick=alert(1)>x</b>", "<b>x</b>"),
        ("<v Me<script>>x", "&lt;v Me&gt;x"),
        ("<v a&lt;script&gt;b>x", "<v a&lt;script&gt;b>x</v>"),
        ("<c.a.b.c.d.e.f:g.h>x", "<c.a.b.c.d>x</c>"),
        ("&lt;script&gt;", "&lt;script&gt;"),
        ("&#60;script&#62;&copy", "&lt;script&gt;&amp;copy"),
        ("a --> b", "a --&gt; b"),
        ("</i>x<i>y</b>", "x<i>y</i>"),
        ("<i><b>x</i>y", "<i><b>x</b></i>y"),
        ("a\n \n\nb\x07\x1b[0m", "a\nb[0m"),
        ("<font color='red'>x</font>", "x"),
        ("<I>x</I>", "<i>x</i>"),
    ],
)
def test_nothing_but_the_tags_of_webvtt_is_left(hostile: str, shown: str) -> None:
    assert cleaned(hostile) == shown
    assert cleaned(shown) == shown, "a text that is read again stays the same"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", [SUBRIP, ASS, "WEBVTT\n\n00:01.000 --> 00:02.000\nä\n"], ids=["srt", "ass", "vtt"])
def test_unicode_is_recognized_with_and_without_a_mark(text: str, encoding: str) -> None:
    assert read(text, encoding) == read(text)
    with_mark = b"\xfe\xff" + text.encode("utf-16-be")
    assert [cue.text for cue in read_text(with_mark)] == [words for _, _, words, _ in read(text)]


def test_a_legacy_encoding_must_be_stated() -> None:
    data = SUBRIP.encode("windows-1252")
    with pytest.raises(TextRejected, match=r"neither UTF-8 nor UTF-16.*such as windows-1252"):
        read_text(data)
    assert next(iter(read_text(data, encoding="windows-1252"))).text.startswith("Grüße")
    with pytest.raises(TextRejected, match="not in utf-8: byte 34"):
        read_text(data, encoding="utf-8")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "none of WebVTT"),
        (b"just words\n" * 200, "none of WebVTT"),
        (b"WEBVTT\n\nno cue", "has no cue"),
        (b"1\n00:00:02,000 --> 00:00:01,000\nx\n", "has no cue"),
        (b"1\n00:00:01,000 --> 00:00:02,000\n<script></script>\n", "has no cue"),
        (bytes(range(256)) * 8, "no text|neither UTF-8"),
        (b"WEBVTT\n\n00:01.000 --> 00:02.000\n" + bytes(5), "NUL|neither UTF-8"),
        (b"1\n00:00:01,000 --> 00:00:02,000\nx\n\n" * (MAX_CUES + 1), "more than 10000 cues"),
    ],
    ids=["empty", "words", "no cue", "backwards", "no words", "bytes", "NUL", "too many"],
)
def test_a_file_that_is_none_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(TextRejected, match=why):
        read_text(data)


@pytest.mark.parametrize(
    "data",
    [
        b"WEBVTT\n\n00:00.000 --> 00:09.000\n" + b"<" * 1_000_000,
        b"WEBVTT\n\n00:00.000 --> 00:09.000\n" + b"<b>" * 330_000,
        b"WEBVTT\n\n00:00.000 --> 00:09.000\n" + b"<b></i>" * 140_000,
        b"1\n00:00:00,000 --> 00:00:09,000\n" + b"{\\an8" * 200_000,
        b"1\n00:00:00,000 --> 00:00:09,000\n" + b"&#38;" * 200_000,
        b"[Events]\nDialogue: 0,0:00:00.00,0:00:09.00,,,,,,," + b"{\\i1" * 250_000,
        b"[Events]\nFormat: " + b"text," * 200_000 + b"\nDialogue: " + b"," * 200_000,
        b"[Events]\nDialogue: 0,0:00:00.00,0:00:09.00,,,,,,,{\\pos(1," + b"9" * 1_000_000 + b"}",
        b"[Events]\nDialogue: 0,0:00:00.00,0:00:09.00,,,,,,," + b"{\\pos(1,9" * 100_000,
        b"[Script Info]\nPlayResY: " + b"9" * 1_000_000 + b"\n[Events]\nDialogue: 0,0:00:00.00,0:00:09.00,,,,,,,a",
        b"WEBVTT\n" + b"0" * 1_000_000,
        b"1\n" + b" " * 1_000_000 + b"-->",
    ],
)
def test_a_megabyte_of_anything_takes_no_long_time(data: bytes) -> None:
    started = time.process_time()
    with suppress(TextRejected):
        read_text(data)
    assert time.process_time() - started < 8


def test_a_rendered_file_is_read_as_what_it_is() -> None:
    for text in (SUBRIP, ASS):
        cues = read_text(text.encode())
        assert Cues.of(parse_webvtt(webvtt(cues))) == cues
    assert webvtt(read_text(SUBRIP.encode())) == (
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.500\nGrüße\n<i>two</i>\n\n00:01:00.000 --> 00:01:01.000 line:0\nabove\n"
    )


def test_a_segment_has_the_cues_of_its_time_on_the_clock_of_the_fragments() -> None:
    cues = Cues.of(
        [
            Cue(start=0, end=4000, text="one"),
            Cue(start=3000, end=9000, text="long"),
            Cue(start=4000, end=4001, text="at the boundary"),
        ]
    )
    segments = [webvtt_segment(cues.shown_between(Fraction(4 * n), Fraction(4 * n + 4))) for n in range(4)]
    assert segments[0] == (
        "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n"
        "\n00:00:00.000 --> 00:00:04.000\none\n\n00:00:03.000 --> 00:00:09.000\nlong\n"
    )
    words = [[cue.text for cue in parse_webvtt(segment)] for segment in segments]
    assert words == [["one", "long"], ["long", "at the boundary"], ["long"], []]
    assert segments[3] == "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n"


def test_a_later_clock_cuts_off_what_is_before_it() -> None:
    cues = Cues.of([Cue(start=0, end=500, text="gone"), Cue(start=900, end=2000, text="cut")])
    assert list(cues.earlier(Fraction(1))) == [Cue(start=0, end=1000, text="cut")]
    assert next(iter(cues.earlier(Fraction(-1, 2)))) == Cue(start=500, end=1000, text="gone")


@pytest.mark.parametrize(("y", "settings"), [(243, ""), (150, "line:50%"), (40.5, "line:0")])
def test_a_text_of_ass_stands_in_the_third_of_the_screen_that_it_is_placed_in(y: float, settings: str) -> None:
    event = rf"Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{{\an7}}{{\pos(38,{y})}}HELLO"
    (cue,) = read_text(f"[Script Info]\nPlayResY: 288\n[Events]\n{event}\n".encode())
    assert (cue.text, cue.settings) == ("HELLO", settings)
