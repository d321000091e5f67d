"""What one node knows of its devices: who they are, how they are, and what their trial encodes said."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from configuration import GpuConfig
from coordination.locks import Locks
from gpu.devices import Device, SlotLimits, Survey, Verdict
from gpu.limits import slot_limits
from gpu.selection import ANY_DEVICE
from gpu.services import Described
from gpu.telemetry.readings import Telemetry
from gpu.trials import Outcome, Trials, encoders_for
from transcoding.encoders import VideoEncoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A trial encode that is to be done."""

    device: Device
    encoder: VideoEncoder


class Inventory:
    """Devices, readings and verdicts of this node. Verdicts are kept until a device was away, or its driver changed."""

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
        """What the devices showed last."""
        return self._survey

    def refresh(self) -> None:
        """Look at the devices again; what was said of one that is away now, or has another driver, counts no more."""
        self._survey = self._telemetry.survey()
        for each in self._survey.seen:
            said = self._verdicts.get(each.device.uuid, {}).values()
            if each.error or any(verdict.driver != each.device.driver for verdict in said):
                self._verdicts.pop(each.device.uuid, None)
                self.retry(each.device.uuid)

    def described(self) -> list[Described]:
        """Every device, for the node's report."""
        return [
            Described(
                seen=each, limits=self._limits(each.device), verdicts=dict(self._verdicts.get(each.device.uuid, {}))
            )
            for each in self._survey.seen
        ]

    def untried(self) -> Iterator[Trial]:
        """Trials that nobody has done yet, of devices that may be used and can be asked."""
        for each in self._survey.seen:
            for encoder in encoders_for(each.device):
                known = (each.device.uuid, encoder.ffmpeg_name) in self._tried
                if not known and not each.error and self._allowed(each.device):
                    yield Trial(device=each.device, encoder=encoder)

    def retry(self, uuid: str | None = None, encoder: str | None = None) -> None:
        """Have encoders tried again: one of one device, all of one, or all; until then, what was said counts."""
        self._tried = {
            (device, name) for device, name in self._tried if (uuid or device, encoder or name) != (device, name)
        }

    def attempt(self, trial: Trial, *, on_poll: Callable[[], None] = lambda: None) -> Outcome:
        """Do one trial encode. One that finds the device busy disproves nothing that has worked.

        Other containers of this machine try the same devices when they start. They take turns for each device, so that
        they do not use up each other's sessions; a turn that does not come within a trial's time is not waited for.
        Each tries for itself: what a container can use depends on its libraries.
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
