"""A real ingest server, live workers that can be killed, publishers, and what is stored of a broadcast."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from django.db import connection

from embedded.ingest import Ingest
from embedded.service import find_program
from jobs.models import Step
from jobs.rules.steps import StepKind
from livestreams.services.publishing import (
    Admission,
    Publisher,
    publish_accepted,
    publish_requested,
    publisher_left,
    publisher_seen,
    reader_waits,
)
from livestreams.states import BroadcastState
from storage.keys import SEGMENT_SUFFIX, video_prefix
from storage.protocol import ObjectStore
from tests.ffmpeg.golden import beep_seconds
from tests.ingest_process import Call
from tests.live_rows import Stream, a_live_node
from tests.live_worker import a_live_worker
from videos.models import Rendition
from videos.selectors import published_prefix
from videos.states import RenditionKind

DEADLINE_SECONDS = 180
_ACCEPT_SECONDS = 7.5


def wait_for(holds: Callable[[], object], what: str = "") -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def answer(call: Call) -> int:
    """Answer a hook of nginx by the services, as the process of hooks does."""
    try:
        return _answer(call.form, call.address)
    finally:
        connection.close()


def _answer(form: dict[str, str], address: str) -> int:
    if form["call"] in {"play", "update_play", "play_done"}:
        return 204
    publisher = Publisher(
        name=form["name"], key=form.get("key", ""), client_id=form["clientid"], ingest_address=f"{address}/live"
    )
    if form["call"] == "update_publish":
        return 204 if publisher_seen(publisher) else 403
    if form["call"] == "publish_done":
        publisher_left(publisher)
        return 204
    admission = publish_requested(publisher)
    if not isinstance(admission, Admission):
        return 403
    deadline = time.monotonic() + _ACCEPT_SECONDS
    while not reader_waits(admission.broadcast_id) and time.monotonic() < deadline:
        time.sleep(0.02)
    return 204 if publish_accepted(admission, publisher) else 403


@dataclass
class Rig:
    """Processes of one test."""

    ingest: Ingest
    store: ObjectStore
    folder: Path
    stack: ExitStack
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, *nodes: str, settings: Mapping[str, str] | None = None) -> None:
        """Start workers, and wait until they are up."""
        for node in nodes:
            scratch = self.folder / node
            scratch.mkdir(exist_ok=True)
            database = str(connection.settings_dict["NAME"])
            self.workers[node] = self.stack.enter_context(a_live_worker(node, database, scratch, settings))
        for node in nodes:
            self.wait_logged(node, "up")

    def wait_logged(self, node: str, text: str) -> None:
        wait_for(lambda: text in self.log(node), f"{node} does not say {text}")

    def log(self, node: str) -> str:
        return (self.folder / f"{node}.log").read_text()

    def logs(self) -> str:
        return "\n".join(self.log(node)[-4000:] for node in self.workers)

    @contextmanager
    def publishing(
        self, stream: Stream, source: Path, *options: str, before: Sequence[str] = ()
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Publish a file in real time, to its end. `before` are options of the input."""
        a_live_node()  # which has just been heard of
        url = f"{self.ingest.url}/{stream.row.ingest_name}?key={stream.secret}"
        program = str(find_program("ffmpeg"))
        argv = [program, "-nostdin", "-v", "error", "-re", *before, "-i", str(source), *(options or ("-c", "copy"))]
        process = subprocess.Popen([*argv, "-f", "flv", url], stdin=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def published(self, stream: Stream) -> int:
        """Count the published segments of the newest broadcast."""
        steps = Step.objects.filter(job__broadcast__livestream=stream.row, kind=StepKind.LIVE)
        return steps.order_by("-id").values_list("units_done", flat=True).first() or 0

    def wait_published(self, stream: Stream, segments: int) -> None:
        wait_for(lambda: self.published(stream) >= segments, self.logs())

    def wait_ended(self, stream: Stream) -> None:
        over = {BroadcastState.ENDED, BroadcastState.FAILED}
        wait_for(lambda: stream.broadcast.state in over, self.logs())
        assert stream.broadcast.state == BroadcastState.ENDED, stream.broadcast.error_detail

    def recording(self, stream: Stream) -> Path:
        """Join what is stored of the video and the audio of the newest broadcast into one file each, and both."""
        video, audio = (self._joined(stream, kind) for kind in (RenditionKind.VIDEO, RenditionKind.AUDIO))
        both = self.folder / "recording.mp4"
        program = str(find_program("ffmpeg"))
        argv = [program, "-v", "error", "-y", "-i", str(video), "-i", str(audio), "-c", "copy", "-copyts", str(both)]
        subprocess.run(argv, check=True)
        return video

    def _joined(self, stream: Stream, kind: RenditionKind) -> Path:
        job = stream.broadcast.job
        assert job
        renditions = Rendition.objects.filter(generation=job.generation, kind=kind)
        rendition = renditions.order_by("position")[0]
        keys = [rendition.init_key, *(segment.key for segment in published_prefix(rendition))]
        path = self.folder / f"{kind}.mp4"
        path.write_bytes(b"".join(self.store.get(key) for key in keys))
        return path

    def beeps(self) -> list[float]:
        """Find the beeps in the audio of `recording`, in seconds."""
        return beep_seconds(self.folder / f"{RenditionKind.AUDIO}.mp4")

    def audio_seconds(self) -> float:
        """Measure the decoded audio of `recording`."""
        program = str(find_program("ffmpeg"))
        argv = [program, "-v", "error", "-i", str(self.folder / f"{RenditionKind.AUDIO}.mp4"), "-f", "s16le"]
        decoded = subprocess.run([*argv, "-ac", "1", "-ar", "48000", "-"], check=True, capture_output=True).stdout
        return len(decoded) / 2 / 48_000

    def segment_keys(self, stream: Stream) -> list[str]:
        """List the segments in the store of all renditions of the newest broadcast."""
        prefix = video_prefix(stream.broadcast.video_id)
        return [stored.key for stored in self.store.list(prefix) if stored.key.endswith(SEGMENT_SUFFIX)]
