"""Outputs of several jobs as players find them, and what parsers in Node.js read there."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.inputs.case import Maker
from tests.inputs.making import AAC, H264, audio_file, card, then
from tests.inputs.running import Transcoded, transcode
from tests.inputs.table import CASES
from transcoding.planning.plan import EncodePlan

HERE = Path(__file__).parent
FILM_AND_COMMENTARY = then(
    card("mkv", frames=125),
    f"-i {{}} -f lavfi -i sine=440:duration=5 -map 0 -map 1 {AAC} -c:v copy"
    " -metadata:s:a:0 language=eng -metadata:s:a:1 language=deu tracks.mkv",
    source="tracks.mkv",
)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A source and a request whose outputs all parsers read."""

    make: Maker
    codec: str = "h264"
    dynamic_range: str = "sdr"
    audio_codec: str = "aac"
    preset: str = "ultrafast"


JOBS = {
    "one rung": Job(make=card("mp4", frames=100)),
    "a ladder": Job(make=card("mp4", frames=125, size=(848, 480))),
    "a short tail": Job(make=card("mp4", frames=205)),
    "a tail of its own": Job(make=card("mp4", frames=230), audio_codec="opus"),
    "29.97": Job(make=card("mp4", rate="30000/1001", frames=250)),
    "silent": Job(make=card("mp4", f"{H264} -an", frames=125)),
    "two audio tracks": Job(make=FILM_AND_COMMENTARY),
    "audio alone": Job(make=audio_file("m4a", AAC, seconds=9)),
    "HEVC": Job(make=card("mp4", frames=125), codec="h265"),
    "AV1": Job(make=card("mp4", frames=125), codec="av1"),
    "HDR10 in HEVC": Job(make=CASES["hdr10"].make, codec="h265", dynamic_range="source"),
    "HLG in AV1": Job(make=CASES["hlg-stream"].make, codec="av1", dynamic_range="source"),
}
every_job = pytest.mark.parametrize("name", JOBS)


@dataclass(frozen=True, kw_only=True)
class Site:
    """Outputs in a folder, as players find them, and what the parsers in Node.js read there."""

    found: Transcoded
    folder: Path
    read: Any

    @property
    def plan(self) -> EncodePlan:
        return self.found.plan

    def durations(self, name: str) -> list[int]:
        """Ticks of the segments of a rendition."""
        return [ticks for run in self.found.runs[name] for ticks in run.durations]


def encode(job: Job, folder: Path) -> Transcoded:
    """Make the source of a job and its outputs."""
    (folder / "input").mkdir()
    return transcode(
        job.make(folder / "input"),
        folder / "work",
        {"codec": job.codec, "dynamic_range": job.dynamic_range, "audio_codec": job.audio_codec},
        preset=job.preset,
    )


def read_site(folder: Path) -> dict[str, Any]:
    """Read the boxes, playlists and manifest of a site with parsers of other people."""
    node = shutil.which("node")
    assert node
    done = subprocess.run([node, HERE / "read.mjs", folder], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read
