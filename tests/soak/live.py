"""The relay for an hour, or under clients that come and go: memory, descriptors, audio against video, and what is left.

    python -m tests.soak.live --minutes 60                  one transcode and four remuxes
    python -m tests.soak.live --clients 100 --minutes 5     clients that come and go, of good and bad sources
    python -m tests.soak.live --damage --minutes 10         audio against video in damaged streams, without a relay

Prints a line a minute. Fails where memory or descriptors grow after the warm-up, audio leaves video, a stream ends, or
anything is left at the end. Sources are served by the tool, in real time.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from tests.ffmpeg import soak_live
from tests.live_media import Live, measured, shifted, stream_of, with_losses, wrapping
from tests.live_sources import LiveServer, a_live_server
from tests.soak.relays import MIB, Held, Relay, running_relay, wait_for
from tests.soak.viewers import Crowd, Watched, Watcher

MAX_GROWTH_MIB = 24
"""Growth of the server, of the remux processes and of ffmpeg after the warm-up."""
MAX_MORE_FILES = 8
"""Connections to the database and to Redis that are opened late, and stay."""
MAX_DRIFT_MS = 40
"""Distance of audio from video beyond the source: one frame."""
_PERIOD_SECONDS = 60.0
_MEASURED_SECONDS = 8.0
_LEFT_SECONDS = 120.0
"""Twice the time for which a remux process without streams stays."""
_FILM = Live(seconds=24, size="480x270", noise=5)
"""As long as whole frames of MP2, AC-3 and E-AC-3 are, so that it can be repeated without a gap."""
_SOURCES = {
    "transcode": ("/transcode", replace(_FILM, video="mpeg2", audio="mp2")),
    "remux H.264, AC-3 5.1": ("/remux", replace(_FILM, audio="ac3", layout="5.1")),
    "remux MPEG-2, MP2": ("/remux", replace(_FILM, video="mpeg2", audio="mp2")),
    "remux with 0.15 % lost": ("/remux", replace(_FILM, audio="eac3")),
    "remux with a clock that wraps": ("/remux", replace(_FILM, audio="ac3")),
}


def main() -> int:
    """Run what was chosen; return 1 if it failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--clients", type=int, default=0, help="clients that come and go; 0: five streams all the time")
    parser.add_argument("--damage", action="store_true", help="measure audio against video in damaged streams only")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nothing is left
    if chosen.damage:
        failures = [] if soak_live.measure(chosen.minutes) else ["audio and video are out of step"]
    elif chosen.clients:
        failures = _crowded(chosen.minutes, chosen.clients)
    else:
        failures = _watched(chosen.minutes)
    for failure in failures:
        _print(f"FAILED: {failure}")
    return 1 if failures else 0


def _watched(minutes: float) -> list[str]:
    """Watch one transcode and four remuxes for so long."""
    with a_live_server() as sources, running_relay("soak-live") as relay:
        watched = list(_served(sources, minutes * 60))
        before = _held_when_idle(relay, sources)
        watchers = [Watcher(relay, each) for each in watched]
        try:
            held, drifts = _followed(relay, watchers, minutes)
        finally:
            for watcher in watchers:
                watcher.close()
        failures = [*_growth(held), *_gone(relay, sources, before)]
        for watcher, drift in zip(watchers, drifts, strict=True):
            worst = max(map(abs, drift), default=float("inf"))
            _print(
                f"{watcher.watched.name}: {watcher.bytes / MIB:.0f} MiB in {watcher.starts} requests, first byte after"
                f" {watcher.first_byte_seconds:.2f} s, drift {len(drift)} times measured, median"
                f" {statistics.median(drift or [0]):+.1f} ms, at most {worst:.1f} ms, last {(drift or [0])[-1]:+.1f} ms"
            )
            if worst > MAX_DRIFT_MS:
                failures.append(f"{watcher.watched.name}: audio is {worst:.0f} ms from video")
            failures += [f"{watcher.watched.name}: {failure}" for failure in watcher.failures[:3]]
        _print(f"sessions by their end: {relay.ends()}, viewers dropped: {relay.dropped()}")
        return failures


def _followed(relay: Relay, watchers: Sequence[Watcher], minutes: float) -> tuple[list[Held], list[list[float]]]:
    """Measure once a minute."""
    held: list[Held] = []
    drifts: list[list[float]] = [[] for _ in watchers]
    ends_at = time.monotonic() + minutes * 60
    with ThreadPoolExecutor(len(watchers)) as threads:
        while (left := ends_at - time.monotonic()) > 0:
            time.sleep(max(0, min(_PERIOD_SECONDS, left) - _MEASURED_SECONDS))
            found = list(threads.map(lambda watcher: watcher.drift_ms(_MEASURED_SECONDS), watchers))
            held.append(relay.held())
            for known, measure in zip(drifts, found, strict=True):
                if measure:
                    known.append(measure[0])
            shown = ", ".join(f"{each[0]:+.1f}" if each else "none" for each in found)
            counts = [
                f"{row['restarts']}/{row['reconnects']}/{row['silence_ms']}/{row['decode_errors']}/{row['drift_ms']}"
                for row in relay.sessions()
            ]
            _print(
                f"{held[-1].line()}; drift {shown} ms; restarts/reconnections/ms of silence/decode errors/own drift:"
                f" {', '.join(counts)}; viewers dropped: {relay.dropped()}"
            )
    return held, drifts


def _served(sources: LiveServer, seconds: float) -> Iterator[Watched]:
    """Serve the sources, without end."""
    for number, (name, (path, live)) in enumerate(_SOURCES.items()):
        film = stream_of(live)
        offset = statistics.median(measured(film).offsets())
        if "lost" in name:
            film = with_losses(film, 0.0015)
        if "wraps" in name:
            film = wrapping(film, seconds / 2)
        sources.serve(f"film-{number}", film, again=partial(_again, film, live.seconds))
        yield Watched(name, path, sources.url(f"film-{number}"), offset)


def _again(film: bytes, seconds: float, number: int) -> bytes:
    return shifted(film, number * seconds)


def _crowded(minutes: float, clients: int) -> list[str]:
    """Have clients come and go for so long; nothing of them may be left, and nothing grow after the first minute."""
    live = Live(seconds=6, size="320x180", noise=12)
    film = stream_of(live)
    with a_live_server() as sources, running_relay("soak-live") as relay:
        sources.serve("film", film, again=partial(_again, film, live.seconds))
        crowd = Crowd(relay, list(_choices(sources)))
        before = _held_when_idle(relay, sources)
        crowd.start(clients)
        held: list[Held] = []
        ends_at = time.monotonic() + minutes * 60
        while (left := ends_at - time.monotonic()) > 0:
            time.sleep(min(_PERIOD_SECONDS / 4, left))
            held.append(relay.held())
            _print(f"{held[-1].line()}; answers: {dict(crowd.answers)}")
        crowd.close()
        failures = _gone(relay, sources, before)
        after = relay.held()
        _print(f"when all are gone: {after.line()}")
        _print(f"{sum(crowd.answers.values())} visits: {dict(crowd.answers)}")
        _print(f"sessions by their end: {relay.ends()}, viewers dropped: {relay.dropped()}")
        return [*failures, *_growth(held)]


def _choices(sources: LiveServer) -> Iterator[tuple[str, str]]:
    """List what clients open: good, stalling, resetting and lying sources."""
    queries: list[dict[str, Any]] = [
        {},
        {},
        {"chunked": 1, "live": 1},
        {"fault": "stall", "at": 2},
        {"fault": "reset", "at": 1},
        {"fault": "truncate", "at": 2},
        {"fault": "end", "at": 3},
        {"fault": "hang"},
        {"fault": "html"},
        {"fault": "empty"},
        {"fault": "junk"},
        {"fault": "endless-header"},
        {"fault": "trickle"},
        {"fault": "gzip"},
        {"fault": "status", "status": 404},
    ]
    for path in ("/remux", "/transcode"):
        for query in queries:
            yield path, sources.url("film", **query)


def _held_when_idle(relay: Relay, sources: LiveServer) -> Held:
    """Open a remux and a transcode once, and return what they leave open: it stays."""
    name = next(iter(sources.streams))
    for path in ("/remux", "/transcode"):
        watcher = Watcher(relay, Watched("first", path, sources.url(name, first=path), 0))
        wait_for(partial(_has_started, watcher), seconds=_LEFT_SECONDS)
        watcher.close()
    wait_for(lambda: not sources.open and not relay.held().processes, seconds=_LEFT_SECONDS)
    return relay.held()


def _has_started(watcher: Watcher) -> bool:
    return watcher.bytes > 0


def _growth(held: Sequence[Held]) -> Iterator[str]:
    """Compare the last fifth with the one after the warm-up, which is the first fifth."""
    part = max(1, len(held) // 5)
    early, late = held[part : 2 * part] or held[:1], held[-part:]
    for name in ("server", "remuxes", "ffmpegs"):
        grown = (max(getattr(each, name) for each in late) - max(getattr(each, name) for each in early)) / MIB
        _print(f"{name} grew by {grown:+.1f} MiB after the warm-up (bound: {MAX_GROWTH_MIB})")
        if grown > MAX_GROWTH_MIB:
            yield f"{name} grew by {grown:.0f} MiB"
    more = max(each.files for each in late) - max(each.files for each in early)
    _print(f"descriptors: {more:+} after the warm-up (bound: {MAX_MORE_FILES})")
    if more > MAX_MORE_FILES:
        yield f"{more} more descriptors"


def _gone(relay: Relay, sources: LiveServer, before: Held) -> list[str]:
    """Wait until nothing of the viewers is left, and say what is."""
    failures = []
    if not wait_for(lambda: not sources.open, seconds=_LEFT_SECONDS):
        failures.append(f"{sources.open} connections to sources are left")
    wait_for(lambda: not relay.sessions(), seconds=_LEFT_SECONDS)
    failures += [f"a session is left: {row}" for row in relay.sessions()]
    if not wait_for(lambda: relay.held().processes == 0, seconds=_LEFT_SECONDS):
        failures.append(f"{relay.held().processes} processes are left")
    limit = before.files + MAX_MORE_FILES
    if not wait_for(lambda: relay.held().files <= limit, seconds=_LEFT_SECONDS):
        failures.append(f"{relay.held().files} descriptors are left, of {before.files}")
    return failures


def _print(line: str) -> None:
    sys.stdout.write(f"{datetime.now(UTC):%H:%M:%S} {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
