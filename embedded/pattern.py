"""A test pattern that `make live` publishes, so that there is something to watch without a camera or OBS."""

from __future__ import annotations

from embedded.home import Home
from embedded.service import Service, find_program
from execution.daemons import DaemonError

_VIDEO = "testsrc2=size=640x360:rate=30"
_TONE = "sine=frequency=440:beep_factor=4:sample_rate=48000"
_CODECS = ("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-b:v", "800k", "-g", "30")
"""A key frame each second: whoever begins to read waits for the next one."""
_AUDIO = ("-c:a", "aac", "-b:a", "96k", "-ac", "2")


class Pattern(Service):
    """An ffmpeg that publishes as OBS would. Once the ingest server ends it, the next `make live` starts it again."""

    name = "test-pattern"

    def __init__(self, home: Home, *, url: str) -> None:
        super().__init__(home)
        self._url = url

    def argv(self) -> list[str]:
        ffmpeg = find_program("ffmpeg")
        if ffmpeg is None:
            raise DaemonError("ffmpeg is not installed: run `make setup`")
        inputs = [part for source in (_VIDEO, _TONE) for part in ("-re", "-f", "lavfi", "-i", source)]
        published = [*_CODECS, "-pix_fmt", "yuv420p", *_AUDIO, "-f", "flv", self._url]
        return [str(ffmpeg), "-nostdin", "-v", "warning", *inputs, *published]

    def ready(self) -> bool:
        """Return True at once: whether it is on the air, the API says."""
        return True
