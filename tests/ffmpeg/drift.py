"""Drift between audio and video of long sources whose frame rate varies: `make drift`.

The video flashes and the audio beeps every ten seconds. In between, frames come early and late as those of a phone do,
and every other ten seconds a third of them is missing, as in poor light. Both are measured on the outputs.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from tests.ffmpeg import sources
from tests.ffmpeg.golden import POLICY, beep_seconds, transcode

EVERY_SECONDS = 10
_RATE = 30
_BLOCK = _RATE * EVERY_SECONDS
_VARYING = (
    f"settb=1/90000,setpts='N*3000+1000*sin(2*PI*N*37/{_BLOCK})',"
    rf"select='not(mod(floor(n/{_BLOCK})\,2)*eq(mod(n\,3)\,1))'"
)
"""Frames at the beginning of ten seconds are there, and in time."""
_FLASH = rf"drawbox=t=fill:color=white:enable='lt(mod(t\,{EVERY_SECONDS})\,0.2)*gte(t\,1)'"
_BEEP = rf"sin(2*PI*1000*t)*lt(mod(t\,{EVERY_SECONDS})\,0.06)*gte(t\,1)"
_LIGHT = 128
_CHUNK_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Drift:
    """Times of flashes and beeps in the outputs, in seconds, and the length of a frame."""

    flashes: Sequence[float]
    beeps: Sequence[float]
    frame: float

    @property
    def offsets(self) -> list[float]:
        """Seconds from each flash to its beep."""
        return [beep - flash for flash, beep in zip(self.flashes, self.beeps, strict=True)]


def measure(seconds: int, folder: Path) -> Drift:
    """Make a source of this length, encode it in chunks, and measure the smallest rendition and the audio."""
    source = make(seconds, folder / "source.mp4")
    policy = replace(
        POLICY, min_chunk_seconds=_CHUNK_SECONDS, max_chunk_seconds=_CHUNK_SECONDS, max_seconds=seconds + EVERY_SECONDS
    )
    golden = transcode(source, folder / "out", policy=policy)
    if golden.plan.source.constant:
        raise ValueError("the source was meant to vary")
    rate = golden.plan.grid.rate
    video = golden.renditions[golden.plan.renditions[-1].name].path
    return Drift(
        flashes=list(flash_seconds(video, rate)),
        beeps=beep_seconds(golden.renditions["audio"].path),
        frame=float(1 / rate),
    )


def make(seconds: int, path: Path) -> Path:
    """Encode a source of this length."""
    video = f"color=black:size=160x90:rate={_RATE}:duration={seconds},{_FLASH},{_VARYING}"
    sources.run(
        [
            *(
                "-f",
                "lavfi",
                "-i",
                video,
                "-f",
                "lavfi",
                "-i",
                f"aevalsrc='{_BEEP}':sample_rate=48000:duration={seconds}",
            ),
            *("-fps_mode", "passthrough", "-enc_time_base:v", "1:90000", "-video_track_timescale", "90000"),
            *("-c:v", "libx264", "-preset", "ultrafast", "-g", "250", *sources.AAC, f"file:{path}"),
        ]
    )
    return path


def flash_seconds(path: Path, rate: Fraction) -> Iterator[float]:
    """Yield the start of every flash of a video on the grid, in seconds."""
    chosen = ("-map", "0:v:0", "-vf", "scale=1:1:flags=area,format=gray", "-fps_mode", "passthrough")
    dark = True
    for number, level in enumerate(sources.run(["-i", f"file:{path}", *chosen, "-f", "rawvideo", "-"])):
        if dark and level >= _LIGHT:
            yield float(number / rate)
        dark = level < _LIGHT


def main() -> None:
    """Measure, print what was found, and fail if it is a frame or more at any time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=45)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as folder:
        found = measure(minutes * 60, Path(folder))
    offsets = found.offsets
    milliseconds = [round(1000 * offset, 1) for offset in (offsets[0], offsets[-1], max(offsets, key=abs))]
    print(  # noqa: T201 - its result
        f"{minutes} minutes, {len(offsets)} flashes and beeps, a frame is {1000 * found.frame:.1f} ms; "
        f"from flash to beep: first {milliseconds[0]} ms, last {milliseconds[1]} ms, farthest {milliseconds[2]} ms"
    )
    if max(map(abs, offsets)) >= found.frame:
        raise SystemExit("that is a frame or more")


if __name__ == "__main__":
    main()
