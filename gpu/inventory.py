"""A node's devices, with readings and the verdicts of trial encodes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from configuration import GpuConfig
from coordination.locks import Locks
from gpu.devices import Device, SlotLimits, Survey, Verdict
from gpu.limits import slot_limits
from gpu.selection import ANY_DEVICE
from gpu.services import DeviceDescription
from gpu.telemetry.readings import Telemetry
from gpu.trials import Outcome, Trials, encoders_for
from transcoding.encoders import VideoEncoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A pending trial encode."""

    device: Device
    encoder: VideoEncoder


class Inventory:
    """Devices, readings and verdicts of this node."""

    def __init__(self, *, telemetry: Telemetry, trials: Trials, locks: Locks, config: GpuConfig) -> None:
        self._telemetry = telemetry
        self._trials = trials
        self._locks = locks
        self._config = config
        self._survey = Survey()
        self._verdicts: dict[str, dict[str, Verdict]] = {}
        self._tried: set[tuple[str, str]] = set()

    @property
    def survey(self) -> Survey:
        """The last survey."""
        return self._survey

    def refresh(self) -> None:
        """Read the devices again, and drop the verdicts of one that is unavailable or has another driver."""
        self._survey = self._telemetry.survey()
        for each in self._survey.devices:
            verdicts = self._verdicts.get(each.device.uuid, {}).values()
            if each.error or any(verdict.driver != each.device.driver for verdict in verdicts):
                self._verdicts.pop(each.device.uuid, None)
                self.retry(each.device.uuid)

    def descriptions(self) -> list[DeviceDescription]:
        """Describe every device for the node's report."""
        return [
            DeviceDescription(
                state=each, limits=self._limits(each.device), verdicts=dict(self._verdicts.get(each.device.uuid, {}))
            )
            for each in self._survey.devices
        ]

    def untried(self) -> Iterator[Trial]:
        """Yield the pending trials of devices that the settings allow and that can be queried."""
        for each in self._survey.devices:
            for encoder in encoders_for(each.device):
                known = (each.device.uuid, encoder.ffmpeg_name) in self._tried
                if not known and not each.error and self._allowed(each.device):
                    yield Trial(device=each.device, encoder=encoder)

    def retry(self, uuid: str | None = None, encoder: str | None = None) -> None:
        """Make trials pending again: of one encoder of a device, of all its encoders, or of all devices.

        Verdicts stay until then.
        """
        self._tried = {
            (device, name) for device, name in self._tried if (uuid or device, encoder or name) != (device, name)
        }

    def attempt(self, trial: Trial, *, on_poll: Callable[[], None] = lambda: None) -> Outcome:
        """Run one trial encode. A busy device does not overrule an earlier verdict.

        Containers of one machine try the same devices at their start. A lock per device keeps them from using up each
        other's sessions; after `gpu_trial_seconds` the trial runs without it. Each container needs trials of its own,
        since the usable encoders depend on its libraries.
        """
        device, name = trial.device, trial.encoder.ffmpeg_name
        self._tried.add((device.uuid, name))
        with self._locks.held(f"gpu-trial:{device.uuid}", wait_seconds=self._config.gpu_trial_seconds, on_wait=on_poll):
            outcome = self._trials.attempt(trial.encoder, device, on_poll=on_poll)
        known = self._verdicts.setdefault(device.uuid, {})
        if not outcome.busy or name not in known:
            known[name] = outcome.verdict
        return outcome

    def _limits(self, device: Device) -> SlotLimits:
        config = self._config
        limits = slot_limits(device, device_slots=config.gpu_slots_per_device, system_slots=config.gpu_system_slots)
        return limits if self._allowed(device) else SlotLimits(device=0, system=limits.system)

    def _allowed(self, device: Device) -> bool:
        return self._config.gpu_device_index in {ANY_DEVICE, device.index}
