"""Extract the subtitles that lie in the file of a video. Nothing waits for it, and nothing fails because of it."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import UUID

from execution.budget import InspectionBudget
from jobs.leasing.steps import StepWork
from jobs.lifecycle.outcomes import texts_extracted
from transcoding.commands.texts import text_target, texts_command
from transcoding.errors import InputRejected, TextRejected
from transcoding.probing.facts import SourceFacts
from transcoding.sniffing.container import DEMUXERS
from transcoding.texts.cues import Cues
from transcoding.texts.reading import read_text
from videos.models import Text
from videos.texts.selectors import pending_texts
from workers.lease.control import StepControl
from workers.lease.fenced_writes import retry_write
from workers.steps.publishing import BACKGROUND_NICENESS
from workers.tools import Tools

_MAX_TEXT_BYTES = 8 << 20
"""Bytes of one stream of text: a film with signs that move has three million."""

log = logging.getLogger(__name__)


def run(work: StepWork, tools: Tools, control: StepControl) -> None:
    """Read the whole file once. Those that cannot be read are found by a run for each of them."""
    video = work.video
    texts = list(pending_texts(video))
    facts = SourceFacts.from_json(video.facts)
    codecs = {stream.index: stream.codec for stream in facts.streams}
    with tools.sources.open(video.source_key, etag=video.etag, moved=control.moved) as path:
        extraction = _Extraction(path, DEMUXERS[(video.media or {})["container"]], codecs, tools, control)
        found = extraction.all_of(texts) if texts else {}
    retry_write(lambda: texts_extracted(claim=work.claim, found=found), control)


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
            raise TextRejected("the stream has no cue with a text")
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
