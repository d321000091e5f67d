"""Files that are all right, but not written the way most programs write them."""

import struct

from tests.inputs.case import Case, Plays, Tone
from tests.inputs.making import AAC, H264, card, edited, ffmpeg, then

TITLE = "Unusual, but right"

_PLAIN = f"{H264} {AAC}"
_TS_PACKET = 188


def _without_ftyp(data: bytes) -> bytes:
    """Drop the first box: QuickTime had none before 2001."""
    size = int.from_bytes(data[:4], "big")
    return struct.pack(">I4s", size, b"wide") + b"\0" * (size - 8) + data[size:]


def _with_padding(data: bytes) -> bytes:
    """Put a box of unused bytes before all others."""
    free = 4096
    return struct.pack(">I4s", free, b"free") + b"\0" * (free - 8) + data


def _with_null_packets(data: bytes) -> bytes:
    """Put an empty packet behind each packet of a transport stream, as a constant rate needs them."""
    null = b"\x47\x1f\xff\x10" + b"\xff" * (_TS_PACKET - 4)
    return b"".join(data[at : at + _TS_PACKET] + null for at in range(0, len(data), _TS_PACKET))


CASES = (
    Case(
        key="no-ftyp",
        what="QuickTime of the nineties: its first box is `wide`, it has no brand.",
        make=edited(card("mov", f"{H264} -c:a pcm_s16le"), _without_ftyp),
        outcome=Plays(),
        why="The structure says what it is.",
    ),
    Case(
        key="padding",
        what="A fragmented MP4 with 4 KB of unused bytes in front.",
        make=edited(card("mp4", f"{_PLAIN} -movflags +frag_keyframe+delay_moov+default_base_moof"), _with_padding),
        outcome=Plays(),
        why="Any order of boxes is allowed.",
    ),
    Case(
        key="null-packets",
        what="A transport stream that is half empty packets.",
        make=edited(card("ts", _PLAIN, frames=50), _with_null_packets),
        outcome=Plays(frames=50),
        why="Broadcasts have a constant rate.",
    ),
    Case(
        key="latm",
        what="A transport stream with AAC in LATM.",
        make=card("ts", f"{_PLAIN} -mpegts_flags +latm", frames=50),
        outcome=Plays(frames=50, media={"audio_codec": "aac_latm"}),
        why="Broadcasts in some countries have it.",
    ),
    Case(
        key="amr-3gp",
        what="H.264 and AMR in 3GP.",
        make=card("3gp", f"{H264} -c:a libopencore_amrnb -ar 8000 -ac 1 -b:a 12.2k", frames=50),
        outcome=Plays(frames=50, media={"audio_codec": "amr_nb"}),
        why="Phones before 2010 recorded it.",
    ),
    Case(
        key="bluray-pcm",
        what="AVCHD with uncompressed audio.",
        make=card("m2ts", f"{H264} -c:a pcm_bluray -mpegts_m2ts_mode 1", frames=50),
        outcome=Plays(frames=50, media={"audio_codec": "pcm_bluray"}),
        why="Matroska does not take this form of it, so the copy has another.",
    ),
    Case(
        key="dvd-pcm",
        what="A VOB with uncompressed audio.",
        make=card("vob", "-c:v mpeg2video -q:v 3 -c:a pcm_dvd -f dvd", frames=50),
        outcome=Plays(frames=50, media={"audio_codec": "pcm_dvd"}),
        why="Matroska does not take this form of it, so the copy has another.",
    ),
    Case(
        key="nellymoser",
        what="FLV with Nellymoser, the audio of webcams in Flash.",
        make=card("flv", f"{H264} -c:a nellymoser -ar 22050 -ac 1", frames=50),
        outcome=Plays(frames=50, beeps_within=0.05, media={"audio_codec": "nellymoser"}),
        why="Matroska does not take it, so the copy has it uncompressed.",
    ),
    Case(
        key="swf-adpcm",
        what="FLV with Flash's ADPCM.",
        make=card("flv", "-c:v flv1 -q:v 3 -c:a adpcm_swf -ar 22050 -ac 1", frames=50),
        outcome=Plays(frames=50, beeps_within=0.05, media={"audio_codec": "adpcm_swf"}),
        why="Animations of around 2005 have it.",
    ),
    Case(
        key="opus-5.1",
        what="Matroska with Opus of six channels.",
        make=card("mkv", f"{H264} -c:a libopus -ac 6", frames=50),
        outcome=Plays(frames=50),
        why="The beep is in the center, and on both sides afterwards.",
    ),
    Case(
        key="pcm-mono-96k",
        what="Matroska with PCM of 96 kHz, mono.",
        make=card("mkv", f"{H264} -c:a pcm_s24le -ar 96000 -ac 1", frames=50),
        outcome=Plays(frames=50),
        why="Field recorders.",
    ),
    Case(
        key="ac3-avi",
        what="AVI with AC-3.",
        make=card("avi", "-c:v mpeg4 -q:v 3 -c:a ac3", frames=50),
        outcome=Plays(frames=50),
        why="Copies of discs have it.",
    ),
    Case(
        key="interleaved-badly",
        what="An MP4 with all of its audio behind all of its video.",
        make=then(
            card("mp4", _PLAIN, frames=50),
            "-i {} -i {} -map 0:v -map 1:a -c copy -max_interleave_delta 0 -chunk_duration 100000000 long.mp4",
            source="long.mp4",
        ),
        outcome=Plays(frames=50),
        why="Some editors write the tracks one after another.",
    ),
    Case(
        key="raw-rgb-avi",
        what="Uncompressed RGB in AVI, its rows from the bottom to the top.",
        make=card("avi", "-c:v rawvideo -pix_fmt bgr24 -an"),
        outcome=Plays(audio=0, warnings=("no_audio",), media={"codec": "rawvideo"}),
        why="Microscopes and simulations write it. The copy has it as AVI has it.",
    ),
    Case(
        key="raw-palette-avi",
        what="Uncompressed video with a palette of 256 colors in AVI.",
        make=card("avi", "-c:v rawvideo -pix_fmt pal8 -an"),
        outcome=Plays(audio=0, warnings=("no_audio",)),
        why="Screen recordings of the nineties. The copy has other pixels, since it would lose the palette.",
    ),
    Case(
        key="raw-rgb-mov",
        what="Uncompressed RGB in QuickTime.",
        make=card("mov", "-c:v rawvideo -pix_fmt rgb24 -an"),
        outcome=Plays(audio=0, warnings=("no_audio",)),
        why="Effects programs render it.",
    ),
    Case(
        key="intra-refresh",
        what="H.264 that refreshes a column of each frame and has no other key frame than the first.",
        make=card("mp4", f"{H264} -x264-params intra-refresh=1:keyint=20 {AAC}", frames=230),
        outcome=Plays(frames=230),
        why="Cameras for calls send it; all of it is decoded for each chunk.",
    ),
    Case(
        key="many-b-frames",
        what="H.264 with sixteen B-frames between two others, in a transport stream.",
        make=card(
            "ts",
            f"-c:v libx264 -preset veryfast -pix_fmt yuv420p -bf 16 -x264-params b-adapt=0:keyint=60 {AAC}",
            frames=150,
        ),
        outcome=Plays(frames=150),
        why="More frames have to be reordered than anywhere else.",
    ),
    Case(
        key="timescale-600",
        what="QuickTime of phones: 29.97 frames per second in a clock of 600 ticks.",
        make=card("mov", f"{H264} {AAC} -video_track_timescale 600", rate="30000/1001", frames=150),
        outcome=Plays(rate="30000/1001", frames=150),
        why="Frames are 20.02 ticks long, so their times are rounded; each has its slot on the grid.",
    ),
    Case(
        key="milliseconds-59.94",
        what="59.94 frames per second in Matroska, which rounds to milliseconds.",
        make=card("mkv", rate="60000/1001", frames=250),
        outcome=Plays(rate="60000/1001", frames=250),
        why="The rate is found nevertheless, over two segments.",
    ),
    Case(
        key="milliseconds-29.97",
        what="29.97 frames per second in FLV, which rounds to milliseconds.",
        make=card("flv", rate="30000/1001", frames=130),
        outcome=Plays(rate="30000/1001", frames=130),
        why="The rate is found nevertheless.",
    ),
    Case(
        key="tiny",
        what="A video of 16x16.",
        make=card("mp4", size=(16, 16)),
        outcome=Plays(size=(16, 16), card=None, beeps=(0.5,)),
        why="Nothing is enlarged.",
    ),
    Case(
        key="one-pixel",
        what="A video of a single pixel.",
        make=card("mkv", f"-c:v ffv1 -pix_fmt yuv444p {AAC}", size=(1, 1)),
        outcome=Plays(size=(2, 2), card=None, beeps=(0.5,)),
        why="Sides of H.264 are even, so it becomes four.",
    ),
    Case(
        key="ribbon",
        what="A video of 1920x16.",
        make=card("mp4", size=(1920, 16)),
        outcome=Plays(size=(1920, 16), card=None, beeps=(0.5,)),
        why="LED banners.",
    ),
    Case(
        key="twelve-channels",
        what="PCM of twelve channels without a layout, a tone in all of them.",
        make=ffmpeg(
            "-f lavfi -i testsrc2=size=160x90:rate=25:duration=1 -f lavfi -i aevalsrc='"
            + "|".join(["0.5*sin(2*PI*440*t)"] * 12)
            + f"':sample_rate=48000:duration=1 {H264} -c:a pcm_s16le twelve.mov",
            source="twelve.mov",
        ),
        outcome=Plays(card=None, tones=(Tone(start=0.1, end=0.9, hertz=440),)),
        why="Multitrack recorders.",
    ),
    Case(
        key="short-audio",
        what="An audio track of one frame.",
        make=card("mp4", audio="atrim=end=0.02"),
        outcome=Plays(beeps=()),
        why="It is silent behind that, as long as the video.",
    ),
)
