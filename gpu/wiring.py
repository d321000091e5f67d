"""The one place where the parts of this package are put together; nothing else here reads the settings."""

from django.conf import settings

from configuration import Config
from coordination.wiring import locks
from execution.ffmpeg import FfmpegRunner
from gpu.inventory import Inventory
from gpu.reporting import Reporter
from gpu.telemetry.machine import machine_id
from gpu.telemetry.nvml import Nvml
from gpu.telemetry.readings import Patient, Together
from gpu.telemetry.render_nodes import RenderNodes
from gpu.trials import Trials


def inventory() -> Inventory:
    """What this machine has, asked directly."""
    config: Config = settings.TRANSCODER
    telemetry = Together([Patient(Nvml()), RenderNodes(machine=machine_id())])
    trials = Trials(FfmpegRunner(config.execution, config.limits), seconds=config.gpu.gpu_trial_seconds)
    return Inventory(telemetry=telemetry, trials=trials, locks=locks(), config=config.gpu)


def reporter(node: str) -> Reporter:
    """The reporter of a worker node."""
    return Reporter(node=node, machine=machine_id(), inventory=inventory(), config=settings.TRANSCODER)
