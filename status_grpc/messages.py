"""Messages of the status service, from the values of `operations`."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from livestreams.states import BroadcastState
from observability.health import Health
from observability.metrics import PREFIX
from operations.livestreams import LiveCapacity, OnAir, OpenBroadcast, RecentBroadcasts
from status_grpc.generated import module_service_pb2 as pb

MODULE_TYPE = "RTMP"
_HEALTH = {Health.OK: pb.HEALTHY, Health.DEGRADED: pb.DEGRADED, Health.FAILED: pb.UNHEALTHY}
_STATES = {
    BroadcastState.STARTING.value: pb.CONNECTING,
    BroadcastState.LIVE.value: pb.ACTIVE,
    BroadcastState.ENDING.value: pb.STOPPING,
}


def status_message(  # noqa: PLR0913 - each part of the status by its name
    *, version: str, health: Health, started_at: datetime, live: OnAir, capacity: LiveCapacity, max_streams: int
) -> pb.ModuleStatus:
    return pb.ModuleStatus(
        module_type=MODULE_TYPE,
        version=version,
        health=_HEALTH[health],
        started_at=_moment(started_at),
        uptime=_seconds((datetime.now(UTC) - started_at).total_seconds()),
        active_streams=live.streams,
        max_streams=max_streams,
        slots=capacity.slots,
        free_slots=capacity.free,
        viewers=live.viewers,
    )


def routes_message(broadcasts: Iterable[OpenBroadcast]) -> pb.Routes:
    return pb.Routes(routes=[_route(each) for each in broadcasts])


def _route(broadcast: OpenBroadcast) -> pb.Route:
    return pb.Route(
        id=str(broadcast.id),
        livestream_id=str(broadcast.livestream_id),
        name=broadcast.name,
        owner=broadcast.owner,
        state=pb.RECONNECTING if broadcast.reconnecting else _STATES[broadcast.state],
        client_address=broadcast.publisher_address,
        started_at=_moment(broadcast.started_at),
        duration=_seconds(broadcast.seconds),
        bitrate=broadcast.bitrate,
        frame_rate=broadcast.frame_rate,
        encoder=broadcast.encoder,
        renditions=broadcast.renditions,
        viewers=broadcast.viewers,
        node=broadcast.node,
    )


def metrics_message(live: OnAir, capacity: LiveCapacity, broadcasts: Iterable[OpenBroadcast]) -> pb.Metrics:
    """Build the points: those of all streams have the names that Prometheus scrapes, those of one its id as label."""
    now = _moment(datetime.now(UTC))
    points = [
        *(_point("livestreams_on_air", count, now, state=state) for state, count in live.by_state.items()),
        _point("livestreams_reconnecting", live.reconnecting, now),
        _point("livestream_viewers", live.viewers, now),
        _point("livestream_slots", capacity.slots, now),
        _point("livestream_slots_free", capacity.free, now),
    ]
    for each in broadcasts:
        label = {"livestream_id": str(each.livestream_id)}
        points += [
            _point("livestream_input_bitrate_bps", each.bitrate, now, **label),
            _point("livestream_input_frame_rate", each.frame_rate, now, **label),
            _point("livestream_stream_viewers", each.viewers, now, **label),
        ]
    return pb.Metrics(points=points)


def _point(name: str, value: float, time: Timestamp, **labels: str) -> pb.MetricPoint:
    return pb.MetricPoint(name=PREFIX + name, value=value, labels=labels, time=time)


def health_message(checks: Mapping[str, Health], worst: Health) -> pb.HealthReport:
    found = [pb.Check(name=name, health=_HEALTH[state]) for name, state in checks.items()]
    return pb.HealthReport(health=_HEALTH[worst], checks=found)


def stats_message(recent: RecentBroadcasts) -> pb.Stats:
    times = None
    if recent.start_seconds is not None:
        average, p50, p95, p99 = map(_seconds, recent.start_seconds)
        times = pb.StartTimes(average=average, p50=p50, p95=p95, p99=p99)
    return pb.Stats(
        window_seconds=recent.window_seconds,
        started=recent.started,
        ended=recent.ended,
        failed=recent.failed,
        refused=sum(recent.refused.values()),
        refused_by_code=recent.refused,
        start_times=times,
        broadcast=_seconds(recent.broadcast_seconds),
    )


def _moment(at: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(at)
    return message


def _seconds(seconds: float) -> Duration:
    message = Duration()
    message.FromTimedelta(timedelta(seconds=seconds))
    return message
