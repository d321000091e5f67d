"""The interface of telemetry sources, and their combination and time limit."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from gpu.devices import DeviceState, Reading, Survey

_TIMEOUT_SECONDS = 5.0
NO_RESPONSE = "the driver does not respond"


class Telemetry(Protocol):
    """A source of devices and readings. Failures are values: the error of a device, or a reason of the survey."""

    def survey(self) -> Survey:
        """Read all devices."""
        ...


class CombinedTelemetry:
    """Several sources as one. Devices are numbered consecutively, in the order of the sources."""

    def __init__(self, sources: Sequence[Telemetry]) -> None:
        self._sources = sources

    def survey(self) -> Survey:
        found: list[DeviceState] = []
        reasons: list[str] = []
        for source in self._sources:
            survey, offset = source.survey(), len(found)
            found += [
                replace(each, device=replace(each.device, index=offset + each.device.index)) for each in survey.devices
            ]
            reasons += survey.reasons
        return Survey(devices=tuple(found), reasons=tuple(reasons))


class _Call(threading.Thread):
    def __init__(self, telemetry: Telemetry) -> None:
        super().__init__(name="telemetry", daemon=True)
        self.survey: Survey | None = None
        self._telemetry = telemetry
        self.start()

    def run(self) -> None:
        self.survey = self._telemetry.survey()


class TelemetryWithTimeout:
    """A source with a time limit, queried in a thread: a call into a hung driver cannot be interrupted.

    While a call hangs, `survey` returns the last known devices with an error and starts no other call.
    """

    def __init__(self, telemetry: Telemetry, *, seconds: float = _TIMEOUT_SECONDS) -> None:
        self._telemetry = telemetry
        self.seconds = seconds
        self._last = Survey()
        self._hung: _Call | None = None

    def survey(self) -> Survey:
        if self._hung is not None and self._hung.is_alive():
            return self._not_responding()
        call = _Call(self._telemetry)
        call.join(self.seconds)
        self._hung = call if call.is_alive() else None
        if call.survey is None:
            return self._not_responding()
        self._last = call.survey
        return call.survey

    def _not_responding(self) -> Survey:
        devices = tuple(replace(each, reading=Reading(), error=NO_RESPONSE) for each in self._last.devices)
        return Survey(devices=devices, reasons=(NO_RESPONSE,))
