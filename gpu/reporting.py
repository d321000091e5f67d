"""Reports of a GPU worker about its devices.

A sidecar process of the worker queries the driver, runs trial encodes and writes the reports, so that a driver that
hangs or crashes does not affect the worker and its steps. The worker's parent process restarts it.
"""

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

from django.db import DatabaseError, InterfaceError, connection

from configuration import Config
from execution.process import Sidecar
from gpu.inventory import Inventory, Trial
from gpu.selectors import devices_known
from gpu.services import device_forget, device_pop_trial_request, device_record_trial, device_report

log = logging.getLogger(__name__)

_MANAGE = Path(__file__).resolve().parents[1] / "manage.py"
_NOT_NEEDED = frozenset(
    f"TRANSCODER_{name}{kind}"
    for name in ("SECRET_KEY", "BROKER_URL", "S3_ACCESS_KEY", "S3_SECRET_KEY", "METRICS_TOKEN")
    for kind in ("", "_FILE")
)
"""Secrets of the worker that a report and a trial encode do not need."""
_END_SECONDS = 3.0
_POLL_SECONDS = 0.5


class Reporter:
    """Reports the devices of a node with every heartbeat, and runs pending trial encodes in between."""

    def __init__(
        self, *, node: str, machine: str, inventory: Inventory, config: Config, takes_jobs: bool = True
    ) -> None:
        self._node = node
        self._takes_jobs = takes_jobs
        self._machine = machine
        self._inventory = inventory
        self._every = config.lease.node_heartbeat_seconds
        self._pause = config.gpu.gpu_set_aside_seconds
        self._report_at = 0.0
        self._reasons: tuple[str, ...] = ()

    def run(self, stop: Event) -> None:
        """Run until `stop` is set, then delete the node's reports."""
        while not stop.is_set():
            self._report_if_due()
            trial = next(self._inventory.untried(), None)
            if trial is not None:
                self._attempt(trial)
            else:
                stop.wait(_POLL_SECONDS)
        self._with_database(lambda: device_forget(node=self._node))

    def _report_if_due(self) -> None:
        if time.monotonic() >= self._report_at:
            self._report_at = time.monotonic() + self._every
            self._inventory.refresh()
            self._log_missing(self._inventory.survey.reasons)
            self._with_database(self._report)

    def _log_missing(self, reasons: tuple[str, ...]) -> None:
        """Log once per change: a device that the survey lacks has no row for its error."""
        if reasons != self._reasons:
            log.warning("devices missing", extra={"event": "gpu_missing", "reasons": reasons})
        self._reasons = reasons

    def _report(self) -> None:
        """Write the report, and make due or requested trials pending."""
        device_report(
            node=self._node,
            machine=self._machine,
            descriptions=self._inventory.descriptions(),
            takes_jobs=self._takes_jobs,
        )
        for known in devices_known():
            for encoder in known.due if known.node == self._node else ():
                self._inventory.retry(known.device.uuid, encoder)
        if device_pop_trial_request(node=self._node):
            self._inventory.retry()

    def _attempt(self, trial: Trial) -> None:
        """Run a trial and record its outcome. A trial on a busy device is not recorded and stays due."""
        outcome = self._inventory.attempt(trial, on_poll=self._report_if_due)

        def record() -> None:
            device_record_trial(
                node=self._node,
                uuid=trial.device.uuid,
                encoder=outcome.verdict.encoder,
                passed=outcome.verdict.available,
                pause_seconds=self._pause,
            )

        if not outcome.busy:
            self._with_database(record)
        self._report_at = 0.0  # report the verdict at once: jobs may wait for it

    def _with_database(self, act: Callable[[], None]) -> None:
        try:
            act()
        except (DatabaseError, InterfaceError) as error:
            log.warning("devices not reported", extra={"event": "gpu_not_reported", "error": str(error)})
            connection.close()


class ReporterProcess:
    """The reporter's process of a node. One thread supervises it, with every heartbeat of the node.

    `takes_jobs`: False for a relay, which claims no steps of jobs.
    """

    def __init__(self, node: str, *, takes_jobs: bool = True) -> None:
        self._node = node
        command = [sys.executable, str(_MANAGE), "gpu_report", node, *([] if takes_jobs else ["--relay"])]
        self._sidecar = Sidecar(command, without=_NOT_NEEDED)

    @property
    def pid(self) -> int | None:
        """Its process id, also after it has ended; None before the first start."""
        return self._sidecar.pid

    def ensure_running(self) -> None:
        """Start the process unless it runs. A failure is logged and the next call tries again."""
        try:
            started = self._sidecar.ensure_running()
        except OSError as error:
            log.warning("device reporter not started", extra={"event": "gpu_reporter_missing", "error": str(error)})
        else:
            if started:
                log.info("device reporter started", extra={"event": "gpu_reporter_started"})

    def close(self) -> None:
        """Stop the process and delete the node's reports, in case it was killed before it did so."""
        self._sidecar.close(grace_seconds=_END_SECONDS)
        device_forget(node=self._node)
