import struct
from io import BytesIO

import pytest

from transcoding.containers.ending import announced_bytes


def box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", len(payload) + 8, kind) + payload


def large_box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4sQ", 1, kind, len(payload) + 16) + payload


def element(kind: str, length: int, payload: bytes) -> bytes:
    return bytes.fromhex(kind) + struct.pack(">Q", 1 << 56 | length) + payload


def riff(payload: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(payload)) + payload


def asf(size: int, *, flags: int = 0) -> bytes:
    properties = b"i" * 16 + struct.pack("<Q", size) + b"\0" * 40 + struct.pack("<I", flags) + b"\0" * 12
    kind = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
    objects = b"o" * 16 + struct.pack("<Q", 30) + b"\0" * 6
    objects += kind + struct.pack("<Q", len(properties) + 24) + properties
    head = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + struct.pack("<QI", len(objects) + 30, 2) + b"\1\2"
    return head + objects + b"x" * 100


FTYP, MOOV, MDAT = box(b"ftyp", b"isom"), box(b"moov", b"index"), box(b"mdat", b"x" * 100)
EBML = element("1a45dfa3", 5, b"DocTy")


@pytest.mark.parametrize(
    ("family", "data", "announced"),
    [
        ("mov", FTYP + MOOV + MDAT, 133),
        ("mov", (FTYP + MOOV + MDAT)[:80], 133),
        ("mov", (FTYP + MOOV + large_box(b"mdat", b"x" * 100))[:80], 141),
        ("mov", FTYP + MOOV + struct.pack(">I4s", 0, b"mdat") + b"x" * 50, 83),
        ("mov", (FTYP + MOOV + MDAT + box(b"free", b"x" * 100))[:200], 200),
        ("mov", FTYP + MOOV + b"\0\0", None),
        ("mov", FTYP + struct.pack(">I4s", 3, b"mdat"), None),
        ("matroska", EBML + element("18538067", 100, b"x" * 100), 129),
        ("matroska", EBML + element("18538067", 100, b"x" * 40), 129),
        ("matroska", EBML + element("18538067", (1 << 56) - 1, b"x" * 40), None),
        ("matroska", EBML + element("18538068", 100, b"x" * 40), None),
        ("matroska", b"\x1a\x45", None),
        ("avi", riff(b"AVI " + b"x" * 100), 112),
        ("avi", riff(b"AVI " + b"x" * 100)[:60], 112),
        ("avi", riff(b"AVI " + b"x" * 100) + riff(b"AVIX" + b"x" * 100)[:60], 224),
        ("avi", b"RIFF\0\0\0\0AVI " + b"x" * 100, None),
        ("avi", riff(b"AVI " + b"x" * 100) + b"junkjunkjunk", 124),
        ("asf", asf(1000), 1000),
        ("asf", asf(1000, flags=1), None),
        (
            "asf",
            asf(1000).replace(b"o" * 16 + struct.pack("<Q", 30), b"o" * 16 + struct.pack("<Q", (1 << 63) - 30)),
            None,
        ),
        ("mpegts", b"G" * 1000, None),
    ],
)
def test_the_end_that_a_file_announces(family: str, data: bytes, announced: int | None) -> None:
    assert announced_bytes(BytesIO(data), len(data), family) == announced
