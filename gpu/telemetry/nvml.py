"""NVIDIA's devices, read with NVML."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import pynvml

from gpu.devices import Device, DeviceKind, DeviceState, Reading, Survey

_DEVICE_GONE = frozenset(
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
"""Errors that mean that the device or the driver is gone. Any other error means that one value is unknown."""
_MIB = 1 << 20
_MAX_MB = 1 << 30
"""Larger numbers are drivers' codes for an unknown value."""
_PERCENT = 100

T = TypeVar("T")


class Nvml:
    """Devices and readings of NVIDIA's driver. NVML is shut down after an error, since the driver may be reloaded."""

    def __init__(self) -> None:
        self._initialized = False
        self._known: dict[str, Device] = {}

    def survey(self) -> Survey:
        """Read the devices that the driver lists, and add those that it listed before with an error."""
        try:
            states, reasons = self._read_all()
        except pynvml.NVMLError as error:
            states, reasons = [], [f"NVML: {error}"]
        if reasons or any(each.error for each in states):
            self._shut_down()
        self._known.update({each.device.uuid: each.device for each in states})
        present = {each.device.uuid for each in states}
        reason = reasons[0] if reasons else "no longer listed by the driver"
        lost = [DeviceState(device=each, error=reason) for uuid, each in self._known.items() if uuid not in present]
        return Survey(devices=(*states, *lost), reasons=tuple(reasons))

    def _read_all(self) -> tuple[list[DeviceState], list[str]]:
        if not self._initialized:
            pynvml.nvmlInit()
            self._initialized = True
        driver = pynvml.nvmlSystemGetDriverVersion()
        states, reasons = [], []
        for index in range(pynvml.nvmlDeviceGetCount()):
            try:
                states.append(_state(index, driver))
            except pynvml.NVMLError as error:  # not even its UUID is known
                reasons.append(f"NVIDIA device {index}: {error}")
        return states, reasons

    def _shut_down(self) -> None:
        if self._initialized:
            with suppress(pynvml.NVMLError):
                pynvml.nvmlShutdown()
        self._initialized = False


def _state(index: int, driver: str) -> DeviceState:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    uuid = pynvml.nvmlDeviceGetUUID(handle)
    name = _query(lambda: pynvml.nvmlDeviceGetName(handle)) or "NVIDIA device"
    device = Device(index=index, uuid=uuid, name=name, kind=DeviceKind.NVIDIA, driver=driver)
    try:
        return DeviceState(device=device, reading=_reading(handle))
    except pynvml.NVMLError as error:
        return DeviceState(device=device, error=str(error))


def _reading(handle: object) -> Reading:
    memory = _query(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))
    rates = _query(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle))
    encoder = _query(lambda: pynvml.nvmlDeviceGetEncoderUtilization(handle))
    stats = _query(lambda: pynvml.nvmlDeviceGetEncoderStats(handle))
    milliwatts = _query(lambda: pynvml.nvmlDeviceGetPowerUsage(handle))
    return Reading(
        memory_total_mb=_megabytes(memory.total) if memory else None,
        memory_used_mb=_megabytes(memory.used) if memory else None,
        memory_free_mb=_megabytes(memory.free) if memory else None,
        utilization_percent=_percent(rates.gpu) if rates else None,
        encoder_percent=_percent(encoder[0]) if encoder else None,
        sessions=stats[0] if stats else None,
        temperature_c=_query(lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)),
        power_watts=None if milliwatts is None else milliwatts / 1000,
    )


def _query(query: Callable[[], T]) -> T | None:
    """Return a value of NVML, or None when it is unknown, as many are for MIG, virtual and integrated devices.

    Raises NVMLError when the device is gone.
    """
    try:
        return query()
    except pynvml.NVMLError as error:
        if error.value in _DEVICE_GONE:
            raise
        return None


def _megabytes(size: int) -> int | None:
    megabytes = size // _MIB
    return megabytes if megabytes < _MAX_MB else None


def _percent(value: int) -> int | None:
    return value if value <= _PERCENT else None
