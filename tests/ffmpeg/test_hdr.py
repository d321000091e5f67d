"""High dynamic range: mapped to standard range as a colorist would master it, or kept with all that describes it."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from statistics import mean

import pytest

from tests.colorimetry import difference, lab
from tests.ffmpeg import scene, sources
from tests.ffmpeg.renditions import light_of, render, shown, tags_of
from tests.ffmpeg.test_color import FFMPEGS, MUXERS
from tests.inputs.running import transcode
from transcoding.color import BT709, ColorSpace
from transcoding.hdr import ContentLight
from transcoding.planning.request import JobRequest

DISPLAY = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
METADATA = scene.hevc("hdr10=1", f"master-display={DISPLAY}", "max-cll=1000,180")
TEN_BITS = ("libx265", "libsvtav1")
CODECS = {"libx265": "hvc1.2.4.L90.90", "libsvtav1": "av01.0.04M.10.0.110.09.16.09.0"}
Masters = Callable[[str], Path]
MASTERS = {
    "pq": ("smpte2084", METADATA, "mp4"),
    "pq_bare": ("smpte2084", scene.hevc(), "mp4"),
    "pq_vp9": ("smpte2084", scene.VP9, "webm"),
    "hlg": ("arib-std-b67", scene.hevc(), "mp4"),
    "hlg_stream": ("arib-std-b67", scene.hevc(), "ts"),
}


@pytest.fixture(scope="module")
def masters(tmp_path_factory: pytest.TempPathFactory) -> Masters:
    """The scene in high dynamic range, by the name of the master; encoded when a test first needs it."""
    folder = tmp_path_factory.mktemp("masters")

    def of(name: str) -> Path:
        curve, options, suffix = MASTERS[name]
        path = folder / f"{name}.{suffix}"
        return path if path.exists() else scene.master(path, curve, *options)

    return of


def _patches(path: Path) -> bytes:
    """Return the color in the middle of each patch."""
    raw, width = shown(path), scene.SIZE[0]
    rows = range(scene.PATCH // 2, scene.SIZE[1], scene.PATCH)
    columns = range(scene.PATCH // 2, width, scene.PATCH)
    return b"".join(raw[3 * (row * width + column) :][:3] for row in rows for column in columns)


def _differences(one: bytes, other: bytes) -> list[float]:
    labs = [[lab(raw[at : at + 3]) for at in range(0, len(raw), 3)] for raw in (one, other)]
    return [difference(a, b) for a, b in zip(*labs, strict=True)]


@FFMPEGS
@pytest.mark.parametrize("name", MASTERS)
def test_it_looks_like_the_scene_mastered_in_standard_range(
    name: str, ffmpeg: str, masters: Masters, tmp_path: Path
) -> None:
    (encoded,) = render(masters(name), tmp_path, ffmpeg, JobRequest(bitrate=2_000_000)).files.values()
    assert tags_of(encoded) == BT709
    found = _differences(_patches(encoded), scene.in_standard_range())
    assert mean(found) <= 6, found


@FFMPEGS
@pytest.mark.parametrize("encoder", TEN_BITS)
def test_it_is_kept_beside_standard_range(encoder: str, ffmpeg: str, masters: Masters, tmp_path: Path) -> None:
    request = JobRequest(codec=encoder, bitrate=1_000_000, dynamic_range="source", preset="ultrafast")
    rendered = render(masters("pq"), tmp_path, ffmpeg, request)
    standard, high = rendered.plan.renditions
    assert (high.name, high.codecs) == (f"{standard.name}-hdr", CODECS[encoder])
    encoded = rendered.files[high.name]
    bare = sources.converted(encoded, tmp_path / "bare", ["-f", MUXERS[encoder]])
    expected = ColorSpace.of_names(primaries="bt2020", transfer="smpte2084", matrix="bt2020nc", range_="tv")
    assert tags_of(encoded) == tags_of(bare) == expected
    assert tags_of(rendered.files[standard.name]) == BT709
    light = {name: value for entry in light_of(bare) for name, value in entry.items()}
    assert (Fraction(light["max_luminance"]), light["max_content"], light["max_average"]) == (Fraction(1000), 1000, 180)
    assert not light_of(rendered.files[standard.name]), "the metadata is not about the mapped colors"
    assert max(_differences(_patches(encoded), _patches(masters("pq")))) <= 3


def test_the_light_is_known_beside_a_track_that_is_not_accepted(masters: Masters, tmp_path: Path) -> None:
    """The working copy is another one then; the metadata lies in the coded video."""
    source = tmp_path / "source.mkv"
    tone = ["-f", "lavfi", "-i", "sine=duration=0.2"]
    sources.run(["-i", f"file:{masters('pq')}", *tone, "-c:v", "copy", "-c:a", "tta", f"file:{source}"])
    hdr = transcode(source, tmp_path / "work", {}, preset="ultrafast").plan.source.video.hdr
    assert hdr is not None
    assert hdr.light == ContentLight(max_content=1000, max_average=180)
