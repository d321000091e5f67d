"""A copy of a source without the streams that no program may open, or that none can."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from execution.budget import InspectionBudget
from transcoding.commands.command import FfmpegCommand
from transcoding.commands.readable import (
    LISTING_TARGET,
    READABLE_TARGET,
    has_no_such_stream,
    listing_command,
    readable_command,
    was_not_opened,
)
from transcoding.errors import InputRejected, ResourceExceeded, TranscodeError
from transcoding.probing.decoders import codec_refused
from transcoding.probing.listing import parse_listing, readable_streams, unknown_stream
from transcoding.probing.media import MediaInfo, parse_ffprobe
from transcoding.probing.streams import StreamFacts, StreamKind
from workers.lease.control import StepControl
from workers.tools import Tools

_MAX_LISTING_BYTES = 1 << 20
_CONTAINERS = {"mov": ("mov", "mov")}
"""Muxer and demuxer of the copy, by family; for all others Matroska. MP4 has turned and stretched frames."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadableCopy:
    """A copy, the demuxer for it, its streams, and those of the source."""

    path: Path
    demuxer: str
    media: MediaInfo
    source: MediaInfo


class ReadableCopies:
    """Makes copies of sources. `copy_streams` runs a command that copies streams, with all of its bounds."""

    def __init__(
        self,
        tools: Tools,
        control: StepControl,
        budget: InspectionBudget,
        copy_streams: Callable[[FfmpegCommand, str, Path, Path], None],
    ) -> None:
        self._tools = tools
        self._control = control
        self._budget = budget
        self._copy_streams = copy_streams
        self._max_streams = tools.config.limits.max_streams

    def make(self, source: Path, family: str, demuxer: str, folder: Path, refusal: InputRejected) -> ReadableCopy:
        """Copy what can be read of a source that ffprobe refused. Raises that refusal where it is not for a stream."""
        if isinstance(refusal, ResourceExceeded):
            raise refusal
        muxer, copied_demuxer = _CONTAINERS.get(family, ("matroska", "matroska"))
        path = folder / "readable"
        listed = self._list(source, demuxer, refusal)
        videos = [each for each in listed if each.kind is StreamKind.VIDEO and each.size]
        if videos and not any(each.decodable for each in videos):
            raise codec_refused(videos[0].codec)
        for streams in readable_streams(listed):
            try:
                command = readable_command(
                    str(source), demuxer=demuxer, streams=streams, container=muxer, max_streams=self._max_streams
                )
                self._budget.grant_copy(source.stat().st_size)
                self._copy_streams(command, READABLE_TARGET, source, path)
                text = self._tools.ffprobe.streams(path, demuxer=copied_demuxer, budget=self._budget)
                media = parse_ffprobe(text)
            except ResourceExceeded:
                raise
            except InputRejected as error:
                log.info("streams left out", extra={"event": "streams_left_out", "reason": str(error)})
                continue
            return _numbered(path, copied_demuxer, media, listed, streams)
        raise refusal

    def _list(self, source: Path, demuxer: str, refusal: InputRejected) -> tuple[StreamFacts, ...]:
        """List all streams, one by one where one of them cannot be listed. Raises the refusal where none can."""
        try:
            return self._listed(source, demuxer)
        except ResourceExceeded:
            raise
        except InputRejected as error:
            if was_not_opened(error.output_tail):  # nor will it be for any of its streams
                raise refusal from None
            listed = tuple(self._one_by_one(source, demuxer))
            if any(each.kind is not StreamKind.UNKNOWN for each in listed):
                return listed
            raise refusal from None
        except TranscodeError as error:
            raise refusal from error

    def _one_by_one(self, source: Path, demuxer: str) -> Iterator[StreamFacts]:
        """List one stream after another until there is none."""
        for number in range(self._max_streams):
            try:
                listed = self._listed(source, demuxer, stream=number)
            except ResourceExceeded:
                raise
            except InputRejected as error:
                if has_no_such_stream(error.output_tail):
                    return
                listed = ()
            yield replace(listed[0], index=number) if listed else unknown_stream(number)

    def _listed(self, source: Path, demuxer: str, *, stream: int | None = None) -> tuple[StreamFacts, ...]:
        lines = b""

        def take(data: bytes) -> None:
            nonlocal lines
            lines = (lines + data)[:_MAX_LISTING_BYTES]

        command = listing_command(str(source), demuxer=demuxer, max_streams=self._max_streams, stream=stream)
        self._tools.ffmpeg.run(command, {LISTING_TARGET: take}, stop=self._control, budget=self._budget)
        return parse_listing(lines.decode("ascii", "replace").splitlines())


def _numbered(
    path: Path, demuxer: str, media: MediaInfo, listed: Sequence[StreamFacts], streams: Sequence[int]
) -> ReadableCopy:
    """Give the streams of the copy the numbers that they have in the source."""
    copied = media.numbered(streams)
    found = {streams[each.index]: replace(each, index=streams[each.index]) for each in media.streams}
    source = replace(media, streams=tuple(found.get(each.index, each) for each in listed))
    return ReadableCopy(path=path, demuxer=demuxer, media=copied, source=source)
