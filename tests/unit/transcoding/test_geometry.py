import io
import json
import struct
from dataclasses import replace
from fractions import Fraction

import pytest

from tests.unit.transcoding.builders import a_video, box
from transcoding.color import ColorSpace
from transcoding.containers.cropping import crop_in_mp4
from transcoding.containers.matroska_video import crop_in_matroska, forget_shapes
from transcoding.probing.changes import Frame, FrameFormat, layouts_in, parse_frames, sample_times, with_usual_frame
from transcoding.probing.geometry import Orientation, cropped, displayed, orientation, pixel_aspect
from transcoding.probing.streams import Crop, FieldOrder, Resolution, VideoStream

ONE = 0x10000


def matrix(*numbers: int) -> str:
    rows = (numbers[0:2], numbers[2:4], (0, 0))
    return "\n" + "".join(
        f"{index:08x}: {a:11d} {b:11d} {ONE << 14 if index == 2 else 0:11d}\n" for index, (a, b) in enumerate(rows)
    )


@pytest.mark.parametrize(
    ("numbers", "rotation", "expected"),
    [
        ((ONE, 0, 0, ONE), 0, Orientation()),
        ((0, ONE, -ONE, 0), -90, Orientation(90)),
        ((-ONE, 0, 0, -ONE), -180, Orientation(180)),
        ((0, -ONE, ONE, 0), 90, Orientation(270)),
        ((-ONE, 0, 0, ONE), -180, Orientation(0, mirrored=True)),
        ((ONE, 0, 0, -ONE), 0, Orientation(180, mirrored=True)),
        ((0, ONE, ONE, 0), -90, Orientation(270, mirrored=True)),
        ((0, -ONE, -ONE, 0), 90, Orientation(90, mirrored=True)),
        ((46341, 46341, -46341, 46341), -45, Orientation()),
        ((0, 0, 0, 0), 0, Orientation()),
    ],
)
def test_the_display_matrix_is_followed_by_quarters(
    numbers: tuple[int, ...], rotation: int, expected: Orientation
) -> None:
    assert orientation([{"rotation": rotation, "displaymatrix": matrix(*numbers)}]) == expected


@pytest.mark.parametrize(("rotation", "turned"), [(-90, 90), (90, 270), (180, 180), (-45, 0), (-89.5, 90), (0, 0)])
def test_an_angle_alone_is_enough(rotation: float, turned: int) -> None:
    assert orientation([{"other": 1}, {"rotation": rotation}]) == Orientation(turned)
    assert orientation([]) == Orientation()


@pytest.mark.parametrize(
    ("text", "aspect"),
    [
        ("64:45", Fraction(64, 45)),
        ("0:1", 1),
        ("1:0", 1),
        ("N/A", 1),
        ("", 1),
        ("10:1", 10),
        ("11:1", 1),
        ("1:100", 1),
        ("9999999999:1", 1),
    ],
)
def test_absurd_pixels_are_square(text: str, aspect: Fraction) -> None:
    assert pixel_aspect({"sample_aspect_ratio": text}) == aspect


@pytest.mark.parametrize(
    ("size", "aspect", "shown"),
    [
        ((720, 576), Fraction(64, 45), (1024, 576)),
        ((720, 480), Fraction(8, 9), (640, 480)),
        ((160, 90), Fraction(1, 2), (160, 180)),
        ((1, 1), Fraction(3, 4), (1, 1)),
    ],
)
def test_no_line_is_lost_to_square_pixels(size: tuple[int, int], aspect: Fraction, shown: tuple[int, int]) -> None:
    coded = Resolution(width=size[0], height=size[1])
    assert displayed(coded, aspect, turned=False) == Resolution(width=shown[0], height=shown[1])
    assert displayed(coded, aspect, turned=True) == Resolution(width=shown[1], height=shown[0])


def clap(width: int, height: int, right: int = 0, down: int = 0) -> bytes:
    """A clean aperture whose centre lies half pixels away from that of the frame."""
    return box("clap", struct.pack(">IIIIiIiI", width, 1, height, 1, right, 2, down, 2))


def mp4(*entries: bytes) -> bytes:
    """A file with a track for each sample entry."""
    tracks = b""
    for entry in entries:
        stsd = box("stsd", struct.pack(">II", 0, 1) + entry)
        tracks += box("trak", box("tkhd", bytes(84)) + box("mdia", box("minf", box("stbl", stsd))))
    return box("ftyp", b"isom") + box("moov", box("mvhd", bytes(100)) + tracks)


def entry(*inner: bytes) -> bytes:
    return box("avc1", bytes(78) + box("avcC", b"\x01") + b"".join(inner))


@pytest.mark.parametrize(
    ("data", "track", "crop"),
    [
        (mp4(entry(clap(140, 80))), 0, Crop(left=10, right=10, top=5, bottom=5)),
        (mp4(entry(clap(140, 80, right=-20, down=10))), 0, Crop(left=0, right=20, top=10, bottom=0)),
        (mp4(entry(), entry(clap(160, 80))), 1, Crop(top=5, bottom=5)),
        (mp4(entry(), entry(clap(160, 80))), 0, Crop()),
        (mp4(entry(clap(160, 90))), 0, Crop()),
        (mp4(entry(clap(170, 90))), 0, Crop()),  # larger than the frame
        (mp4(entry(clap(0, 0))), 0, Crop()),
        (mp4(entry(box("clap", bytes(32)))), 0, Crop()),
        (mp4(entry(clap(140, 80)))[:-4], 0, Crop()),
        (mp4(entry(clap(140, 80))), 3, Crop()),
        (mp4(), 0, Crop()),
        (b"", 0, Crop()),
        (b"\x00\x00\x00\x01moov", 0, Crop()),
    ],
)
def test_the_clean_aperture_of_mp4(data: bytes, track: int, crop: Crop) -> None:
    assert crop_in_mp4(io.BytesIO(data), len(data), track=track, width=160, height=90) == crop


def ebml(kind: str, payload: bytes, *, unknown: bool = False) -> bytes:
    length = b"\x01" + b"\xff" * 7 if unknown else (len(payload) | 1 << 28).to_bytes(4, "big")
    return bytes.fromhex(kind) + length + payload


def matroska(*videos: bytes, unknown: bool = False) -> bytes:
    entries = b"".join(ebml("ae", ebml("d7", b"\x01") + ebml("e0", video)) for video in videos)
    segment = ebml("18538067", ebml("114d9b74", bytes(9)) + ebml("1654ae6b", entries), unknown=unknown)
    return ebml("1a45dfa3", bytes(20)) + segment


@pytest.mark.parametrize("unknown", [False, True])
def test_the_crop_of_matroska(*, unknown: bool) -> None:
    video = ebml("54cc", b"\x0a") + ebml("54dd", b"\x00\x0a") + ebml("54aa", b"\x05") + ebml("54bb", b"\x05")
    shown = ebml("54b0", b"\x8c") + ebml("54ba", b"\x50")
    data = matroska(video, video + shown, b"", unknown=unknown)
    crop = Crop(left=10, right=10, top=5, bottom=5)
    assert crop_in_matroska(io.BytesIO(data), len(data), track=0) == (crop, None)
    assert crop_in_matroska(io.BytesIO(data), len(data), track=1) == (crop, Fraction(140, 80))
    assert crop_in_matroska(io.BytesIO(data), len(data), track=2) == (Crop(), None)
    assert crop_in_matroska(io.BytesIO(data), len(data), track=9) == (Crop(), None)
    for cut in range(len(data)):
        crop_in_matroska(io.BytesIO(data[:cut]), cut, track=0)


def test_a_copy_forgets_the_shape_of_its_frames() -> None:
    shape = ebml("54b0", b"\x20") + ebml("54ba", b"\x09")
    data = matroska(b"", ebml("b0", b"\x50") + shape + ebml("54b2", b"\x03"))
    file = io.BytesIO(data)
    forget_shapes(file, len(data))
    assert file.getvalue() == data.replace(ebml("54b2", b"\x03"), ebml("54b2", b"\x04"))


def test_what_is_cropped_is_not_part_of_the_size() -> None:
    video = replace(a_video(160, 90), coded=Resolution(width=160, height=90), sample_aspect=Fraction(8, 7))
    crop = Crop(left=10, right=10, top=5, bottom=5)
    found = cropped(video, crop, Fraction(140, 80))
    assert (found.coded, found.display) == (Resolution(width=140, height=80), Resolution(width=140, height=80))
    assert (found.crop, found.sample_aspect) == (crop, Fraction(1))
    assert cropped(video, Crop()) == video
    assert cropped(video, Crop(left=100, right=100)) == video


def a_frame(
    width: int = 160, height: int = 90, *, aspect: Fraction = Fraction(1), order: FieldOrder = FieldOrder.PROGRESSIVE
) -> Frame:
    return Frame(format=FrameFormat(width=width, height=height, aspect=aspect, pixel_format="yuv420p"), order=order)


@pytest.mark.parametrize(
    ("frames", "size", "changes"),
    [
        ([a_frame()] * 3, (160, 90), False),
        ([], (1280, 720), False),
        ([a_frame()] * 2 + [a_frame(90, 160)], (160, 90), True),  # the longest shape
        ([a_frame()] + [a_frame(90, 160)] * 2, (90, 160), True),
        ([a_frame()] * 5 + [a_frame(320, 180)], (320, 180), True),  # the largest of that shape
        ([a_frame()] * 5 + [a_frame(320, 320)], (160, 90), True),
        ([a_frame(120, 90, aspect=Fraction(4, 3))] * 3 + [a_frame(120, 90)], (160, 90), True),
    ],
)
def test_the_usual_frame(frames: list[Frame], size: tuple[int, int], *, changes: bool) -> None:
    found = with_usual_frame(a_video(1280, 720) if not frames else a_video(160, 90), frames)
    assert (found.display, found.changes) == (Resolution(width=size[0], height=size[1]), changes)


def test_frames_say_best_what_fields_they_have() -> None:
    top, bottom = a_frame(order=FieldOrder.TOP_FIRST), a_frame(order=FieldOrder.BOTTOM_FIRST)
    assert with_usual_frame(a_video(interlaced=True), [a_frame()]).interlaced is False
    partly = with_usual_frame(a_video(), [a_frame(), top])
    assert (partly.interlaced, partly.field_order, partly.changes) == (True, FieldOrder.TOP_FIRST, False)
    assert with_usual_frame(a_video(), [top, bottom, bottom]).field_order is FieldOrder.BOTTOM_FIRST
    assert with_usual_frame(a_video(), [top, bottom, bottom]).changes


def test_color_spaces_that_change_are_noticed_and_that_of_most_frames_counts() -> None:
    sd, hd = ColorSpace.of_codes(6, 6, 6, full=False), ColorSpace.of_codes(1, 1, 1, full=False)
    hdr = ColorSpace.of_codes(9, 16, 9, full=False)

    def found(*colors: ColorSpace) -> VideoStream:
        return with_usual_frame(
            replace(a_video(160, 90), color=sd), [replace(a_frame(), color=each) for each in colors]
        )

    assert (found(hd, hd).changes, found(sd, ColorSpace()).changes) == (False, False)
    assert (found(sd, hd, hd).changes, found(sd, hd, hd).color) == (True, hd)
    assert (found(sd, hdr, hdr).changes, found(sd, hdr, hdr).color) == (True, sd)


def test_frames_are_read() -> None:
    entries = [
        {"width": 720, "height": 576, "pix_fmt": "yuv420p", "sample_aspect_ratio": "64:45"}
        | {"interlaced_frame": 1, "top_field_first": 0},
        {"width": 0, "height": 0},
        {},
    ]
    (frame,) = parse_frames(json.dumps({"frames": entries}))
    assert frame.format == FrameFormat(width=720, height=576, aspect=Fraction(64, 45), pixel_format="yuv420p")
    assert frame.order is FieldOrder.BOTTOM_FIRST
    assert parse_frames("{}") == []
    audio = {"frames": [{"channels": 6, "channel_layout": "5.1"}, {"channels": 2, "channel_layout": "stereo"}] * 2}
    assert layouts_in(json.dumps(audio)) == {(6, "5.1"), (2, "stereo")}


def test_looks_are_spread_evenly_and_bounded() -> None:
    small, large = Resolution(width=160, height=90), Resolution(width=7680, height=4320)
    assert sample_times(Fraction(-1), Fraction(1), small) == [0, 0, 0, 0]
    assert sample_times(Fraction(10), Fraction(1), small) == [10, Fraction(41, 4), Fraction(21, 2), Fraction(43, 4)]
    assert len(sample_times(Fraction(0), Fraction(3600), small)) == 40
    assert len(sample_times(Fraction(0), Fraction(3600), large)) == 8
