"""A client of the public HTTP API, for `make run`."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

Json = dict[str, Any]
TIMEOUT = httpx2.Timeout(30.0, read=600.0)  # an upload is answered when the store has all of it
ERRORS = 400


class ApiError(Exception):
    """The API answered with an error status; the message has its problem document, if there was one."""


class Client:
    """Client of the requests that `make run` sends. Methods return the response's JSON and raise ApiError."""

    def __init__(self, api_url: str, api_key: str) -> None:
        self.api_key = api_key
        headers = {"Authorization": f"Bearer {api_key}"}
        self._http = httpx2.Client(base_url=api_url, headers=headers, timeout=TIMEOUT, trust_env=False)  # no proxy

    def close(self) -> None:
        self._http.close()

    def upload(self, path: Path, on_bytes: Callable[[int], None]) -> Json:
        """Stream a file as multipart form data. `on_bytes` gets the number of bytes read so far."""
        with _CountedFile(path, on_bytes) as file:
            return _json(self._http.post("/api/v1/videos/upload", files={"video": (path.name, file)}))

    def transcode(self, video_id: str, request: Json | None = None) -> Json:
        return _json(self._http.post(f"/api/v1/videos/{video_id}/transcode", json=request or {}))

    def make_thumbnails(self, video_id: str) -> Json:
        return _json(self._http.post(f"/api/v1/videos/{video_id}/thumbnails", json={}))

    def video(self, video_id: str) -> Json:
        return _json(self._http.get(f"/api/v1/videos/{video_id}"))

    def job(self, job_id: str) -> Json:
        return _json(self._http.get(f"/api/v1/jobs/{job_id}"))

    def outputs(self, job_id: str) -> Json:
        return _json(self._http.get(f"/api/v1/jobs/{job_id}/outputs"))

    def playback(self, video_id: str) -> Json:
        return _json(self._http.get(f"/api/v1/videos/{video_id}/playback"))

    def revoke_playback(self, video_id: str) -> Json:
        return _json(self._http.post(f"/api/v1/videos/{video_id}/revoke-playback"))

    def add_text(self, video_id: str, file: bytes, **fields: str) -> Json:
        return _json(self._http.post(f"/api/v1/videos/{video_id}/texts", data=fields, files={"file": ("text", file)}))

    def delete_text(self, video_id: str, text_id: str) -> None:
        self._http.delete(f"/api/v1/videos/{video_id}/texts/{text_id}").raise_for_status()

    def create_livestream(self, request: Json) -> Json:
        return _json(self._http.post("/api/v1/livestreams", json=request))

    def livestream(self, livestream_id: str) -> Json | None:
        """Return the document of a live stream. None: there is none of this id."""
        response = self._http.get(f"/api/v1/livestreams/{livestream_id}")
        return None if response.status_code == httpx2.codes.NOT_FOUND else _json(response)

    def delete(self, video_id: str) -> None:
        self._http.delete(f"/api/v1/videos/{video_id}").raise_for_status()

    def key_refused(self) -> bool:
        """Return True if the API refuses the key as unknown or revoked."""
        return self._http.get("/api/v1/jobs", params={"limit": 1}).status_code == httpx2.codes.UNAUTHORIZED


class _CountedFile(io.FileIO):
    def __init__(self, path: Path, on_bytes: Callable[[int], None]) -> None:
        super().__init__(path)
        self._on_bytes = on_bytes

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(-1 if size is None else size)
        self._on_bytes(self.tell())
        return data


def _json(response: httpx2.Response) -> Json:
    if response.status_code >= ERRORS:
        raise ApiError(f"{response.request.method} {response.request.url.path}: {_problem(response)}")
    body: Json = response.json()
    return body


def _problem(response: httpx2.Response) -> str:
    """Format the error of a problem document, or of another response."""
    try:
        document: Json = response.json()
        return f"{document['detail']} ({document['code']})"
    except (ValueError, KeyError, TypeError):
        return f"status {response.status_code}: {response.text[:500]}"
