from __future__ import annotations

import hashlib
import io
import struct
import tracemalloc
from dataclasses import replace

import pytest

from tests.crafted import CraftedTrack
from tests.unit.transcoding.builders import a_video_entry
from transcoding.containers.boxes import MalformedBoxes, Track, front_index, media_bytes, read_tracks
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


def index_of(track: CraftedTrack) -> bytes:
    entry = a_video_entry("avc1", "avcC", bytes.fromhex("0164001eff"))
    stsd = box(b"stsd", struct.pack(">II", 0, 1) + entry)
    return replace(track, edits=[(1000, 0)], stsd=stsd).trak()


def test_samples_of_one_size_take_no_memory() -> None:
    tracemalloc.start()
    try:
        (track,) = read_tracks(index_of(CraftedTrack(samples=1 << 22, size=3)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (track.samples, track.ticks, track.size) == (1 << 22, 1 << 22, 3 << 22)
    assert peak < 1 << 20


@pytest.mark.parametrize("listed", [0, 5, 8, 11])
def test_an_index_that_lists_fewer_sizes_than_it_announces_is_refused(listed: int) -> None:
    with pytest.raises(MalformedBoxes, match="announces 3 sizes"):
        read_tracks(index_of(CraftedTrack(samples=3, size=0, sizes=bytes(listed))))


class CountedFile(io.BytesIO):
    """Counts the reads."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        return super().read(size)


def test_an_index_is_not_looked_for_among_boxes_without_number_or_in_one_too_large() -> None:
    many = CountedFile(box(b"free") * 1000 + box(b"moov", b"index"))
    with pytest.raises(MalformedBoxes):
        front_index(many)
    assert many.reads < 100
    large = struct.pack(">I4sQ", 1, b"free", 1 << 63) + bytes(16)
    with pytest.raises(MalformedBoxes):
        front_index(io.BytesIO(large))
    huge = CountedFile(struct.pack(">I4sQ", 1, b"moov", 1 << 40) + bytes(16))
    with pytest.raises(MalformedBoxes):
        front_index(huge)
    assert huge.reads == 1, "the header and no more"
