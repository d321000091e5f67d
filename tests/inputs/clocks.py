"""Joined recordings, wrapped clocks, odd times, damaged and truncated files.

Streams that were joined are played in the order of the file, whole and in step. Pauses stay.
"""

import random
import re
from collections.abc import Callable, Sequence

from tests.inputs.case import Case, Maker, Plays, Refused
from tests.inputs.making import AAC, H264, card, edited, joined, then
from tests.inputs.packing import packed

TITLE = "Clocks that restart, jump and break off"

_MPEG2 = "-c:v mpeg2video -q:v 3 -bf 2 -g 12 -c:a mp2 -b:a 192k"
_MPEG4 = "-c:v mpeg4 -q:v 3 -bf 1 -g 10"
_REORDERED = f"-c:v libx264 -preset veryfast -pix_fmt yuv420p -bf 3 -g 12 {AAC}"
_HEVC = "-c:v libx265 -preset ultrafast -x265-params log-level=error:bframes=3:b-adapt=0"
_FLV_HEADER_BYTES = 13
_TS_PACKET = 188
_PLAIN = f"{H264} {AAC}"
_CHECKED = "-c:v ffv1 -level 3 -slices 4 -slicecrc 1 -pix_fmt yuv420p -g 25 -an"
_LPCM = "-c:v mpeg2video -q:v 3 -bf 2 -g 12 -c:a pcm_dvd"
_PROGRAM = "-mpegts_service_id 7 -mpegts_pmt_start_pid 0x1100 -mpegts_start_pid 0x300"
_STUDIO = f"{H264} {AAC} -map 1:a -c:a:1 s302m -ac:a:1 2 -strict -2"


def _ts(first: int = 0, *, offset: float = 0, options: str = f"{H264} {AAC}", frames: int = 25) -> Maker:
    return card("ts", f"{options} -f mpegts -output_ts_offset {offset}", first=first, frames=frames)


def _joined_ts(*offsets: float, options: str = f"{H264} {AAC}", frames: int = 25) -> Maker:
    parts = (_ts(frames * number, offset=at, options=options, frames=frames) for number, at in enumerate(offsets))
    return joined(*parts, extension="ts")


def _restarts(key: str, what: str, make: Maker, why: str, **differences: object) -> Case:
    """Two parts of a second, of which all is played."""
    outcome = Plays(**{"frames": 50, "warnings": ("timestamps_restart",), **differences})  # type: ignore[arg-type]
    return Case(key=key, what=what, make=make, outcome=outcome, why=why)


def _first_bytes(share: float) -> Callable[[bytes], bytes]:
    return lambda data: data[: int(len(data) * share)]


def _noise(start: float, count: int) -> Callable[[bytes], bytes]:
    """Overwrite some bytes from a share of the file on."""

    def damage(data: bytes) -> bytes:
        at = int(len(data) * start)
        noise = random.Random(1).randbytes(count)  # noqa: S311 - no secret
        return data[:at] + noise + data[at + count :]

    return damage


def _flipped(*shares: float) -> Callable[[bytes], bytes]:
    """Change single bytes."""

    def flip(data: bytes) -> bytes:
        flipped = bytearray(data)
        for share in shares:
            flipped[int(len(data) * share)] ^= 0x55
        return bytes(flipped)

    return flip


def _without_packets(start: float, count: int) -> Callable[[bytes], bytes]:
    """Lose some packets of a transport stream."""

    def lose(data: bytes) -> bytes:
        at = int(len(data) * start) // _TS_PACKET * _TS_PACKET
        return data[:at] + data[at + count * _TS_PACKET :]

    return lose


def _wrong_time(data: bytes) -> bytes:
    """Have a cluster in the middle begin 32.768 s too late: its time has two bytes."""
    clusters = [match.start(1) for match in re.finditer(rb"\x1f\x43\xb6\x75.{1,8}?\xe7\x82(..)", data, re.DOTALL)]
    at = clusters[len(clusters) // 2]
    return data[:at] + bytes([data[at] ^ 0x80]) + data[at + 1 :]


def _numbers(*runs: tuple[int, int, int]) -> Sequence[int]:
    """Numbers on frames: from, to (not included), and how often each."""
    return [number for first, end, times in runs for number in range(first, end) for _ in range(times)]


CASES = (
    _restarts(
        "joined-ts",
        "Two transport streams whose bytes were put behind each other; the clock starts again.",
        _joined_ts(0, 0),
        "Players show one after the other; ffmpeg alone loses the second.",
    ),
    _restarts(
        "joined-ts-wrap",
        "The same, with a clock of 33 bits that wraps in each half.",
        _joined_ts(95441.8, 95441.8),
        "A wrap is no restart, and a restart no wrap.",
    ),
    _restarts(
        "joined-ts-forward",
        "Transport streams whose second part is a thousand seconds ahead.",
        _joined_ts(0, 1000),
        "A jump of more than ten seconds of all streams is no pause.",
    ),
    _restarts(
        "joined-ts-five",
        "Five transport streams, with clocks that go forward and back.",
        _joined_ts(100, 50, 5000, 0, 90000),
        "Every part keeps its own distance of audio and video.",
        frames=125,
    ),
    _restarts(
        "joined-ts-reordered",
        "Joined transport streams with B-frames and open GOPs.",
        _joined_ts(30, 10, options=f"{_REORDERED} -x264-params open-gop=1"),
        "Parts join by the times at which frames are shown, not those at which they are decoded.",
    ),
    _restarts(
        "joined-ts-video-only",
        "Joined transport streams without audio.",
        _joined_ts(20, 0, options=f"{H264} -an"),
        "The video alone says where the parts join.",
        audio=0,
        warnings=("timestamps_restart", "no_audio"),
    ),
    Case(
        key="pause-ts",
        what="A transport stream with a pause of three seconds in a healthy clock.",
        make=_joined_ts(10, 14),
        outcome=Plays(
            frames=125,
            numbers=_numbers((0, 24, 1), (24, 25, 76), (25, 50, 1)),
            beeps=(0.5, 4.5),
            warnings=("variable_frame_rate", "timestamp_gap"),
        ),
        why="The clock is believed: the last frame stays, the audio is silent.",
    ),
    _restarts(
        "joined-ts-studio",
        "Joined transport streams with studio audio (SMPTE 302M) beside, which no program here may open.",
        _joined_ts(20, 10, options=_STUDIO),
        "It is left out, and the clock of what is left is mended as ever.",
        warnings=("streams_ignored", "timestamps_restart"),
    ),
    _restarts(
        "joined-ts-pids",
        "Joined transport streams whose streams have other PIDs in the second half.",
        joined(_ts(), _ts(25, options=f"{_PLAIN} -mpegts_start_pid 0x300"), extension="ts"),
        "They continue those of the first half.",
    ),
    _restarts(
        "joined-ts-swapped",
        "The same, where audio has the PID of the video, and the other way round.",
        joined(
            _ts(),
            then(_ts(25), "-i {} -map 0:a -map 0:v -c copy swapped.ts", source="swapped.ts"),
            extension="ts",
        ),
        "The tables say which is which.",
    ),
    _restarts(
        "joined-ts-programs",
        "Joined transport streams of 192 bytes per packet, whose programs have other numbers, PIDs and clocks.",
        joined(
            _ts(options=f"{_PLAIN} -mpegts_m2ts_mode 1"),
            _ts(25, offset=50, options=f"{_PLAIN} -mpegts_m2ts_mode 1 {_PROGRAM}"),
            _ts(50, options=f"{_PLAIN} -mpegts_m2ts_mode 1"),
            extension="m2ts",
        ),
        "Receivers number the programs of each broadcaster; all of them are played.",
        frames=75,
    ),
    _restarts(
        "joined-ts-codecs",
        "Two seconds of H.264 in a transport stream, and one of MPEG-2 behind them.",
        joined(_ts(frames=50), _ts(50, options=_MPEG2), extension="ts"),
        "A rendition has one codec, and so has its source: what differs from most of it is left out, with a warning.",
        warnings=("parts_ignored",),
    ),
    _restarts(
        "joined-ps",
        "Two MPEG program streams that were joined.",
        joined(card("mpg", f"{_MPEG2} -f vob"), card("mpg", f"{_MPEG2} -f vob", first=25), extension="mpg"),
        "DVDs are split into files that people join again.",
    ),
    _restarts(
        "joined-ps-pcm",
        "Two program streams of DVDs with uncompressed audio that were joined.",
        joined(card("vob", f"{_LPCM} -f vob"), card("vob", f"{_LPCM} -f vob", first=25), extension="vob"),
        "Matroska has no name for such audio; it is decoded for the copy, and stays in step.",
    ),
    _restarts(
        "joined-ps-h264",
        "Two program streams of H.264 with B-frames that were joined.",
        joined(*(card("mpg", f"{_REORDERED} -c:a mp2 -f vob", first=first) for first in (0, 25)), extension="mpg"),
        "Few frames say their time; the others follow in each part, and the next part follows the last of them.",
    ),
    _restarts(
        "joined-ps-hevc",
        "The same with HEVC.",
        joined(*(card("mpg", f"{_HEVC} -c:a mp2 -f vob", first=first) for first in (0, 25)), extension="mpg"),
        "Their headers say in which order they are shown.",
        media={"codec": "hevc"},
    ),
    _restarts(
        "joined-flv",
        "FLV whose times start again, as of a recorder that was reconnected.",
        joined(
            card("flv", f"{H264} {AAC}"),
            edited(card("flv", f"{H264} {AAC}", first=25), lambda data: data[_FLV_HEADER_BYTES:]),
            extension="flv",
        ),
        "Recorders of streams append to one file.",
    ),
    Case(
        key="wrong-time-mkv",
        what="Matroska in which the time of one frame is wrong by half a minute.",
        make=edited(card("mkv", f"{H264} -bf 0 -g 10 {AAC} -cluster_time_limit 100", frames=75), _wrong_time),
        outcome=Plays(frames=75),
        why="A damaged byte must not stretch the video to half a minute. The copy of ffmpeg 5.1 begins 0.021 s later"
        " than that of 9, audio and video alike: in the outputs both begin at 0.",
    ),
    _restarts(
        "joined-mkv",
        "Two Matroska files whose bytes were put behind each other.",
        joined(card("mkv"), card("mkv", first=25), extension="mkv"),
        "The index is that of the first alone, so the file is copied first.",
    ),
    _restarts(
        "joined-mkv-beside",
        "The same with an audio track beside whose codec is not accepted.",
        joined(*(card("mkv", f"{H264} {AAC} -map 1:a -c:a:1 tta", first=first) for first in (0, 25)), extension="mkv"),
        "That track is left out, and the parts are joined.",
        warnings=("streams_ignored", "timestamps_restart"),
    ),
    Case(
        key="packed-b-frames",
        what="MPEG-4 in AVI with packed B-frames, as DivX and Xvid write it.",
        make=edited(card("avi", f"{_MPEG4} -c:a pcm_s16le", frames=125), packed),
        outcome=Plays(frames=125),
        why="Two frames in a packet and none in the next have no times of their own; they are unpacked first.",
    ),
    Case(
        key="packed-b-frames-beside",
        what="The same with a track beside whose codec is not accepted.",
        make=then(
            edited(card("avi", f"{_MPEG4} -c:a pcm_s16le", frames=50), packed, name="packed.avi"),
            "-i {} -map 0:v -map 0:a -map 0:a -c copy -c:a:1 adpcm_yamaha beside.avi",
            source="beside.avi",
        ),
        outcome=Plays(frames=50, warnings=("streams_ignored",)),
        why="That track is left out, and the frames are unpacked.",
    ),
    Case(
        key="packed-b-frames-silent",
        what="The same without audio.",
        make=edited(card("avi", f"{_MPEG4} -an", frames=50), packed),
        outcome=Plays(frames=50, audio=0, warnings=("no_audio",)),
        why="They are unpacked first.",
    ),
    Case(
        key="truncated-mp4",
        what="Six tenths of a short MP4 whose index is in front.",
        make=edited(card("mp4", f"{H264} {AAC} -movflags +faststart", frames=100), _first_bytes(0.6)),
        outcome=Refused(
            code="input_corrupt", sentence="the file is truncated: 2.2 of 4.0 s are there; upload all of it"
        ),
        why="An upload that broke off is not the video.",
    ),
    Case(
        key="truncated-mkv",
        what="Six tenths of a Matroska file.",
        make=edited(card("mkv", frames=100), _first_bytes(0.6)),
        outcome=Refused(
            code="input_corrupt", sentence="the file is truncated: 2.3 of 4.0 s are there; upload all of it"
        ),
        why="The segment announces more bytes than there are.",
    ),
    Case(
        key="truncated-avi",
        what="Six tenths of an AVI.",
        make=edited(card("avi", f"{_MPEG4} -c:a libmp3lame", frames=100), _first_bytes(0.6)),
        outcome=Refused(code="input_corrupt", sentence="the file is truncated: 40% of it is missing; upload all of it"),
        why="The header announces more bytes than there are.",
    ),
    Case(
        key="truncated-tail",
        what="An MP4 whose last bytes are missing.",
        make=edited(card("mp4", f"{H264} {AAC} -movflags +faststart", frames=100), _first_bytes(0.95)),
        outcome=Plays(frames=94, numbers=_numbers((0, 93, 1), (92, 93, 1)), warnings=("truncated",)),
        why="What is there is most of it.",
    ),
    Case(
        key="damaged-middle",
        what="An MP4 with a stretch of noise in the middle.",
        make=edited(card("mp4", f"{H264} -g 10 {AAC}", frames=100), _noise(0.4, 300)),
        outcome=Plays(frames=100, card=None, beeps=(0.5, 1.5, 2.5, 3.5)),
        why="Decoders conceal what they cannot read.",
    ),
    Case(
        key="damaged-once",
        what="FFV1 of eight seconds with one damaged byte, half a second before its second chunk.",
        make=edited(card("mkv", _CHECKED, frames=200), _flipped(0.45)),
        outcome=Plays(frames=200, card=None, audio=0, errors=1, warnings=("no_audio",)),
        why="Both chunks decode it; the one that shows it counts it.",
    ),
    Case(
        key="damaged-thrice",
        what="The same with three damaged bytes.",
        make=edited(card("mkv", _CHECKED, frames=200), _flipped(0.3, 0.45, 0.9)),
        outcome=Plays(frames=200, card=None, audio=0, errors=3, warnings=("no_audio",)),
        why="Each of them counts once.",
    ),
    Case(
        key="lost-packets",
        what="A transport stream with lost packets.",
        make=edited(_ts(options=f"{H264} -g 10 {AAC}", frames=100), _without_packets(0.5, 20)),
        outcome=Plays(frames=100, card=None, beeps=(0.5, 1.5, 2.5, 3.5), warnings=("variable_frame_rate",)),
        why="Reception is never perfect; the clock goes on.",
    ),
    Case(
        key="h264-avi",
        what="H.264 in AVI, without B-frames.",
        make=card("avi", f"{H264} -bf 0 -c:a pcm_s16le", frames=50),
        outcome=Plays(frames=50),
        why="AVI has no times; frames follow one another.",
    ),
    Case(
        key="h264-avi-reordered",
        what="H.264 with B-frames in AVI.",
        make=card("avi", f"{_REORDERED} -c:a pcm_s16le", frames=50),
        outcome=Plays(frames=50),
        why="AVI has no times, and frames are coded in another order. Their headers say in which they are shown.",
    ),
    Case(
        key="hevc-avi",
        what="HEVC with B-frames in AVI.",
        make=card("avi", f"{_HEVC} -tag:v HEVC -c:a pcm_s16le", frames=50),
        outcome=Plays(frames=50, media={"codec": "hevc"}),
        why="Their headers say in which order they are shown.",
    ),
    Case(
        key="hevc-avi-unnamed",
        what="The same, as ffmpeg writes it: the header names no codec.",
        make=card("avi", f"{_HEVC} -c:a pcm_s16le", frames=50),
        outcome=Plays(frames=50, media={"codec": "hevc"}),
        why="Its first units are those of HEVC.",
    ),
    Case(
        key="mpeg4-avi-reordered",
        what="MPEG-4 with B-frames in AVI.",
        make=card("avi", "-c:v mpeg4 -q:v 3 -bf 2 -g 12 -c:a pcm_s16le", frames=50),
        outcome=Plays(frames=50),
        why="The first frame is shown in the first slot, with the beginning of the audio.",
    ),
    Case(
        key="mpeg2-ps",
        what="A program stream in which the time of a key frame is that of the frame behind it, as ffmpeg writes it.",
        make=card("mpg", f"{_MPEG2} -f mpeg", frames=50),
        outcome=Plays(frames=50),
        why="Two frames cannot have one time: those of a decoder come in step, and say which of them is wrong.",
    ),
    Case(
        key="h264-ps",
        what="H.264 with B-frames in an MPEG program stream.",
        make=card("mpg", f"{_REORDERED} -c:a mp2 -f vob", frames=50),
        outcome=Plays(frames=50),
        why="Surveillance recorders write it.",
    ),
    Case(
        key="negative-times",
        what="Matroska whose times begin below zero.",
        make=then(card("mp4", _REORDERED), "-i {} -c copy -avoid_negative_ts disabled n.mkv", source="n.mkv"),
        outcome=Plays(),
        why="All times count from the first frame.",
    ),
)
