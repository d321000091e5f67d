"""The videos that players are shown, on an installation of its own that runs as by `make run`."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from embedded.client import Client, Json
from embedded.stack import Stack
from tests.acceptance.playing import completed
from tests.ffmpeg.sources import H264, SILENT, Card, make, run, with_tones
from tests.servers import locked_home

RATE = 25
SECONDS = 24
GOP = 50
"""Frames from one key frame to the next."""
CHUNK_SECONDS = 8
"""Three chunks, so two seams."""
HEIGHTS = (720, 480, 360)
TONES = {"eng": 440, "deu": 880}
"""Languages of the audio tracks, and the hertz of their tones."""
CUES = {1.5: "eins", 8.0: "zwei", 20.5: "drei"}
"""Words of the text, by a time at which they are shown. The second cue lies over a seam."""
SHORT_SECONDS = 10
_SRT = """1
00:00:01,000 --> 00:00:02,000
eins

2
00:00:07,500 --> 00:00:09,500
<i>zwei</i>

3
00:00:20,000 --> 00:00:21,000
drei
"""


@dataclass(frozen=True, slots=True)
class Material:
    """Playback documents of two complete videos.

    `ladder`: three rungs of H.264, AAC in two languages, a text and images. `codecs`: one size in H.264, VP9 and AV1,
    with Opus in stereo and in 5.1.
    """

    ladder: Json
    codecs: Json


@contextmanager
def installation(report: Callable[[str], None]) -> Iterator[Material]:
    """Start servers and product, transcode the videos, yield their documents, and stop everything."""
    with locked_home(f"{os.getpid()}-players") as home, tempfile.TemporaryDirectory() as folder:
        home.port("api")  # any free one: the usual one may be somebody's `make run`
        environ = {"PATH": os.environ["PATH"], "TRANSCODER_MAX_CHUNK_SECONDS": str(CHUNK_SECONDS)}
        stack = Stack(home, durable=False, environ=environ)
        try:
            stack.start(report)
            with closing(stack.client()) as client:
                yield _material(client, Path(folder), report)
        finally:
            stack.close()


def _material(client: Client, folder: Path, report: Callable[[str], None]) -> Material:
    report("transcoding: three rungs, two languages")
    ladder = completed(client, _ladder_source(folder), preset="ultrafast", generate_thumbnails=True)
    client.add_text(ladder["video_id"], _SRT.encode(), language="de", label="Deutsch")
    report("transcoding: H.264, VP9 and AV1, Opus in stereo and 5.1")
    request = {"codecs": ["h264", "vp9", "av1"], "audio_codec": "opus", "audio_channels": "surround"}
    codecs = completed(client, _codecs_source(folder), preset="ultrafast", **request)
    return Material(ladder=_with_images(client, ladder["video_id"]), codecs=codecs)


def _ladder_source(folder: Path) -> Path:
    card = Card(rate=Fraction(RATE), frames=RATE * SECONDS, width=1280, height=720)
    return with_tones(make(folder / "card.mp4", card, *H264, *SILENT), folder / "ladder.mkv", TONES)


def _codecs_source(folder: Path) -> Path:
    card = Card(rate=Fraction(RATE), frames=RATE * SHORT_SECONDS, width=640, height=360)
    video = make(folder / "small.mp4", card, *H264, *SILENT)
    tones = "|".join(["0.1*sin(2*PI*440*t)"] * 6)
    audio = ["-f", "lavfi", "-i", f"aevalsrc='{tones}':channel_layout=5.1:duration={SHORT_SECONDS}"]
    path = folder / "codecs.mkv"
    run(["-i", f"file:{video}", *audio, "-c:v", "copy", "-c:a", "flac", f"file:{path}"])
    return path


def _with_images(client: Client, video_id: str) -> Json:
    deadline = time.monotonic() + 300
    while (playback := client.playback(video_id))["thumbnails"]["state"] == "pending":
        if time.monotonic() > deadline:
            raise TimeoutError("the images are not made in time")
        time.sleep(0.2)
    return playback
