"""The plan of a job: its renditions, its chunks, and the promises of its playlists.

A plan is stored with its job: the same plan gives the same files, whichever worker carries it out. It never changes,
except that the plan of a source that had not ended gets its end.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Self

from transcoding import records
from transcoding.color import ColorSpace, VideoRange
from transcoding.encoders import EncodeTarget, RateControl
from transcoding.encoders.traits import CodecLevel
from transcoding.grid import SEGMENT_GOPS, FrameGrid
from transcoding.hdr import HdrMetadata
from transcoding.planning.burn_in import BurnIn
from transcoding.planning.encodings import Encoding
from transcoding.planning.fields import Deinterlacing
from transcoding.planning.latency import Latency, part_frames
from transcoding.planning.sizing import ChunkSizing, Work, frame_work
from transcoding.planning.tracks import AudioRendition, Mix, VideoRendition
from transcoding.planning.watermarks import Watermark
from transcoding.probing.facts import SourceFacts
from transcoding.probing.streams import Loudness
from transcoding.probing.warnings import Notice, SourceWarning
from transcoding.timeline import NO_HOLD, Cut, Hold, Timeline, VideoSpan, seconds_outside
from transcoding.upgrades import PLAN_UPGRADES


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Consecutive segments that one run of ffmpeg encodes into all rungs."""

    ordinal: int
    first_segment: int
    segments: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRun:
    """One step of a plan's chunks: the renditions of a group, over one stretch of the video."""

    ordinal: int
    chunk: Chunk
    group: tuple[str, ...]
    """Names of its renditions, which have one codec."""
    of_first_codec: bool
    """Players begin with the codec of its renditions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodePlan:
    """Everything that the steps of a job must know."""

    source: SourceFacts
    encodings: tuple[Encoding, ...]
    """One for each codec, the one that players begin with first. None: the source has audio alone."""
    renditions: tuple[VideoRendition, ...]
    """Those of one codec after another, in the order of the encodings."""
    audio: tuple[AudioRendition, ...]
    chunks: tuple[Chunk, ...]
    mp4: bool
    """Copy each rung into a progressive file, too."""
    m4a: bool = False
    """Copy each audio rendition into a file, too."""
    color: ColorSpace | None
    """The tags of the outputs but those of high dynamic range. None: those that frames of the source carry."""
    sizing: ChunkSizing | None = None
    deinterlacing: Deinterlacing = Deinterlacing.NONE
    groups: tuple[tuple[str, ...], ...] = ()
    """Names of the renditions that one run of ffmpeg encodes together, all of one codec. None given: all of each."""
    segment_gops: int = SEGMENT_GOPS
    """GOPs in every segment but the last."""
    timeline: Timeline = Timeline.UNION
    hold: Hold = NO_HOLD
    cut: Cut | None = None
    """The part of all this that the outputs are. None: all of it."""
    watermark: Watermark | None = None
    burn_in: BurnIn | None = None
    hls: bool = True
    """Players get HLS."""
    dash: bool = True
    """Players get DASH."""
    latency: Latency = Latency.NORMAL
    """Of a source that had not ended when it was planned."""

    def __post_init__(self) -> None:
        names = [*(rung.name for rung in self.renditions), *(track.name for track in self.audio)]
        if len(set(names)) < len(names):
            raise ValueError(f"two tracks have one name: {', '.join(names)}")
        if not self.renditions and (self.chunks or not self.audio):
            raise ValueError("a plan without video has audio, and no chunks")
        if not self.groups:
            object.__setattr__(self, "groups", tuple(self._names_of(each) for each in self.encodings))
        codecs = [encoding.codec for encoding in self.encodings]
        if codecs != list(dict.fromkeys(rendition.codec for rendition in self.renditions)):
            raise ValueError(f"the encodings of {', '.join(codecs)} are not those of the renditions")
        for group in self.groups:
            self.encoding_of(group)

    def _names_of(self, encoding: Encoding) -> tuple[str, ...]:
        return tuple(rendition.name for rendition in self.renditions if rendition.codec == encoding.codec)

    @property
    def grid(self) -> FrameGrid:
        """The positions of frames, segments and ticks in every rendition."""
        whole = self.source.grid(self.segment_gops).longer(self.hold.frames)
        return whole.lasting(self.cut.frames(whole.rate)) if self.cut else whole

    @property
    def first(self) -> Fraction:
        """Time of the first frame of the outputs, T0, on the clock of the working copy, in seconds."""
        begins = self.source.first - self.hold.before / self.source.rate
        return begins + self.cut.start if self.cut else begins

    def text_start(self, *, embedded: bool) -> Fraction:
        """Return the time at which the outputs begin, on the clock of a text, in seconds.

        That of an embedded one is the clock of the working copy. Others count from the beginning of the whole video.
        """
        if embedded:
            return self.first
        return self.cut.start if self.cut else Fraction(0)

    @property
    def video_start(self) -> int:
        """Position on the grid of the first frame of the source; negative where the outputs begin behind it."""
        return self.hold.before - (int(self.cut.start * self.source.rate) if self.cut else 0)

    @property
    def video_end(self) -> int | None:
        """Position on the grid from which the last frame of the source is held. None: it has not ended."""
        return None if self.source.total_frames is None else self.video_start + self.source.total_frames

    @property
    def audio_cut(self) -> Fraction:
        """Seconds of audio before and after the outputs, held frames included; 0 where it is no more than usual.

        Of a part of the video 0, too: what lies beside it was not requested.
        """
        streams = {track.stream for track in self.audio}
        spans = [track.span for track in self.source.audio if track.index in streams]
        if self.grid.is_open or self.cut:
            return Fraction(0)
        return seconds_outside(VideoSpan(first=self.first, rate=self.grid.rate, frames=self.total_frames), spans)

    @property
    def warnings(self) -> tuple[Notice, ...]:
        """The warnings about its source, but of audio beside the video only what is true of the outputs."""
        held = bool(self.hold.frames)
        of_source = (each for each in self.source.warnings if held or each.code != SourceWarning.AUDIO_LONGER)
        cut = [Notice(code=SourceWarning.AUDIO_CUT, seconds=self.audio_cut)] if self.audio_cut else []
        return (*of_source, *cut)

    def encoding_of(self, names: Iterable[str]) -> Encoding:
        """Return the encoding of these renditions. Raises ValueError where they are not all of one codec."""
        chosen = set(names)
        codecs = {rendition.codec for rendition in self.renditions if rendition.name in chosen}
        found = [encoding for encoding in self.encodings if encoding.codec in codecs]
        if len(found) != 1:
            raise ValueError(f"renditions of one codec are made together, not {', '.join(sorted(chosen))}")
        return found[0]

    def chunk_runs(self) -> Iterator[ChunkRun]:
        """Yield the steps of the chunks by their ordinals: the first codec's come before those of the others."""
        ordinal = 0
        for number, encoding in enumerate(self.encodings):
            groups = [group for group in self.groups if self.encoding_of(group) is encoding]
            for chunk in self.chunks:
                for group in groups:
                    yield ChunkRun(ordinal=ordinal, chunk=chunk, group=group, of_first_codec=number == 0)
                    ordinal += 1

    @property
    def first_names(self) -> tuple[str, ...]:
        """Names of the renditions of the first codec."""
        return self._names_of(self.encodings[0]) if self.encodings else ()

    @property
    def later_names(self) -> tuple[str, ...]:
        """Names of the renditions of all other codecs. Nobody waits for them: players have them once they are whole."""
        return tuple(name for encoding in self.encodings[1:] for name in self._names_of(encoding))

    @property
    def total_frames(self) -> int:
        """Frames of every video rendition. Raises OpenGrid while the source has not ended."""
        return self.grid.frame_count

    @property
    def open_ended(self) -> bool:
        """Tell whether its source had not ended when it was planned: no chunks, one step encodes until the end."""
        return not self.chunks and not self.audio_only

    @property
    def part_frames(self) -> int | None:
        """Frames of a part of a segment, of which the last may be shorter. None: segments come whole."""
        return part_frames(self.grid) if self.latency is Latency.LOW else None

    @property
    def audio_only(self) -> bool:
        """Tell whether it has no video rendition."""
        return not self.renditions

    @property
    def mp4_names(self) -> tuple[str, ...]:
        """Names of the progressive files: each has one video rendition and all audio, or is all audio."""
        if not self.mp4:
            return ()
        return tuple(rendition.name for rendition in self.renditions) or (self.audio[0].name,)

    @property
    def m4a_names(self) -> tuple[str, ...]:
        """Names of the audio renditions of which files are made."""
        return tuple(track.name for track in self.audio) if self.m4a else ()

    def closed(self, total_frames: int) -> Self:
        """Return the plan of a source that has ended after so many frames. Raises ValueError if it ended elsewhere."""
        if self.source.total_frames not in (None, total_frames):
            raise ValueError(f"the video has {self.source.total_frames} frames, not {total_frames}")
        return replace(self, source=replace(self.source, total_frames=total_frames))

    def frame_pixels(self, names: Collection[str]) -> int:
        """Work in one frame of renditions that are made together, in pixels (see transcoding.planning.sizing)."""
        chosen = [rendition for rendition in self.renditions if rendition.name in set(names)]
        two_pass = self.encoding_of(rendition.name for rendition in chosen).two_pass
        return frame_work(self.source.video.display, chosen) * (1 + two_pass)

    @property
    def work(self) -> Work | None:
        """Expected work of its chunks, or of its audio where that is all. None: it does not know its speed."""
        if self.audio_only:
            return Work.of_audio(self.grid, tracks=len(self.audio))
        speeds = [encoding.speed for encoding in self.encodings]
        if self.sizing is None or not all(speeds) or self.open_ended or self.grid.is_open:
            return None
        return Work.of(self.grid, speeds, (chunk.segments for chunk in self.chunks))

    @property
    def work_seconds(self) -> float:
        """Expected work of the whole plan, in seconds of one worker slot; 0 where it is not known."""
        return self.work.total_seconds if self.work else 0.0

    def audio_track(self, name: str) -> AudioRendition | None:
        """Find an audio track by its name."""
        return next((track for track in self.audio if track.name == name), None)

    def known_loudness(self, track: AudioRendition) -> Loudness | None:
        """Return the loudness that inspection measured, where it is that of a rendition: all of it, in stereo."""
        source = self.source.audio[0] if self.source.audio else None
        whole = not self.audio_cut and not self.cut and track.mix is Mix.NONE
        alike = source and source.index == track.stream and source.channels == track.channels and not source.changes
        return self.source.loudness if alike and whole else None

    def color_of(self, rendition: VideoRendition) -> ColorSpace | None:
        """Return the color space of one of the renditions. None: that of the source's frames."""
        return rendition.hdr or self.color

    def stated_color(self, rendition: VideoRendition) -> ColorSpace | None:
        """Return the color space that manifests name: only where the source has high dynamic range.

        Nor where version 0.1 encoded that: players leave out what is said to be of high range, and there is no other.
        """
        return self.color_of(rendition) if rendition.hdr or self.tone_mapped else None

    def stated_range(self, rendition: VideoRendition) -> VideoRange | None:
        """Return the dynamic range that playlists name. None: it is not known, or as in `stated_color`."""
        color = self.color_of(rendition)
        named = color and (not self.of_high_range or self.stated_color(rendition))
        return color.video_range if color and named else None

    @property
    def of_high_range(self) -> bool:
        """Tell whether the source has high dynamic range."""
        return bool(self.source.video.color and self.source.video.color.hdr)

    @property
    def tone_mapped(self) -> bool:
        """Tell whether renditions of standard range are made of a source of high dynamic range.

        Version 0.1 made 8 bits of it and kept its tags.
        """
        return bool(self.of_high_range and self.color and not self.color.hdr)

    @property
    def total_segments(self) -> int:
        """Segments of every rendition, audio included. Raises OpenGrid while the source has not ended."""
        return self.grid.total_segments

    def target(
        self, rendition: VideoRendition, *, pass_number: int = 0, statistics: str = "", threads: int = 0
    ) -> EncodeTarget:
        """Return what the encoder must know about one of the renditions."""
        return EncodeTarget(
            pass_number=pass_number,
            statistics=f"{statistics}-{rendition.name}" if pass_number else "",
            threads=threads,
            preset=self.encoding_of([rendition.name]).preset,
            profile=rendition.profile,
            level=CodecLevel(rendition.level, rendition.tier),
            control=RateControl(
                bitrate=rendition.bitrate,
                max_rate=rendition.max_rate,
                buffer_size=rendition.buffer_size,
                constant_quality=rendition.constant_quality,
            ),
            gop=self.grid.gop_frames,
            color=self.color_of(rendition),
            hdr=(self.source.video.hdr or HdrMetadata()) if rendition.hdr else None,
        )

    def to_json(self) -> dict[str, object]:
        """Return the plan as JSON-ready values, with its version."""
        return records.to_versioned(self, PLAN_UPGRADES)

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read a stored plan. Raises UnknownVersion for one of a later program, ValueError for anything else."""
        return records.from_versioned(cls, data, PLAN_UPGRADES)
