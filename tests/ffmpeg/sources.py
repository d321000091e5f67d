"""Test videos whose every frame shows its own number and whose audio beeps at known frames.

The upper half of a frame is 16 columns, black or white: 12 bits of the frame's number and 4 bits to check them. They
survive any scaling and any codec, so the output of a decoder can be identified frame by frame. The lower half moves.
The audio is a beep of 60 ms at 1, 3, 5 ... seconds, at the frame that belongs there.
"""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
NUMBER_BITS = 12
CHECK_BITS = 4
COLUMNS = NUMBER_BITS + CHECK_BITS
FIRST_BEEP_SECONDS = 1
BEEP_EVERY_SECONDS = 2
_BEEP = f"sin(2*PI*1000*t)*lt(mod(t+{BEEP_EVERY_SECONDS - FIRST_BEEP_SECONDS},{BEEP_EVERY_SECONDS}),0.06)"
_LIGHT = 128

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "3", "-g", "60", "-crf", "20")
"""B-frames with a pyramid, and key frames that fall on no boundary of ours."""
AAC = ("-c:a", "aac", "-b:a", "96k")
SILENT = ("-an",)


@dataclass(frozen=True, kw_only=True)
class Card:
    """A numbered test video with beeps: how it is made before a codec and a container see it."""

    rate: Fraction
    frames: int
    first_number: int = 0
    width: int = 320
    height: int = 180
    video_filter: str = "null"
    audio_filter: str = "anull"

    @property
    def seconds(self) -> Fraction:
        return self.frames / self.rate


def columns_of(number: int) -> bytes:
    """The 16 columns of a frame, one byte each."""
    word = number << CHECK_BITS | check_of(number)
    return bytes(255 * (word >> bit & 1) for bit in range(COLUMNS))


def number_in(columns: bytes) -> int:
    """The number that 16 columns show. Raises ValueError when the check bits are wrong."""
    word = sum((level >= _LIGHT) << bit for bit, level in enumerate(columns))
    number, check = word >> CHECK_BITS, word % (1 << CHECK_BITS)
    if check != check_of(number):
        raise ValueError(f"these columns show no number: {columns.hex()}")
    return number


def check_of(number: int) -> int:
    """Differs between neighbours, and between numbers of which one lost a bit."""
    return (number * 7 + number.bit_count()) % (1 << CHECK_BITS)


def make(path: Path, card: Card, *options: str) -> Path:
    """Encode a card with the codecs and the container that these ffmpeg options request."""
    half = f"{card.width}x{card.height // 2}"
    graph = (
        f"[0:v]scale={half.replace('x', ':')}:flags=neighbor,setsar=1,format=yuv420p[numbers];"
        f"[numbers][1:v]vstack=shortest=1,{card.video_filter}[video];[2:a]{card.audio_filter}[audio]"
    )
    inputs = [
        *("-f", "rawvideo", "-pix_fmt", "gray", "-video_size", f"{COLUMNS}x1", "-framerate", str(card.rate)),
        *("-i", "pipe:0"),
        *("-f", "lavfi", "-i", f"testsrc2=size={half}:rate={card.rate},format=yuv420p"),
        *("-f", "lavfi", "-i", f"aevalsrc='{_BEEP}':sample_rate=48000:duration={float(card.seconds):.6f}"),
    ]
    maps = ["-map", "[video]"] if "-an" in options else ["-map", "[video]", "-map", "[audio]"]
    graph = graph if "-an" not in options else graph.rpartition(";")[0]
    numbers = b"".join(columns_of(number) for number in range(card.first_number, card.first_number + card.frames))
    length = ["-frames:v", str(card.frames)]
    run([*inputs, "-filter_complex", graph, *maps, *length, *options, f"file:{path}"], stdin=numbers)
    return path


def with_tones(source: Path, path: Path, tones: Mapping[str, int], *options: str) -> Path:
    """Copy the video of a source, with an audio track per language that is a tone of so many hertz."""
    inputs, maps = ["-i", f"file:{source}"], ["-map", "0:v", "-c:v", "copy", "-shortest"]
    for number, (language, hertz) in enumerate(tones.items()):
        inputs += ["-f", "lavfi", "-i", f"sine={hertz}:sample_rate=48000"]
        maps += ["-map", f"{number + 1}:a", f"-metadata:s:a:{number}", f"language={language}"]
    run([*inputs, *maps, *AAC, *options, f"file:{path}"])
    return path


def beeps(path: Path, seconds: float, *options: str, cover: bool = False) -> Path:
    """Encode the beeps of a card alone, with these ffmpeg options; with a cover of a hundred kilobytes."""
    inputs = ["-f", "lavfi", "-i", f"aevalsrc='{_BEEP}':sample_rate=48000:duration={seconds}"]
    if cover:
        inputs += ["-f", "lavfi", "-i", "nullsrc=size=320x180:rate=25:duration=0.04,geq=random(1)*255:128:128"]
        options = (*options, "-map", "0:a", "-map", "1:v", "-disposition:v:0", "attached_pic")
    run([*inputs, *options, f"file:{path}"])
    return path


def converted(source: Path, path: Path, options: Sequence[str], *, opening: Sequence[str] = ()) -> Path:
    """Copy the streams of a test video into another file, changed by these options."""
    run([*opening, "-i", f"file:{source}", "-c", "copy", *options, f"file:{path}"])
    return path


def run(arguments: Sequence[str], *, stdin: bytes = b"") -> bytes:
    """Run ffmpeg on test material and give what it wrote to its standard output."""
    done = subprocess.run(
        [FFMPEG, "-hide_banner", "-v", "error", "-y", *arguments], input=stdin, capture_output=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{arguments}: {done.stderr.decode()}")
    return done.stdout
