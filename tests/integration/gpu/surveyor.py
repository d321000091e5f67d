"""Survey with the real pynvml, once for each line of stdin, which has the timeout in seconds."""

import json
import sys
from dataclasses import asdict

from gpu.telemetry.nvml import Nvml
from gpu.telemetry.readings import TelemetryWithTimeout

telemetry = TelemetryWithTimeout(Nvml())
for line in sys.stdin:
    telemetry.seconds = float(line)
    print(json.dumps(asdict(telemetry.survey())), flush=True)  # noqa: T201 - read by the test
