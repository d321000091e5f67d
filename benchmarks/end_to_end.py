"""Whole jobs on the benchmark's own services, from creation to the end."""

import time
from datetime import datetime
from pathlib import Path

from embedded.client import Client, Json

_POLL_SECONDS = 0.2
"""Rare enough that requests cost the machine next to nothing: the job's own times are exact."""


class JobsUnderTest:
    """Uploads a source once, then runs jobs on it."""

    def __init__(self, client: Client, source: Path) -> None:
        self._client = client
        self.last = ""
        self.video: str = client.upload(source, lambda _: None)["id"]
        self.run({})  # warm-up: inspects the source, fills the node's cache, starts the worker's processes

    def run(self, request: Json) -> float:
        """Run one job. Returns the seconds from its `created_at` to its `finished_at`, which the database set.

        The client's clock plays no part, so that the client need not poll often and costs the machine nothing.

        Raises:
            RuntimeError: The job does not complete.

        """
        job = self._client.transcode(self.video, request)
        while job["state"] not in ("completed", "failed", "cancelled"):
            time.sleep(_POLL_SECONDS)
            job = self._client.job(job["id"])
        if job["state"] != "completed":
            raise RuntimeError(f"job {job['id']} {job['state']}: {job['error']}")
        self.last = str(job["id"])
        created, finished = (datetime.fromisoformat(job[name]) for name in ("created_at", "finished_at"))
        return (finished - created).total_seconds()
