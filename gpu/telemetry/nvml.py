"""NVIDIA's devices, by NVML."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import pynvml

from gpu.devices import Device, DeviceKind, Reading, Seen, Survey

_GONE = frozenset(
    {
        pynvml.NVML_ERROR_UNINITIALIZED,
        pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
        pynvml.NVML_ERROR_GPU_IS_LOST,
        pynvml.NVML_ERROR_GPU_NOT_FOUND,
        pynvml.NVML_ERROR_RESET_REQUIRED,
        pynvml.NVML_ERROR_IRQ_ISSUE,
        pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
    }
)
"""What says that a device or the driver is gone. Any other error only says that one question has no answer."""
_MIB = 1 << 20
_MOST_MB = 1 << 30
"""Anything above is one of the numbers by which drivers say that they do not know."""
_PERCENT = 100

T = TypeVar("T")


class Nvml:
    """Devices and readings from the driver. It is begun anew after every error, as a driver may be loaded again."""

    def __init__(self) -> None:
        self._begun = False
        self._known: dict[str, Device] = {}

    def survey(self) -> Survey:
        """Every device that the driver shows, and with an error those that it showed before."""
        try:
            seen, reasons = self._look()
        except pynvml.NVMLError as error:
            seen, reasons = [], [f"NVML: {error}"]
        if reasons or any(each.error for each in seen):
            self._end()
        self._known.update({each.device.uuid: each.device for each in seen})
        present = {each.device.uuid for each in seen}
        why = reasons[0] if reasons else "the driver shows it no more"
        lost = [Seen(device=each, error=why) for uuid, each in self._known.items() if uuid not in present]
        return Survey(seen=(*seen, *lost), reasons=tuple(reasons))

    def _look(self) -> tuple[list[Seen], list[str]]:
        if not self._begun:
            pynvml.nvmlInit()
            self._begun = True
        driver = pynvml.nvmlSystemGetDriverVersion()
        seen, reasons = [], []
        for index in range(pynvml.nvmlDeviceGetCount()):
            try:
                seen.append(_seen(index, driver))
            except pynvml.NVMLError as error:  # it does not even say who it is
                reasons.append(f"NVIDIA device {index}: {error}")
        return seen, reasons

    def _end(self) -> None:
        if self._begun:
            with suppress(pynvml.NVMLError):
                pynvml.nvmlShutdown()
        self._begun = False


def _seen(index: int, driver: str) -> Seen:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    uuid = pynvml.nvmlDeviceGetUUID(handle)
    name = _answer(lambda: pynvml.nvmlDeviceGetName(handle)) or "NVIDIA device"
    device = Device(index=index, uuid=uuid, name=name, kind=DeviceKind.NVIDIA, driver=driver)
    try:
        return Seen(device=device, reading=_reading(handle))
    except pynvml.NVMLError as error:
        return Seen(device=device, error=str(error))


def _reading(handle: object) -> Reading:
    memory = _answer(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))
    rates = _answer(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle))
    encoder = _answer(lambda: pynvml.nvmlDeviceGetEncoderUtilization(handle))
    stats = _answer(lambda: pynvml.nvmlDeviceGetEncoderStats(handle))
    milliwatts = _answer(lambda: pynvml.nvmlDeviceGetPowerUsage(handle))
    return Reading(
        memory_total_mb=_megabytes(memory.total) if memory else None,
        memory_used_mb=_megabytes(memory.used) if memory else None,
        memory_free_mb=_megabytes(memory.free) if memory else None,
        utilization_percent=_percent(rates.gpu) if rates else None,
        encoder_percent=_percent(encoder[0]) if encoder else None,
        sessions=stats[0] if stats else None,
        temperature_c=_answer(lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)),
        power_watts=None if milliwatts is None else milliwatts / 1000,
    )


def _answer(ask: Callable[[], T]) -> T | None:
    """What NVML says, None when it cannot: MIG, virtual and integrated devices leave out much.

    Raises NVMLError when the device is gone.
    """
    try:
        return ask()
    except pynvml.NVMLError as error:
        if error.value in _GONE:
            raise
        return None


def _megabytes(size: int) -> int | None:
    megabytes = size // _MIB
    return megabytes if megabytes < _MOST_MB else None


def _percent(value: int) -> int | None:
    return value if value <= _PERCENT else None
