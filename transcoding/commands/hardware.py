"""Options that a hardware encoder needs around those of the encode itself."""

from transcoding.commands.command import Options
from transcoding.encoders import EncodeTarget, HardwareDevice, HardwarePath, VideoEncoder
from transcoding.planning.encodings import Encoding


def device_opening(encoder: VideoEncoder, device: HardwareDevice | None, path: HardwarePath) -> Options:
    return encoder.device.opening(_needed(encoder, device), path) if encoder.device else {}


def _needed(encoder: VideoEncoder, device: HardwareDevice | None) -> HardwareDevice:
    if device is None:
        raise ValueError(f"{encoder.ffmpeg_name} needs a device")
    return device


def device_decoding(encoding: Encoding) -> Options:
    """Return options that have the device decode, so that frames never leave it."""
    device = encoding.encoder.device
    return device.decoding if device and encoding.on_device else {}


def upload_filters(encoder: VideoEncoder, *, ten_bits: bool = False) -> str:
    """Return filters that give an encoder frames from memory."""
    pixel_format = encoder.ten_bits.pixel_format if encoder.ten_bits and ten_bits else encoder.pixel_format
    return ",".join([f"format={pixel_format}", *(encoder.device.upload if encoder.device else ())])


def encoder_options(
    encoder: VideoEncoder, target: EncodeTarget, device: HardwareDevice | None, path: HardwarePath
) -> dict[str, str | None]:
    options: dict[str, str | None] = {"c:v": encoder.ffmpeg_name, **encoder.options(target)}
    if encoder.device and path == HardwarePath.UPLOAD:
        options.update(encoder.device.chosen(_needed(encoder, device)))
    return options
