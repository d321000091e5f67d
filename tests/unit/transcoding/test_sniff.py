import random

import pytest

from tests.unit.transcoding.builders import box
from transcoding.probing.sniff import DEMUXERS, HEAD_BYTES, sniff

HOSTILE = {
    "empty": b"",
    "one byte": b"\x00",
    "random": random.Random(7).randbytes(HEAD_BYTES),  # noqa: S311 - a repeatable test, no secret
    "zeros": bytes(HEAD_BYTES),
    "text": b"Dear all,\nthis is not a video.\n" * 100,
    "zip": b"PK\x03\x04\x14\x00\x00\x00\x08\x00" + bytes(100),
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj",
    "HLS playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:4\nfile:///etc/passwd\n",
    "DASH manifest": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011">',
    "concat script": b"ffconcat version 1.0\nfile secret.mp4\n",
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "PNG": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
    "GIF": b"GIF89a\x01\x00\x01\x00",
    "HEIC": box("ftyp", b"heic\x00\x00\x00\x00mif1heic"),
    "HEIF": box("ftyp", b"mif1\x00\x00\x00\x00mif1heic"),
    "AVIF": box("ftyp", b"avif\x00\x00\x00\x00avifmif1"),
    "WAV": b"RIFF\x24\x00\x00\x00WAVEfmt ",
    "WebP": b"RIFF\x24\x00\x00\x00WEBPVP8 ",
    "MP3": b"ID3\x04\x00\x00\x00\x00\x00\x00",
    "FLAC": b"fLaC\x00\x00\x00\x22",
    "shell script": b"#!/bin/sh\nrm -rf /\n",
    "ELF": b"\x7fELF\x02\x01\x01",
    "EBML of another kind": b"\x1a\x45\xdf\xa3\x84\x42\x82\x80something",
    "a box that cannot hold itself": b"\x00\x00\x00\x04ftypisom",
    "ftyp in the wrong position": b"ftypisom\x00\x00\x00\x18",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_video_is_recognised_by_its_first_bytes(name: str) -> None:
    assert sniff(HOSTILE[name]) is None


@pytest.mark.parametrize(
    ("head", "family"),
    [
        (box("ftyp", b"isom\x00\x00\x02\x00isomiso2"), "mov"),
        (box("ftyp", b"qt  \x00\x00\x02\x00qt  "), "mov"),
        (b"\x00\x00\x00\x00mdat", "mov"),  # to the end of the file
        (b"\x00\x00\x00\x01mdat\x00\x00\x00\x02\x00\x00\x00\x00", "mov"),  # of more than 4 GiB
        (box("wide") + box("mdat", b"x"), "mov"),
        (b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\x01\x42\x82\x84webm", "matroska"),
        (b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\x01\x42\x82\x88matroska", "matroska"),
        (b"RIFF\x00\x00\x00\x00AVI LIST", "avi"),
        (b"FLV\x01\x05\x00\x00\x00\x09", "flv"),
        (b"\x00\x00\x01\xba\x44", "mpegps"),
        (b"OggS\x00\x02", "ogg"),
        ((b"\x47" + bytes(187)) * 21, "mpegts"),
        ((bytes(4) + b"\x47" + bytes(187)) * 21, "mpegts"),
    ],
)
def test_a_video_is_recognised_by_its_first_bytes(head: bytes, family: str) -> None:
    assert sniff(head) == family
    assert family in DEMUXERS


def test_a_transport_stream_needs_every_packet_in_step() -> None:
    packets = bytearray((b"\x47" + bytes(187)) * 21)
    packets[188 * 10] = 0
    assert sniff(bytes(packets)) is None
