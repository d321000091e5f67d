"""Extract the subtitles and captions that lie in the file of a video.

Nothing waits for it, and nothing fails because of it.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import UUID

from execution.budget import InspectionBudget
from jobs.leasing.steps import StepWork
from jobs.lifecycle.outcomes import texts_extracted
from storage.keys import indexed_key
from transcoding.commands.texts import captions_command, text_target, texts_command
from transcoding.errors import InputRejected, NoCues, TextRejected
from transcoding.probing.facts import SourceFacts
from transcoding.probing.texts import captioned_stream
from transcoding.sniffing.container import DEMUXERS
from transcoding.texts.cues import Cues
from transcoding.texts.reading import read_text
from videos.models import Text, Video
from videos.texts.selectors import pending_texts
from workers.lease.control import StepControl
from workers.lease.fenced_writes import retry_write
from workers.steps.publishing import BACKGROUND_NICENESS
from workers.tools import Tools

_MAX_TEXT_BYTES = 8 << 20
"""Bytes of one stream of text: a film with signs that move has three million."""

_DECODED_PIXELS_PER_SECOND = 10_000_000
"""Pixels that are decoded in a second of processor time, at least: a tenth of what was measured."""

log = logging.getLogger(__name__)


def run(work: StepWork, tools: Tools, control: StepControl) -> None:
    """Read the whole file once. Those that cannot be read are found by a run for each of them.

    Captions within the video take decoding it, once more.
    """
    video = work.video
    facts = SourceFacts.from_json(video.facts)
    captioned = captioned_stream(facts)
    texts = list(pending_texts(video))
    subtitles = [text for text in texts if text.stream != captioned]
    codecs = {stream.index: stream.codec for stream in facts.streams}
    found: dict[UUID, Cues | str | None] = {}
    if subtitles:
        with tools.sources.open(video.source_key, etag=video.etag, moved=control.moved) as path:
            extraction = _Extraction(path, DEMUXERS[(video.media or {})["container"]], codecs, tools, control)
            found |= extraction.all_of(subtitles)
    for text in texts:
        if text.stream == captioned:
            found[text.id] = _captions(video, facts, tools, control)
    retry_write(lambda: texts_extracted(claim=work.claim, found=found), control)


def _captions(video: Video, facts: SourceFacts, tools: Tools, control: StepControl) -> Cues | str | None:
    """Return the captions within the video, None where they say nothing, or the reason why there are none."""
    collected = _Collected()
    size = facts.video.coded or facts.video.display
    work = int(facts.duration * facts.rate * size.pixels)
    key, etag = (indexed_key(video.id), "") if facts.remuxed else (video.source_key, video.etag)
    with tools.sources.open(key, etag=etag, moved=control.moved) as path:
        command = captions_command(str(path), facts)
        seconds = tools.config.limits.max_inspect_seconds + work // _DECODED_PIXELS_PER_SECOND
        try:
            tools.ffmpeg.run(
                command,
                {text_target(facts.video.index): collected.take},
                stop=control,
                on_frames=lambda _: control.moved(),
                niceness=lambda: BACKGROUND_NICENESS,
                budget=InspectionBudget(seconds, memory_bytes=command.memory_bytes),
            )
        except InputRejected as error:
            return str(error)
    try:
        return collected.cues()
    except NoCues:
        return None
    except TextRejected as error:
        return str(error)


class _Collected:
    """The text of one stream, as far as it is of a size that can be shown."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._too_large = False

    def take(self, data: bytes) -> None:
        self._too_large = self._too_large or len(self._data) + len(data) > _MAX_TEXT_BYTES
        if not self._too_large:
            self._data += data

    def cues(self) -> Cues:
        if self._too_large:
            raise TextRejected(f"the stream has more than {_MAX_TEXT_BYTES >> 20} MiB of text")
        if not self._data:
            raise NoCues("the stream has no cue with a text")
        return read_text(bytes(self._data))


class _Extraction:
    """Runs of ffmpeg over one file."""

    def __init__(self, path: Path, demuxer: str, codecs: Mapping[int, str], tools: Tools, control: StepControl) -> None:
        self._path = path
        self._demuxer = demuxer
        self._codecs = codecs
        self._tools = tools
        self._control = control

    def all_of(self, texts: Sequence[Text]) -> dict[UUID, Cues | str]:
        """Return the cues of each text, or the reason why there are none."""
        try:
            return self._run(texts)
        except InputRejected as error:
            if len(texts) == 1:
                return {texts[0].id: str(error)}
            log.info("a text cannot be read", extra={"event": "text_not_read", "reason": str(error)})
        return {text_id: cues for text in texts for text_id, cues in self.all_of([text]).items()}

    def _run(self, texts: Sequence[Text]) -> dict[UUID, Cues | str]:
        streams = {text.stream: self._codecs[text.stream] for text in texts if text.stream is not None}
        collected = {stream: _Collected() for stream in streams}
        budget = InspectionBudget(self._tools.config.limits.max_inspect_seconds)
        budget.grant_copy(self._path.stat().st_size)
        self._tools.ffmpeg.run(
            texts_command(str(self._path), demuxer=self._demuxer, streams=streams),
            {text_target(stream): each.take for stream, each in collected.items()},
            stop=self._control,
            on_frames=lambda _: self._control.moved(),
            niceness=lambda: BACKGROUND_NICENESS,
            budget=budget,
        )
        return {text.id: _cues(collected[text.stream]) for text in texts if text.stream is not None}


def _cues(collected: _Collected) -> Cues | str:
    try:
        return collected.cues()
    except TextRejected as error:
        return str(error)
