"""Raw streams, animated images, and containers that are recognized by their structure."""

import random
import struct
from collections.abc import Callable

from tests.inputs.case import Case, Plays
from tests.inputs.making import AAC, H264, card, edited

TITLE = "Less common containers and raw streams"

_JUNK = random.Random(5).randbytes(3001)  # noqa: S311 - a repeatable test, no secret
_REORDERED = f"{H264} -x264-params bframes=3:b-pyramid=normal:b-adapt=0:keyint=12"
_PALETTE = "split[first][second];[first]palettegen[palette];[second][palette]paletteuse=dither=none"
_SILENT = Plays(audio=0, warnings=["no_audio"])


def _boxed(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def _behind(lead: bytes) -> Callable[[bytes], bytes]:
    return lambda data: lead + data


def _with_error_correction(data: bytes) -> bytes:
    """Append the 16 bytes of error correction that broadcasts have to every packet."""
    packets = (data[start : start + 188] for start in range(0, len(data), 188))
    return b"".join(packet + bytes(16) for packet in packets)


def _filled_header(data: bytes) -> bytes:
    """Put an element of 300 bytes that says nothing in front of the document type in a header of EBML."""
    size_at = 4
    length = 9 - data[size_at].bit_length()
    size = int.from_bytes(data[size_at : size_at + length], "big") & ((1 << 7 * length) - 1)
    void = b"\xec\x41\x2c" + bytes(300)
    begin = size_at + length
    return data[:4] + b"\x01" + (size + len(void)).to_bytes(7, "big") + void + data[begin:]


def _without_first_pack(data: bytes) -> bytes:
    """Cut a program stream at its first packet."""
    return data[data.index(b"\x00\x00\x01\xbb") :]


def _in_sectors(data: bytes) -> bytes:
    """Write a program stream as the file of a Video CD, in the sectors of the disc."""
    sectors = [data[start : start + 2324].ljust(2324, b"\0") for start in range(0, len(data), 2324)]
    sync = b"\x00" + b"\xff" * 10 + b"\x00" + bytes(4) + bytes(8)
    body = b"".join(sync + sector + bytes(4) for sector in sectors)
    head = b"RIFF" + struct.pack("<I", 36 + len(body)) + b"CDXAfmt " + struct.pack("<I", 16) + bytes(16)
    return head + b"data" + struct.pack("<I", len(body)) + body


def _delays(*hundredths: int) -> Callable[[bytes], bytes]:
    """Give the frames of a GIF these delays, in turn."""

    def edit(data: bytes) -> bytes:
        changed, at, number = bytearray(data), data.find(b"\x21\xf9\x04"), 0
        while at >= 0:
            changed[at + 4 : at + 6] = struct.pack("<H", hundredths[number % len(hundredths)])
            at, number = data.find(b"\x21\xf9\x04", at + 1), number + 1
        return bytes(changed)

    return edit


def _after_box(kind: bytes, size: int) -> Callable[[bytes], bytes]:
    """Put a box in front of an MP4, and move the offsets in its index accordingly."""

    def edit(data: bytes) -> bytes:
        moved, at = bytearray(data), data.find(b"stco")
        while at >= 0:
            (count,) = struct.unpack_from(">I", data, at + 8)
            offsets = struct.unpack_from(f">{count}I", data, at + 12)
            struct.pack_into(f">{count}I", moved, at + 12, *(offset + size + 8 for offset in offsets))
            at = data.find(b"stco", at + 1)
        return _boxed(kind, bytes(size)) + bytes(moved)

    return edit


_MP4 = card("mp4")
_TS = card("ts", f"{H264} {AAC} -muxdelay 0")

CASES: tuple[Case, ...] = (
    Case(
        key="raw-h264",
        what="A raw H.264 stream with B-frames that refer to each other, longer than two segments.",
        make=card("h264", f"{_REORDERED} -an -f h264", frames=230),
        outcome=Plays(frames=230, audio=0, warnings=["no_audio"], media={"container": "h264"}),
        why="Raw streams have no clock: frames are put in the order that their headers say, at the stream's own rate.",
    ),
    Case(
        key="raw-h264-30",
        what="A raw H.264 stream of 30 frames per second.",
        make=card("264", f"{H264} -an -f h264", rate="30", frames=30),
        outcome=Plays(frames=30, rate="30", audio=0, warnings=["no_audio"]),
        why="The stream says its rate; one that says none gets 25.",
    ),
    Case(
        key="raw-h264-cut",
        what="A raw H.264 stream that was cut in the middle of a frame.",
        make=edited(card("h264", f"{_REORDERED} -an -f h264", frames=36), lambda data: data[1000:]),
        outcome=Plays(frames=24, numbers=range(12, 36), audio=0, warnings=["no_audio"]),
        why="Recordings begin anywhere; frames in front of the first key frame cannot be decoded.",
    ),
    Case(
        key="raw-hevc",
        what="A raw HEVC stream with B-frames.",
        make=card(
            "hevc",
            "-c:v libx265 -preset ultrafast -x265-params log-level=error:bframes=4:keyint=12:open-gop=1"
            " -pix_fmt yuv420p -an -f hevc",
        ),
        outcome=_SILENT,
        why="As raw H.264.",
    ),
    Case(
        key="raw-mpeg2",
        what="A raw MPEG-2 video stream (`.m2v`).",
        make=card("m2v", "-c:v mpeg2video -bf 2 -g 12 -q:v 3 -an -f mpeg2video"),
        outcome=_SILENT,
        why="Authoring programs write video and audio apart.",
    ),
    Case(
        key="raw-mpeg4",
        what="A raw MPEG-4 stream (`.m4v`) with B-frames.",
        make=card("m4v", "-c:v mpeg4 -bf 2 -g 12 -q:v 3 -an -f m4v"),
        outcome=_SILENT,
        why="Its decoder is on the list, and its headers say the rate.",
    ),
    Case(
        key="raw-av1",
        what="A raw AV1 stream (`.obu`).",
        make=card("obu", "-c:v libsvtav1 -preset 12 -pix_fmt yuv420p -an -f obu"),
        outcome=_SILENT,
        why="Its frames are stored in the order in which they are shown, 25 per second unless it says another rate.",
    ),
    Case(
        key="raw-dv",
        what="A raw DV stream of PAL.",
        make=card("dv", "-c:v dvvideo -pix_fmt yuv420p -ar 48000 -ac 2 -f dv", size=(720, 576), video="setsar=16/15"),
        outcome=Plays(size=(768, 576), warnings=["anamorphic"]),
        why="DV has its own clock and audio; its pixels are made square.",
    ),
    Case(
        key="raw-mjpeg",
        what="A raw stream of JPEG images.",
        make=card("mjpeg", "-c:v mjpeg -q:v 2 -pix_fmt yuvj420p -an -f mjpeg"),
        outcome=_SILENT,
        why="Network cameras send it. One image, or that of a camera with its previews behind it, is refused.",
    ),
    Case(
        key="ivf-vp8",
        what="VP8 in IVF.",
        make=card("ivf", "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 400k -an"),
        outcome=_SILENT,
        why="WebRTC recorders and encoders of VP8, VP9 and AV1 write it.",
    ),
    Case(
        key="y4m",
        what="Uncompressed video in YUV4MPEG2.",
        make=card("y4m", "-pix_fmt yuv420p -an -f yuv4mpegpipe"),
        outcome=_SILENT,
        why="Every frame has the same length, so ffmpeg seeks in it as it is; a copy would double the storage.",
    ),
    Case(
        key="gif",
        what="An animated GIF that repeats for ever, longer than a segment.",
        make=card("gif", "-an -loop 0", rate="10", frames=60, video=_PALETTE),
        outcome=Plays(rate="10", frames=60, audio=0, warnings=["no_audio"], media={"container": "gif"}),
        why="It is played once.",
    ),
    Case(
        key="gif-no-delay",
        what="An animated GIF whose frames have no delay, or one of 0.01 s.",
        make=edited(card("gif", "-an", rate="10", frames=20, video=_PALETTE), _delays(0, 1)),
        outcome=Plays(rate="10", frames=20, audio=0, warnings=["no_audio"]),
        why="Browsers show frames of less than 0.02 s for 0.1 s, and so do we.",
    ),
    Case(
        key="gif-delays",
        what="An animated GIF whose frames stay for different times.",
        make=edited(card("gif", "-an", rate="10", frames=4, video=_PALETTE), _delays(10, 10, 20, 40)),
        outcome=Plays(
            rate="10",
            frames=8,
            audio=0,
            numbers=[0, 1, 2, 2, 3, 3, 3, 3],
            warnings=["no_audio", "variable_frame_rate"],
        ),
        why="Each frame is shown as long as it says, the last one too.",
    ),
    Case(
        key="apng",
        what="An animated PNG.",
        make=card("apng", "-an -plays 0 -f apng", rate="10", frames=60),
        outcome=Plays(rate="10", frames=60, audio=0, warnings=["no_audio"]),
        why="As an animated GIF; a PNG with one image is refused.",
    ),
    *(
        Case(
            key=f"quicktime-{codec}",
            what=f"QuickTime with the codec {name}.",
            make=card("mov", f"-c:v {codec} {options} -c:a pcm_s16le", size=(160, 88)),
            outcome=Plays(size=(160, 88), colors=40),
            why="Archives and programs that record the screen have it; its decoder is simple (docs/security.md).",
        )
        for codec, name, options in (
            ("png", "PNG", "-pix_fmt rgb24"),
            ("qtrle", "Animation", "-pix_fmt rgb24"),
            ("rpza", "Apple Video", "-pix_fmt rgb555be"),
            ("svq1", "Sorenson Video", "-q:v 2"),
            ("v210", "uncompressed 4:2:2 of 10 bits", "-pix_fmt yuv422p10le"),
        )
    ),
    *(
        Case(
            key=f"avi-{codec}",
            what=f"AVI with the codec {name}.",
            make=card("avi", f"-c:v {codec} {options} -c:a pcm_s16le", size=(160, 88)),
            outcome=Plays(size=(160, 88), colors=40),
            why="Archives and programs that record the screen have it; its decoder is simple (docs/security.md).",
        )
        for codec, name, options in (
            ("cinepak", "Cinepak", "-q:v 1"),
            ("huffyuv", "HuffYUV", "-pix_fmt yuv422p"),
            ("ffvhuff", "FFmpeg's variant of HuffYUV", "-pix_fmt yuv420p"),
            ("utvideo", "Ut Video", "-pix_fmt yuv420p"),
            ("msvideo1", "Microsoft Video 1", "-pix_fmt rgb555le"),
            ("zmbv", "DosBox Capture", "-pix_fmt bgr0"),
        )
    ),
    Case(
        key="dv-avi",
        what="DV in AVI.",
        make=card("avi", "-c:v dvvideo -pix_fmt yuv420p -c:a pcm_s16le", size=(720, 576), video="setsar=16/15"),
        outcome=Plays(size=(768, 576), warnings=["anamorphic"]),
        why="Capture programs of camcorders wrote it.",
    ),
    *(
        Case(
            key=f"mp4-{name}-first",
            what=f"MP4 whose first box is of the type `{kind}`.",
            make=edited(_MP4, _after_box(kind.encode(), size)),
            outcome=Plays(media={"container": "mov"}),
            why="Boxes are followed until one says what the file is.",
        )
        for name, kind, size in (("free", "free", 100), ("uuid", "uuid", 400), ("unknown", "abcd", 9))
    ),
    Case(
        key="mp4-behind-junk",
        what="MP4 behind 3,001 bytes of something else.",
        make=edited(_MP4, _behind(_JUNK)),
        outcome=Plays(media={"container": "mov"}),
        why="Recovered files begin so; the bytes in front of the container are cut off.",
    ),
    Case(
        key="matroska-behind-junk",
        what="Matroska behind 3,001 bytes of something else.",
        make=edited(card("mkv"), _behind(_JUNK)),
        outcome=Plays(media={"container": "matroska"}),
        why="As MP4 behind junk.",
    ),
    Case(
        key="matroska-filled-header",
        what="Matroska whose document type is 300 bytes behind the beginning.",
        make=edited(card("mkv"), _filled_header),
        outcome=Plays(media={"container": "matroska"}),
        why="The header is read as it is built.",
    ),
    Case(
        key="ts-behind-junk",
        what="A transport stream behind 3,001 bytes of something else.",
        make=edited(_TS, _behind(_JUNK)),
        outcome=Plays(media={"container": "mpegts"}),
        why="A recording begins in the middle of a packet.",
    ),
    Case(
        key="ts-behind-id3",
        what="A transport stream behind an ID3 tag.",
        make=edited(_TS, _behind(b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128))),
        outcome=Plays(media={"container": "mpegts"}),
        why="Programs that save HLS write the tag in front of it.",
    ),
    Case(
        key="ts-204",
        what="A transport stream with packets of 204 bytes.",
        make=edited(_TS, _with_error_correction),
        outcome=Plays(media={"container": "mpegts"}),
        why="Broadcasts carry 16 bytes of error correction in each.",
    ),
    Case(
        key="m2ts-behind-junk",
        what="A transport stream of 192 bytes per packet (M2TS) behind 3,001 bytes of something else.",
        make=edited(card("m2ts", f"{H264} {AAC} -muxdelay 0 -mpegts_m2ts_mode 1"), _behind(_JUNK)),
        outcome=Plays(media={"container": "mpegts"}),
        why="As a transport stream behind junk.",
    ),
    Case(
        key="ps-without-pack",
        what="An MPEG program stream whose first pack header is missing.",
        make=edited(card("mpg", "-c:v mpeg2video -g 12 -q:v 3 -c:a mp2 -f vob"), _without_first_pack),
        outcome=Plays(media={"container": "mpegps"}),
        why="It was cut somewhere; its packets are in step.",
    ),
    Case(
        key="mpeg1-system",
        what="An MPEG-1 system stream.",
        make=card("mpg", "-c:v mpeg1video -g 12 -q:v 3 -c:a mp2 -f mpeg"),
        outcome=Plays(media={"container": "mpegps"}),
        why="The oldest kind of MPEG file.",
    ),
    Case(
        key="video-cd",
        what="A file of a Video CD (`.dat`), in the sectors of the disc.",
        make=edited(
            card("mpg", "-c:v mpeg1video -g 12 -q:v 3 -c:a mp2 -ar 44100 -f vcd -packetsize 2324"), _in_sectors
        ),
        outcome=Plays(media={"container": "mpegps"}),
        why="Copies of Video CDs have a RIFF header and sectors around a program stream.",
    ),
    Case(
        key="mxf-run-in",
        what="MXF with a run-in of 20,000 bytes.",
        make=edited(card("mxf", "-c:v mpeg2video -g 12 -q:v 3 -c:a pcm_s16le"), _behind(b"\xaa" * 20_000)),
        outcome=Plays(media={"container": "mxf"}),
        why="The standard allows up to 64 KiB in front of the first partition.",
    ),
)
