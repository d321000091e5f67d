"""Findings of a remux process, which its database columns must hold whatever the process says."""

import pytest

from execution.remuxing.jailed.messages import MAX_NUMBER, Statistics
from relay.engines.remux import NativeRun

DAY_MS = 86_400_000


class Reported:
    """A stream that only reports."""

    input = output = -1

    def __init__(self, statistics: Statistics) -> None:
        self.statistics = statistics


@pytest.mark.parametrize(("drift_ms", "shown"), [(22_369_642_645, -DAY_MS), (-1e18, DAY_MS), (1.4, -1), (-20, 20)])
def test_drift_stays_in_the_range_of_its_column(drift_ms: float, shown: int) -> None:
    run = NativeRun(Reported(Statistics(stream=1, drift_ms=drift_ms)))  # type: ignore[arg-type]  # it starts no process
    assert run.facts().drift_ms == shown


def test_counters_stay_in_the_range_of_their_columns() -> None:
    largest = Statistics(stream=1, rebases=MAX_NUMBER, decode_errors=MAX_NUMBER, silence_ms=MAX_NUMBER)
    facts = NativeRun(Reported(largest)).facts()  # type: ignore[arg-type]  # it starts no process
    assert facts.restarts == (1 << 31) - 1
    assert max(facts.decode_errors, facts.silence_ms) < 1 << 63
