"""Workers that die and freeze at random over real steps, until every job is over. Run by test_checker.py.

Starts worker processes by fork, kills some at random moments with -9, lets others sleep past their lease and go on as
zombies, and starts new ones in their place. Prints as JSON what happened to the workers; what happened to the rows is
for the caller to look at.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import django
from django.db import connection

django.setup()

from configuration import RankConfig, RetryConfig  # noqa: E402
from jobs.leasing.claim import Claim, step_claim  # noqa: E402
from jobs.leasing.leases import LeaseLost  # noqa: E402
from jobs.leasing.steps import StepWork, step_begin, step_complete, step_publish  # noqa: E402
from jobs.lifecycle.failures import leases_take_back, steps_promote  # noqa: E402
from jobs.lifecycle.outcomes import job_complete  # noqa: E402
from jobs.models import Job  # noqa: E402
from jobs.rules.steps import StepKind  # noqa: E402
from jobs.rules.transitions import JOB_ENDS  # noqa: E402
from tests.rows import a_policy, a_run  # noqa: E402

WORKERS = 8
LEASE_SECONDS = 0.8
RETRY = RetryConfig(poison_attempts=1000, max_failures=1000, retry_base_seconds=0.05, retry_max_seconds=0.1)
DEATHS = 0.1
"""Share of claims whose worker dies by itself; as many again freeze past their lease."""


def main() -> None:
    """Run until every job has ended."""
    told, tell = os.pipe()
    seed = int(sys.argv[1])
    kinds: dict[int, Callable[[int], None]] = {}
    spawned = 0

    def spawn(role: Callable[[int], None]) -> None:
        nonlocal spawned
        spawned += 1
        number = seed * 100_000 + spawned
        if (pid := os.fork()) == 0:
            role(number)
            os._exit(0)
        kinds[pid] = role

    for _ in range(WORKERS):
        spawn(lambda number: _work(random.Random(number), tell))  # noqa: S311
    for _ in range(2):
        spawn(lambda _: _take_back_for_ever())
    dice = random.Random(seed)  # noqa: S311
    killed = 0
    while (pid := os.waitpid(-1, os.WNOHANG)[0]) or not _all_over():
        if pid:
            spawn(kinds.pop(pid))
        elif dice.random() < DEATHS:
            os.kill(dice.choice(list(kinds)), signal.SIGKILL)  # a worker or one that takes back, whatever it is at
            killed += 1
        time.sleep(0.02)
    for pid in kinds:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    os.close(tell)
    happened = Counter(os.read(told, 1 << 16).decode())
    print(json.dumps({"killed": killed, "died": happened["d"], "frozen": happened["f"], "fenced": happened["z"]}))  # noqa: T201


def _all_over() -> bool:
    """Whether every job has ended. Asked through a connection that no child inherits."""
    try:
        return not Job.objects.exclude(state__in=JOB_ENDS).exists()
    finally:
        connection.close()


def _take_back_for_ever() -> None:
    while True:
        leases_take_back(policy=a_policy(retry=RETRY))
        steps_promote()
        time.sleep(0.05)


def _work(dice: random.Random, tell: int) -> None:
    while True:
        claim = step_claim(queue="cpu", node="n", pid=os.getpid(), lease_seconds=LEASE_SECONDS, rank=RankConfig())
        if claim is None:
            time.sleep(0.02)
            continue
        try:
            _carry_out(claim, _Fate(dice, tell))
        except LeaseLost:
            os.write(tell, b"z")


class _Fate:
    """Decides once per claim whether its worker dies or freezes, and at which of the coming moments."""

    def __init__(self, dice: random.Random, tell: int) -> None:
        self._dice = dice
        self._tell = tell
        self._end = dice.choices([self._die, self._freeze, None], [DEATHS, DEATHS, 1 - 2 * DEATHS])[0]
        self._moments = dice.randrange(4)

    def moment(self) -> None:
        """Something else could happen here."""
        time.sleep(self._dice.uniform(0.001, 0.01))
        self._moments -= 1
        if self._moments < 0 and self._end:
            self._end()
            self._end = None

    def _die(self) -> None:
        os.write(self._tell, b"d")
        os.kill(os.getpid(), signal.SIGKILL)

    def _freeze(self) -> None:
        os.write(self._tell, b"f")
        time.sleep(LEASE_SECONDS * 1.6)


def _carry_out(claim: Claim, fate: _Fate) -> None:
    fate.moment()
    work = step_begin(claim=claim)
    fate.moment()
    if claim.kind is StepKind.FINISH:
        job_complete(claim=claim, proofs=[], result={})
        return
    for done in range(claim.units_done, claim.units_total):
        _publish(work, done)
        fate.moment()
    step_complete(claim=claim, result={})


def _publish(work: StepWork, done: int) -> None:
    claim = work.claim
    kind = "audio" if claim.kind is StepKind.AUDIO else "video"
    number = claim.payload.get("first_segment", 0) + done
    prefix = f"{claim.step_id}-a{claim.attempt}/"
    runs = [a_run(rendition, number, prefix=prefix) for rendition in work.renditions if rendition.kind == kind]
    step_publish(claim=claim, runs=runs, units_done=done + 1)


with suppress(KeyboardInterrupt):
    main()
