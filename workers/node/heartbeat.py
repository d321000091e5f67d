"""Thread of a worker's parent process: registers the node, sends its heartbeat, and passes on the order to drain."""

import logging
import os
import threading
import time
from contextlib import suppress
from typing import IO

from django.db import DatabaseError, InterfaceError, connection

from configuration import Config
from execution.isolation import isolation_details, jail_of
from execution.process import child_pids, descendant_pids, is_running
from execution.scratch import liveness_folder, remove_folder, steps_folder, steps_hold
from gpu.reporting import ReporterProcess
from jobs.dispatching.tickets import node_queue, node_queue_forget
from jobs.leasing.nodes import node_busy, node_heartbeat, node_register, node_remove
from jobs.lifecycle.failures import leases_release
from jobs.models import NodeState
from jobs.wiring import job_policy
from observability.liveness import LivenessFile
from observability.scraping import metrics_server
from workers.node.consumer_probe import ConsumerProbe, LastActivity, probe_sender
from workers.node.flags import SharedFlag

log = logging.getLogger(__name__)


_LOOK_SECONDS = 0.5
_PROBES_PER_TIMEOUT = 6
"""Tickets that a node sends itself before it counts as not consuming."""


class NodeKeeper:
    """A thread of the parent that updates the node's row, and releases the steps of dead children, until `close`.

    `draining` and `last_activity` are shared with the children; `ending` is set once the worker was ordered to end.
    """

    def __init__(
        self, config: Config, name: str, *, draining: SharedFlag, last_activity: LastActivity, ending: threading.Event
    ) -> None:
        self._config = config
        self._name = name
        isolation = jail_of(config.execution).isolation if config.worker.opens_sources else ""
        self._info = {"isolation": isolation, **isolation_details()}
        self._draining = draining
        self._ending = ending
        self._over = threading.Event()
        self._children: dict[int, list[int]] = {}
        self._dead: dict[int, list[int]] = {}
        self._known = False
        self._report_at = 0.0
        self._held: IO[str] | None = None
        self._liveness = LivenessFile(liveness_folder(config.execution), "worker")
        timeout = config.worker.consumer_timeout_seconds
        self._probe = ConsumerProbe(last_activity, idle_seconds=timeout / _PROBES_PER_TIMEOUT, timeout_seconds=timeout)
        self._to_itself = probe_sender(self._probe)
        self._port = metrics_server(config.metrics, fault=self._fault)
        on_gpu = config.worker.worker_queue == "gpu" and config.gpu.enable_gpu
        self._reporter = ReporterProcess(name) if on_gpu else None
        self._thread = threading.Thread(target=self._keep, name="node-keeper", daemon=True)

    @property
    def reports_devices(self) -> bool:
        return self._reporter is not None

    def start(self) -> None:
        """Clear what killed workers left in the scratch folder, and start the thread."""
        self._held = steps_hold(self._config.execution)
        self._to_itself.start()
        if self._port:
            self._port.start()
        self._thread.start()

    def close(self) -> None:
        """Remove the node's row and stop."""
        self._over.set()
        self._thread.join()
        if self._port:
            self._port.close()
        if self._held:
            self._held.close()

    def _keep(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            try:
                self._release_of_dead_children()
                if time.monotonic() >= self._report_at:
                    self.report()
                    self._probe_consumer()
                    self._report_at = time.monotonic() + self._config.lease.node_heartbeat_seconds
                    if self._reporter:
                        self._reporter.ensure_running()
            except (DatabaseError, InterfaceError) as error:
                log.warning("node not seen", extra={"event": "node_not_seen", "error": str(error)})
                connection.close()
                self._probe.reset()
            self._liveness.write(self._fault())
        self._leave()

    def _fault(self) -> str:
        return "takes no tickets any more" if self._probe.not_consuming else ""

    def _probe_consumer(self) -> None:
        """Send this node a ticket when it took none for a while although it has an idle slot."""
        if self._ending.is_set() or node_busy(name=self._name) >= self._config.worker.worker_slots:
            self._probe.reset()
        elif self._probe.is_due():
            self._to_itself.request({node_queue(self._name): 1})

    def _release_of_dead_children(self) -> None:
        """Release the steps of dead children: nobody renews their leases, so waiting for their expiry is of no use.

        What a child had started must be gone, too: its ffmpeg is killed with it, and may still hold a session of a GPU.
        """
        living = {pid: descendant_pids(pid) for pid in child_pids()}
        self._dead |= {pid: started for pid, started in self._children.items() if pid not in living}
        self._children = living
        for pid in sorted(self._dead):
            if any(is_running(started) for started in self._dead[pid]):
                continue
            released = leases_release(node=self._name, pid=pid, policy=job_policy())
            remove_folder(steps_folder(self._config.execution) / str(pid))
            del self._dead[pid]
            log.warning("child gone", extra={"event": "child_gone", "pid": pid, "released": released})

    def report(self) -> None:
        """Register the node, or send a heartbeat and apply the state that operators gave it."""
        self._known = self._report(known=self._known)

    def _report(self, *, known: bool) -> bool:
        """Return whether the node is known from now on."""
        if not known:
            worker = self._config.worker
            node_register(
                name=self._name,
                queues=worker.queues,
                slots=worker.worker_slots,
                pid=os.getpid(),
                info=self._info,
            )
            return True
        state = node_heartbeat(name=self._name)
        if state is not None:
            self._apply(state)
        return state is not None

    def _apply(self, state: NodeState) -> None:
        """Drain, or take steps again; a worker that ends continues to, whatever its row says."""
        if state is NodeState.DRAINING:
            self._draining.set()
        elif not self._ending.is_set():
            self._draining.clear()

    def _leave(self) -> None:
        try:
            if self._reporter:
                self._reporter.close()
            node_remove(name=self._name)
        except (DatabaseError, InterfaceError):
            log.warning("node not removed", extra={"event": "node_not_removed"})
        finally:
            connection.close()
        with suppress(Exception):  # whatever the broker's client raises: what stays behind is one short message
            node_queue_forget(self._name)
        self._liveness.remove()
