"""Messages between the server and a jailed remux process: one JSON object in each datagram of a pair of sockets.

to the process     start (with the descriptors of source and output), end
from the process   ready, once; for a stream started, statistics each second, and at last ended or failed
"""

import json
import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

MAX_BYTES = 1 << 14
NOT_MEDIA, NOTHING, UNSUPPORTED, BROKEN = "not_media", "nothing", "unsupported", "broken"
"""Codes of failures: no stream of such a container, ended before there was one, a codec that cannot be remuxed, and
anything else."""
MAX_NUMBER = 1 << 62
"""The largest number of a message."""
_MAX_CHARACTERS = 500
_CODES = frozenset({NOT_MEDIA, NOTHING, UNSUPPORTED, BROKEN})
_SIGNED = frozenset({"drift_ms"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Remux a stream. Its two descriptors come along: the source, to be read, and the output, to be written."""

    kind: ClassVar[str] = "start"
    stream: int
    container: str
    audio_bitrate: int
    copies_audio: bool
    """Audio that is what we give already is copied, whatever its bit rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """End a stream at once."""

    kind: ClassVar[str] = "end"
    stream: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The process serves streams."""

    kind: ClassVar[str] = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A stream was recognized. Codecs have FFmpeg's names; an empty one means that there is no such stream."""

    kind: ClassVar[str] = "started"
    stream: int
    video: str
    audio: str
    copies_audio: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Counters of a stream so far."""

    kind: ClassVar[str] = "statistics"
    stream: int
    bytes_in: int = 0
    bytes_out: int = 0
    drift_ms: float = 0.0
    """Time by which the source's audio is ahead of ours."""
    rebases: int = 0
    """Jumps of the source's clock."""
    silence_ms: int = 0
    """Silence that was inserted."""
    skipped_ms: int = 0
    """Audio that was left out because it overlapped."""
    decode_errors: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A stream has ended, and its descriptors are closed: its source ended, its reader left, or it had to."""

    kind: ClassVar[str] = "ended"
    stream: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A stream has failed, and its descriptors are closed."""

    kind: ClassVar[str] = "failed"
    stream: int
    code: str
    text: str = field(default="")


Message = Start | End | Ready | Started | Statistics | Ended | Failed
_KINDS: dict[str, type[Message]] = {each.kind: each for each in (Start, End, Ready, Started, Statistics, Ended, Failed)}


def packed(message: Message) -> bytes:
    """Return the bytes of a message."""
    return json.dumps({"kind": message.kind} | asdict(message)).encode()


def unpacked(data: bytes) -> Message:
    """Return the message of these bytes. Raises ValueError for anything else.

    A decoder that a stranger's bytes took over may write any bytes: each value is checked before anybody uses it.
    """
    try:
        values: dict[str, Any] = json.loads(data)
        message = _KINDS[values.pop("kind")](**values)
    except (TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError("no message of a remux process") from error
    for each in fields(message):
        value = getattr(message, each.name)
        if not (_is_text(value) if each.type is str else _is_number(value, each.type, signed=each.name in _SIGNED)):
            raise ValueError(f"no {each.name} of a message of a remux process")
    if isinstance(message, Failed) and message.code not in _CODES:
        raise ValueError("no code of a remux process")
    return message


def _is_text(value: object) -> bool:
    """Tell whether it is a short text that databases and logs take."""
    if not isinstance(value, str) or len(value) > _MAX_CHARACTERS or "\0" in value:
        return False
    value.encode()  # raises UnicodeEncodeError, a ValueError, for half a pair of surrogates
    return True


def _is_number(value: object, kind: object, *, signed: bool) -> bool:
    """Tell whether it is a number of a kind (`bool`, `int` or `float`, which may be whole), in the range of all."""
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if not isinstance(value, int | float) or (isinstance(value, float) and (kind is int or not math.isfinite(value))):
        return False
    return (-MAX_NUMBER if signed else 0) <= value <= MAX_NUMBER
