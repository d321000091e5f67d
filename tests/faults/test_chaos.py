"""Everything is killed at random, again and again, and workers freeze past their lease."""

from pathlib import Path

from tests.faults.chaos import Chaos, tiny_video
from tests.faults.rig import Rig

JOBS = 12
SECONDS = 15


def test_48_twelve_jobs_while_everything_is_killed(rig: Rig, tmp_path: Path) -> None:
    chaos = Chaos(rig, tiny_video(tmp_path), jobs=JOBS, seconds=SECONDS, seed=48)
    chaos.run()
    print(chaos.story())  # noqa: T201 - the reader of a run wants to know what happened
    ends = rig.all("SELECT DISTINCT state FROM jobs_job WHERE id = ANY(%s)", rig.jobs)
    assert ends == [("completed",)]
