"""Memory that a run of ffmpeg may take: several times what an honest source was seen to need."""

from collections.abc import Iterable
from typing import Protocol

from transcoding.encoders.traits import VideoEncoder

_BASE_BYTES = 1 << 30
"""Programs, threads and queues, at any frame size."""
_DRIVER_BYTES = 1 << 30
"""The libraries and contexts of a device."""
_DECODED_PIXEL_BYTES = 400
"""Fifty frames of 4:4:4 with 16 bits: those that a decoder refers to, those of its threads, and the filters' queues."""


class _Sized(Protocol):
    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...


def encoding_memory(encoder: VideoEncoder, source: _Sized, renditions: Iterable[_Sized]) -> int:
    """Return the bytes that decoding a source once and encoding it to these renditions may take."""
    encoded = sum(each.width * each.height for each in renditions)
    driver = _DRIVER_BYTES if encoder.hardware else 0
    return decoding_memory(source) + driver + encoded * encoder.memory_per_pixel


def decoding_memory(source: _Sized) -> int:
    """Return the bytes that decoding a source may take."""
    return _BASE_BYTES + source.width * source.height * _DECODED_PIXEL_BYTES
