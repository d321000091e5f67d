"""A GPU worker's reports about its devices.

A process of its own asks the driver, tries encoders and writes the reports: a driver that hangs or crashes then takes
neither the worker nor its steps with it. The worker's parent keeps that process alive.
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
from gpu.services import device_forget, device_note_trial, device_report, device_take_order

log = logging.getLogger(__name__)

_MANAGE = Path(__file__).resolve().parents[1] / "manage.py"
_END_SECONDS = 3.0
_LOOK_SECONDS = 0.5


class Reporter:
    """Reports the devices of a node with every heartbeat, and does the trial encodes that are due in between."""

    def __init__(self, *, node: str, machine: str, inventory: Inventory, config: Config) -> None:
        self._node = node
        self._machine = machine
        self._inventory = inventory
        self._every = config.lease.node_heartbeat_seconds
        self._pause = config.gpu.gpu_set_aside_seconds
        self._report_at = 0.0
        self._reasons: tuple[str, ...] = ()

    def run(self, stop: Event) -> None:
        """Go on until told to stop, then forget the node's devices."""
        while not stop.is_set():
            self._report_if_due()
            trial = next(self._inventory.untried(), None)
            if trial is not None:
                self._attempt(trial)
            else:
                stop.wait(_LOOK_SECONDS)
        self._with_database(lambda: device_forget(node=self._node))

    def _report_if_due(self) -> None:
        if time.monotonic() >= self._report_at:
            self._report_at = time.monotonic() + self._every
            self._inventory.refresh()
            self._say_what_is_missing(self._inventory.survey.reasons)
            self._with_database(self._report)

    def _say_what_is_missing(self, reasons: tuple[str, ...]) -> None:
        """Once for each change: no row can tell of a device that nobody sees."""
        if reasons != self._reasons:
            log.warning("devices missing", extra={"event": "gpu_missing", "reasons": reasons})
        self._reasons = reasons

    def _report(self) -> None:
        """Say how things are, and hear what to try again."""
        device_report(node=self._node, machine=self._machine, described=self._inventory.described())
        for known in devices_known():
            for encoder in known.due if known.node == self._node else ():
                self._inventory.retry(known.device.uuid, encoder)
        if device_take_order(node=self._node):
            self._inventory.retry()

    def _attempt(self, trial: Trial) -> None:
        """Do a trial. One that finds the device busy changes nothing; if it was due, it stays due."""
        outcome = self._inventory.attempt(trial, on_poll=self._report_if_due)

        def note() -> None:
            device_note_trial(
                node=self._node,
                uuid=trial.device.uuid,
                encoder=outcome.verdict.encoder,
                passed=outcome.verdict.available,
                pause_seconds=self._pause,
            )

        if not outcome.busy:
            self._with_database(note)
        self._report_at = 0.0  # others wait for what was found

    def _with_database(self, act: Callable[[], None]) -> None:
        try:
            act()
        except (DatabaseError, InterfaceError) as error:
            log.warning("devices not reported", extra={"event": "gpu_not_reported", "error": str(error)})
            connection.close()


class ReporterProcess:
    """The reporter of a worker. One thread looks after it, with every heartbeat of the node."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._sidecar = Sidecar([sys.executable, str(_MANAGE), "gpu_report", node])

    def ensure_running(self) -> None:
        """Start it, if it does not run; a machine that cannot start it now may be able to later."""
        try:
            started = self._sidecar.ensure_running()
        except OSError as error:
            log.warning("device reporter not started", extra={"event": "gpu_reporter_missing", "error": str(error)})
        else:
            if started:
                log.info("device reporter started", extra={"event": "gpu_reporter_started"})

    def close(self) -> None:
        """End it, and forget the node's devices should it have been killed before it did."""
        self._sidecar.close(grace_seconds=_END_SECONDS)
        device_forget(node=self._node)
