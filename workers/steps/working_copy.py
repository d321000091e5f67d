"""The local copy of a video that ffmpeg reads: the source, or its remux where the source has no reliable index."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.keys import indexed_key
from transcoding.media import SourceFacts
from videos.models import Video
from workers.control import StepControl
from workers.tools import Tools


@contextmanager
def working_copy(video: Video, facts: SourceFacts, tools: Tools, control: StepControl) -> Iterator[Path]:
    """Open the copy that the facts were measured on. Raises InputChanged when it is gone or another one."""
    key, etag = (indexed_key(video.id), "") if facts.remuxed else (video.source_key, video.etag)
    with tools.sources.open(key, etag=etag, moved=control.moved) as path:
        yield path
