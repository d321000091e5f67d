"""Other names of settings: variables of the transcoder that this platform replaces, and what they stand for here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from configuration.declaration import PREFIX
from configuration.parsing import parse_boolean


def _unchanged(_variable: str, text: str) -> str:
    return text


def _one_part_unless_parallel(variable: str, text: str) -> str:
    """Translate whether parts are moved in parallel: false means one at a time, true says no number."""
    return "" if parse_boolean(variable, text) else "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherName:
    """One foreign variable and the setting that it stands for.

    `translate` takes the variable's name and text and gives the setting's text, empty for "no opinion"; it raises
    ValueError. Several other names of one setting are limits that hold together: the smallest counts.
    """

    name: str
    setting: str
    note: str = ""
    translate: Callable[[str, str], str] = _unchanged

    @property
    def variable(self) -> str:
        """Name of the environment variable."""
        return PREFIX + self.name


OTHER_NAMES = (
    OtherName(name="WORKERCOUNT", setting="worker_slots", note="Of both, the smaller counts."),
    OtherName(name="MAXCONCURRENT", setting="worker_slots", note="Of both, the smaller counts."),
    OtherName(name="TEMPDIR", setting="scratch_path"),
    OtherName(name="FFMPEGPATH", setting="ffmpeg_path"),
    OtherName(name="FFPROBEPATH", setting="ffprobe_path"),
    OtherName(name="ENABLEGPU", setting="enable_gpu"),
    OtherName(name="GPUDEVICEINDEX", setting="gpu_device_index"),
    OtherName(name="ENABLETWOPASS", setting="two_pass"),
    OtherName(name="ENABLECACHE", setting="enable_cache"),
    OtherName(name="CACHETTL", setting="cache_ttl_seconds"),
    OtherName(name="UPLOADPARTSIZE", setting="upload_part_bytes"),
    OtherName(name="MAXCONCURRENTPARTS", setting="parallel_parts"),
    OtherName(
        name="PARALLELUPLOAD",
        setting="parallel_parts",
        note="`false`: one part at a time. `true`: as many as the setting says.",
        translate=_one_part_unless_parallel,
    ),
)

WITHOUT_EFFECT: Mapping[str, str] = MappingProxyType(
    {PREFIX + "CHUNKSIZE": "clients send a video in one request and not in parts"}
)
"""Variables that are accepted and change nothing, with the reason."""
