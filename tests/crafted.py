"""MP4 files written box by box: what no camera and no encoder would make, and films of hours without encoding them."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from transcoding.containers.boxes import find, iterate_boxes

TIMESCALE = 1000
"""Ticks per second of the file."""


def box(kind: str, *payload: bytes) -> bytes:
    data = b"".join(payload)
    if len(data) + 8 < 1 << 32:
        return struct.pack(">I4s", 8 + len(data), kind.encode()) + data
    return struct.pack(">I4sQ", 1, kind.encode(), 16 + len(data)) + data


def table(kind: str, rows: Sequence[Sequence[int]], layout: str) -> bytes:
    packed = b"".join(struct.pack(f">{layout}", *row) for row in rows)
    return box(kind, bytes(4), struct.pack(">I", len(rows)), packed)


@dataclass(frozen=True, kw_only=True)
class CraftedTrack:
    """One track; what is not given is that of an honest one of `samples` frames of a tick each.

    `size` is the size of all samples, or 0 for `sizes`. `edits` are pairs of a duration in milliseconds and the media
    time in ticks of the track. `tables` are complete tables that stand for those above. `quicktime`: it has a handler
    of its data, too.
    """

    samples: int = 1
    size: int = 1
    sizes: bytes = b""
    chunks: Sequence[int] = (40,)
    chunk_samples: int | None = None
    durations: Sequence[tuple[int, int]] = ()
    sync: Sequence[int] = ()
    edits: Sequence[tuple[int, int]] = ()
    handler: str = "vide"
    quicktime: bool = False
    timescale: int = 1000
    stsd: bytes = b""
    width: int = 64
    height: int = 64
    tables: dict[str, bytes] = field(default_factory=dict)

    def trak(self) -> bytes:
        ticks = sum(count * length for count, length in self._durations)
        tables = {
            "stsd": self.stsd or box("stsd", bytes(4), struct.pack(">I", 1), _JPEG % (self.width, self.height)),
            "stts": table("stts", self._durations, "II"),
            "stss": table("stss", [[number] for number in self.sync], "I") if self.sync else b"",
            "stsz": box("stsz", bytes(4), struct.pack(">II", self.size, self.samples), self.sizes),
            "stsc": table("stsc", [[1, self.chunk_samples or self.samples, 1]], "III"),
            "stco": box("stco", bytes(4), struct.pack(f">{len(self.chunks) + 1}I", len(self.chunks), *self.chunks)),
            **self.tables,
        }
        seconds = ticks * TIMESCALE // self.timescale
        tkhd = box("tkhd", struct.pack(">IIIIII", 7, 0, 0, 1, 0, min(seconds, 2**32 - 1)), bytes(16), _MATRIX,
                   struct.pack(">II", self.width << 16, self.height << 16))  # fmt: skip
        mdhd = box("mdhd", struct.pack(">IIIIII", 0, 0, 0, self.timescale, min(ticks, 2**32 - 1), 0x55C4 << 16))
        hdlr = box("hdlr", bytes(8), self.handler.encode(), bytes(13))
        media = box("vmhd", bytes([0, 0, 0, 1]), bytes(8)) if self.handler == "vide" else box("smhd", bytes(8))
        dinf = box("dinf", box("dref", bytes(4), struct.pack(">I", 1), box("url ", bytes([0, 0, 0, 1]))))
        edits = [[length, at, 1 << 16] for length, at in self.edits]
        edts = box("edts", table("elst", edits, "IiI")) if edits else b""
        data_handler = box("hdlr", bytes(4), b"dhlrurl ", bytes(13)) if self.quicktime else b""
        minf = box("minf", media, data_handler, dinf, box("stbl", *tables.values()))
        return box("trak", tkhd, edts, box("mdia", mdhd, hdlr, minf))

    @property
    def _durations(self) -> Sequence[tuple[int, int]]:
        return self.durations or [(self.samples, 1)]


_MATRIX = struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)


class _Jpeg:
    """The sample entry of Motion JPEG, which has no header of its own."""

    def __mod__(self, size: tuple[int, int]) -> bytes:
        compressor = bytes(32)
        entry = struct.pack(">6xH16xHHIIIH", 1, *size, 72 << 16, 72 << 16, 0, 1) + compressor
        return box("jpeg", entry, struct.pack(">Hh", 24, -1))


_JPEG = _Jpeg()


def crafted(path: Path, *tracks: CraftedTrack, media: bytes = b"\0", fragments: Sequence[bytes] = ()) -> Path:
    """Write a file of these tracks. Its media begins at byte 40, where the offsets of chunks count from."""
    mvhd = box("mvhd", struct.pack(">IIIII", 0, 0, 0, TIMESCALE, 1000), bytes(80))
    moov = box("moov", mvhd, *(track.trak() for track in tracks))
    path.write_bytes(box("ftyp", b"isom", bytes(4), b"isomiso2mp41qt  ") + box("mdat", media)[:8])
    with path.open("ab") as file:
        file.write(media + moov + b"".join(fragments))
    return path


def tiled(path: Path, clip: Path, times: int) -> Path:
    """Write a film that is an MP4 of one video and up to one audio track, shown so many times over.

    The bytes are there as often, so that every frame has its own. Samples lie one after another, track by track.
    """
    data = clip.read_bytes()
    moov = find(data, "moov")
    parts = [_samples_of(box_.payload, data) for box_ in iterate_boxes(moov) if box_.kind == "trak"]
    header = box("ftyp", b"isom", bytes(4), b"isomiso2mp41qt  ")
    start, tracks = len(header) + 16, []
    for part in parts:
        tracks.append(part.track(times, start))
        start += len(part.media) * times
    mvhd = box("mvhd", struct.pack(">IIIII", 0, 0, 0, TIMESCALE, 1000), bytes(80))
    length = sum(len(part.media) for part in parts) * times
    with path.open("wb") as file:
        file.write(header + struct.pack(">I4sQ", 1, b"mdat", 16 + length))
        for part in parts:
            for _ in range(times):
                file.write(part.media)
        file.write(box("moov", mvhd, *(track.trak() for track in tracks)))
    return path


@dataclass(frozen=True)
class _Part:
    """The samples of one track of a clip, and its tables."""

    media: bytes
    sizes: bytes
    track_of_clip: CraftedTrack
    stts: bytes
    ctts: bytes
    sync: Sequence[int]
    edit_start: int

    def track(self, times: int, start: int) -> CraftedTrack:
        samples = len(self.sizes) // 4
        length = len(self.media)
        offsets = struct.pack(f">{times}Q", *(start + number * length for number in range(times)))
        rows = {"stts": self.stts, "ctts": self.ctts}
        repeated = {
            kind: box(kind, bytes(4), struct.pack(">I", len(each) // 8 * times), each * times)
            for kind, each in rows.items()
            if each
        }
        ticks = sum(count * ticks for count, ticks in struct.iter_unpack(">II", self.stts)) * times
        milliseconds = ticks * TIMESCALE // self.track_of_clip.timescale
        return replace(
            self.track_of_clip,
            samples=samples * times,
            size=0,
            sizes=self.sizes * times,
            chunk_samples=samples,
            sync=[samples * number + each for number in range(times) for each in self.sync],
            edits=[(milliseconds, self.edit_start)],
            durations=[(1, min(ticks, 2**32 - 1))],
            tables={
                **repeated,
                "stco": box("co64", bytes(4), struct.pack(">I", times), offsets),
            },
        )


def _samples_of(trak: memoryview, data: bytes) -> _Part:
    media = find(trak, "mdia")
    tables = {each.kind: bytes(each.payload) for each in iterate_boxes(find(media, "minf", "stbl"))}
    width, height = struct.unpack(">II", find(trak, "tkhd")[-8:])
    (timescale,) = struct.unpack_from(">I", find(media, "mdhd"), 12)
    sizes = tables["stsz"][12:]
    lengths = [size for (size,) in struct.iter_unpack(">I", sizes)]
    handler = bytes(find(media, "hdlr")[8:12]).decode()
    edit_start = struct.unpack_from(">i", find(trak, "edts", "elst"), 12)[0]
    return _Part(
        b"".join(_in_chunks(tables, lengths, data)),
        sizes,
        CraftedTrack(
            handler=handler,
            timescale=timescale,
            stsd=box("stsd", tables["stsd"]),
            width=width >> 16,
            height=height >> 16,
        ),
        tables["stts"][8:],
        tables.get("ctts", b"")[8:],
        [number for (number,) in struct.iter_unpack(">I", tables["stss"][8:])] if "stss" in tables else [],
        max(0, edit_start),
    )


def _in_chunks(tables: dict[str, bytes], lengths: Sequence[int], data: bytes) -> list[bytes]:
    """Return the bytes of each sample of a clip."""
    offsets = [offset for (offset,) in struct.iter_unpack(">I", tables["stco"][8:])]
    runs = [*struct.iter_unpack(">III", tables["stsc"][8:]), (len(offsets) + 1, 0, 0)]
    left, found = iter(lengths), []
    for (first, samples, _), following in pairwise(runs):
        for offset in offsets[first - 1 : following[0] - 1]:
            position = offset
            for _ in range(samples):
                length = next(left)
                found.append(data[position : position + length])
                position += length
    return found


def compressed(path: Path, track: CraftedTrack) -> Path:
    """Write a file with a compressed index, as QuickTime could write and ffmpeg reads."""
    plain = crafted(path, track)
    data = plain.read_bytes()
    moov = data[data.index(b"moov") - 4 :]
    packed = struct.pack(">I", len(moov)) + zlib.compress(moov)
    cmov = box("cmov", box("dcom", b"zlib"), box("cmvd", packed))
    path.write_bytes(data[: -len(moov)] + box("moov", cmov))
    return path


def matroska_tracks(path: Path, tracks: int) -> Path:
    """Write a Matroska file of so many video tracks and nothing else."""
    video = _element(b"\xe0", _element(b"\xb0", b"\x40") + _element(b"\xba", b"\x40"))
    entries = (
        _element(b"\xd7", struct.pack(">I", number)) + _element(b"\x73\xc5", struct.pack(">I", number))
        + _element(b"\x83", b"\x01") + _element(b"\x86", b"V_MJPEG") + video
        for number in range(1, tracks + 1)
    )  # fmt: skip
    header = _element(b"\x1a\x45\xdf\xa3", _element(b"\x42\x82", b"matroska"))
    body = _element(b"\x16\x54\xae\x6b", b"".join(_element(b"\xae", entry) for entry in entries))
    path.write_bytes(header + _element(b"\x18\x53\x80\x67", body))
    return path


def _element(name: bytes, data: bytes) -> bytes:
    return name + struct.pack(">Q", 1 << 56 | len(data)) + data


def ogg_streams(path: Path, streams: int) -> Path:
    """Write the beginnings of so many Theora streams."""
    theora = b"\x80theora\x03\x02\x01" + struct.pack(">HH", 4, 4) + bytes(27)
    path.write_bytes(b"".join(_ogg_page(serial, theora) for serial in range(1, streams + 1)))
    return path


def _ogg_page(serial: int, packet: bytes) -> bytes:
    head = b"OggS\x00\x02" + bytes(8) + struct.pack("<II", serial, 0)
    tail = bytes([1, len(packet)]) + packet
    return head + struct.pack("<I", _crc(head + bytes(4) + tail, 0)) + tail


def _crc(data: bytes, start: int) -> int:
    """The CRC-32 of Ogg and MPEG, most significant bit first."""
    found = start
    for byte in data:
        found ^= byte << 24
        for _ in range(8):
            found = (found << 1 ^ (0x04C11DB7 if found & 1 << 31 else 0)) & 0xFFFFFFFF
    return found


def transport_streams(path: Path, programs: int) -> Path:
    """Write a transport stream of so many programs with 30 video streams each."""
    first = 32
    numbers = range(1, programs + 1)
    association = b"".join(struct.pack(">HH", number, 0xE000 | first + number) for number in numbers)
    packets = [_ts_packet(0, _section(0, 1, association))]
    for number in numbers:
        pids = (first + programs + number * 30 + each for each in range(30))
        streams = b"".join(struct.pack(">BHH", 0x1B, 0xE000 | pid, 0xF000) for pid in pids)
        packets.append(_ts_packet(first + number, _section(2, number, struct.pack(">HH", 0xE100, 0xF000) + streams)))
    path.write_bytes(b"".join(packets) * 4)
    return path


def _section(table_id: int, number: int, body: bytes) -> bytes:
    head = struct.pack(">BHHBBB", table_id, 0xB000 | len(body) + 9, number, 0xC1, 0, 0)
    return head + body + struct.pack(">I", _crc(head + body, 0xFFFFFFFF))


def _ts_packet(pid: int, section: bytes) -> bytes:
    return (struct.pack(">BHBB", 0x47, 0x4000 | pid, 0x10, 0) + section).ljust(188, b"\xff")


def flash_index(path: Path, entries: int) -> Path:
    """Write an FLV file whose metadata announces so many key frames, and has none of them."""

    def name(text: bytes) -> bytes:
        return struct.pack(">H", len(text)) + text

    array_ = b"\x0a" + struct.pack(">I", entries)
    keyframes = name(b"keyframes") + b"\x03" + name(b"filepositions") + array_
    body = b"\x02" + name(b"onMetaData") + b"\x08" + struct.pack(">I", 1) + keyframes + bytes(4000)
    tag = b"\x12" + struct.pack(">I", len(body))[1:] + bytes(7) + body
    path.write_bytes(b"FLV\x01\x01" + struct.pack(">II", 9, 0) + tag + struct.pack(">I", len(tag)))
    return path
