"""Random kills of every part, and workers that freeze past their lease, while small jobs go through.

Afterwards every job has ended once, and nothing is doubled.

    python -m tests.faults.chaos --jobs 500 --minutes 30 [--seed N]

The same in small is a test of this folder. The seed is printed; the same seed kills the same parts in the same order.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import httpx2
import psycopg

from embedded.client import ApiError
from embedded.service import Service
from execution.daemons import DaemonError
from tests.faults import invariants
from tests.faults.rig import LEASE_SECONDS, Rig, children
from tests.ffmpeg.sources import AAC, Card, make
from tests.servers import locked_home

_LOOK_SECONDS = 0.2
_DRAIN_SECONDS = 600
_MIN_KILLS = 12
"""A low number: a busy machine is slower with kills, too."""
_UNAVAILABLE = (httpx2.HTTPError, ApiError, psycopg.OperationalError, OSError, DaemonError)


class Chaos:
    """Submits jobs at even intervals, and kills random processes until all jobs have ended."""

    def __init__(self, rig: Rig, video: Path, *, jobs: int, seconds: float, seed: int) -> None:
        self._rig = rig
        self._video = video
        self._jobs_to_submit = jobs
        self._seconds = seconds
        self._dice = random.Random(seed)  # noqa: S311 - repeatable, guards nothing
        self._videos: list[str] = []
        self._dead: list[tuple[float, Service]] = []
        self._frozen: list[tuple[float, int]] = []
        self.kills: Counter[str] = Counter()
        self.refused = 0

    def run(self) -> None:
        started = time.monotonic()
        next_kill = 2.0
        while (passed := time.monotonic() - started) < self._seconds or self.kills.total() < _MIN_KILLS:
            if self.kills.total() >= _MIN_KILLS and self._all_over():
                break
            if len(self._rig.jobs) < min(self._jobs_to_submit, 1 + self._jobs_to_submit * 2 * passed / self._seconds):
                self._submit()
            if passed >= next_kill:
                self._kill()
                next_kill = passed + self._dice.uniform(0.5, 3)
            self._revive()
            time.sleep(_LOOK_SECONDS / 4)
        self._rig.heal()
        while len(self._rig.jobs) < self._jobs_to_submit:
            self._submit()
        self._rig.finished(seconds=_DRAIN_SECONDS)

    def _submit(self) -> None:
        """Submit a job, every fifth one with a new video. A failed request is repeated, as by clients."""
        try:
            if len(self._videos) <= len(self._rig.jobs) // 5:
                self._videos.append(self._rig.upload(self._video))
            self._rig.transcode(self._videos[-1])
        except _UNAVAILABLE:
            self.refused += 1

    def _kill(self) -> None:
        """Kill a process with SIGKILL; it is restarted a little later."""
        name, kill = self._dice.choice(self._parts())
        with suppress(*_UNAVAILABLE, ProcessLookupError, AssertionError):
            if kill():
                self.kills[name] += 1

    def _parts(self) -> list[tuple[str, Callable[[], bool]]]:
        rig = self._rig
        services = (*rig.servers, rig.api, rig.dispatcher, rig.second_dispatcher)
        workers = [*[("worker", self._killing(node)) for node in rig.nodes]] * 2
        inside = [("worker child", self._kill_child), ("ffmpeg", self._kill_ffmpeg)] * 4
        inside += [("frozen child", self._freeze_child)] * 2
        return [*[(service.name, self._killing(service)) for service in services], *workers, *inside]

    def _killing(self, service: Service) -> Callable[[], bool]:
        def kill() -> bool:
            if not service.running():
                return False
            os.kill(self._rig.pid(service), signal.SIGKILL)
            self._dead.append((time.monotonic() + self._dice.uniform(0.2, 2), service))
            return True

        return kill

    def _kill_child(self) -> bool:
        node = self._dice.choice(self._rig.nodes)
        found = children(self._rig.pid(node)) if node.running() else []
        return _kill_one(self._dice, found)

    def _freeze_child(self) -> bool:
        """Stop a child process until another worker has its step, then let it continue."""
        node = self._dice.choice(self._rig.nodes)
        found = children(self._rig.pid(node)) if node.running() else []
        if not found:
            return False
        pid = self._dice.choice(found)
        os.kill(pid, signal.SIGSTOP)
        self._frozen.append((time.monotonic() + LEASE_SECONDS * self._dice.uniform(1.2, 1.6), pid))
        return True

    def _kill_ffmpeg(self) -> bool:
        return _kill_one(self._dice, self._rig.ffmpegs())

    def _revive(self) -> None:
        """Restart processes that have been dead for long enough, and continue frozen ones."""
        for _, pid in (each for each in self._frozen if each[0] <= time.monotonic()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._frozen = [(at, pid) for at, pid in self._frozen if at > time.monotonic()]
        due = [service for at, service in self._dead if at <= time.monotonic()]
        self._dead = [(at, service) for at, service in self._dead if at > time.monotonic()]
        for service in due:
            try:
                service.start()
            except _UNAVAILABLE:
                self._dead.append((time.monotonic() + 1, service))

    def _all_over(self) -> bool:
        if len(self._rig.jobs) < self._jobs_to_submit:
            return False
        with suppress(psycopg.OperationalError):
            (open_jobs,) = self._rig.one(
                "SELECT count(*) FROM jobs_job WHERE finished_at IS NULL AND id = ANY(%s)", self._rig.jobs
            )
            return not open_jobs
        return False

    def story(self) -> str:
        """Summarise the run in a few lines."""
        ends = Counter(
            (state, code)
            for state, code in self._rig.all(
                "SELECT state, error_code FROM jobs_job WHERE id = ANY(%s)", self._rig.jobs
            )
        )
        (steps, attempts, charged) = self._rig.one(
            "SELECT count(*), sum(attempt), sum(failures) FROM jobs_step WHERE job_id = ANY(%s)", self._rig.jobs
        )
        return (
            f"{len(self._rig.jobs)} jobs: {dict(ends)}; {steps} steps in {attempts} attempts, {charged} failures;"
            f" killed {self.kills.total()}: {dict(self.kills)}; {self.refused} requests had to be repeated"
        )


def _kill_one(dice: random.Random, pids: list[int]) -> bool:
    if not pids:
        return False
    with suppress(ProcessLookupError):
        os.kill(dice.choice(pids), signal.SIGKILL)
    return True


def tiny_video(folder: Path) -> Path:
    """Two seconds with audio."""
    card = Card(rate=Fraction(25), frames=50, width=128, height=72)
    return make(folder / "tiny.mp4", card, "-c:v", "libx264", "-preset", "ultrafast", *AAC)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    _say(f"seed {options.seed}")
    with locked_home(f"{os.getpid()}-chaos") as home, tempfile.TemporaryDirectory() as folder:
        rig = Rig(home)
        try:
            rig.start()
            chaos = Chaos(
                rig, tiny_video(Path(folder)), jobs=options.jobs, seconds=options.minutes * 60, seed=options.seed
            )
            chaos.run()
            _say(chaos.story())
            invariants.check(rig, rig.jobs)
        finally:
            rig.close()
    _say("nothing lost, nothing doubled")
    return 0


if __name__ == "__main__":
    sys.exit(main())
