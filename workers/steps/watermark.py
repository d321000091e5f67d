"""The image of a watermark, as the samples that a chunk's command reads."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from execution.scratch import temporary_folder
from transcoding.commands.watermark import MARK_TARGET, image_bytes, image_command
from transcoding.errors import ImageUnknown, InputRejected
from transcoding.planning.plan import EncodePlan
from videos.watermarks.selectors import watermark_data
from workers.lease.control import StepControl
from workers.lease.fenced_writes import retry_write
from workers.tools import Tools

_FIELD = "watermark.image"


@contextmanager
def watermark_image(plan: EncodePlan, tools: Tools, control: StepControl) -> Iterator[str]:
    """Decode the image of the plan's watermark, if it has one, and yield the path of its samples, else an empty text.

    Raises ImageUnknown where it is gone, or cannot be decoded.
    """
    image = plan.watermark.image if plan.watermark else None
    if image is None:
        yield ""
        return
    data = retry_write(lambda: watermark_data(UUID(image.id)), control)
    if data is None:
        raise ImageUnknown("the image of the watermark was deleted", field=_FIELD)
    with temporary_folder(tools.scratch, "watermark-") as folder:
        source, samples = folder / "image", folder / "samples"
        source.write_bytes(data)
        try:
            tools.ffmpeg.run(image_command(image, str(source)), {MARK_TARGET: samples}, stop=control)
        except InputRejected as refusal:
            raise ImageUnknown(
                "the image of the watermark cannot be decoded", field=_FIELD, details=refusal.details
            ) from refusal
        if not samples.exists() or samples.stat().st_size != image_bytes(image):
            raise ImageUnknown("the image of the watermark cannot be decoded", field=_FIELD)
        yield str(samples)
