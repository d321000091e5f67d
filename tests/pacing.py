"""An ffmpeg with a limited encoding speed, so that a tiny video takes a while and little CPU.

The duration of an encode is then the same on fast and slow machines.
"""

import shutil
from pathlib import Path

import imageio_ffmpeg

# Limits the speed to that in the file `pace` of its folder.
_SCRIPT = """#!/bin/sh
here=${0%%/*}
pace=0 burst=0
for word in "$@"; do
    [ "$word" = libx264 ] && read -r pace burst < "$here/pace" && encodes=yes
done
if [ -n "$encodes" ] && [ -e "$here/broken" ]; then cat "$here/broken" >&2; exit 1; fi
if [ "$pace" != 0 ]; then
    for word in "$@"; do
        shift
        [ "$word" = -i ] && set -- "$@" -readrate "$pace" -readrate_initial_burst "$burst"
        set -- "$@" "$word"
    done
fi
exec "$here/%(real)s" "$@"
"""


class PacedFfmpeg:
    """A script in a folder of its own that stands for ffmpeg."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ffmpeg"

    def install(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        real = Path(imageio_ffmpeg.get_ffmpeg_exe())
        inside = self.path.with_name(real.name)
        if not inside.exists():
            _link_or_copy(real, inside)
        self.path.write_text(_SCRIPT % {"real": real.name})
        self.path.chmod(0o755)
        self.pace(0)

    @property
    def environ(self) -> dict[str, str]:
        """Settings of a worker. Of the files beside a program, a jail shows those in folders of libraries."""
        return {"TRANSCODER_FFMPEG_PATH": str(self.path), "LD_LIBRARY_PATH": str(self.path.parent)}

    def pace(self, times_real_time: float, *, burst_seconds: float = 0.04) -> None:
        """Limit the speed at which encodes started from now on read their source, after `burst_seconds` of it.

        0: no limit.
        """
        fresh = self.path.with_name("pace.new")
        fresh.write_text(f"{times_real_time} {burst_seconds}\n")
        fresh.rename(self.path.with_name("pace"))

    def break_down(self, message: str) -> None:
        """Have video encodes that start from now on fail with this message on stderr."""
        self._broken.write_text(f"{message}\n")

    def mend(self) -> None:
        """Undo `break_down`."""
        self._broken.unlink(missing_ok=True)

    @property
    def _broken(self) -> Path:
        return self.path.with_name("broken")


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # on another disk
        shutil.copy(source, target)
