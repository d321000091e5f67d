"""Settings of leases, retries, the order of work, and the clean-up. Times are in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from configuration.declaration import setting

LEASE_RENEWALS = 3  # two renewals may fail before a lease is lost


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseConfig:
    """Timeouts after which a silent worker counts as dead."""

    lease_seconds: int = setting(
        60, minimum=2, help="Time for which a step stays with a worker that does not renew its lease."
    )
    lease_renew_seconds: float = setting(
        15.0, minimum=0.1, help="Interval at which a worker renews the lease of a step."
    )
    lease_stop_fraction: float = setting(
        0.8,
        minimum=0.5,
        maximum=0.95,
        help="Fraction of the lease without a renewal after which a worker stops its step.",
    )
    dispatcher_tick_seconds: float = setting(
        2.0, minimum=0.1, help="Interval at which the dispatcher checks for work without being woken."
    )
    node_heartbeat_seconds: float = setting(5.0, minimum=0.1, help="Interval of a node's heartbeat.")
    node_silence_seconds: float = setting(
        20.0, minimum=0.5, help="Time without a heartbeat after which a node gets no tickets."
    )

    def problems(self) -> Iterator[str]:
        if self.lease_renew_seconds * LEASE_RENEWALS > self.lease_seconds:
            yield "TRANSCODER_LEASE_RENEW_SECONDS must be at most a third of TRANSCODER_LEASE_SECONDS"
        if self.node_heartbeat_seconds * 2 > self.node_silence_seconds:
            yield "TRANSCODER_NODE_HEARTBEAT_SECONDS must be at most half of TRANSCODER_NODE_SILENCE_SECONDS"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryConfig:
    """Retry policy of failed steps."""

    max_failures: int = setting(3, minimum=1, help="Number of failures of one step after which its job fails.")
    poison_attempts: int = setting(
        5,
        minimum=1,
        help="Number of attempts of one step in a row that lost their worker without progress; then its job fails.",
    )
    retry_base_seconds: float = setting(
        5.0, minimum=0, help="Pause before the first retry. It doubles with each further one."
    )
    retry_max_seconds: float = setting(300.0, minimum=0, help="Maximum pause before a retry.")

    def problems(self) -> Iterator[str]:
        if self.retry_base_seconds > self.retry_max_seconds:
            yield "TRANSCODER_RETRY_BASE_SECONDS must be at most TRANSCODER_RETRY_MAX_SECONDS"


@dataclass(frozen=True, slots=True, kw_only=True)
class RankConfig:
    """Scheduling order."""

    priority_seconds: int = setting(60, minimum=0, help="Value of one point of priority, in seconds of waiting.")
    head_start_seconds: int = setting(
        30, minimum=0, help="Head start of the steps that make a video playable: inspect, audio, the first chunk."
    )
    default_priority: int = setting(50, minimum=0, maximum=100, help="Priority of a job whose request names none.")
    priority_ceiling: int = setting(
        80, minimum=0, maximum=100, help="Highest priority that a key without the scope jobs:urgent may request."
    )
    priority_scale: int = setting(
        100,
        minimum=1,
        maximum=100,
        help="Highest priority in requests. Numbers are scaled to 100. 10: 0, 5 and 10 mean 0, 50 and 100.",
    )

    def problems(self) -> Iterator[str]:
        if self.default_priority > self.priority_ceiling:
            yield "TRANSCODER_DEFAULT_PRIORITY must be at most TRANSCODER_PRIORITY_CEILING"


@dataclass(frozen=True, slots=True, kw_only=True)
class JanitorConfig:
    """Clean-up of unused objects and nodes."""

    janitor_seconds: float = setting(600.0, minimum=1, help="Interval of the clean-up.")
    abandoned_upload_seconds: int = setting(86_400, minimum=60, help="Age at which an unfinished upload is deleted.")
    abandoned_generation_seconds: int = setting(
        604_800, minimum=60, help="Time for which a failed or cancelled job keeps its published segments for a retry."
    )
    forgotten_node_seconds: int = setting(86_400, minimum=60, help="Time for which a silent node stays in the list.")

    def problems(self) -> Iterator[str]:
        yield from ()
