"""One video on two worker nodes compared with one node. Each has one slot, and a core of its own with its children."""

import argparse
import os
import time
from collections.abc import Callable
from contextlib import closing

import psycopg

from benchmarks.end_to_end import JobsUnderTest
from benchmarks.ratios import HEADER, measure_pairs
from benchmarks.running import home, looped_clip, report, running
from embedded.home import Home
from embedded.product import Worker
from embedded.stack import Stack

CHUNK_SECONDS = "8"
SETTINGS = {
    "TRANSCODER_FFMPEG_THREADS": "1",
    "TRANSCODER_MIN_CHUNK_SECONDS": CHUNK_SECONDS,
    "TRANSCODER_MAX_CHUNK_SECONDS": CHUNK_SECONDS,
}
_POLL_SECONDS = 0.1
_NODES = "SELECT count(*) FROM jobs_node WHERE last_seen > clock_timestamp() - interval '8 seconds'"


class OneSlot(Worker):
    """A worker node with one slot, on the first core that this process may use."""

    slots = 1
    core = 0

    def argv(self) -> list[str]:
        core = sorted(os.sched_getaffinity(0))[self.core]
        return ["taskset", "--cpu-list", str(core), *super().argv()]


class SecondNode(OneSlot):
    """The same on the second core."""

    name = "worker-2"
    core = 1


class PairOfWorkers(Stack):
    """A stack with a second node, which the measurement starts and stops."""

    def __init__(self, home: Home) -> None:
        super().__init__(home, environ={**os.environ, **SETTINGS})
        self.worker = OneSlot(home, self._environ)
        own = {"TRANSCODER_NODE_NAME": "second", "TRANSCODER_SCRATCH_PATH": str(home.folder / "scratch-2")}
        self.second = SecondNode(home, {**self._environ, **own})

    def close(self, report: Callable[[str], None] = lambda _: None) -> None:
        self.second.close()
        super().close(report)

    def add_second(self) -> None:
        """Start the second node and wait until it has registered."""
        self.second.start()
        self.second.wait_ready()
        with psycopg.connect(self.postgresql.url) as database:
            while database.execute(_NODES).fetchone() != (2,):
                time.sleep(_POLL_SECONDS)
                database.rollback()


def measure(options: argparse.Namespace) -> str:
    """Return the table."""
    stack = PairOfWorkers(home())
    source = looped_clip(options.seconds)
    with running(stack), closing(stack.client()) as client:
        jobs = JobsUnderTest(client, source)

        def on_two() -> float:
            stack.add_second()
            try:
                return jobs.run({"ladder": "auto"})
            finally:
                stack.second.close()

        ratio = measure_pairs(
            "two workers / one", on_two, lambda: jobs.run({"ladder": "auto"}), pairs=options.pairs, report=report
        )
    setup = f"The clip of `make run`, looped to {options.seconds} s, chunks of {CHUNK_SECONDS} s, a job with a ladder."
    return f"{setup}\n\n{HEADER}\n{ratio.line()}"
