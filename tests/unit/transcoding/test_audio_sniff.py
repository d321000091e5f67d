import random
from io import BytesIO

import pytest

from transcoding.sniffing.container import DEMUXERS, HEAD_BYTES, find_in_file, sniff

MP3 = bytes.fromhex("fffb9064") + bytes(413)
"""128 kbit/s at 44,100 Hz: 417 bytes."""
MP2 = bytes.fromhex("fffd8404") + bytes(380)
"""128 kbit/s at 48,000 Hz, layer II: 384 bytes."""
ADTS = bytes.fromhex("fff14c800c9ffc") + bytes(93)
"""AAC-LC at 48,000 Hz, 100 bytes."""
AC3 = bytes.fromhex("0b7700000c404000") + bytes(376)
"""96 kbit/s at 48,000 Hz: 384 bytes."""
EAC3 = bytes.fromhex("0b77007f34870000") + bytes(248)
"""256 bytes."""
DTS = bytes.fromhex("7ffe8001fc3c3ff0") + bytes(1016)
"""1,024 bytes."""


def found(file: bytes) -> str | None:
    container = find_in_file(BytesIO(file))
    return container.family if container else None


def tagged(audio: bytes, size: int) -> bytes:
    """Audio behind an ID3v2 tag of so many bytes, such as one with a cover."""
    size -= 10
    return b"ID3\x04\x00\x00" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + bytes(size) + audio


@pytest.mark.parametrize(
    ("head", "family"),
    [
        (MP3 * 10, "mp3"),
        (MP3 * 3, "mp3"),
        (MP3, "mp3"),
        (bytes(100) + MP3 * 9, "mp3"),
        (MP3[217:] + MP3 * 9, "mp3"),
        (MP2 * 10, "mp3"),
        (ADTS * 40, "aac"),
        (AC3 * 10, "ac3"),
        (EAC3 * 15, "eac3"),
        (DTS * 4, "dts"),
        (tagged(MP3 * 10, 200), "mp3"),
        (tagged(ADTS * 40, 200), "aac"),
        (tagged(b"fLaC\x00\x00\x00\x22", 200), "flac"),
        (b"fLaC\x00\x00\x00\x22", "flac"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "wav"),
        (b"RF64\xff\xff\xff\xffWAVEds64", "wav"),
        (b"RIFX\x00\x00\x00\x24WAVEfmt ", "wav"),
        (b"FORM\x00\x00\x10\x00AIFFCOMM", "aiff"),
        (b"FORM\x00\x00\x10\x00AIFCFVER", "aiff"),
        (b"caff\x00\x01\x00\x00desc", "caf"),
        (b".snd\x00\x00\x00\x18", "au"),
        (b"#!AMR\n\x3c" + bytes(31), "amr"),
        (b"#!AMR-WB\n\x04" + bytes(17), "amr"),
        (b"wvpk\x00\x10\x00\x00", "wavpack"),
        (bytes.fromhex("726966662e91cf11a5d628db04c10000") + bytes(24), "w64"),
        (bytes.fromhex("f0001000f8726fba") + bytes(24), "truehd"),
    ],
)
def test_audio_is_recognised_by_its_first_bytes(head: bytes, family: str) -> None:
    assert sniff(head[:HEAD_BYTES]) == family
    assert found(head) == family
    assert family in DEMUXERS


@pytest.mark.parametrize(
    "head",
    [
        MP3[:4] + bytes(1000) + MP3[:4] + bytes(1000),  # headers, but not in step
        MP3[:416] + MP3 + MP3,
        MP3 + MP2 + MP3,
        ADTS[:99] * 40,
        b"FORM\x00\x00\x10\x00ILBMBMHD",
        b"RIFF\x24\x00\x00\x00WEBPVP8 ",
        b"ID3\x04\x00\x00\x00\x00\x00\x00",
        tagged(b"%PDF-1.7\n" + bytes(100), 200),
        b"ID3 is a format of tags. " * 200,
    ],
)
def test_what_only_begins_like_audio_is_none(head: bytes) -> None:
    assert sniff(head[:HEAD_BYTES]) is None


def test_behind_a_long_tag_is_whatever_the_file_has_there() -> None:
    """The first bytes of the upload are all cover: it is accepted, and looked at again when all of it is there."""
    for audio, family in (
        (MP3 * 10, "mp3"),
        (ADTS * 40, "aac"),
        (b"fLaC\x00\x00\x00\x22", "flac"),
        (b"%PDF-1.7", None),
    ):
        file = tagged(audio, 300_000)
        assert sniff(file[:HEAD_BYTES]) == "mp3"
        assert found(file) == family
        assert found(tagged(file, 500_000)) == family


def test_noise_is_no_audio() -> None:
    source = random.Random(11)  # noqa: S311 - a repeatable test, no secret
    assert [sniff(source.randbytes(HEAD_BYTES)) for _ in range(50)] == [None] * 50


def test_thousands_of_tags_are_no_error() -> None:
    assert sniff(b"ID3\x03\x00\x00\x00\x00\x00\x00" * (HEAD_BYTES // 10)) is None
