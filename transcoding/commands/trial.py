"""The trial encode that shows whether a device can really encode."""

from fractions import Fraction

from transcoding.color import ColorRange, ColorSpace, Matrix, Primaries, Transfer
from transcoding.commands.command import QUIET, FfmpegCommand, Input, Output
from transcoding.commands.hardware import device_opening, encoder_options, upload_filters
from transcoding.encoders import EncodeTarget, HardwareDevice, RateControl, VideoEncoder, encoding_memory
from transcoding.hdr import HdrMetadata
from transcoding.probing.streams import Resolution

TRIAL = "trial"
"""Label of the frames that a trial encodes."""
_HDR10 = ColorSpace(primaries=Primaries.BT2020, transfer=Transfer.PQ, matrix=Matrix.BT2020NC, range=ColorRange.LIMITED)


def trial_command(
    encoder: VideoEncoder, device: HardwareDevice | None, *, frames: int = 30, ten_bits: bool = False
) -> FfmpegCommand:
    """Encode a few frames that ffmpeg draws, with the options of a real job; the output goes to `nothing`.

    A device that is present or listed need not have an encoder, and NVENC refuses frames below 145 pixels. `ten_bits`:
    as HDR10, with an encoder that has 10 bits.
    """
    size, rate = Resolution(width=640, height=360), Fraction(25)
    control = RateControl.for_bitrate(1_000_000)
    target = EncodeTarget(
        preset="medium",
        profile=encoder.ten_bits.profile if ten_bits and encoder.ten_bits else encoder.presets["medium"].profile,
        level=encoder.level(size.width, size.height, rate, control),
        control=control,
        gop=frames,
        color=_HDR10 if ten_bits else None,
        hdr=HdrMetadata() if ten_bits else None,
    )
    path = encoder.paths[0]
    return FfmpegCommand(
        inputs=(
            Input(path=f"testsrc2=size={size.width}x{size.height}:rate={rate}", options={"f": "lavfi"}, made_up=True),
        ),
        filter_graph=f"[0:0]{upload_filters(encoder, ten_bits=ten_bits)}[{TRIAL}]",
        outputs=(
            Output(
                target="nothing",
                maps=(f"[{TRIAL}]",),
                options={**encoder_options(encoder, target, device, path), "frames:v": str(frames), "f": "null"},
            ),
        ),
        global_options={**QUIET, **device_opening(encoder, device, path)},
        memory_bytes=encoding_memory(encoder, size, [size]),
        device=device,
    )
