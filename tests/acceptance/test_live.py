"""`make live`: the relay beside a running product, a stream through it, and nothing of it afterwards."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import grpc
import httpx2
import pytest

from embedded import __main__ as embedded
from embedded.home import Home
from embedded.ports import port_is_free
from embedded.service import find_program
from embedded.stack import Stack
from execution import daemons
from execution.process import descendant_pids, is_running
from status_grpc.generated import module_service_pb2 as pb
from status_grpc.generated.module_service_pb2_grpc import ModuleServiceStub
from tests.live_media import PACKET, Live, stream_of
from tests.live_sources import a_live_server

SYNC = 0x47
PACKETS = 400
"""About two seconds of the stream."""


@pytest.fixture(scope="module")
def relay(stack: Stack, home: Home) -> Iterator[Stack]:
    """The stack of this run in place of that of the working tree."""

    @contextmanager
    def running() -> Iterator[Stack]:
        yield stack

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "_stack", running)
        patch.setattr(embedded, "HOME", home.folder)
        yield stack
    for service in (*reversed(stack.publishing), *stack.live):
        service.close()


def test_it_serves_a_stream_and_leaves_nothing(relay: Stack, home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert embedded.main(["live"]) == 0
    path = home.folder / "last-live.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    entries = json.loads(path.read_text())
    assert entries["relay_url"] == relay.relay.url
    assert f"{entries['relay_url']}/remux?key={entries['api_key']}&source_url=" in capsys.readouterr().out
    assert httpx2.get(f"{entries['relay_url']}/healthz").status_code == HTTPStatus.OK
    assert_plays(entries)

    assert b"".join(packets(entries, PACKETS))[::PACKET] == bytes([SYNC]) * PACKETS

    identity = relay.relay.identity
    assert identity
    assert embedded.main(["live"]) == 0
    assert relay.relay.identity == identity, "a second time changes nothing"
    capsys.readouterr()
    assert embedded.main(["status"]) == 0
    assert f"relay         runs, process {identity.pid}" in capsys.readouterr().out

    started = descendant_pids(identity.pid)
    relay.relay.close()
    assert not daemons.alive(identity)
    assert not any(is_running(pid) for pid in started)
    assert port_is_free(relay.relay.ports()[0])
    assert {*relay.live, *relay.publishing} < set(relay.services), "which `make stop` closes"


def assert_plays(entries: dict[str, str]) -> None:
    """Decode the newest part of the live stream as a player would, and find it in the status service."""
    ffmpeg = [str(find_program("ffmpeg")), "-v", "error", "-live_start_index", "-1", "-i", entries["hls_url"]]
    counted = [*ffmpeg, "-map", "0:v", "-map", "0:a", "-frames:v", "45", "-f", "framecrc", "-"]
    played = subprocess.run(counted, capture_output=True, text=True, timeout=120, check=False)
    lines = [line for line in played.stdout.splitlines() if not line.startswith("#")]
    assert sum(line.startswith("0,") for line in lines) == 45, played.stderr
    assert any(line.startswith("1,") for line in lines), "no audio"
    assert 'type="dynamic"' in httpx2.get(entries["dash_url"]).text

    with grpc.insecure_channel(entries["grpc_address"]) as channel:
        routes = ModuleServiceStub(channel).GetRoutes(pb.GetRoutesRequest(), timeout=30).routes
    assert entries["livestream_id"] in {route.livestream_id for route in routes}


def packets(entries: dict[str, str], count: int) -> Iterator[bytes]:
    """Read packets of a paced source that came through the relay."""
    with a_live_server() as server:
        server.serve("news", stream_of(Live(seconds=6, audio="ac3")))
        query = {"source_url": server.url("news"), "key": entries["api_key"]}
        with httpx2.stream("GET", f"{entries['relay_url']}/remux", params=query, timeout=60) as response:
            assert response.status_code == HTTPStatus.OK, response.read()
            assert response.headers["content-type"] == "video/mp2t"
            assert response.headers["x-vodmill-encoder"]
            left = b""
            for block in response.iter_raw():
                left += block
                while len(left) >= PACKET and count:
                    yield left[:PACKET]
                    left, count = left[PACKET:], count - 1
                if not count:
                    return
