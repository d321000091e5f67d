"""The encoding of the renditions of one codec, and the encoder that planning is given for it."""

from dataclasses import dataclass

from transcoding.encoders import ENCODERS, HardwarePath, VideoEncoder
from transcoding.planning.sizing import Throughput


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderChoice:
    """An encoder of a requested codec, as planning gets it."""

    encoder: VideoEncoder
    sessions: int | None = None
    """Renditions that one device encodes at a time; None without limit."""
    measured: Throughput | None = None
    """Speed of workers with this encoder and preset. None: it was not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """The way in which all renditions of one codec are made."""

    encoder_name: str
    """A key of `ENCODERS`."""
    preset: str
    hardware_path: HardwarePath = HardwarePath.CPU
    two_pass: bool = False
    speed: float = 0.0
    """Seconds of video that a worker slot is expected to encode per second, in all renditions of the codec.

    0: it is not known.
    """

    def __post_init__(self) -> None:
        if self.encoder_name not in ENCODERS:
            raise ValueError(f"there is no encoder {self.encoder_name}")

    @property
    def encoder(self) -> VideoEncoder:
        """The traits of the video encoder."""
        return ENCODERS[self.encoder_name]

    @property
    def codec(self) -> str:
        """The codec of its renditions."""
        return self.encoder.codec

    @property
    def on_device(self) -> bool:
        """Tell whether frames are decoded and scaled on a device, too."""
        return self.hardware_path == HardwarePath.DEVICE
