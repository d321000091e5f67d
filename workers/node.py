"""What a worker's parent process does: it announces the node, says that it lives, and passes on the order to drain."""

import logging
import os
import shutil
import threading
import time
from pathlib import Path

from celery import signals
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from configuration import Config
from execution.process import children
from gpu.reporting import ReporterProcess
from jobs.failures import leases_hand_back
from jobs.models import NodeState
from jobs.nodes import node_heartbeat, node_register, node_remove
from workers import wiring

log = logging.getLogger(__name__)


_LOOK_SECONDS = 0.5
_told_to_end = threading.Event()


class NodeKeeper:
    """A thread of the parent that keeps the node's row true, and hands back what dead children held, until `close`."""

    def __init__(self, config: Config, name: str) -> None:
        self._config = config
        self._name = name
        self._over = threading.Event()
        self._children: set[int] = set()
        self._dead: set[int] = set()
        self._known = False
        self._tell_at = 0.0
        on_gpu = config.worker.worker_queue == "gpu" and config.gpu.enablegpu
        self._reporter = ReporterProcess(name) if on_gpu else None
        self._thread = threading.Thread(target=self._keep, name="node-keeper", daemon=True)

    def start(self) -> None:
        """Clear away what killed workers left, announce the node and begin to say that it lives."""
        self._clear_scratch()
        self._thread.start()

    def _clear_scratch(self) -> None:
        for folder in wiring.scratch_of(self._config, 0).parent.glob("*"):
            if folder.name.isdigit() and not Path("/proc", folder.name).exists():
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Take the node out of the list and stop."""
        self._over.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            try:
                self._hand_back()
                if time.monotonic() >= self._tell_at:
                    self._known = self._tell(known=self._known)
                    self._tell_at = time.monotonic() + self._config.lease.node_heartbeat_seconds
                    if self._reporter:
                        self._reporter.look()
            except (DatabaseError, InterfaceError) as error:
                log.warning("node not seen", extra={"event": "node_not_seen", "error": str(error)})
                connection.close()
        self._leave()

    def _hand_back(self) -> None:
        """A child that is gone will not renew its lease: others need not wait until that has run out."""
        living = set(children())
        self._dead |= self._children - living
        self._children = living
        for pid in sorted(self._dead):
            taken = leases_hand_back(node=self._name, pid=pid, retry=self._config.retry)
            shutil.rmtree(wiring.scratch_of(self._config, pid), ignore_errors=True)
            self._dead.discard(pid)
            log.warning("child gone", extra={"event": "child_gone", "pid": pid, "handed_back": taken})

    def _tell(self, *, known: bool) -> bool:
        """Register, or say that the node lives; draining is an order to this node's children."""
        if not known:
            worker = self._config.worker
            node_register(
                name=self._name, queues=[worker.worker_queue], slots=worker.worker_slots, pid=os.getpid(), info={}
            )
            return True
        state = node_heartbeat(name=self._name)
        if state is not None:
            self._obey(state)
        return state is not None

    def _obey(self, state: NodeState) -> None:
        """Drain, or take steps again; a worker that ends goes on ending whatever its row says."""
        if state is NodeState.DRAINING:
            wiring.draining.set()
        elif not _told_to_end.is_set():
            wiring.draining.clear()

    def _leave(self) -> None:
        try:
            if self._reporter:
                self._reporter.close()
            node_remove(name=self._name)
        except (DatabaseError, InterfaceError):
            log.warning("node not removed", extra={"event": "node_not_removed"})
        finally:
            connection.close()


_keepers: list[NodeKeeper] = []


@signals.worker_ready.connect
def begin(**_: object) -> None:
    """The worker consumes: tickets may come."""
    keeper = NodeKeeper(settings.TRANSCODER, wiring.NODE)
    _keepers.append(keeper)
    keeper.start()


@signals.worker_shutting_down.connect
def drain(**_: object) -> None:
    """The worker was told to end: its children finish what fits, and hand back the rest. Told twice: all of it."""
    wiring.draining.set(urgent=_told_to_end.is_set())
    _told_to_end.set()


@signals.worker_shutdown.connect
def leave(**_: object) -> None:
    """The worker ends in an orderly way."""
    while _keepers:
        _keepers.pop().close()
