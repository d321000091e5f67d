"""Surveys with the real pynvml, one for each line that it reads: the patience in seconds."""

import json
import sys
from dataclasses import asdict

from gpu.telemetry.nvml import Nvml
from gpu.telemetry.readings import Patient

telemetry = Patient(Nvml())
for line in sys.stdin:
    telemetry._seconds = float(line)
    print(json.dumps(asdict(telemetry.survey())), flush=True)  # noqa: T201 - its answer
