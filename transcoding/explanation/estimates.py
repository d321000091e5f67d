"""Expected time of a plan."""

from dataclasses import dataclass

from transcoding.planning.plan import EncodePlan
from transcoding.planning.sizing import AUDIO_SPEED


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Expected seconds: of one slot's work, and from the first step's start to the last one's end on so many slots."""

    speed: float
    work_seconds: float
    step_seconds: float
    """Of the longest step."""
    slots: int
    seconds: float | None


def estimate(plan: EncodePlan, *, slots: int) -> Estimate | None:
    """Estimate the time on idle workers. None: the plan does not know its speed.

    Chunks are all that counts, or the audio tracks where there is no video.
    """
    if plan.work is None:
        return None
    work = plan.work.total_seconds
    steps = len(plan.chunks) * len(plan.encodings) or len(plan.audio)
    speed = float(AUDIO_SPEED) if plan.audio_only else _speed_of_all(plan)
    rounds = -(-steps // slots) if slots else None
    return Estimate(
        speed=speed,
        work_seconds=round(work, 1),
        step_seconds=round(plan.work.step_seconds, 1),
        slots=slots,
        seconds=round(work * rounds / steps, 1) if rounds else None,
    )


def _speed_of_all(plan: EncodePlan) -> float:
    """Return the seconds of video that a slot makes per second in all codecs, one after another."""
    if len(plan.encodings) == 1:
        return plan.encodings[0].speed
    return float(f"{1 / sum(1 / encoding.speed for encoding in plan.encodings):.3g}")
