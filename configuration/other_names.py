"""Other names of settings: variables of the transcoder that this platform replaces, and their settings here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from configuration.declaration import PREFIX
from configuration.parsing import parse_boolean


def _unchanged(_variable: str, text: str) -> str:
    return text


def _one_part_unless_parallel(variable: str, text: str) -> str:
    """Translate a boolean into a number of parallel parts: false means one, true leaves the setting as it is."""
    return "" if parse_boolean(variable, text) else "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherName:
    """One foreign variable and its setting.

    `translate` takes the variable's name and text. It returns the setting's text, or an empty one to leave the setting
    as it is, and raises ValueError. If several other names of one setting are used, the smallest value counts.
    """

    name: str
    setting: str
    remark: str = ""
    translate: Callable[[str, str], str] = _unchanged

    @property
    def variable(self) -> str:
        """Name of the environment variable."""
        return PREFIX + self.name


OTHER_NAMES = (
    OtherName(name="WORKERCOUNT", setting="worker_slots", remark="If both are set, the smaller counts."),
    OtherName(name="MAXCONCURRENT", setting="worker_slots", remark="If both are set, the smaller counts."),
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
        remark="`false`: one part at a time. `true`: as many as the setting says.",
        translate=_one_part_unless_parallel,
    ),
)


def overridden(environ: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which these variables of ours replace whatever other names of theirs it has."""
    replaced = {other.variable for other in OTHER_NAMES if PREFIX + other.setting.upper() in settings}
    return {name: text for name, text in environ.items() if name not in replaced} | dict(settings)


WITHOUT_EFFECT: Mapping[str, str] = MappingProxyType(
    {PREFIX + "CHUNKSIZE": "the server names the size of each upload's parts, TRANSCODER_UPLOAD_PART_BYTES or more"}
)
"""Variables that are accepted without effect, with the reason."""

REPLACED: Mapping[str, str] = MappingProxyType(
    {PREFIX + "TRUST_FORWARDED_PROTO": "name the proxies in TRANSCODER_TRUSTED_PROXIES"}
)
"""Variables of earlier versions, with what to do instead. They stop the start."""

SERVER_VARIABLES: Mapping[str, str] = MappingProxyType(
    {"FORWARDED_ALLOW_IPS": "name the proxies in TRANSCODER_TRUSTED_PROXIES"}
)
"""Variables of the HTTP server that are not read, with the reason."""
