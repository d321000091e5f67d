"""A worker of live streams in a process of its own: `python -m tests.live_worker NODE`. Kill it as you like.

It also does what the dispatcher does: it reclaims leases and looks after broadcasts, and it finishes recordings.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from embedded.home import REPOSITORY

LEASE_SECONDS = 2.0


@contextmanager
def a_live_worker(
    node: str, database: str, scratch: Path, settings: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a worker on the database of the tests, and kill it in the end. Its log is beside `scratch`."""
    url = urlsplit(os.environ["TRANSCODER_DATABASE_URL"])
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "transcoder_site.settings",
        "TRANSCODER_DATABASE_URL": urlunsplit(url._replace(path=f"/{database}")),
        "TRANSCODER_SCRATCH_PATH": str(scratch),
        "TRANSCODER_WORKER_QUEUE": "live",
        "TRANSCODER_LIVE_LEASE_SECONDS": str(LEASE_SECONDS),
        "TRANSCODER_X264_PRESET": "ultrafast",
        **(settings or {}),
    }
    with scratch.with_name(f"{node}.log").open("ab") as log:
        argv = [sys.executable, "-m", "tests.live_worker", node]
        process = subprocess.Popen(argv, cwd=REPOSITORY, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def main(node: str) -> None:
    """Work until killed, or drained by SIGTERM."""
    import signal

    from django.conf import settings
    from django.db import DatabaseError, InterfaceError, connection

    import tests.django_process  # noqa: F401
    from execution.process import adopt_orphans
    from jobs.lifecycle.failures import leases_reclaim, steps_promote
    from jobs.rules.steps import CPU_QUEUE, LIVE_QUEUE
    from jobs.wiring import job_policy
    from livestreams.services.watch import broadcasts_watch
    from workers.node.flags import SharedFlag
    from workers.runner import StepRunner
    from workers.wiring import tools_from

    del adopt_orphans
    draining = SharedFlag()
    signal.signal(signal.SIGTERM, lambda *_: draining.set(urgent=False))
    runner = StepRunner(tools_from(settings.TRANSCODER, node=node, draining=draining))
    sys.stdout.write("up\n")
    sys.stdout.flush()
    while not draining.is_set():
        try:
            leases_reclaim(policy=job_policy())
            steps_promote()
            broadcasts_watch()
            for queue in (LIVE_QUEUE, CPU_QUEUE):
                runner.work(queue)
        except (DatabaseError, InterfaceError):
            connection.close()
        time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1])
