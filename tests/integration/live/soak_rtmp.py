"""`make soak-rtmp`: five minutes of a broadcast whose worker is killed three times, and drained once.

`SECONDS=3600 KILLS=0 make soak-rtmp` looks for drift of audio and video in an hour. Frames are numbered up to 4,096,
and the video starts again after that.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from jobs.models import Step
from jobs.rules.steps import StepKind
from livestreams.models import Period
from tests.ffmpeg.golden import shown_frames
from tests.ffmpeg.sources import AAC, BEEP_EVERY_SECONDS, FIRST_BEEP_SECONDS, Card, make
from tests.integration.live.test_broadcasting import AVC, rig
from tests.live_rig import Rig
from tests.live_rows import a_stream

__all__ = ["rig"]

RATE = 15
SECONDS = int(os.environ.get("SECONDS", "300"))
KILLS = int(os.environ.get("KILLS", "3"))
LOOP_SECONDS = 270
"""Longest video of at most 4,096 frames."""
GOP = ("-g", str(RATE), "-keyint_min", str(RATE), "-sc_threshold", "0")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def test_soak(rig: Rig, tmp_path: Path) -> None:
    loops = -(-SECONDS // LOOP_SECONDS)
    seconds = SECONDS // loops // BEEP_EVERY_SECONDS * BEEP_EVERY_SECONDS
    card = Card(rate=Fraction(RATE), frames=seconds * RATE, width=192, height=108)
    clip = make(tmp_path / "clip.flv", card, *AVC, *GOP, *AAC)
    settings = {"TRANSCODER_LIVE_LEASE_SECONDS": "6"}
    rig.start("one", "two", settings=settings)
    stream = a_stream(reconnect_seconds=2)
    started = time.monotonic()
    with rig.publishing(stream, clip, before=("-stream_loop", str(loops - 1))) as publisher:
        rig.wait_published(stream, 1)
        say(f"first segment after {time.monotonic() - started:.1f} s")
        for number in range(1, KILLS + 2 if KILLS else 1):
            time.sleep(SECONDS / (KILLS + 3))
            step = Step.objects.get(kind=StepKind.LIVE)
            drained = number > KILLS
            rig.workers[step.node].send_signal(signal.SIGTERM if drained else signal.SIGKILL)
            at = time.monotonic()
            rig.wait_published(stream, step.units_done + 2)
            say(f"{'drained' if drained else 'killed'} {step.node}: next segments after {time.monotonic() - at:.1f} s")
            rig.workers[step.node].wait()
            rig.start(step.node, settings=settings)
        assert publisher.wait(SECONDS + 120) == 0
    ended = time.monotonic()
    rig.wait_ended(stream)
    say(f"complete {time.monotonic() - ended:.1f} s after the publisher's end, 2 s of which wait for its return")

    frames = shown_frames(rig.recording(stream))
    times = [time - frames[0][0] for time, _ in frames]
    assert times == [Fraction(number, RATE) for number in range(len(times))]
    numbers = [number for _, number in frames]
    gaps = [(later - earlier - 1) % (seconds * RATE) for earlier, later in pairwise(numbers)]
    lost = [gap / RATE for gap in gaps if gap]
    say("lost by each end of a worker: " + ", ".join(f"{each:.1f} s" for each in lost))
    say(f"{len(frames)} frames, {Period.objects.count()} periods")
    assert len(lost) <= KILLS + 1
    every, errors = BEEP_EVERY_SECONDS, []
    for beep in rig.beeps():
        number = numbers[min(len(numbers) - 1, round((beep - float(frames[0][0])) * RATE))]
        errors.append((number / RATE - FIRST_BEEP_SECONDS + every / 2) % every - every / 2)
    say(f"audio against video: first {errors[0] * 1000:+.0f} ms, last {errors[-1] * 1000:+.0f} ms")
    assert sum(abs(error) > 1.5 / RATE for error in errors) <= KILLS + 1
