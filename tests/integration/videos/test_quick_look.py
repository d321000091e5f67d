"""The answer to an upload says what the headers of the file say, and does not wait for them for long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from django.conf import settings

from configuration import ExecutionConfig, LimitConfig
from execution.ffprobe import Ffprobe
from execution.isolation import NotIsolated
from storage.protocol import ObjectStore, StoredObject
from tests.ffmpeg.sources import AAC, H264, SILENT, Card, make
from videos.uploads.idempotency import PATH
from videos.uploads.quick_look import QuickLook
from videos.uploads.wiring import jailed_ffprobe

NAMES = ("duration", "width", "height", "codec", "frame_rate")
CARD = Card(rate=Fraction(25), frames=50, width=160, height=96)


TRIES = 20
"""A busy machine may need more than the time that there is."""


def looked(look: QuickLook, stored: StoredObject, family: str) -> Mapping[str, object]:
    for _ in range(TRIES):
        if found := asyncio.run(look(stored, family)):
            return found
    raise AssertionError("no look was quick enough")


def prober() -> Ffprobe:
    return Ffprobe(ExecutionConfig(), LimitConfig())


@pytest.mark.parametrize(
    ("extension", "options"),
    [
        ("mp4", (*H264, *AAC)),
        ("mp4", (*H264, *AAC, "-movflags", "+frag_keyframe+empty_moov")),
        ("mkv", (*H264, *SILENT)),
        ("ts", (*H264, *AAC)),
    ],
)
def test_headers_are_read(store: ObjectStore, tmp_path: Path, extension: str, options: tuple[str, ...]) -> None:
    path = make(tmp_path / f"clip.{extension}", CARD, *options)
    family = {"mp4": "mov", "mkv": "matroska", "ts": "mpegts"}[extension]
    stored = store.put_file("videos/clip", path, "application/octet-stream")
    found = looked(QuickLook(store, prober, max_tracks=64), stored, family)
    assert {name: found[name] for name in NAMES[1:]} == {"width": 160, "height": 96, "codec": "h264", "frame_rate": 25}
    assert found["duration"] == pytest.approx(2, abs=0.1)


def test_the_answer_to_an_upload_has_them(api: httpx2.Client, tmp_path: Path) -> None:
    data = make(tmp_path / "clip.mp4", CARD, *H264, *AAC).read_bytes()
    for _ in range(TRIES):
        shown = api.post(PATH, files={"video": ("clip.mp4", data, "video/mp4")}).json()
        if shown["duration"] is not None:
            break
    assert {name: shown[name] for name in NAMES} == {
        "duration": 2.0,
        "width": 160,
        "height": 96,
        "codec": "h264",
        "frame_rate": 25.0,
    }
    assert shown["status"] == "uploaded"
    assert shown["bitrate"] > 0


class _Slow:
    """A program that ends when the test says so."""

    def __init__(self) -> None:
        self.release, self.ended = threading.Event(), threading.Event()

    def streams(self, _path: Path, **_options: Any) -> str:  # noqa: ANN401 - as of the real one
        self.release.wait(60)
        self.ended.set()
        return ""


def test_an_answer_does_not_wait_for_them(store: ObjectStore) -> None:
    program = _Slow()
    look = QuickLook(store, lambda: cast("Ffprobe", program), max_tracks=64)

    async def looks(stored: StoredObject) -> tuple[object, bool]:
        found = await look(stored, "matroska")
        ended = program.ended.is_set()
        program.release.set()
        return found, ended

    stored = store.put("videos/clip", b"x", "application/octet-stream")
    assert asyncio.run(looks(stored)) == (None, False)


@pytest.mark.parametrize("error", [FileNotFoundError("no ffprobe"), RuntimeError("no jail")], ids=str)
def test_an_installation_without_the_program_answers_without_them(store: ObjectStore, error: Exception) -> None:
    tried: list[Exception] = []

    def missing() -> Ffprobe:
        tried.append(error)
        raise error

    stored = store.put("videos/clip", b"x", "application/octet-stream")
    look = QuickLook(store, missing, max_tracks=64)
    assert [asyncio.run(look(stored, "matroska")) for _ in range(2)] == [None, None]
    assert tried == [error]  # no upload waits for another try


@pytest.mark.parametrize("isolation", ["container", "none"])
def test_no_file_is_opened_beside_the_secrets_of_the_api(isolation: str) -> None:
    config = replace(settings.TRANSCODER, execution=ExecutionConfig(isolation=isolation))
    with pytest.raises(NotIsolated, match="beside the secrets"):
        jailed_ffprobe(config)
