"""A watermark, as it is drawn on the frames of each rendition before they are encoded."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from configuration import ExecutionConfig, LimitConfig
from execution.ffmpeg import FfmpegRunner
from tests.ffmpeg import golden, sources
from tests.ffmpeg.golden import NEVER, POLICY
from tests.ffmpeg.test_color import FFMPEGS
from tests.unit.transcoding.builders import PQ
from transcoding.color import Transfer
from transcoding.commands.chunk import chunk_command
from transcoding.commands.watermark import FONT, MARK_TARGET, image_bytes, image_command
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest
from transcoding.planning.watermarks import MarkImage, Position
from transcoding.probing.facts import SourceFacts
from transcoding.probing.images import ImageFormat, image_header

WIDTH, HEIGHT = 1280, 720
BLACK, BRIGHT = 16, 60
LITERAL = [
    r"':,\[];= %{localtime} \%{pts}",
    r"textfile=/etc/passwd:x=0,drawbox[out];nullsrc=a",
    "%{metadata:title} $(id) {\\b1} \\n 100 %",
]


@dataclass(frozen=True)
class Drawn:
    """The luma of a frame, line by line; samples of 8 bits, or of 10."""

    width: int
    height: int
    luma: bytes
    bytes_: int = 1

    def box(self, brighter_than: int) -> tuple[int, int, int, int]:
        """Left, top, right and bottom edge of what is brighter than this."""
        rows = [self.luma[at : at + self.width] for at in range(0, len(self.luma), self.width)]
        high = [number for number, row in enumerate(rows) if max(row) > brighter_than]
        wide = [column for column in range(self.width) if any(row[column] > brighter_than for row in rows)]
        return wide[0], high[0], wide[-1] + 1, high[-1] + 1


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SourceFacts]:
    """Nine seconds of black: two chunks."""
    folder = tmp_path_factory.mktemp("watermarks")
    path = folder / "source.mp4"
    options = (*sources.H264, "-pix_fmt", "yuv420p", f"file:{path}")
    sources.run(["-f", "lavfi", "-i", f"color=black:size={WIDTH}x{HEIGHT}:rate=25:duration=9", *options])
    return path, golden.inspect(path, folder)[1]


def _planned(facts: SourceFacts, watermark: Mapping[str, object], **request: object) -> EncodePlan:
    chosen = JobRequest(watermark=watermark, **request)  # type: ignore[arg-type]
    return plan_job(facts, chosen, POLICY)


def _frames(
    plan: EncodePlan, path: Path, *, ffmpeg: str = "", first_segment: int = 0, ten_bits: bool = False, mark: str = ""
) -> dict[str, Drawn]:
    """The first frame of a chunk in each rendition."""
    command = chunk_command(plan, str(path), first_segment=first_segment, segments=1, mark=mark)
    pixels = {"c:v": "rawvideo", "pix_fmt": "yuv420p10le" if ten_bits else "yuv420p", "f": "rawvideo"}
    raw = replace(
        command,
        outputs=tuple(replace(each, options={**pixels, "frames:v": "1"}) for each in command.outputs),
    )
    taken = {target: bytearray() for target in raw.targets}
    _runner(ffmpeg).run(raw, {target: data.extend for target, data in taken.items()}, stop=NEVER)
    size = 2 if ten_bits else 1
    return {
        rung.name: Drawn(rung.width, rung.height, bytes(taken[rung.name][: rung.width * rung.height * size]), size)
        for rung in plan.renditions
        if rung.name in taken
    }


def _runner(ffmpeg: str) -> FfmpegRunner:
    return FfmpegRunner(ExecutionConfig(ffmpeg_path=ffmpeg), LimitConfig())


def _escaped(text: str) -> str:
    """The text for a graph in which everything that means something is escaped: in it, in options, in the graph."""
    for special in ("\\%{}", "\\':", "\\'[],;"):
        text = "".join(f"\\{letter}" if letter in special else letter for letter in text)
    return text


@FFMPEGS
@pytest.mark.parametrize("text", LITERAL)
def test_a_text_is_drawn_as_it_is(text: str, ffmpeg: str, source: tuple[Path, SourceFacts]) -> None:
    """The reference is drawn by another way: in the graph, escaped, with expansions."""
    path, facts = source
    plan = _planned(facts, {"text": text, "scale": 0.04, "position": "center"}, resolution="360p")
    command = chunk_command(plan, str(path), first_segment=0, segments=1)
    assert text not in (command.filter_graph or "")
    assert list(command.files.values()) == [text]
    drawn = _frames(plan, path, ffmpeg=ffmpeg)["360p"]
    black = _planned(facts, {"text": ".", "opacity": 0}, resolution="360p")
    reference = chunk_command(black, str(path), first_segment=0, segments=1)
    letters = (
        f"drawtext=fontfile={FONT}:text={_escaped(text)}:fontsize=14:fontcolor=0xffffff@0.800:borderw=1"
        ":bordercolor=black@0.800:x=(w-text_w)/2:y=(h-text_h)/2"
    )
    graph = reference.filter_graph or ""
    start = graph.index("drawtext=")
    end = graph.index(",", start)
    raw = {"c:v": "rawvideo", "pix_fmt": "yuv420p", "f": "rawvideo", "frames:v": "1"}
    command = replace(
        reference,
        filter_graph=graph[:start] + letters + graph[end:],
        outputs=(replace(reference.outputs[0], options=raw),),
    )
    expected = bytearray()
    _runner(ffmpeg).run(command, {command.targets[0]: expected.extend}, stop=NEVER)
    left, top, right, bottom = drawn.box(BRIGHT)
    assert right - left > 14 * len(text) / 4, "it is all there"
    assert bottom - top <= 20
    assert drawn.luma == bytes(expected[: len(drawn.luma)])


@pytest.mark.parametrize("position", list(Position))
def test_it_has_the_same_place_and_size_in_every_rendition(
    position: Position, source: tuple[Path, SourceFacts]
) -> None:
    path, facts = source
    plan = _planned(facts, {"text": "HHHH", "scale": 0.1, "margin": 0.05, "position": position})
    frames = _frames(plan, path)
    assert len(frames) > 1
    vertical, _, horizontal = position.rpartition("-") if "-" in position else ("", "", position)
    for frame in frames.values():
        left, top, right, bottom = (
            edge / frame.height for edge in frame.box(BRIGHT)
        )  # all in heights: the frame is 16/9 wide
        wide, slack = 16 / 9, 0.02
        assert 0.06 < bottom - top < 0.09, "capitals are 0.73 of the letters' size"
        assert right - left == pytest.approx(0.3, abs=0.03)
        expected_left = {"left": 0.05, "right": wide - 0.05 - (right - left)}.get(horizontal, (wide - right + left) / 2)
        assert left == pytest.approx(expected_left, abs=slack)
        down = vertical or (horizontal if horizontal in ("top", "bottom") else "")
        expected_top = {"top": 0.05, "bottom": 0.95 - (bottom - top)}.get(down, (1 - bottom + top) / 2)
        assert top == pytest.approx(expected_top, abs=slack)


def test_it_is_the_same_in_every_chunk_and_as_strong_as_requested(source: tuple[Path, SourceFacts]) -> None:
    path, facts = source
    plan = _planned(facts, {"text": "HHHH", "scale": 0.3, "opacity": 0.5}, resolution="360p")
    assert len(plan.chunks) > 1
    first, second = (_frames(plan, path, first_segment=chunk.first_segment)["360p"] for chunk in plan.chunks[:2])
    assert first == second
    assert max(first.luma) == pytest.approx(BLACK + 219 / 2, abs=3)


@pytest.mark.parametrize(("transfer", "level"), [(Transfer.PQ, 572), (Transfer.HLG, 721)])
def test_white_is_that_of_graphics_in_high_dynamic_range(
    transfer: Transfer, level: int, source: tuple[Path, SourceFacts]
) -> None:
    """203 cd/m2: 58 % of PQ, 75 % of HLG (ITU-R BT.2408)."""
    path, facts = source
    facts = replace(facts, video_stream=replace(facts.video, color=replace(PQ, transfer=transfer)))
    plan = _planned(
        facts, {"text": "HHHH", "scale": 0.3, "opacity": 1}, resolution="360p", codec="h265", dynamic_range="source"
    )
    frame = _frames(plan, path, ten_bits=True)["360p-hdr"]
    assert max(memoryview(frame.luma).cast("H")) == pytest.approx(level, abs=4)


ENCODERS = {ImageFormat.PNG: "png", ImageFormat.JPEG: "mjpeg", ImageFormat.WEBP: "libwebp"}


def _samples(folder: Path, format_: ImageFormat, ffmpeg: str, color: str = "white") -> tuple[MarkImage, str]:
    """An image of 200x100 pixels, decoded as a worker does, and the path of its samples."""
    image, encoded = MarkImage(id="0", format=format_, width=200, height=100), folder / "image"
    drawn = ("-f", "lavfi", "-i", f"color={color}:size=200x100,format=rgba", "-frames:v", "1")
    options = ("-c:v", ENCODERS[format_], "-f", "image2pipe", f"file:{encoded}")
    sources.run([*drawn, *(("-pix_fmt", "yuvj420p") if format_ == ImageFormat.JPEG else ()), *options])
    header = image_header(encoded.read_bytes())
    assert (header.format, header.width, header.height) == (format_, 200, 100)
    samples = folder / "samples"
    _runner(ffmpeg).run(image_command(image, str(encoded)), {MARK_TARGET: samples}, stop=NEVER)
    assert samples.stat().st_size == image_bytes(image)
    return image, str(samples)


@FFMPEGS
@pytest.mark.parametrize("format_", list(ImageFormat))
def test_an_image_is_drawn_in_every_rendition(
    format_: ImageFormat, ffmpeg: str, source: tuple[Path, SourceFacts], tmp_path: Path
) -> None:
    path, facts = source
    image, samples = _samples(tmp_path, format_, ffmpeg)
    plan = _planned(facts, {"image": image, "scale": 0.25, "margin": 0.1, "opacity": 0.5})
    frames = _frames(plan, path, ffmpeg=ffmpeg, mark=samples)
    assert len(frames) > 1
    for frame in frames.values():
        left, top, right, bottom = frame.box(BRIGHT)
        assert right - left == pytest.approx(0.25 * frame.width, abs=2)
        assert bottom - top == pytest.approx(0.125 * frame.width, abs=2)
        assert (frame.width - right, frame.height - bottom) == pytest.approx((0.1 * frame.height,) * 2, abs=2)
        assert frame.luma[(top + bottom) // 2 * frame.width + (left + right) // 2] == pytest.approx(125, abs=2)


@FFMPEGS
def test_what_is_transparent_in_an_image_shows_the_video(
    ffmpeg: str, source: tuple[Path, SourceFacts], tmp_path: Path
) -> None:
    path, facts = source
    image, samples = _samples(tmp_path, ImageFormat.PNG, ffmpeg, "white@0.25")
    plan = _planned(facts, {"image": image, "position": "center", "scale": 0.5, "opacity": 1}, resolution="360p")
    (frame,) = _frames(plan, path, ffmpeg=ffmpeg, mark=samples, first_segment=1).values()
    assert max(frame.luma) == pytest.approx(BLACK + 219 / 4, abs=3)


@FFMPEGS
@pytest.mark.parametrize(("transfer", "level"), [(Transfer.PQ, 572), (Transfer.HLG, 721)])
def test_white_of_an_image_is_that_of_graphics_in_high_dynamic_range(
    transfer: Transfer, level: int, ffmpeg: str, source: tuple[Path, SourceFacts], tmp_path: Path
) -> None:
    path, facts = source
    image, samples = _samples(tmp_path, ImageFormat.PNG, ffmpeg)
    facts = replace(facts, video_stream=replace(facts.video, color=replace(PQ, transfer=transfer)))
    mark = {"image": image, "position": "center", "scale": 0.5, "opacity": 1}
    plan = _planned(facts, mark, resolution="360p", codec="h265", dynamic_range="source")
    frame = _frames(plan, path, ffmpeg=ffmpeg, ten_bits=True, mark=samples)["360p-hdr"]
    middle = memoryview(frame.luma).cast("H")[frame.height // 2 * frame.width + frame.width // 2]
    assert middle == pytest.approx(level, abs=12)
