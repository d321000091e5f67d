"""Parameters of AAC (ISO/IEC 14496-3, 1.6.2.1), and frames of silence."""

from __future__ import annotations

from dataclasses import dataclass

from transcoding.sniffing.bits import BitReader, OutOfBits

_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_ANY_RATE = 15
_ESCAPE, _SBR, _PS = 31, 5, 29
_CHANNELS = (0, 1, 2, 3, 4, 5, 6, 8)
_FRAME_SAMPLES = 1024
_SINGLE, _PAIR, _LFE, _END = 0, 1, 3, 7
_ELEMENTS: tuple[tuple[int, ...], ...] = (
    (),
    (_SINGLE,),
    (_PAIR,),
    (_SINGLE, _PAIR),
    (_SINGLE, _PAIR, _SINGLE),
    (_SINGLE, _PAIR, _PAIR),
    (_SINGLE, _PAIR, _PAIR, _LFE),
    (_SINGLE, _PAIR, _PAIR, _PAIR, _LFE),
)
"""Elements of a frame by channel configuration."""


@dataclass(frozen=True, slots=True)
class AacConfig:
    """Parameters of decoders. Two with the same fields decode the same frames."""

    core_rate: int
    """Samples per second of the frames, before any extension doubles them."""
    layout: int
    """The channel configuration; 0: in the frames."""
    rate: int
    """Samples per second of the output."""
    channels: int

    @property
    def frame_ms(self) -> float:
        return _FRAME_SAMPLES * 1000 / self.core_rate


STEREO = AacConfig(48000, 2, 48000, 2)
STEREO_RECORD = b"\x11\x90"
"""The parameters of AAC-LC with 48,000 samples per second and two channels."""


def read_aac_config(record: bytes) -> AacConfig | None:
    """Read an AudioSpecificConfig; None for one that is none, or of frames that have not 1,024 samples."""
    bits = BitReader(record[:64])
    try:
        kind = _kind(bits)
        rate = core = _rate(bits)
        layout = bits.number(4)
        parametric = kind == _PS
        if kind in (_SBR, _PS):
            rate = _rate(bits)
            kind = _kind(bits)
        short = bits.flag()
    except (OutOfBits, IndexError):
        return None
    if short or layout >= len(_CHANNELS) or not core or not rate:
        return None
    return AacConfig(core, layout, rate, 2 if parametric else _CHANNELS[layout])


def silent_frame(config: AacConfig) -> bytes | None:
    """Write a frame of silence; None where frames say themselves which channels they have."""
    if not _ELEMENTS[config.layout]:
        return None
    bits = ""
    counts: dict[int, int] = {}
    for element in _ELEMENTS[config.layout]:
        bits += f"{element:03b}{counts.get(element, 0):04b}"
        counts[element] = counts.get(element, 0) + 1
        bits += _PAIR_BITS if element == _PAIR else _CHANNEL_GAIN + _WINDOW + _NO_TOOLS
    bits += f"{_END:03b}"
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")


_CHANNEL_GAIN = "00000000"
_WINDOW = "0" + "00" + "0" + "000000" + "0"
"""One long window without any scale factor band, and no prediction."""
_NO_TOOLS = "000"
"""No amplitude data, no temporal noise shaping, no gain control."""
_PAIR_BITS = "1" + _WINDOW + "00" + 2 * (_CHANNEL_GAIN + _NO_TOOLS)
"""A window for both, and no stereo coding."""


def _kind(bits: BitReader) -> int:
    kind = bits.number(5)
    return 32 + bits.number(6) if kind == _ESCAPE else kind


def _rate(bits: BitReader) -> int:
    index = bits.number(4)
    return bits.number(24) if index == _ANY_RATE else _RATES[index]
