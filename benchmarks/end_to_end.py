"""Whole jobs on the benchmark's own services, from the client's request to completion."""

import time
from pathlib import Path

from embedded.client import Client, Json

_POLL_SECONDS = 0.05


class JobsUnderTest:
    """Uploads a source once, then runs jobs on it."""

    def __init__(self, client: Client, source: Path) -> None:
        self._client = client
        self.last = ""
        self._video = client.upload(source, lambda _: None)["id"]
        self.run({})  # warm-up: inspects the source, fills the node's cache, starts the worker's processes

    def run(self, request: Json) -> float:
        """Run one job. Returns wall seconds from the request on. Raises RuntimeError when it does not complete."""
        started = time.monotonic()
        job = self._client.transcode(self._video, request)
        while job["state"] not in ("completed", "failed", "cancelled"):
            time.sleep(_POLL_SECONDS)
            job = self._client.job(job["id"])
        if job["state"] != "completed":
            raise RuntimeError(f"job {job['id']} {job['state']}: {job['error']}")
        self.last = str(job["id"])
        return time.monotonic() - started
