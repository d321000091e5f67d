"""A player over HTTP: waits for jobs, reads playlists, fetches segments through their redirects."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import httpx2

from embedded.client import Client, Json

_POLL_SECONDS = 0.1


def finished(client: Client, job: Json, *, seconds: float = 600) -> Json:
    """Wait until a job has ended in any state, and return it. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while job["state"] not in ("completed", "failed", "cancelled"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"job {job['id']} is still {job['state']} ({job['phase']}) after {seconds} s")
        time.sleep(_POLL_SECONDS)
        job = client.job(job["id"])
    return job


def playable(client: Client, job: Json, *, seconds: float = 300) -> Json:
    """Wait until a job is playable, and return it."""
    deadline = time.monotonic() + seconds
    while not job["playable_at"]:
        assert job["state"] not in ("failed", "cancelled"), job["error"]
        assert time.monotonic() < deadline, "not playable in time"
        time.sleep(0.05)
        job = client.job(job["id"])
    return job


def completed(client: Client, path: Path, **request: object) -> Json:
    """Upload and transcode a file, and return the playback document of the completed video."""
    video = client.upload(path, lambda _: None)
    job = finished(client, client.transcode(video["id"], request))
    assert job["state"] == "completed", job["error"]
    return client.playback(video["id"])


@dataclass(frozen=True, slots=True)
class Playlist:
    """Playlist of a rendition: URLs of its init segment and segments, and their lengths in seconds."""

    init: str
    segments: list[str]
    durations: list[float]


class Player:
    """Reads playlists and fetches their segments, following redirects as players do."""

    def __init__(self) -> None:
        self._http = httpx2.Client(follow_redirects=True, trust_env=False, timeout=120)

    def close(self) -> None:
        self._http.close()

    def get(self, url: str) -> httpx2.Response:
        response = self._http.get(url)
        response.raise_for_status()
        return response

    def renditions(self, master_url: str) -> dict[str, str]:
        """Read the URLs of the playlists in a master playlist, by rendition."""
        text = self.get(master_url).text
        named = [line for line in text.splitlines() if line and not line.startswith("#")]
        named += [
            line.partition('URI="')[2].partition('"')[0]
            for line in text.splitlines()
            if line.startswith("#EXT-X-MEDIA:")
        ]
        return {name.split("/")[0]: urljoin(master_url, name) for name in named}

    def playlist(self, url: str) -> Playlist:
        lines = self.get(url).text.splitlines()
        init = next(line for line in lines if line.startswith("#EXT-X-MAP")).partition('URI="')[2].rstrip('"')
        return Playlist(
            init=urljoin(url, init),
            segments=[urljoin(url, line) for line in lines if line and not line.startswith("#")],
            durations=[float(line[8:].rstrip(",")) for line in lines if line.startswith("#EXTINF:")],
        )

    def save(self, url: str, path: Path) -> Path:
        """Write a rendition's init segment and all its segments into a file."""
        playlist = self.playlist(url)
        path.write_bytes(b"".join(self.get(part).content for part in (playlist.init, *playlist.segments)))
        return path
