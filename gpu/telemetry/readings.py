"""Asking what devices there are and how they are, whatever is asked."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from gpu.devices import Reading, Seen, Survey

_PATIENCE_SECONDS = 5.0
NO_ANSWER = "the driver does not answer"


class Telemetry(Protocol):
    """A source of devices and readings. Whatever goes wrong is a value: an error of a device, or a reason."""

    def survey(self) -> Survey:
        """All devices, as they are now."""
        ...


class Together:
    """Several sources as one, the devices numbered through in their order."""

    def __init__(self, sources: Sequence[Telemetry]) -> None:
        self._sources = sources

    def survey(self) -> Survey:
        seen: list[Seen] = []
        reasons: list[str] = []
        for source in self._sources:
            survey, offset = source.survey(), len(seen)
            seen += [
                replace(each, device=replace(each.device, index=offset + each.device.index)) for each in survey.seen
            ]
            reasons += survey.reasons
        return Survey(seen=tuple(seen), reasons=tuple(reasons))


class _Call(threading.Thread):
    def __init__(self, telemetry: Telemetry) -> None:
        super().__init__(name="telemetry", daemon=True)
        self.answer: Survey | None = None
        self._telemetry = telemetry
        self.start()

    def run(self) -> None:
        self.answer = self._telemetry.survey()


class Patient:
    """A source that is waited for so long and no longer: a driver that hangs cannot be interrupted, only left alone.

    While it hangs, the devices that it showed last are shown with an error, and nothing more is asked.
    """

    def __init__(self, telemetry: Telemetry, *, seconds: float = _PATIENCE_SECONDS) -> None:
        self._telemetry = telemetry
        self._seconds = seconds
        self._last = Survey()
        self._hung: _Call | None = None

    def survey(self) -> Survey:
        if self._hung is not None and self._hung.is_alive():
            return self._without_answer()
        call = _Call(self._telemetry)
        call.join(self._seconds)
        self._hung = call if call.is_alive() else None
        if call.answer is None:
            return self._without_answer()
        self._last = call.answer
        return call.answer

    def _without_answer(self) -> Survey:
        seen = tuple(replace(each, reading=Reading(), error=NO_ANSWER) for each in self._last.seen)
        return Survey(seen=seen, reasons=(NO_ANSWER,))
