"""Playback in a real browser while the same machine encodes, with a preset that is little faster than real time."""

import argparse
import time
from collections.abc import Iterator
from contextlib import closing

from benchmarks.bare import LADDER
from benchmarks.playable import NEAR_REAL_TIME, near_real_time
from benchmarks.running import home, looped_clip, report, running
from embedded.client import Client
from embedded.stack import Stack
from tests.acceptance.browsing import Theatre, chromium, fresh_page, pages
from tests.acceptance.playing import playable

PLAYERS = (("hls.js", "hls_url"), ("shaka-player", "hls_url"), ("shaka-player", "dash_url"), ("dash.js", "dash_url"))
HEADER = """\
| player | manifest | playable after | first frame after | watched | stalls | errors | encoded by then |
|---|---|---|---|---|---|---|---|"""
_UNWATCHED_SECONDS = 5
"""Seconds at the end that are not watched: the encode ends about then."""


def measure(options: argparse.Namespace) -> str:
    """Return the table. One player at a time watches nearly all of a new encode."""
    stack = Stack(home())
    preset, speed = near_real_time()
    with running(stack), closing(stack.client()) as client:
        rows = list(_rows(client, preset, options.seconds))
    rungs = ", ".join(rung.name for rung in LADDER)
    setup = (
        f"The clip of `make run`, looped to {options.seconds} s, rungs {rungs}, preset {preset}: {speed:.2f} times real"
        f" time for bare ffmpeg, the nearest to {NEAR_REAL_TIME}. Chromium decodes on the same cores. The first frame"
        " counts from `playable`, with the page open."
    )
    return "\n".join((f"{setup}\n", HEADER, *rows))


def _rows(client: Client, preset: str, seconds: int) -> Iterator[str]:
    source = looped_clip(seconds)
    with chromium() as browser, pages() as address:
        for player, manifest in PLAYERS:
            with fresh_page(browser, f"{address}/players.html") as page:
                theatre = Theatre(page)
                video = str(client.upload(source, lambda _: None)["id"])
                uploaded = time.monotonic()
                job = playable(client, client.transcode(video, {"ladder": "auto", "preset": preset}))
                playable_at = time.monotonic()
                loaded = theatre.load(player, client.playback(video)[manifest])
                first_frame = time.monotonic()
                seen = theatre.play(end=seconds - _UNWATCHED_SECONDS)
                progress = client.job(job["id"])["progress"]
                stalls, problems = len(seen["waits"]), [*loaded["problems"], *seen["problems"]]
                row = (
                    f"| {player} | {manifest.removesuffix('_url').upper()} | {playable_at - uploaded:.1f} s"
                    f" | {first_frame - playable_at:.1f} s | {seen['at']:.0f} s | {stalls} | {len(problems)}"
                    f" | {progress:.0f} % |"
                )
                report(f"{row} {problems}")
                client.delete(video)
            yield row
