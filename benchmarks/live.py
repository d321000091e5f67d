"""The relay of live streams: the time until its first byte, and what each further viewer of a source costs."""

import argparse
import http.client
import selectors
import socket
import statistics
import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlencode

from benchmarks.running import report
from tests.live_media import Live, shifted, stream_of
from tests.live_sources import LiveServer, a_live_server
from tests.soak.relays import MIB, Relay, resident, running_relay, wait_for

REQUESTS = 20
VIEWERS = 20
CROWD = 120
"""Viewers among whom the memory of each further one is measured."""
_WARM_UP_SECONDS = 5.0
_MEASURED_SECONDS = 20.0
_WAIT_SECONDS = 60.0
_BLOCK = 1 << 16
_SD = Live(seconds=12, size="720x576", video="mpeg2", audio="ac3", layout="5.1", noise=5)
_HD = Live(seconds=12, size="1280x720", rate=50, gop=50, audio="ac3", layout="5.1", noise=4)
_SHARED = Live(seconds=12, size="640x360", video="mpeg2", noise=5)
_STARTS = {
    "remux, 576 lines, MPEG-2, AC-3 5.1": ("/remux", "sd", {}),
    "remux, 720 lines at 50 frames, H.264, AC-3 5.1": ("/remux", "hd", {}),
    "transcode of the first to 480 lines, x264": ("/transcode", "sd", {"profile": "480p"}),
    "transcode of the second to 480 lines, x264": ("/transcode", "hd", {"profile": "480p"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cost:
    """Consumption of a relay with so many viewers: cores, and bytes of the server's memory."""

    viewers: int
    cores: float
    memory: int
    processes: int


def measure(options: argparse.Namespace) -> str:  # noqa: ARG001 - all measurements are called alike
    """Return the tables."""
    with a_live_server() as sources, running_relay("bench-live") as relay:
        for name, live in (("sd", _SD), ("hd", _HD), ("shared", _SHARED)):
            film = stream_of(live)
            sources.serve(name, film, again=partial(_again, film, live.seconds))
        starts = [_start_line(relay, sources, name) for name in _STARTS]
        encode = [_cost(relay, sources, "/transcode", viewers) for viewers in (1, VIEWERS)]
        crowd = [_cost(relay, sources, "/remux", viewers) for viewers in (VIEWERS, CROWD)]
    more = (crowd[1].memory - crowd[0].memory) / (CROWD - VIEWERS) / MIB
    return "\n".join(
        (
            f"From the request to the first byte, {REQUESTS} in turn, sources sent in real time from a key frame on.\n",
            "| | p50 | p95 |\n|---|---|---|",
            *starts,
            f"\nA transcode of {_SHARED.size}, with one viewer and with {VIEWERS} of the same source.\n",
            "| viewers | processes it started | cores of all | memory of the server |\n|---|---|---|---|",
            *(_cost_line(each) for each in encode),
            f"| ratio | | {encode[1].cores / encode[0].cores:.2f} | |",
            f"\nA remux of the same source: from {VIEWERS} to {CROWD} viewers, {more:.2f} MiB of the server for each.",
        )
    )


def _again(film: bytes, seconds: float, number: int) -> bytes:
    return shifted(film, number * seconds)


def _start_line(relay: Relay, sources: LiveServer, name: str) -> str:
    path, source, query = _STARTS[name]
    times = []
    for number in range(REQUESTS):
        times.append(_first_byte_seconds(relay, path, {"source_url": sources.url(source, number=number), **query}))
        wait_for(lambda: not sources.open, seconds=_WAIT_SECONDS)
    times.sort()
    line = f"| {name} | {statistics.median(times):.2f} s | {times[-(REQUESTS // 20) - 1]:.2f} s |"
    report(line)
    return line


def _first_byte_seconds(relay: Relay, path: str, query: dict[str, str]) -> float:
    started = time.monotonic()
    with closing(http.client.HTTPConnection("127.0.0.1", relay.port, timeout=_WAIT_SECONDS)) as client:
        client.request("GET", f"{path}?{urlencode(query)}", headers={"X-API-Key": relay.key})
        with closing(client.getresponse()) as response:
            if response.status != http.client.OK or not response.read(1):
                raise RuntimeError(f"no stream: {response.status}")
            return time.monotonic() - started


def _cost(relay: Relay, sources: LiveServer, path: str, viewers: int) -> _Cost:
    """Have so many viewers watch one source, and measure once they all do."""
    url = sources.url("shared", viewers=viewers)
    request = f"GET {path}?{urlencode({'source_url': url})} HTTP/1.1\r\nHost: a\r\nX-API-Key: {relay.key}\r\n\r\n"
    with selectors.DefaultSelector() as selector:
        for _ in range(viewers):
            client = socket.create_connection(("127.0.0.1", relay.port))
            client.sendall(request.encode())
            selector.register(client, selectors.EVENT_READ)
        _read(selector, _WARM_UP_SECONDS)
        before, started = relay.processor_seconds(), time.monotonic()
        _read(selector, _MEASURED_SECONDS)
        cores = (relay.processor_seconds() - before) / (time.monotonic() - started)
        watched = sum(int(str(row["viewers"])) for row in relay.sessions())
        found = _Cost(viewers=watched, cores=cores, memory=resident(relay.pid), processes=relay.held().processes)
        for key in list(selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]  # a socket
    wait_for(lambda: not sources.open, seconds=_WAIT_SECONDS)
    report(f"{path}: {found}")
    if found.viewers != viewers:
        raise RuntimeError(f"{found.viewers} of {viewers} viewers are there")
    return found


def _read(selector: selectors.BaseSelector, seconds: float) -> None:
    ends_at = time.monotonic() + seconds
    while (left := ends_at - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            if not key.fileobj.recv(_BLOCK):  # type: ignore[union-attr]  # a socket
                raise RuntimeError("a stream ended")


def _cost_line(cost: _Cost) -> str:
    return f"| {cost.viewers} | {cost.processes} | {cost.cores:.2f} | {cost.memory / MIB:.0f} MiB |"
