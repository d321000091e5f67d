"""One stack for all fault tests. After each test it is healed and drained, and the invariants are checked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from tests.faults import invariants
from tests.faults.rig import Rig
from tests.ffmpeg.sources import AAC, SILENT, Card, make
from tests.servers import locked_home

FAST = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "50")


@pytest.fixture(scope="session")
def running_rig() -> Iterator[Rig]:
    with locked_home(f"{os.getpid()}-faults") as home:
        rig = Rig(home)
        try:
            rig.start()
            yield rig
        finally:
            rig.close()


@pytest.fixture
def rig(running_rig: Rig, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """The healed stack. After the test it is healed again, and the invariants are checked."""
    running_rig.jobs.clear()
    yield running_rig
    running_rig.heal()
    if running_rig.jobs:
        running_rig.finished()
        invariants.check(running_rig, running_rig.jobs)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen seconds of numbered frames with beeps: four segments, two chunks."""
    card = Card(rate=Fraction(25), frames=400, width=192, height=108)
    return make(tmp_path_factory.mktemp("clip") / "clip.mp4", card, *FAST, *AAC)


@pytest.fixture(scope="session")
def short_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first eight seconds of it: two segments in one chunk."""
    card = Card(rate=Fraction(25), frames=200, width=192, height=108)
    return make(tmp_path_factory.mktemp("short") / "clip.mp4", card, *FAST, *AAC)


@pytest.fixture(scope="session")
def blink(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second without audio: a job of two short steps."""
    card = Card(rate=Fraction(25), frames=25, width=128, height=72)
    return make(tmp_path_factory.mktemp("blink") / "blink.mp4", card, *FAST, *SILENT)
