"""Ratios of pairs of measurements."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Measure = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Seconds of two alternatives, measured in pairs."""

    name: str
    ours: tuple[float, ...]
    other: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median of the pairs' ratios; below 1 ours is faster."""
        return statistics.median(self.pairs)

    @property
    def pairs(self) -> Sequence[float]:
        """Ratio of every pair."""
        return [mine / theirs for mine, theirs in zip(self.ours, self.other, strict=True)]

    @property
    def median_surplus(self) -> float:
        """Median of the differences, in seconds."""
        return statistics.median(mine - theirs for mine, theirs in zip(self.ours, self.other, strict=True))

    def line(self) -> str:
        """Format a row of the table in docs/benchmarks.md."""
        low, high = min(self.pairs), max(self.pairs)
        ours, other = statistics.median(self.ours), statistics.median(self.other)
        return (
            f"| {self.name} | {self.median:.3f} | {low:.3f} to {high:.3f} | {ours:.1f} s | {other:.1f} s"
            f" | {self.median_surplus:+.1f} s | {len(self.ours)} |"
        )


HEADER = """\
| ours / other | median ratio | pairs | ours | other | difference | pairs measured |
|---|---|---|---|---|---|---|"""


def measure_pairs(name: str, ours: Measure, other: Measure, *, pairs: int, report: Callable[[str], None]) -> Ratio:
    """Measure both alternatives, in alternating order, so that drift of the machine affects both alike."""
    mine: list[float] = []
    theirs: list[float] = []
    for number in range(pairs):
        for measure, results in ((ours, mine), (other, theirs))[:: 1 if number % 2 else -1]:
            results.append(measure())
        report(f"{name}: pair {number + 1} of {pairs}: {mine[-1]:.1f} s / {theirs[-1]:.1f} s")
    return Ratio(name=name, ours=tuple(mine), other=tuple(theirs))
