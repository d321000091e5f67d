"""Warnings as values, as clients see them, and as earlier versions stored them."""

from fractions import Fraction

import pytest

from transcoding.probing.warnings import SENTENCES, Notice, SourceWarning, warning_documents

LONGER = Notice(code=SourceWarning.AUDIO_LONGER, seconds=Fraction(6))


def test_every_code_has_sentences() -> None:
    assert set(SENTENCES) == set(SourceWarning)
    assert all(sentence.endswith(".") and sentence[0].isupper() for sentence in SENTENCES.values())


def test_the_extent_is_part_of_the_sentence() -> None:
    assert LONGER.detail == f"{SENTENCES[SourceWarning.AUDIO_LONGER]} (6.00 s)"
    ignored = Notice(code=SourceWarning.STREAMS_IGNORED, count=3)
    assert ignored.detail.startswith("The file has streams that are not in the outputs.")
    assert ignored.detail.endswith("(streams: 3)")
    assert Notice(code=SourceWarning.ROTATED).detail == SENTENCES[SourceWarning.ROTATED]


def test_only_what_has_a_unit_is_counted() -> None:
    with pytest.raises(ValueError, match="nothing is counted of rotated"):
        Notice(code=SourceWarning.ROTATED, count=2)


@pytest.mark.parametrize("warning", [LONGER, Notice(code=SourceWarning.DAMAGED, count=2)], ids=str)
def test_documents_are_read_back(warning: Notice) -> None:
    assert Notice.from_document(warning.to_document()) == warning


def test_codes_of_earlier_versions_are_shown_with_their_sentences() -> None:
    rotated, ignored = warning_documents(["rotated", "extra_streams"])
    assert rotated == {"code": "rotated", "detail": SENTENCES[SourceWarning.ROTATED], "seconds": None, "count": None}
    assert ignored["code"] == "streams_ignored"


@pytest.mark.parametrize("stored", ["unknown", {"code": "unknown"}, {}, None, 3], ids=str)
def test_anything_else_is_no_warning(stored: object) -> None:
    with pytest.raises(ValueError, match=r"is no warning|is not a valid SourceWarning"):
        Notice.from_document(stored)
