"""The `live` step: encode a stream while it arrives."""

from jobs.leasing.steps import StepWork
from workers.lease.control import StepControl
from workers.tools import Tools


def run(work: StepWork, tools: Tools, control: StepControl) -> None:
    """Encode a broadcast until its source has ended."""
    raise NotImplementedError
