"""Cues as the document that libass draws from."""

from fractions import Fraction

import pytest

from transcoding.texts.burning import burned_document, is_drawable
from transcoding.texts.cues import Cue, Cues
from transcoding.texts.timing import parse_clock


def events(*cues: Cue, rate: Fraction = Fraction(25)) -> list[str]:
    document = burned_document(Cues(cues), rate=rate, width=640, height=360, white=255)
    return [line for line in document.splitlines() if line.startswith("Dialogue")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a <b>b</b> <i.x>c</i><c.red>d</c>", r"a {\b1}b{\b0} {\i1}c{\i0}d"),
        ("one\ntwo", r"one\Ntwo"),
        ("{\\p1}m 0 0 l 9 9{\\p0}", "\\{\\\u2060p1\\}m 0 0 l 9 9\\{\\\u2060p0\\}"),
        ("a\\Nb &lt;i&gt; &amp;amp;", "a\\\u2060Nb <i> &amp;"),
    ],
)
def test_nothing_in_a_text_is_a_command_but_bold_italic_and_underlined(text: str, words: str) -> None:
    (event,) = events(Cue(start=0, end=1000, text=text))
    assert event.split(",", 9)[9] == words


@pytest.mark.parametrize(
    ("settings", "command"), [("", ""), ("line:0", r"{\an8}"), ("line:50%", r"{\an5}"), ("line:90%", "")]
)
def test_a_cue_stands_in_its_third(settings: str, command: str) -> None:
    (event,) = events(Cue(start=0, end=1000, text="x", settings=settings))
    assert event.split(",", 9)[9] == f"{command}x"


@pytest.mark.parametrize("rate", [Fraction(60), Fraction(60000, 1001), Fraction(24000, 1001), Fraction(25)], ids=str)
def test_each_cue_is_there_from_its_first_frame_to_its_last(rate: Fraction) -> None:
    """libass compares whole milliseconds of a frame with hundredths of a second."""
    for first in range(0, 4000, 37):
        last = first + 5
        (event,) = events(Cue(start=round(first / rate * 1000), end=round(last / rate * 1000), text="x"), rate=rate)
        start, end = (parse_clock(time) for time in event.split(",")[1:3])
        assert start is not None
        assert end is not None
        shown = [n for n in range(max(0, first - 2), last + 3) if start <= int(n / rate * 1000) < end]
        assert shown == list(range(first, last))


@pytest.mark.parametrize(
    ("cues", "drawable"),
    [
        ([], True),
        ([Cue(start=10 * n, end=10 * n + 200, text="x") for n in range(9000)], True),
        ([Cue(start=10 * n, end=10 * n + 201, text="x") for n in range(9000)], False),
        ([Cue(start=n, end=600_000, text="x") for n in range(9000)], False),
        ([Cue(start=0, end=1, text="x" * 1000)], True),
        ([Cue(start=0, end=1, text="x" * 1001)], False),
    ],
    ids=["none", "twenty at once", "more", "all to the end", "long", "longer"],
)
def test_what_takes_long_to_draw_is_not_drawn(cues: list[Cue], drawable: bool) -> None:  # noqa: FBT001 - a parameter
    assert is_drawable(Cues.of(cues)) is drawable
