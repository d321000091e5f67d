"""The images of the subtitles that a job burns in, as the file that a chunk's command reads."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from execution.budget import InspectionBudget
from execution.scratch import temporary_folder
from storage.errors import ObjectNotFound
from storage.keys import bitmaps_key, video_prefix
from transcoding.commands.bitmaps import BITMAPS_TARGET, bitmaps_command
from transcoding.errors import InputRejected, TextUnknown
from transcoding.planning.plan import EncodePlan
from transcoding.sniffing.container import DEMUXERS
from videos.counted import working_copy_stored
from videos.models import Video
from workers.lease.control import StepControl
from workers.lease.fenced_writes import retry_write
from workers.tools import Tools

_CONTENT_TYPE = "video/x-matroska"
_FIELD = "burn_in.stream"
_MAX_BYTES = 1 << 30
"""A film has two thousand images of at most a hundred thousand bytes, each of them twice."""
_SPEED = 10
"""Seconds of a video whose images are decoded in a second of processor time, at least."""


@contextmanager
def burned_bitmaps(plan: EncodePlan, video: Video, tools: Tools, control: StepControl) -> Iterator[str]:
    """Yield the path of the images that the plan burns in, if it does, else an empty text.

    The first chunks decode them, each for itself; the others, and later jobs, find them in the store. Raises
    TextUnknown where they cannot be read.
    """
    stream = plan.burn_in.bitmaps if plan.burn_in else None
    if stream is None:
        yield ""
        return
    key = bitmaps_key(video.id, stream)
    if not _is_stored(key, tools):
        _store(stream, plan, video, tools, control)
        control.restart_time()  # another attempt finds them
    with tools.sources.open(key, etag="", moved=control.moved) as path:
        yield str(path)


def _is_stored(key: str, tools: Tools) -> bool:
    with suppress(ObjectNotFound):
        tools.store.head(key)
        return True
    return False


def _store(stream: int, plan: EncodePlan, video: Video, tools: Tools, control: StepControl) -> None:
    """Read the whole upload: images may be anywhere in it."""
    limits = tools.config.limits
    demuxer = DEMUXERS[(video.media or {})["container"]]
    with (
        tools.sources.open(video.source_key, etag=video.etag, moved=control.moved) as source,
        temporary_folder(tools.scratch, "bitmaps-") as folder,
    ):
        command = bitmaps_command(str(source), demuxer=demuxer, stream=stream, max_streams=limits.max_streams)
        seconds = limits.max_inspect_seconds + int(plan.source.duration) // _SPEED
        budget = InspectionBudget(seconds, memory_bytes=command.memory_bytes)
        budget.grant_copy(source.stat().st_size)
        written = folder / BITMAPS_TARGET
        try:
            tools.ffmpeg.run(
                command,
                {BITMAPS_TARGET: written},
                stop=control,
                output_bytes=_MAX_BYTES,
                on_frames=lambda _: control.moved(),
                budget=budget,
            )
        except InputRejected as refusal:
            text = "the subtitles that are burned in cannot be decoded"
            raise TextUnknown(text, field=_FIELD, details=refusal.details) from refusal
        if not written.exists() or not written.stat().st_size:
            raise TextUnknown("the subtitles that are burned in have no image", field=_FIELD)
        key = bitmaps_key(video.id, stream)
        stored = tools.store.put_file(key, written, _CONTENT_TYPE, control.moved)
        name = key.removeprefix(video_prefix(video.id))
        retry_write(lambda: working_copy_stored(video_id=video.id, name=name, size_bytes=stored.size), control)
