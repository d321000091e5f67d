"""Audio against video over ten minutes of a live stream to which everything happens: `make soak-live ARGS=--damage`.

A gap of two seconds, a jump of the clock in both directions, a clock that wraps, 0.15 % of lost packets, and for AC-3
changes between stereo and 5.1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from configuration import ExecutionConfig, LimitConfig
from execution.streaming import StreamRunner
from tests.live_media import Live, joined, measured, stream_of, with_gap, with_jump, with_losses, wrapping
from tests.live_runs import through
from transcoding.commands.live import live_command
from transcoding.encoders import ENCODERS
from transcoding.planning.live import LiveProfile

MAX_MS = 5
BINARIES = ("", "/usr/bin/ffmpeg")


def damaged(stream: bytes, seconds: float) -> bytes:
    """Let everything happen to a stream of this length, spread over it."""
    stream = wrapping(stream, seconds * 0.8)
    stream = with_losses(stream, 0.0015)
    stream = with_jump(stream, seconds * 0.6, -20)
    stream = with_jump(stream, seconds * 0.4, 3600)
    return with_gap(stream, seconds * 0.2, 2)


def sources(seconds: float) -> Iterator[tuple[str, bytes]]:
    """Yield streams by their names."""
    plain = Live(seconds=seconds, video="mpeg2")
    yield "MP2", damaged(stream_of(plain), seconds)
    part = replace(plain, audio="ac3", seconds=seconds / 4)
    layouts = joined(*(replace(part, layout=layout) for layout in ("stereo", "5.1", "stereo", "5.1")))
    yield "AC-3", damaged(layouts, seconds)


def measure(minutes: float) -> bool:
    """Measure with both ffmpegs, print what was found, and tell whether no more beeps are far from their flash.

    A loss may hit the beginning of a beep or a flash itself, so the source has some of those.
    """
    seconds = minutes * 60
    failed = False
    for name, stream in sources(seconds):
        lost = _far(measured(stream).offsets())
        for binary in BINARIES:
            run = StreamRunner(ExecutionConfig(ffmpeg_path=binary), LimitConfig()).start(
                live_command("mpegts", LiveProfile.ORIGINAL, encoder=ENCODERS["libx264"])
            )
            offsets = measured(through(run, stream)).offsets()
            far = _far(offsets)
            failed |= far > lost or _far(offsets[-1:]) > 0
            print(  # noqa: T201 - its result
                f"{name}, {binary or 'ffmpeg of imageio'}: {len(offsets)} beeps, from flash to beep: "
                f"first {offsets[0] * 1000:.1f} ms, last {offsets[-1] * 1000:.1f} ms, "
                f"median {sorted(offsets)[len(offsets) // 2] * 1000:.1f} ms; "
                f"more than {MAX_MS} ms: {far}, of which losses in the source explain {lost}"
            )
    return not failed


def _far(offsets: Sequence[float]) -> int:
    return sum(abs(offset) * 1000 > MAX_MS for offset in offsets)
