"""Make the images of a video from what was encoded of it: a poster, thumbnails, sprite sheets, an animated preview."""

import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

from execution.pipes import Feed
from execution.scratch import temporary_folder
from jobs.leasing.leases import LeaseLost, StepPostponed, step_postpone
from jobs.leasing.steps import StepWork
from jobs.lifecycle.thumbnails import others_wait, thumbnails_complete
from storage.keys import asset_key, images_name, thumbnails_of_step, thumbnails_prefix
from transcoding.commands.command import FfmpegCommand
from transcoding.commands.thumbnails import (
    CANDIDATES,
    GIF,
    RENDITION_INPUT,
    SPRITES,
    STILLS,
    WEBP,
    WEBP_ENCODER,
    Analysis,
    analysis_command,
    preview_command,
    stills_command,
)
from transcoding.containers.fragments import split_fragments
from transcoding.errors import VerificationFailed
from transcoding.manifests.sprites import VTT_CONTENT_TYPE, sprites_vtt
from transcoding.planning.images import (
    POSTER,
    SPRITES_VTT,
    ImageSet,
    Preview,
    Scene,
    Sprites,
    StoredImage,
    Thumbnail,
    media_type_of,
    preview_name,
    sprite_name,
    thumbnail_name,
)
from transcoding.planning.plan import EncodePlan
from transcoding.planning.poster import FrameMeasure, choose_best_of_parts, choose_poster
from transcoding.planning.thumbnails import (
    CELL_BOX,
    COLUMNS,
    POSTER_BOX,
    PREVIEW_WIDTH,
    ROWS,
    Sampling,
    ThumbnailRequest,
    as_wide_as,
    by_segment,
    fitted_into,
    frame_at,
    gops_of,
    plan_sampling,
    preview_frames,
    thumbnail_size,
)
from transcoding.planning.tracks import VideoRendition
from transcoding.probing.streams import Resolution
from videos.models import Generation, Rendition, Thumbnails
from videos.selectors import PublishedSegment, published_prefix
from videos.thumbnails import thumbnails_generation
from workers.lease.control import StepControl
from workers.lease.fenced_writes import retry_write
from workers.steps.publishing import BACKGROUND_NICENESS
from workers.tools import Tools

_YIELD_SECONDS = 2.0
"""Interval at which a run looks whether somebody waits for its slot."""
_POSTPONED_SECONDS = 10.0
_MAX_IMAGE_BYTES = 16 << 20
_MAX_BYTES = 256 << 20
"""All files of a run together."""
_JPEG_MAGIC = b"\xff\xd8\xff"
_MAX_SCENES = 2000
_MIN_SCENE_SECONDS = Fraction(1, 2)


def run(work: StepWork, tools: Tools, control: StepControl) -> None:
    """Make all images, store them, and publish them together. Whoever waits for the slot meanwhile gets it."""
    generation = thumbnails_generation(work.video)
    if generation is None:
        raise VerificationFailed("the outputs that images are made of were deleted")
    request = ThumbnailRequest.from_json(Thumbnails.objects.values_list("request", flat=True).get(video=work.video))
    name = images_name(work.claim.step_id, work.claim.attempt)
    _tidy(work, tools)
    slot = _Slot(work, control)
    with temporary_folder(tools.scratch, "thumbnails-") as folder:
        making = _Making(generation, request, folder=folder, tools=tools, control=control, slot=slot)
        files, images = making.make(name)
        prefix = thumbnails_prefix(work.video.id, name)
        try:
            for file, data in files.items():
                media_type = media_type_of(file) or VTT_CONTENT_TYPE
                tools.store.put(asset_key(prefix, file), data, media_type)
                control.moved(len(data))
            result = {"seconds": round(making.seconds, 3), "frames": making.frames}
            retry_write(lambda: thumbnails_complete(claim=work.claim, images=images, result=result), control)
        except LeaseLost:
            tools.store.delete_prefix(prefix)
            raise


def _tidy(work: StepWork, tools: Tools) -> None:
    """Delete what earlier attempts of this step left."""
    if work.claim.attempt > 1:
        tools.store.delete_prefix(thumbnails_of_step(work.video.id, work.claim.step_id))


class _Slot:
    """The slot of a step in the background, which others need more."""

    def __init__(self, work: StepWork, control: StepControl) -> None:
        self._claim = work.claim
        self._control = control
        self._looked_at = time.monotonic()
        self._waited = False

    def poll(self) -> None:
        """Raise StepPostponed where a step that somebody waits for was ready twice in a row."""
        if time.monotonic() - self._looked_at < _YIELD_SECONDS:
            return
        self._looked_at = time.monotonic()
        waited, self._waited = self._waited, retry_write(lambda: others_wait(claim=self._claim), self._control)
        if waited and self._waited:
            retry_write(
                lambda: step_postpone(claim=self._claim, seconds=_POSTPONED_SECONDS, code="", detail=""), self._control
            )
            raise StepPostponed


class _Making:
    """The images of one video, in work."""

    def __init__(  # noqa: PLR0913 - one step's work, put together in one place
        self,
        generation: Generation,
        request: ThumbnailRequest,
        *,
        folder: Path,
        tools: Tools,
        control: StepControl,
        slot: _Slot,
    ) -> None:
        self._plan = EncodePlan.from_json(generation.plan)
        self._rows = {row.name: row for row in Rendition.objects.filter(generation=generation)}
        rungs = [rung for rung in self._plan.renditions if rung.name in self._rows]
        self._rungs = sorted([rung for rung in rungs if not rung.hdr] or rungs, key=lambda rung: rung.width)
        self._request = request
        self._folder = folder
        self._tools = tools
        self._control = control
        self._slot = slot
        self.seconds = 0.0
        self.frames = 0

    def make(self, name: str) -> tuple[dict[str, bytes], ImageSet]:
        """Return the files by their names, and their description."""
        plan, grid, small = self._plan, self._plan.grid, self._rungs[0]
        sampling = plan_sampling(grid, small, plan.renditions, count=self._request.count)
        cell = fitted_into(small, CELL_BOX)
        size = thumbnail_size(self._rungs[-1], self._request)
        quick = thumbnail_size(small, self._request)
        measures, scenes = self._analyse(small, sampling, cell=cell, thumbnail=quick)
        candidates = [measure.frame for measure in measures]
        chosen = [frame_at(grid, moment) for moment in self._request.times] or [
            measure.frame
            for measure in choose_best_of_parts(measures, self._request.count, total_frames=grid.frame_count)
        ]
        files = dict(self._sheets(sampling))
        if self._request.times or size != quick:
            stills = self._stills(sorted(set(chosen)), size)
        else:
            stills = {frame: self._read(CANDIDATES, candidates.index(frame)) for frame in chosen}
        files |= {thumbnail_name(number): stills[frame] for number, frame in enumerate(chosen)}
        poster = choose_poster(measures).frame
        poster_size = fitted_into(self._rung_of(POSTER_BOX.width), POSTER_BOX)
        files[POSTER] = self._stills([poster], poster_size)[poster]
        previewed = preview_frames(grid, poster)
        animated = self._preview(previewed)
        files |= {preview_name(form): data for form, data in animated.items()}

        def stored(file: str, pixels: Resolution) -> StoredImage:
            return StoredImage(name=file, width=pixels.width, height=pixels.height, size=len(files[file]))

        sheet = Resolution(width=COLUMNS * cell.width, height=ROWS * cell.height)
        sheets = tuple(stored(sprite_name(number), sheet) for number in range(sampling.sheets))
        sprites = Sprites.of(sampling, grid, cell, sheets)
        files[SPRITES_VTT] = sprites_vtt(sprites, duration=grid.duration).encode()
        pixels = as_wide_as(self._rung_of(PREVIEW_WIDTH), PREVIEW_WIDTH)
        images = ImageSet(
            name=name,
            poster=Thumbnail(image=stored(POSTER, poster_size), time=poster / grid.rate),
            thumbnails=tuple(
                Thumbnail(image=stored(thumbnail_name(number), size), time=frame / grid.rate)
                for number, frame in enumerate(chosen)
            ),
            sprites=sprites,
            preview=Preview(
                files=tuple(stored(preview_name(form), pixels) for form in animated),
                start=previewed[0] / grid.rate,
                duration=(previewed[1] - previewed[0]) / grid.rate,
            ),
            duration=grid.duration,
            scenes=tuple(scenes),
            scene_precision=(1 if sampling.whole else sampling.candidate_frames) / grid.rate,
        )
        return files, images

    def _analyse(
        self, rung: VideoRendition, sampling: Sampling, *, cell: Resolution, thumbnail: Resolution
    ) -> tuple[list[FrameMeasure], list[Scene]]:
        """Decode the sampled frames. Raises VerificationFailed where not all of them came out."""
        analysis = Analysis()
        command = analysis_command(self._plan, rung, sampling, cell=cell, thumbnail=thumbnail)
        self._run(command, (SPRITES, CANDIDATES), self._feed(rung, sampling.gops), analysis)
        grid = self._plan.grid
        candidates = range(0, grid.frame_count, sampling.candidate_frames)
        measures = analysis.measures(candidates)
        if len(measures) != len(candidates):
            raise VerificationFailed(f"{rung.name}: {len(measures)} of {len(candidates)} frames can be decoded")
        return measures, _spaced(analysis.scenes, grid.timescale)

    def _sheets(self, sampling: Sampling) -> Iterator[tuple[str, bytes]]:
        for number in range(sampling.sheets):
            yield sprite_name(number), self._read(SPRITES, number)

    def _stills(self, frames: Sequence[int], size: Resolution) -> dict[int, bytes]:
        """Decode frames of the smallest rendition that is large enough."""
        rung = self._rung_of(size.width)
        command = stills_command(self._plan, rung, frames=frames, size=size)
        self._run(command, (STILLS,), self._feed(rung, gops_of(self._plan.grid, frames)))
        return {frame: self._read(STILLS, number) for number, frame in enumerate(frames)}

    def _preview(self, frames: tuple[int, int]) -> Mapping[str, bytes]:
        rung = self._rung_of(PREVIEW_WIDTH)
        forms = [WEBP, GIF] if WEBP_ENCODER in self._tools.ffmpeg.encoders() else [GIF]
        command = preview_command(self._plan, rung, frames=frames, size=as_wide_as(rung, PREVIEW_WIDTH), formats=forms)
        self._run(command, forms, self._feed(rung, gops_of(self._plan.grid, range(*frames))))
        return {form: _image(self._folder / form) for form in forms}

    def _rung_of(self, width: int) -> VideoRendition:
        """Return the smallest rendition of at least this width, else the largest one."""
        return next((rung for rung in self._rungs if rung.width >= width), self._rungs[-1])

    def _run(
        self, command: FfmpegCommand, targets: Sequence[str], feed: Feed, analysis: Analysis | None = None
    ) -> None:
        numbered = {STILLS, SPRITES, CANDIDATES}
        outputs = {target: self._folder / (f"{target}-%d" if target in numbered else target) for target in targets}
        report = self._tools.ffmpeg.run(
            command,
            outputs,
            inputs={RENDITION_INPUT: feed},
            stop=self._control,
            folder=self._folder,
            output_bytes=_MAX_BYTES,
            on_frames=self._control.moved,
            on_poll=self._slot.poll,
            niceness=lambda: BACKGROUND_NICENESS,
            on_stderr_line=analysis.take if analysis else lambda _: None,
        )
        self.seconds += report.seconds
        self.frames += report.frames

    def _feed(self, rung: VideoRendition, gops: Sequence[int]) -> Feed:
        """Yield the init segment and these GOPs, each of which is a fragment of a segment.

        The rows are read here, and not by the thread of the feed. Raises VerificationFailed unless digests match.
        """
        row = self._rows[rung.name]
        fragments = by_segment(self._plan.grid, gops)
        segments = _by_number(row, list(fragments))
        return self._fetched(row.init_key, row.init_sha256, list(zip(segments, fragments.values(), strict=True)))

    def _fetched(
        self, init_key: str, init_sha256: str, segments: Sequence[tuple[PublishedSegment, Sequence[int]]]
    ) -> Feed:
        yield self._get(init_key, init_sha256)
        for segment, numbers in segments:
            fragments = split_fragments(self._get(segment.key, segment.digest))
            if numbers[-1] >= len(fragments):
                raise VerificationFailed(f"{segment.key} has {len(fragments)} GOPs, and none of number {numbers[-1]}")
            yield b"".join(fragments[number] for number in numbers)

    def _get(self, key: str, digest: str) -> bytes:
        data = self._tools.store.get(key)
        self._control.moved(len(data))
        if sha256(data).hexdigest() != digest:
            raise VerificationFailed(f"{key} is not what was published")
        return data

    def _read(self, target: str, number: int) -> bytes:
        data = _image(self._folder / f"{target}-{number}")
        if not data.startswith(_JPEG_MAGIC):
            raise VerificationFailed(f"{target} {number} is no JPEG")
        return data


def _image(path: Path) -> bytes:
    """Read a file that the jailed program wrote. Raises VerificationFailed for anything but a file of usual size."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        raise VerificationFailed(f"{path.name} was not written") from None
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or not 0 < found.st_size <= _MAX_IMAGE_BYTES:
        raise VerificationFailed(f"{path.name} is no image")
    return path.read_bytes()


def _by_number(rendition: Rendition, numbers: Sequence[int]) -> list[PublishedSegment]:
    """Return these segments of a complete rendition, which has them all."""
    published = published_prefix(rendition)
    if numbers and numbers[-1] >= len(published):
        raise VerificationFailed(f"{rendition.name} has {len(published)} segments, and none of number {numbers[-1]}")
    return [published[number] for number in numbers]


def _spaced(found: Sequence[tuple[int, float]], timescale: int) -> list[Scene]:
    """Return scene changes, given in ticks. Of those within half a second, as in a flash, the strongest counts."""
    scenes: list[Scene] = []
    for ticks, score in found:
        scene = Scene(time=Fraction(ticks, timescale), score=round(min(score, 1.0), 4))
        if scenes and scene.time - scenes[-1].time < _MIN_SCENE_SECONDS:
            scenes[-1] = max(scenes[-1], scene, key=lambda each: each.score)
        else:
            scenes.append(scene)
    strongest = sorted(scenes, key=lambda each: each.score, reverse=True)[:_MAX_SCENES]
    return sorted(strongest, key=lambda each: each.time)
