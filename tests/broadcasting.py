"""Broadcast a moving test image in real time, without an ingest server: `python -m tests.broadcasting LATENCY SECONDS…`

Each number is a worker: it encodes for so many seconds, and is then gone for three. Prints the playback path first.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Generator
from datetime import UTC, datetime

import django
import imageio_ffmpeg

django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402 - settings come first

from coordination.wiring import live_parts  # noqa: E402
from execution.ffmpeg import FfmpegRunner  # noqa: E402
from storage.wiring import store_from  # noqa: E402
from tests.live_publishing import LivePublisher, a_live_plan, a_livestream  # noqa: E402
from transcoding.commands.livestream import FEED, livestream_command  # noqa: E402
from transcoding.containers.live_segments import LiveAudioSegmenter, LivePart, LiveVideoSegmenter  # noqa: E402
from transcoding.containers.segments import Segment  # noqa: E402
from transcoding.planning.latency import Latency  # noqa: E402

TITLE = "stream: "
RATE = 25
_LOST_SECONDS = 3


class Worker:
    """Encodes what one publisher sends, from a segment on, and publishes it."""

    def __init__(self, publisher: LivePublisher, first_segment: int) -> None:
        self._publisher = publisher
        self._first = first_segment
        plan = publisher.plan
        self._segmenters: dict[str, LiveVideoSegmenter | LiveAudioSegmenter] = {
            rung.name: LiveVideoSegmenter(plan, rung, first_segment=first_segment) for rung in plan.renditions
        } | {track.name: LiveAudioSegmenter(plan, track, first_segment=first_segment) for track in plan.audio}
        self._next: dict[str, int] = defaultdict(lambda: first_segment)
        self._early: list[Segment] = []
        self._inits: set[str] = set()

    @property
    def next_segment(self) -> int:
        """The first segment that it did not publish."""
        return min(self._next[rung.name] for rung in self._publisher.plan.renditions)

    def run(self, seconds: float) -> None:
        plan = self._publisher.plan
        FfmpegRunner(settings.TRANSCODER.execution, settings.TRANSCODER.limits).run(
            livestream_command(plan, first_segment=self._first),
            {name: lambda data, name=name: self._take(name, data) for name in self._segmenters},  # type: ignore[misc]
            inputs={FEED: self._source(seconds)},
            stop=threading.Event(),
            paced=True,
        )

    def _source(self, seconds: float) -> Generator[bytes]:
        words = f"-v error -re -f lavfi -i testsrc2=size=640x360:rate={RATE} -re -f lavfi -i sine=frequency=440"
        words += f" -t {seconds} -pix_fmt yuv420p -c:v libx264 -preset ultrafast -tune zerolatency -g {RATE}"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), *words.split(), "-c:a", "aac", "-f", "flv", "pipe:1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout
            started = False
            while block := os.read(process.stdout.fileno(), 1 << 16):
                if not started:
                    self._publisher.begin(self._first, datetime.now(UTC))
                    started = True
                yield block

    def _take(self, name: str, data: bytes) -> None:
        segmenter = self._segmenters[name]
        for each in segmenter.feed(data):
            if name not in self._inits:
                self._inits.add(name)
                self._publisher.init(name, segmenter.init or b"")
            if isinstance(each, LivePart):
                self._publisher.part(
                    name, each.number, each.index, data=each.data, ticks=each.duration, independent=each.independent
                )
            elif name == "audio":
                self._early.append(each)
            else:
                self._publish(name, each)
        while self._early and self._early[0].number < self.next_segment:
            self._publish("audio", self._early.pop(0))
        if self._next["audio"] > self._first:
            self._publisher.playable()

    def _publish(self, name: str, segment: Segment) -> None:
        self._publisher.segment(name, segment.number, data=segment.data, ticks=segment.duration)
        self._next[name] = segment.number + 1


def main() -> None:
    latency, lengths = Latency(sys.argv[1]), [float(text) for text in sys.argv[2:]]
    plan = a_live_plan(latency=latency, rungs=("360p", "240p"), rate=RATE)
    store = store_from(settings.TRANSCODER.storage)
    publisher = LivePublisher(plan, a_livestream(), store=store, parts=live_parts())
    print(f"{TITLE}/streams/{publisher.livestream.playback_id}", flush=True)  # noqa: T201
    following = 0
    for number, seconds in enumerate(lengths):
        publisher.attempt = number + 1
        time.sleep(_LOST_SECONDS if number else 0)
        worker = Worker(publisher, following)
        worker.run(seconds)
        following = worker.next_segment
    publisher.end()


if __name__ == "__main__":
    main()
