from __future__ import annotations

import pytest

from relay.errors import SourceNotMedia
from relay.sources.sniffing import SNIFFED_BYTES, container_of

PACKET = b"\x47\x40\x11\x10" + b"\xff" * 184
FLV = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"
MP4 = b"\x00\x00\x00\x1cftypiso5\x00\x00\x02\x00iso5iso6mp41\x00\x00\x00\x08moov"


@pytest.mark.parametrize(
    ("head", "container"),
    [
        (PACKET * 4, "mpegts"),
        (PACKET[77:] + PACKET * 9, "mpegts"),
        (b"\x00\x01\x02\x03".join([b"", *[PACKET] * 9]), "mpegts"),
        (b"".join(PACKET + b"\x00" * 16 for _ in range(9)), "mpegts"),
        (FLV, "flv"),
        (MP4, "mp4"),
    ],
    ids=["whole", "within a packet", "192", "204", "flv", "mp4"],
)
def test_containers_show_in_the_first_bytes(head: bytes, container: str) -> None:
    assert container_of(head) == container


@pytest.mark.parametrize("head", [b"", b"G", PACKET[:100], PACKET[77:] + PACKET * 3, b"\x00" * 5000])
def test_more_is_read_before_a_stream_is_refused(head: bytes) -> None:
    assert container_of(head) is None


@pytest.mark.parametrize(
    ("head", "text"),
    [
        (b"<!DOCTYPE html>\n<html><head><title>Receiver</title></head><body>No signal", "a page"),
        (b"no signal " * 60, "a text"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01", "an image"),
        (b"\x00\x01\x02\x03" * (SNIFFED_BYTES // 4), "neither MPEG-TS"),
    ],
)
def test_what_is_no_media_is_refused(head: bytes, text: str) -> None:
    with pytest.raises(SourceNotMedia, match=text):
        container_of(head)


@pytest.mark.parametrize("head", [b"", b"G", PACKET])
def test_a_source_that_ended_is_decided(head: bytes) -> None:
    with pytest.raises(SourceNotMedia):
        container_of(head, ended=True)
