"""The golden encodes, each made once per run when a test first requests it."""

from collections.abc import Callable

import pytest

from tests.ffmpeg.cases import CASES, Sources
from tests.ffmpeg.golden import Golden, transcode

Goldens = Callable[[str], Golden]


@pytest.fixture(scope="session")
def golden(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> Goldens:
    """A golden encode by the name of its case."""
    encodes: dict[str, Golden] = {}

    def of(name: str) -> Golden:
        if name not in encodes:
            folder = tmp_path_factory.mktemp(name) / "out"
            encodes[name] = transcode(sources(name), folder, codec=CASES[name].codec)
        return encodes[name]

    return of
