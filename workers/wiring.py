"""The one place where a worker's parts are put together; nothing else here reads the settings."""

import logging
import os
import socket
import threading
from functools import cache
from pathlib import Path

from django.conf import settings

from configuration import Config, buckets_read
from coordination.wiring import live_parts
from execution.ffmpeg import FfmpegRunner
from execution.ffprobe import Ffprobe
from execution.isolation import isolation_details, jail_of
from execution.scratch import scratch_folder, steps_folder
from jobs.wiring import job_policy
from observability.version import VERSION
from outbound.addresses import reach_into
from outbound.fetching import Downloader
from storage.buckets import Buckets
from storage.wiring import store_from
from workers.node.consumer_probe import LastActivity
from workers.node.flags import SharedFlag
from workers.node.heartbeat import NodeKeeper
from workers.runner import StepRunner
from workers.source.cache import SourceCache
from workers.tools import Tools

log = logging.getLogger(__name__)

NODE = settings.TRANSCODER.worker.node_name or f"{socket.gethostname()}-{os.getpid()}"
"""Name of this node in the database: one per parent process, known before it forks."""

QUEUES = settings.TRANSCODER.worker.queues
"""Queues that this node serves."""

draining = SharedFlag()
"""Up when this node takes no more steps. Created when the parent imports this, so that all its children share it."""

last_activity = LastActivity()
"""Time at which a child of this node last took a ticket; shared for the same reason."""

ending = threading.Event()
"""Set in the parent once the worker was ordered to end."""


@cache
def runner() -> StepRunner:
    """The runner of this worker process."""
    return StepRunner(tools_from(settings.TRANSCODER, node=NODE, draining=draining))


def require_isolation() -> None:
    """Find out how programs are isolated here, and log it. Raises NotIsolated."""
    config: Config = settings.TRANSCODER
    isolation = jail_of(config.execution).isolation
    log.info("programs are isolated", extra={"event": "isolation", "isolation": isolation, **isolation_details()})


def node_keeper() -> NodeKeeper:
    """Build the keeper of this node's row, for the worker's parent process."""
    return NodeKeeper(settings.TRANSCODER, NODE, draining=draining, last_activity=last_activity, ending=ending)


def metrics_folder() -> Path | None:
    """Return the folder in which this worker's processes collect their metrics; None when metrics are off."""
    config: Config = settings.TRANSCODER
    return scratch_folder(config.execution) / "metrics" / NODE if config.metrics.metrics_port else None


def tools_from(config: Config, *, node: str, draining: SharedFlag) -> Tools:
    """Build the tools that a configuration describes."""
    folder = scratch_folder(config.execution)
    scratch = steps_folder(config.execution) / str(os.getpid())
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = store_from(config.storage)
    return Tools(
        config=config,
        node=node,
        store=store,
        sources=SourceCache(store, folder / "sources", max_bytes=config.execution.source_cache_bytes),
        ffmpeg=FfmpegRunner(config.execution, config.limits),
        ffprobe=Ffprobe(config.execution, config.limits),
        scratch=scratch,
        policy=job_policy(),
        downloader=Downloader(reach_into(config.import_networks), user_agent=f"vodmill/{VERSION}"),
        buckets=Buckets(buckets_read(config.buckets.buckets), config.storage),
        draining=draining,
        parts=live_parts(),
    )
