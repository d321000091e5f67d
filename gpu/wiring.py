"""Builds the parts of this package from the settings. Nothing else here reads them."""

from django.conf import settings

from configuration import Config
from coordination.wiring import locks
from execution.ffmpeg import FfmpegRunner
from gpu.inventory import Inventory
from gpu.reporting import Reporter
from gpu.telemetry.nvml import Nvml
from gpu.telemetry.readings import CombinedTelemetry, TelemetryWithTimeout
from gpu.telemetry.render_nodes import RenderNodes, machine_id
from gpu.trials import Trials


def inventory() -> Inventory:
    """Build the inventory of this machine's devices."""
    config: Config = settings.TRANSCODER
    telemetry = CombinedTelemetry([TelemetryWithTimeout(Nvml()), RenderNodes(machine=machine_id())])
    trials = Trials(FfmpegRunner(config.execution, config.limits), seconds=config.gpu.gpu_trial_seconds)
    return Inventory(telemetry=telemetry, trials=trials, locks=locks(), config=config.gpu)


def reporter(node: str, *, takes_jobs: bool = True) -> Reporter:
    """Build the reporter of a node. `takes_jobs`: False for a relay."""
    return Reporter(
        node=node, machine=machine_id(), inventory=inventory(), config=settings.TRANSCODER, takes_jobs=takes_jobs
    )
