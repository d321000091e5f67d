"""The gRPC status service on real rows: broadcasts come and go, figures, and a database that is unavailable."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import grpc
import pytest
from django.db import connection

from execution.daemons import poll_until
from jobs.leasing.nodes import node_register
from livestreams.models import Broadcast, Refusal
from livestreams.states import BroadcastState, RefusalCode
from observability.version import VERSION
from status_grpc.generated import module_service_pb2 as pb
from status_grpc.generated.module_service_pb2_grpc import ModuleServiceStub
from status_grpc.wiring import status_server
from tests.api_process import ApiProcess
from tests.faults.proxy import TcpProxy
from tests.integration.status_grpc.test_server import NOT_SERVING, SERVING, state_of
from tests.livestream_rows import a_broadcast, a_livestream
from tests.rows import an_owner, claimed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def module(transactional_db: None) -> Iterator[ModuleServiceStub]:
    server = status_server(host="127.0.0.1", port=0)
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield ModuleServiceStub(channel)
    server.close()


def test_a_stream_comes_and_goes(module: ModuleServiceStub) -> None:
    assert not module.GetRoutes(pb.GetRoutesRequest()).routes
    node_register(name="live-worker-1", queues=["live"], slots=2, pid=1, info={})
    livestream = a_livestream(an_owner("acme"), name="council")
    broadcast = a_broadcast(
        livestream,
        state=BroadcastState.STARTING.value,
        health={"bitrate": 6_000_000, "frame_rate": 29.97, "encoder": "libx264", "renditions": ["720p", "360p"]},
        viewers={"total": 41, "renditions": {"720p": 40, "360p": 1}},
    )
    claimed(queue="live", node="live-worker-1")
    (route,) = module.GetRoutes(pb.GetRoutesRequest()).routes
    assert (route.id, route.livestream_id) == (str(broadcast.id), str(livestream.id))
    assert (route.name, route.owner, route.client_address) == ("council", "acme", "198.51.100.7")
    assert (route.bitrate, route.encoder, list(route.renditions)) == (6_000_000, "libx264", ["720p", "360p"])
    assert (route.state, route.node, route.viewers) == (pb.CONNECTING, "live-worker-1", 41)
    for columns, state in (
        ({"state": "live"}, pb.ACTIVE),
        ({"publisher_left_at": datetime.now(UTC)}, pb.RECONNECTING),
        ({"state": "ending", "ended_at": datetime.now(UTC)}, pb.STOPPING),
    ):
        Broadcast.objects.update(**columns)
        (route,) = module.GetRoutes(pb.GetRoutesRequest()).routes
        assert route.state == state
    status = module.GetStatus(pb.GetStatusRequest())
    assert (status.module_type, status.version, status.active_streams) == ("RTMP", VERSION, 1)
    assert (status.slots, status.free_slots, status.max_streams) == (2, 1, 100)
    Broadcast.objects.update(state="ended")
    assert not module.GetRoutes(pb.GetRoutesRequest()).routes
    assert module.GetStatus(pb.GetStatusRequest()).active_streams == 0


def test_metrics_have_a_point_for_each_stream(module: ModuleServiceStub) -> None:
    broadcast = a_broadcast(health={"bitrate": 3_000_000}, viewers={"total": 7})
    points = module.GetMetrics(pb.GetMetricsRequest()).points
    found = {(point.name, *point.labels.values()): point.value for point in points}
    assert found["vodmill_livestreams_on_air", "live"] == 1
    assert found["vodmill_livestreams_on_air", "starting"] == 0
    assert found["vodmill_livestream_viewers",] == 7
    assert found["vodmill_livestream_input_bitrate_bps", str(broadcast.livestream_id)] == 3_000_000


def test_stats_count_what_happened_within_the_window(module: ModuleServiceStub) -> None:
    now = datetime.now(UTC)
    livestream = a_livestream()
    for seconds in (1, 3):
        started = now - timedelta(seconds=100)
        row = a_broadcast(livestream, state="ended", ended_at=now, live_at=started + timedelta(seconds=seconds))
        Broadcast.objects.filter(id=row.id).update(started_at=started)
    a_broadcast(livestream, state="failed", ended_at=now, error_code="nothing_received")
    old = a_broadcast(livestream, state="ended", ended_at=now - timedelta(days=2))
    Broadcast.objects.filter(id=old.id).update(started_at=now - timedelta(days=3))
    Refusal.objects.create(livestream=livestream, code=RefusalCode.WRONG_KEY, detail="", count=12)
    stats = module.GetStats(pb.GetStatsRequest())
    assert (stats.window_seconds, stats.started, stats.ended, stats.failed) == (86_400, 3, 2, 1)
    assert (stats.refused, dict(stats.refused_by_code)) == (12, {"wrong_key": 12})
    assert stats.start_times.average.ToTimedelta() == stats.start_times.p50.ToTimedelta() == timedelta(seconds=2)
    assert 200 <= stats.broadcast.ToSeconds() < 320
    assert module.GetStats(pb.GetStatsRequest(window_seconds=10)).started == 1
    with pytest.raises(grpc.RpcError) as refused:
        module.GetStats(pb.GetStatsRequest(window_seconds=10**9))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


class StatusProcess(ApiProcess):
    """The status service as it is run in production."""

    def _arguments(self) -> list[str]:
        return ["manage.py", "status_grpc", "--port", str(self.port)]

    @property
    def returncode(self) -> int | None:
        return self._process.returncode


def test_it_is_not_serving_while_the_database_is_unavailable(tmp_path: Path) -> None:
    url = urlsplit(os.environ["TRANSCODER_DATABASE_URL"])
    assert url.port
    proxy = TcpProxy(url.port)
    with closing(socket.create_server(("127.0.0.1", 0))) as unused:
        port = unused.getsockname()[1]
    netloc = url.netloc.replace(f":{url.port}", f":{proxy.port}")
    through = url._replace(netloc=netloc, path=f"/{connection.settings_dict['NAME']}")
    process = StatusProcess(port, "", tmp_path, {"TRANSCODER_DATABASE_URL": urlunsplit(through)})
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert poll_until(lambda: _state(channel) == SERVING, 120), process.log
            proxy.refuse()
            assert poll_until(lambda: _state(channel) == NOT_SERVING, 120)
            module = ModuleServiceStub(channel)
            report = module.HealthCheck(pb.HealthCheckRequest(), timeout=60)
            assert report.health == pb.UNHEALTHY
            assert pb.Check(name="database", health=pb.UNHEALTHY) in report.checks
            with pytest.raises(grpc.RpcError) as refused:
                module.GetRoutes(pb.GetRoutesRequest(), timeout=60)
            assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
            proxy.heal()
            assert poll_until(lambda: _state(channel) == SERVING, 120)
    finally:
        process.close()
        proxy.close()
    assert process.returncode == 0


def _state(channel: grpc.Channel) -> int | None:
    try:
        return state_of(channel, "")
    except grpc.RpcError:
        return None
