from __future__ import annotations

import hashlib
import io
import struct
from dataclasses import replace

import pytest

from transcoding.containers.boxes import MalformedBoxes, Track, front_index, media_bytes
from transcoding.containers.verification import digest_of, verify_mp4
from transcoding.errors import VerificationFailed

VIDEO = Track(timescale=25_000, codecs="avc1.64001e", samples=100, ticks=100_000, size=5_000, edit_start=2_000)
AUDIO = Track(timescale=48_000, codecs="mp4a.40.2", samples=189, ticks=193_024, size=900, edit_start=1_024)


def box(kind: bytes, payload: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


@pytest.mark.parametrize("field", ["samples", "ticks", "size", "edit_start", "timescale"])
def test_a_track_that_differs_in_anything_is_noticed(field: str) -> None:
    verify_mp4("360p", [VIDEO, AUDIO], [VIDEO, AUDIO])
    other = replace(AUDIO, **{field: getattr(AUDIO, field) + 1})
    with pytest.raises(VerificationFailed, match=r"360p: the file has .*, coded was"):
        verify_mp4("360p", [VIDEO, other], [VIDEO, AUDIO])


def test_a_missing_track_is_noticed() -> None:
    with pytest.raises(VerificationFailed, match="1 tracks in the file, 2 were coded"):
        verify_mp4("360p", [VIDEO], [VIDEO, AUDIO])


def test_the_index_is_found_only_in_front() -> None:
    index, media = box(b"moov", b"index of it"), box(b"mdat", b"media")
    assert front_index(io.BytesIO(box(b"ftyp", b"isom") + index + media)) == b"index of it"
    for broken in (media + index, media, b"", box(b"ftyp"), (box(b"ftyp", b"isom0000") + index)[:-1]):
        with pytest.raises(MalformedBoxes):
            front_index(io.BytesIO(broken))


def test_media_is_what_lies_in_the_media_boxes() -> None:
    assert media_bytes(box(b"moof", b"12345") + box(b"mdat", b"123") + box(b"moof") + box(b"mdat", b"45")) == 5


def test_the_digest_of_several_is_that_of_their_lines() -> None:
    """The same as `sha256sum` gives for a file with one digest per line."""
    assert digest_of(["aa", "bb"]) == hashlib.sha256(b"aa\nbb\n").hexdigest()
    assert digest_of(["aa", "bb"]) != digest_of(["bb", "aa"])
