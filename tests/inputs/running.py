"""The way of an upload through the real steps, without their rows: inspect, plan, chunks, audio, and `finish`."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID, uuid4

from configuration import Config
from coordination.live_parts import LiveParts
from execution.ffmpeg import FfmpegRunner
from execution.ffprobe import Ffprobe
from storage.keys import run_prefix, segment_key
from storage.local import LocalStore
from tests.rows import a_plan_policy
from transcoding.containers.mp4_index import Mp4Index
from transcoding.containers.verification import PublishedRun, RenditionTotals, verify_rendition
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest
from transcoding.planning.tracks import VideoRendition
from transcoding.probing.description import describe
from transcoding.probing.facts import SourceFacts
from videos.models import Video
from videos.runs import RunFacts
from workers.lease.control import StepControl
from workers.node.flags import SharedFlag
from workers.source.cache import SourceCache
from workers.steps import inspect as inspect_step
from workers.steps.audio import AudioEncoding
from workers.steps.chunk import ChunkEncoding
from workers.steps.publisher import Destination, Publisher
from workers.tools import Tools

LEGIBLE_BITRATE = 400_000
CHUNK_SECONDS = 4
"""A segment each: whatever is longer has several chunks."""


@dataclass(frozen=True, kw_only=True)
class Transcoded:
    """The facts of an input, its plan, and its outputs: the published runs and the joined file of each rendition."""

    media: Mapping[str, object]
    warnings: Sequence[str]
    plan: EncodePlan
    runs: Mapping[str, Sequence[RunFacts]]
    totals: Mapping[str, RenditionTotals]
    files: Mapping[str, Path]
    store: LocalStore
    errors: int
    """Errors of decoders, as a job counts them: those of each chunk once, and of the audio."""


def transcode(
    source: Path,
    folder: Path,
    request: Mapping[str, object],
    *,
    preset: str,
    adapt: Callable[[EncodePlan], EncodePlan] = lambda plan: plan,
) -> Transcoded:
    """Take an input through everything that happens to an upload. Raises TranscodeError, as the steps do.

    `adapt` changes the plan before it is carried out.
    """
    requested = JobRequest(**{"preset": preset, **request})  # type: ignore[arg-type]
    return _Pipeline(folder).transcode(source, requested, adapt)


class _Pipeline:
    """The tools of a worker, over a store in a folder."""

    def __init__(self, folder: Path) -> None:
        config, draining = Config(), SharedFlag()
        self._folder = folder
        self._store = LocalStore(folder / "store", part_bytes=config.storage.upload_part_bytes)
        self._control = StepControl(draining)
        self._errors = 0
        scratch = folder / "scratch"
        scratch.mkdir(parents=True)
        self._tools = Tools(
            config=config,
            node="alone",
            store=self._store,
            sources=SourceCache(self._store, folder / "sources", max_bytes=1 << 40),
            ffmpeg=FfmpegRunner(config.execution, config.limits),
            ffprobe=Ffprobe(config.execution, config.limits),
            scratch=scratch,
            policy=None,  # type: ignore[arg-type]  # jobs are planned here
            downloader=None,  # type: ignore[arg-type]  # nothing is imported
            buckets=None,  # type: ignore[arg-type]  # nothing is imported
            draining=draining,
            parts=LiveParts(None),
        )

    def transcode(self, source: Path, request: JobRequest, adapt: Callable[[EncodePlan], EncodePlan]) -> Transcoded:
        stored = self._store.put_file("source", source, "video/mp4")
        video = Video(id=uuid4(), source_key="source", etag=stored.etag, size_bytes=stored.size)
        found = self._inspect(video)
        facts = SourceFacts.from_json(found.facts.to_json())
        plan = plan_job(facts, request, a_plan_policy(chunk_seconds=CHUNK_SECONDS))
        plan = adapt(EncodePlan.from_json(_legible(plan).to_json()))
        runs: dict[str, list[RunFacts]] = {}
        self._encode_video(video, plan, runs)
        self._encode_audio(video, plan, runs)
        return Transcoded(
            media=describe(found.family, found.facts),
            warnings=[warning.code.value for warning in found.facts.warnings],
            plan=plan,
            runs=runs,
            totals={
                name: verify_rendition(plan, name, [_as_published(run) for run in published])
                for name, published in runs.items()
            },
            files={name: self._join(name, published) for name, published in runs.items()},
            store=self._store,
            errors=self._errors,
        )

    def _inspect(self, video: Video) -> inspect_step._Found:
        inspection = inspect_step.Inspection(self._tools, self._control)
        reader = self._tools.source_reader(video, self._control)
        return reader.read(None, Mp4Index.opening, lambda copy: inspection.inspect(copy, video), look=inspection.look)

    def _encode_video(self, video: Video, plan: EncodePlan, runs: dict[str, list[RunFacts]]) -> None:
        for chunk in plan.chunks:
            for names in plan.groups:
                with self._publisher(video, names, runs, chunk.first_segment) as publisher:
                    encoding = ChunkEncoding(
                        plan, chunk, names, publisher, self._control, device=None, first_unpublished=chunk.first_segment
                    )
                    reader = self._tools.source_reader(video, self._control)
                    reader.read(plan.source, encoding.spans, lambda copy, e=encoding: e.encode(copy, self._tools))  # type: ignore[misc]
                    publisher.flush()
                self._errors += encoding.damage.errors if names == plan.groups[0] else 0

    def _encode_audio(self, video: Video, plan: EncodePlan, runs: dict[str, list[RunFacts]]) -> None:
        for track in plan.audio:
            with self._publisher(video, [track.name], runs, 0) as publisher:
                encoding = AudioEncoding(
                    plan,
                    track,
                    publisher,
                    self._tools,
                    self._control,
                    first_unpublished=0,
                    make_way=lambda: None,
                )
                reader = self._tools.source_reader(video, self._control)
                reader.read(plan.source, Mp4Index.opening, encoding.encode)
                publisher.flush()
            self._errors += encoding.damage.errors

    def _publisher(
        self, video: Video, names: Sequence[str], runs: dict[str, list[RunFacts]], first_segment: int
    ) -> Publisher:
        """Return a publisher whose runs are collected, and not written to rows."""
        by_id: dict[UUID, str] = {uuid4(): name for name in names}
        attempt = uuid4()

        def publish(published: Sequence[RunFacts], _count: int) -> None:
            for run in published:
                runs.setdefault(by_id[run.rendition_id], []).append(run)

        return Publisher(
            store=self._store,
            destinations={
                name: Destination(rendition_id=rendition, prefix=run_prefix(video.id, 1, name, attempt, 1))
                for rendition, name in by_id.items()
            },
            first_segment=first_segment,
            publish=publish,
            every_seconds=0,
            moved=self._control.moved,
            parallel=1,
        )

    def _join(self, name: str, runs: Sequence[RunFacts]) -> Path:
        """Write a rendition as one file: its init segment and all of its segments."""
        inits = {self._store.get(run.init_key) for run in runs}
        if len(inits) > 1:
            raise AssertionError(f"the chunks of {name} have {len(inits)} init segments")
        path = self._folder / f"{name}.mp4"
        with path.open("wb") as file:
            file.write(inits.pop())
            for run in runs:
                for number, _ in enumerate(run.durations, run.first_segment):
                    file.write(self._store.get(segment_key(run.key_prefix, number)))
        return path


def _legible(plan: EncodePlan) -> EncodePlan:
    """Give small rungs more bits: from one frame to the next, a card changes more than a film does."""
    return replace(plan, renditions=tuple(_with_more_bits(rendition) for rendition in plan.renditions))


def _with_more_bits(rendition: VideoRendition) -> VideoRendition:
    factor = max(1, -(-LEGIBLE_BITRATE // rendition.bitrate))
    return replace(
        rendition,
        bitrate=factor * rendition.bitrate,
        max_rate=factor * rendition.max_rate,
        buffer_size=factor * rendition.buffer_size,
        peak_bandwidth=factor * rendition.peak_bandwidth,
    )


def _as_published(run: RunFacts) -> PublishedRun:
    fields = dataclasses.fields(PublishedRun)
    return PublishedRun(**{field.name: getattr(run, field.name) for field in fields})
