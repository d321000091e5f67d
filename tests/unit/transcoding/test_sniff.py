import random
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.transcoding.builders import box
from tests.unit.transcoding.nal_writer import START, h264_sequence, h264_set, h264_slice, hevc_sets, hevc_slice
from transcoding.sniffing.container import DEMUXERS, HEAD_BYTES, MAX_LEAD_BYTES, find_container, sniff
from transcoding.sniffing.refused import ACCEPTED, refusal

CHANCE = random.Random(7)  # noqa: S311 - a repeatable test, no secret
CONVERT = "convert it to MP4 with H.264 and AAC, and upload that"
JUNK = CHANCE.randbytes(5000)
PNG_HEAD = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(17)
GIF_HEAD = b"GIF89a\x10\x00\x10\x00\x80\x00\x00" + bytes(6)
GIF_LOOP = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
GIF_FRAME = b"\x2c" + bytes(4) + b"\x10\x00\x10\x00\x00" + b"\x02\x03\x01\x02\x03\x00"
GIF_DELAY = b"\x21\xf9\x04\x00\x0a\x00\x00\x00"
JPEG = (
    b"\xff\xd8\xff\xc0\x00\x0b\x08\x00\x10\x00\x20\x01\x01\x11\x00\xff\xda\x00\x08\x01\x01\x00\x00?\x00"
    + b"\x12\xff\x00" * 9
)
JPEG += b"\xff\xd9"
EXIF = b"\xff\xd8\xff\xe1\x00\x08Exif\x00\x00" + JPEG[2:]
IMAGES = {
    "PNG": PNG_HEAD + b"\x00\x00\x00\x00IDAT",
    "PNG with one frame": PNG_HEAD + b"\x00\x00\x00\x08acTL\x00\x00\x00\x01" + bytes(8),
    "JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
    "JPEG with another behind it": JPEG * 2,
    "JPEG of a camera with previews": EXIF * 3,
    "GIF": GIF_HEAD + GIF_FRAME + b";",
    "GIF with one frame": GIF_HEAD + GIF_LOOP + GIF_DELAY + GIF_FRAME + b";",
    "HEIC": box("ftyp", b"heic\x00\x00\x00\x00mif1heic"),
    "HEIF": box("ftyp", b"mif1\x00\x00\x00\x00mif1heic"),
    "AVIF": box("ftyp", b"avif\x00\x00\x00\x00avifmif1"),
    "AVIF with a track": box("ftyp", b"avis\x00\x00\x00\x00avifmsf1") + box("meta", bytes(9)) + box("moov"),
    "AVIF under another brand": box("ftyp", b"isom\x00\x00\x00\x00avifmif1") + box("meta", bytes(40)),
    "JPEG 2000": b"\x00\x00\x00\x0cjP  \r\n\x87\n" + box("ftyp", b"jp2 \x00\x00\x00\x00jp2 "),
    "WebP": b"RIFF\x24\x00\x00\x00WEBPVP8 ",
    "animated WebP": b"RIFF\x24\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x02" + bytes(9) + b"ANIM",
    "TIFF": b"II*\x00\x08\x00\x00\x00",
}
DOCUMENTS = {
    "ZIP": b"PK\x03\x04\x14\x00\x00\x00\x08\x00" + bytes(100),
    "PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj",
    "gzip": b"\x1f\x8b\x08\x00" + bytes(10),
    "ELF": b"\x7fELF\x02\x01\x01",
    "RealMedia": b".RMF\x00\x00\x00\x12",
}
SCRIPTS = {
    "HLS playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:4\nfile:///etc/passwd\n",
    "DASH manifest": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011">',
    "concat script": b"ffconcat version 1.0\nfile secret.mp4\n",
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "shell script": b"#!/bin/sh\nrm -rf /\n",
    "playlist behind a byte order mark": b"\xef\xbb\xbf  #EXTM3U\n",
}
OTHERS = {
    "empty": b"",
    "one byte": b"\x00",
    "random": CHANCE.randbytes(HEAD_BYTES),
    "zeros": bytes(HEAD_BYTES),
    "text": b"Dear all,\nthis is not a video.\n" * 100,
    "text with a box's name in its place": b"All free men\n" * 100,
    "text of one letter": b"G" * HEAD_BYTES,
    "another RIFF": b"RIFF\x24\x00\x00\x00ACONanih",
    "EBML of another kind": b"\x1a\x45\xdf\xa3\x8c\x42\x82\x89something",
    "a box that cannot hold itself": b"\x00\x00\x00\x04ftypisom",
    "ftyp in the wrong position": b"ftypisom\x00\x00\x00\x18",
    "start codes": b"\x00\x00\x01" * 1000,
    "icon": b"\x00\x00\x01\x00\x01\x00\x10\x10\x00\x00" * 20,
    "a transport stream in a tar archive": bytes(257) + b"ustar\x00" + bytes(249) + (b"\x47" + bytes(187)) * 21,
}
HOSTILE = IMAGES | DOCUMENTS | SCRIPTS | OTHERS

MP4 = box("ftyp", b"isom\x00\x00\x02\x00isomiso2") + box("moov", box("mvhd", bytes(100)))
EBML = b"\x1a\x45\xdf\xa3\x8f\x42\x86\x81\x01\x42\x82\x88matroska"
MATROSKA = EBML + b"\x18\x53\x80\x67\x01" + b"\xff" * 7
WEBM = b"\x1a\x45\xdf\xa3\x8b\x42\x86\x81\x01\x42\x82\x84webm\x18\x53\x80\x67\x01" + b"\xff" * 7
FILLED = b"\x1a\x45\xdf\xa3\x41\x39\xec\x41\x2b" + bytes(299) + b"\x42\x82\x84webm\xec\x82\x00\x00\x18\x53\x80\x67"
TS = (b"\x47" + bytes(187)) * 21
M2TS = (bytes(4) + b"\x47" + bytes(187)) * 21
PES = b"\x00\x00\x01\xe0\x00\x20" + b"\x0f" * 32
PACK = b"\x00\x00\x01\xba\x44" + bytes(9)
DV = (
    b"\x1f\x07\x00\x3f"
    + bytes(76)
    + b"".join(bytes([kind, 7, 0]) + bytes(77) for kind in (0x3F, 0x3F, 0x56, 0x56, 0x56, 0x76, 0x96))
)
VIDEOS = {
    "MP4": (MP4, "mov"),
    "QuickTime": (box("ftyp", b"qt  \x00\x00\x02\x00qt  "), "mov"),
    "MP4 of an odd brand": (box("ftyp", b"XAVC\x00\x00\x02\x00XAVC"), "mov"),
    "media to the end of the file": (b"\x00\x00\x00\x00mdat", "mov"),
    "media of more than 4 GiB": (b"\x00\x00\x00\x01mdat\x00\x00\x00\x02\x00\x00\x00\x00", "mov"),
    "wide": (box("wide") + box("mdat", b"x"), "mov"),
    "free beyond the first bytes": (struct.pack(">I4s", 2 * HEAD_BYTES, b"free") + bytes(HEAD_BYTES - 8), "mov"),
    "uuid first": (box("uuid", JUNK[:400]) + MP4, "mov"),
    "an unknown box first": (box("abcd", bytes(20)) + MP4, "mov"),
    "a segment": (box("styp", b"msdh\x00\x00\x00\x00msdh") + box("sidx", bytes(40)), "mov"),
    "a fragment": (box("moof", box("mfhd", bytes(8))), "mov"),
    "WebM": (WEBM, "matroska"),
    "Matroska": (MATROSKA, "matroska"),
    "Matroska with a filled header": (FILLED, "matroska"),
    "AVI": (b"RIFF\x00\x00\x00\x00AVI LIST", "avi"),
    "FLV": (b"FLV\x01\x05\x00\x00\x00\x09", "flv"),
    "program stream": (PACK + PES * 3, "mpegps"),
    "system stream": (b"\x00\x00\x01\xba\x21" + bytes(7) + PES, "mpegps"),
    "program stream without a pack": (PES * 4, "mpegps"),
    "Video CD": (b"RIFF\x00\x00\x00\x00CDXAfmt " + bytes(28) + b"\x00" + b"\xff" * 10 + b"\x00", "mpegps"),
    "Ogg": (b"OggS\x00\x02", "ogg"),
    "ASF": (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "asf"),
    "MXF": (bytes.fromhex("060e2b34020501010d01020101020400"), "mxf"),
    "transport stream": (TS, "mpegts"),
    "transport stream with a broken packet": (TS[:1880] + b"\x00" + TS[1881:], "mpegts"),
    "M2TS": (M2TS, "mpegts"),
    "transport stream with error correction": ((b"\x47" + JUNK[:203]) * 21, "mpegts"),
    "IVF": (b"DKIF\x00\x00\x20\x00VP80" + bytes(20), "ivf"),
    "YUV4MPEG2": (b"YUV4MPEG2 W160 H90 F25:1 Ip A1:1 C420jpeg\nFRAME\n" + b"\x80" * 1000, "y4m"),
    "GIF": (GIF_HEAD + GIF_FRAME + GIF_DELAY + GIF_FRAME, "gif"),
    "GIF whose first frame is long": (GIF_HEAD + GIF_LOOP + GIF_FRAME[:11] + b"\xff" + bytes(200), "gif"),
    "PNG": (PNG_HEAD + b"\x00\x00\x00\x08acTL\x00\x00\x00\x02" + bytes(8), "apng"),
    "Motion JPEG": (JPEG * 3, "mjpeg"),
    "H.264": (h264_sequence() + h264_set() + h264_slice(0, idr=True), "h264"),
    "HEVC": (hevc_sets() + hevc_slice(19), "hevc"),
    "AV1": (b"\x12\x00\x0a\x04\x00\x00\x00\x24\x32\x02\x10\x00", "av1"),
    "MPEG-2 video": (START + b"\xb3\x14\x00\xf0\x33\xff\xff\xe0\x18" + START + b"\xb5\x14\x8a", "mpegvideo"),
    "MPEG-4 video": (START + b"\xb0\x01" + START + b"\xb5\x09" + START + b"\x00" + START + b"\x20\x00\xc4", "mpeg4"),
    "DV": (DV, "dv"),
}
RAW = ("H.264", "HEVC", "MPEG-2 video")
LATE = (
    *(*RAW, "MP4", "QuickTime", "a fragment", "WebM", "Matroska", "AVI", "FLV", "MXF", "transport stream", "M2TS"),
    "IVF",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_video_is_recognised_by_its_first_bytes(name: str) -> None:
    assert sniff(HOSTILE[name]) is None


@pytest.mark.parametrize("name", VIDEOS)
def test_a_video_is_recognised_by_its_structure(name: str) -> None:
    head, family = VIDEOS[name]
    found = find_container(head)
    assert found is not None
    assert (found.family, found.start) == (family, 0)
    assert family in DEMUXERS


@pytest.mark.parametrize("name", LATE)
def test_a_container_behind_other_bytes_is_found_where_it_begins(name: str) -> None:
    head, family = VIDEOS[name][0].removeprefix(b"\x00" if name in RAW else b""), VIDEOS[name][1]
    found = find_container(JUNK + head)
    assert found is not None
    assert (found.family, found.start) == (family, len(JUNK))


def test_a_container_behind_a_tag_is_found_where_it_begins() -> None:
    found = find_container(b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128) + TS)
    assert found is not None
    assert (found.family, found.start) == ("mpegts", 138)


def test_a_container_further_behind_is_not_looked_for() -> None:
    assert sniff(CHANCE.randbytes(MAX_LEAD_BYTES + 1000) + MATROSKA) is None


@pytest.mark.parametrize("name", [*IMAGES, *DOCUMENTS, *SCRIPTS, "text"])
@pytest.mark.parametrize("video", ["MP4", "Matroska", "transport stream", "AVI"])
def test_what_begins_as_something_else_is_that(name: str, video: str) -> None:
    lead = HOSTILE[name]
    assert sniff(lead + JUNK + VIDEOS[video][0]) is None


@given(data=st.binary(max_size=2000))
def test_no_bytes_are_an_error(data: bytes) -> None:
    find_container(data)
    assert refusal(data)


@pytest.mark.parametrize("name", VIDEOS)
@given(seed=st.integers(0, 1 << 30))
def test_no_damage_to_a_video_is_an_error(name: str, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a repeatable test, no secret
    head = VIDEOS[name][0][:1000]
    damaged = bytearray(head)
    for _ in range(chance.randrange(1, 6)):
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    find_container(bytes(damaged[: chance.randrange(len(damaged) + 1)]))


@pytest.mark.parametrize("name", [*DOCUMENTS, *SCRIPTS, "PNG", "TIFF"])
@given(data=st.binary(max_size=500))
def test_what_follows_the_signature_of_something_else_does_not_matter(name: str, data: bytes) -> None:
    assert sniff(HOSTILE[name] + data) is None


@given(text=st.text(min_size=1, max_size=600), video=st.sampled_from(["MP4", "Matroska", "M2TS"]))
def test_no_text_is_a_video(text: str, video: str) -> None:
    words = "".join(letter for letter in text if letter.isprintable() or letter in "\n\t") or "text"
    assert sniff(words.encode() * (600 // len(words) + 1) + VIDEOS[video][0]) is None


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("HLS playlist", "the file is a playlist, which names videos and contains none; upload the video itself"),
        ("concat script", "the file is a playlist, which names videos and contains none; upload the video itself"),
        ("PNG", "the file is a PNG image, not a video; upload a video"),
        ("HEIC", "the file is an HEIF or AVIF image or sequence of images, not a video; upload a video"),
        ("ZIP", "the file is a ZIP archive or an office document, not a video; upload the video itself"),
        ("text", "the file is a text, not a video; upload a video"),
        (
            "animated WebP",
            "the file is an animated WebP, which cannot be decoded; convert it to an animated GIF or to MP4",
        ),
        (
            "RealMedia",
            f"the file is a RealMedia file, which is not accepted; {CONVERT}",
        ),
        ("empty", "the file is empty; upload a video"),
        (
            "random",
            f"the file is not a video in a container that is accepted; {CONVERT}",
        ),
    ],
)
def test_a_refusal_says_what_the_file_is_and_what_to_do(name: str, sentence: str) -> None:
    assert refusal(HOSTILE[name]) == f"{sentence} (accepted are {ACCEPTED})"


def _nested_headers(count: int) -> bytes:
    """Headers of Matroska in each other, of thousands of empty elements, with thousands of fillers behind them."""
    end, headers = 60_000, b""
    for _ in range(count):
        size = end - len(headers) - 12
        headers += b"\x1a\x45\xdf\xa3\x01" + size.to_bytes(7, "big") + b"\xec\x8c"
    headers += bytes(12) + b"\x42\x82\x88matroska"
    fillers = b"\xec\x80" * (HEAD_BYTES // 2)
    odd = b"\xec\x81\x00" if (end - len(headers)) % 2 else b""
    return (headers + odd + fillers)[: HEAD_BYTES - 100] + b"\x99" * 100


def test_headers_of_thousands_of_elements_take_no_time() -> None:
    head = JUNK[:16] + _nested_headers(64)
    started = time.process_time()
    assert sniff(head) is None
    assert time.process_time() - started < 1
