"""Metrics that the database knows better than any process: read when Prometheus scrapes.

Every API process tells the same: take the largest, not the sum, over instances.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gpu.selectors import NodeDevice, devices_live
from jobs.leasing.slots import sessions_used
from jobs.rules.steps import QUEUES
from observability.metrics import PREFIX
from operations.livestreams import on_air
from operations.statistics import failing_purges, node_healths, open_jobs, queue_loads, webhook_endpoints
from videos.usage.kinds import ENCODED, STORED, UsageKind, minutes
from videos.usage.selectors import usage_of_all

_MEGABYTE = 1 << 20


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, text, labels=labels)


class DatabaseMetrics(Collector):
    """Queues, jobs, nodes and devices as they are now."""

    def __init__(self, *, silence_seconds: float) -> None:
        self._silence_seconds = silence_seconds

    def describe(self) -> list[Metric]:
        """Nothing in advance: that would ask the database twice."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield from _queues()
        yield _jobs()
        yield _purges()
        yield from _usage()
        yield _endpoints()
        yield from _livestreams()
        yield from self._nodes()
        yield from _devices(devices_live(silence_seconds=self._silence_seconds), sessions_used())

    def _nodes(self) -> Iterator[Metric]:
        alive = [node for node in node_healths(silence_seconds=self._silence_seconds) if node.alive]
        nodes = _gauge("worker_active", "Worker nodes that are there.", "queue", "state")
        slots = _gauge("worker_slots", "Slots of those that take work.", "queue")
        for queue in QUEUES:
            own = [node for node in alive if queue in node.queues]
            for state in ("active", "draining"):
                nodes.add_metric([queue, state], sum(node.state == state for node in own))
            slots.add_metric([queue], sum(node.slots for node in own if node.state == "active"))
        isolation = _gauge("worker_isolation", "Worker nodes that are there, by their form of isolation.", "isolation")
        for form, count in sorted(Counter(node.isolation or "unknown" for node in alive).items()):
            isolation.add_metric([form], count)
        yield nodes
        yield slots
        yield isolation


def _queues() -> Iterator[Metric]:
    steps = _gauge("steps", "Unfinished steps that wait for nothing but time or a worker.", "queue", "state")
    depth = _gauge("jobs_queue_depth", "Steps that a worker could take now.", "queue")
    oldest = _gauge("oldest_ready_step_seconds", "How long the step has waited that has waited longest.", "queue")
    for load in queue_loads(QUEUES):
        steps.add_metric([load.queue, "ready"], load.ready)
        steps.add_metric([load.queue, "delayed"], load.delayed)
        steps.add_metric([load.queue, "running"], load.running)
        depth.add_metric([load.queue], load.ready)
        oldest.add_metric([load.queue], load.oldest_ready_seconds)
    yield from (steps, depth, oldest)


def _jobs() -> Metric:
    jobs = _gauge("jobs_in_progress", "Jobs that are not over.", "state")
    for state, count in open_jobs().items():
        jobs.add_metric([state], count)
    return jobs


def _purges() -> Metric:
    purges = _gauge("purges_failing", "Deletions of objects that keep failing and are tried again.")
    purges.add_metric([], failing_purges().steps)
    return purges


def _usage() -> Iterator[Metric]:
    usage = usage_of_all()
    stored = _gauge("usage_bytes", "Bytes that all owners store.", "kind")
    for kind in STORED:
        stored.add_metric([kind.removesuffix("_bytes")], usage[kind])
    encoded = _gauge("usage_encoded_minutes", "Minutes of renditions that were ever encoded.", "class")
    for name, kind in ENCODED.items():
        encoded.add_metric([name], minutes(usage[kind]))
    added = _gauge("usage_source_minutes", "Minutes of the sources that were ever added.")
    added.add_metric([], minutes(usage[UsageKind.SOURCE_MS]))
    yield from (stored, encoded, added)


def _endpoints() -> Metric:
    endpoints = _gauge("webhook_endpoints", "Webhook endpoints.", "state")
    for state, count in webhook_endpoints().items():
        endpoints.add_metric([state], count)
    return endpoints


def _livestreams() -> Iterator[Metric]:
    live = on_air()
    streams = _gauge("livestreams_on_air", "Broadcasts that are not over.", "state")
    for state, count in live.by_state.items():
        streams.add_metric([state], count)
    waiting = _gauge("livestreams_reconnecting", "Those that wait for their publisher.")
    waiting.add_metric([], live.reconnecting)
    viewers = _gauge("livestream_viewers", "Players of all of them.")
    viewers.add_metric([], live.viewers)
    yield from (streams, waiting, viewers)


_READINGS = (
    ("gpu_utilization_percent", "How busy the device is.", "utilization_percent", 1),
    ("gpu_encoder_utilization_percent", "How busy its encoder is.", "encoder_percent", 1),
    ("gpu_memory_total_bytes", "Memory of the device.", "memory_total_mb", _MEGABYTE),
    ("gpu_memory_used_bytes", "Memory in use.", "memory_used_mb", _MEGABYTE),
    ("gpu_sessions", "Encoder sessions, whoever's they are.", "sessions", 1),
    ("gpu_temperature_celsius", "Temperature of the device.", "temperature_c", 1),
    ("gpu_power_watts", "What it draws.", "power_watts", 1),
)


def _devices(devices: list[NodeDevice], used: Mapping[str, int]) -> Iterator[Metric]:
    """Each device as each node says; what a device does not tell is left out, since it is no zero."""
    slots = _gauge("gpu_slots", "Sessions that the node may have on the device.", "node", "gpu", "uuid")
    for each in devices:
        slots.add_metric(_labels(each), each.slots)
    yield slots
    taken = _gauge("gpu_slots_used", "Sessions of our own on the device, whichever node's they are.", "uuid")
    for uuid in sorted({each.device.uuid for each in devices}):
        taken.add_metric([uuid], used.get(uuid, 0))
    yield taken
    for name, text, field, factor in _READINGS:
        gauge = _gauge(name, text, "node", "gpu", "uuid")
        for each in devices:
            value = getattr(each.reading, field)
            if value is not None:
                gauge.add_metric(_labels(each), value * factor)
        yield gauge


def _labels(each: NodeDevice) -> list[str]:
    return [each.node, str(each.device.index), each.device.uuid]
