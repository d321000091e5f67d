"""Makers of inputs: a card that shows its own number, color and orientation, and what ffmpeg makes of other sources.

The upper half of a card is 16 black and white columns, the number of the frame (as in `tests.ffmpeg.sources`). The
lower half is red, green, blue and grey, from left to right. Whoever can read the number and finds the colors there has
the right frame, upright, not mirrored, not squeezed, in the right colors. Its audio is a beep of 60 ms and 1 kHz at
0.5, 1.5, 2.5 seconds and so on.
"""

import shlex
import shutil
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from tests.ffmpeg.sources import COLUMNS, FFMPEG, columns_of
from tests.inputs.case import BEEP_EVERY, FIRST_BEEP, FRAMES, RATE, SIZE, Maker

COLORS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128))
"""Red, green, blue, grey: the lower half of the card, from left to right."""
H264 = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p"
AAC = "-c:a aac -b:a 96k"
_BEEP = f"sin(2*PI*1000*t)*lt(mod(t+{BEEP_EVERY}-{float(FIRST_BEEP)},{BEEP_EVERY}),0.06)"


def card(
    extension: str,
    options: str = f"{H264} {AAC}",
    *,
    rate: str = RATE,
    frames: int = FRAMES,
    size: tuple[int, int] = SIZE,
    first: int = 0,
    video: str = "null",
    audio: str = "anull",
) -> Maker:
    """Encode a card with these options of ffmpeg.

    Args:
        extension: of the file, which chooses its container; `-f` in the options overrules it.
        options: output options; with `-an` in them it has no audio.
        rate: frames per second.
        frames: number of frames.
        size: of the frames.
        first: number on the first frame.
        video: filters of the video.
        audio: filters of the audio.

    """

    silent = "-an" in shlex.split(options)
    scale = f"scale={size[0]}:{size[1]}:flags=neighbor:out_color_matrix=bt601:out_range=tv,format=yuv444p,setsar=1"
    graph = f"[0:v]{scale},{video}[video]" + ("" if silent else f";[1:a]{audio}[audio]")
    inputs = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-video_size", f"{COLUMNS}x2", "-framerate", rate, "-i", "pipe:0"]
    inputs += ["-f", "lavfi", "-i", f"aevalsrc='{_BEEP}':sample_rate=48000:duration={float(frames / Fraction(rate))}"]
    maps = ["-map", "[video]"] + ([] if silent else ["-map", "[audio]"])
    drawn = b"".join(_rows(number) for number in range(first, first + frames))

    def maker(folder: Path) -> Path:
        path = folder / f"source.{extension}"
        arguments = [*inputs, "-filter_complex", graph, *maps, *shlex.split(options), f"file:{path}"]
        run(arguments, folder=folder, stdin=drawn)
        return path

    return maker


def audio_file(
    extension: str, options: str, *, seconds: float = 1, rate: int = 48_000, binary: str = FFMPEG, name: str = "source"
) -> Maker:
    """Encode the beeps of a card, without video, with these options of ffmpeg."""

    def maker(folder: Path) -> Path:
        path = folder / f"{name}.{extension}"
        inputs = ["-f", "lavfi", "-i", f"aevalsrc='{_BEEP}':sample_rate={rate}:duration={seconds}"]
        run([*inputs, *shlex.split(options), f"file:{path}"], folder=folder, binary=binary)
        return path

    return maker


def _rows(number: int) -> bytes:
    """Two rows of RGB: the columns of a number, and the four colors."""
    columns = bytes(level for column in columns_of(number) for level in (column,) * 3)
    return columns + b"".join(bytes(color) * (COLUMNS // len(COLORS)) for color in COLORS)


def ffmpeg(*lines: str, source: str) -> Maker:
    """Run ffmpeg once for each line of arguments, in the folder; `source` is the name of the file that is the input."""

    def maker(folder: Path) -> Path:
        for line in lines:
            run(shlex.split(line), folder=folder)
        return folder / source

    return maker


def then(maker: Maker, *lines: str, source: str) -> Maker:
    """Make a file, then run ffmpeg for each line of arguments: `{}` in a line is the name of the file."""

    def chained(folder: Path) -> Path:
        name = maker(folder).name
        return ffmpeg(*(line.replace("{}", name) for line in lines), source=source)(folder)

    return chained


def joined(*makers: Maker, extension: str) -> Maker:
    """Make several files and append their bytes to each other, as `cat` does."""

    def maker(folder: Path) -> Path:
        path = folder / f"joined.{extension}"
        with path.open("wb") as file:
            for number, part in enumerate(makers):
                (folder / str(number)).mkdir()
                file.write(part(folder / str(number)).read_bytes())
        return path

    return maker


def edited(maker: Maker, edit: Callable[[bytes], bytes], name: str = "") -> Maker:
    """Make a file and change its bytes; `name` is that of the new file."""

    def changed(folder: Path) -> Path:
        path = maker(folder)
        new = folder / (name or path.name)
        new.write_bytes(edit(path.read_bytes()))
        return new

    return changed


def content(data: bytes, name: str = "source.mp4") -> Maker:
    """Return a maker of a file with these bytes."""

    def maker(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return maker


def run(arguments: list[str], *, folder: Path, stdin: bytes = b"", binary: str = FFMPEG) -> None:
    """Run ffmpeg in a folder. Raises RuntimeError with its words when it fails."""
    command = [binary, "-hide_banner", "-v", "error", "-y", *(["-nostdin"] if not stdin else []), *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False, cwd=folder)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(arguments)}: {done.stderr.decode('utf-8', 'replace')}")


DEBIAN = shutil.which("ffmpeg") or ""
"""Debian's ffmpeg, for what the packaged one has no encoder for."""
