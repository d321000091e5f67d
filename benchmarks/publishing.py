"""Publish a live stream in real time, without media: `python -m benchmarks.publishing low|normal`, until stdin ends.

Prints the path of a playlist, and at the end when each segment and part was published.
"""

import select
import sys
import time

import django

django.setup(set_prefix=False)

from benchmarks.viewing import TITLE, Published  # noqa: E402 - settings come first
from coordination.wiring import live_parts  # noqa: E402
from tests.live_publishing import PARTS, LivePublisher, a_live_plan, a_livestream  # noqa: E402
from transcoding.planning.latency import Latency  # noqa: E402

SEGMENT_SECONDS = 2.0
RUNG = "360p"


def main() -> None:
    latency = Latency(sys.argv[1])
    publisher = LivePublisher(a_live_plan(latency=latency), a_livestream(), parts=live_parts())
    publisher.begin(0)
    publisher.segments(0, 6, parts=latency is Latency.LOW)
    print(f"{TITLE}/streams/{publisher.livestream.playback_id}/{publisher.generation.id}/{RUNG}/index.m3u8", flush=True)
    published, number, started = [], 6, time.monotonic()
    while not select.select([sys.stdin], [], [], 0)[0]:
        for part in range(PARTS):
            due = started + (number - 6) * SEGMENT_SECONDS + (part + 1) * SEGMENT_SECONDS / PARTS
            time.sleep(max(0.0, due - time.monotonic()))
            if latency is Latency.LOW:
                published.append(Published(number, part, time.monotonic()))
                for name in publisher.renditions:
                    publisher.part(name, number, part)
        published.append(Published(number, -1, time.monotonic()))
        publisher.segments(number, number + 1)
        number += 1
    publisher.end()
    for each in published:
        print(each)


if __name__ == "__main__":
    main()
