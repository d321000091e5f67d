"""Comparison of what a case promises with what was measured: every difference is one sentence."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from tests.inputs.case import Area, Plays, Rgb, Tone
from tests.inputs.making import COLORS
from tests.inputs.measuring import Audio, Header, Video, decode, header
from tests.inputs.running import Transcoded

_SILENT_DB = -50
_LEVEL_DB = 2
_TONE_SHARE = 0.7
_ROUNDED = Fraction(1, 500_000)
"""Seconds: a container may round to microseconds."""
_UNKNOWN_ORDER, _PROGRESSIVE = 0, 1
_AUDIO_SLACK = 0.03
"""Seconds: the last AAC frame of the audio may be padded."""


def differences(expected: Plays, found: Transcoded, folder: Path) -> Iterator[str]:
    """Measure outputs and yield what is not as promised."""
    plan = found.plan
    yield from _facts(expected, found)
    best = plan.renditions[0].name if plan.renditions else None
    yield from _different("video", plan.audio_only, not expected.video)
    default = next((track.name for track in plan.audio if track.default), None)
    frames, samples, said = decode(
        found.files[best] if best else None, found.files[default] if default else None, folder
    )
    if said:
        yield f"the decoders report: {said}"
    if best:
        yield from _video(expected, Video(header=header(found.files[best]), data=frames), found)
    if default:
        yield from _audio(expected, Audio(data=samples))


def _facts(expected: Plays, found: Transcoded) -> Iterator[str]:
    plan = found.plan
    yield from _different("warnings", sorted(found.warnings), sorted(expected.warnings))
    yield from _different("rate", str(plan.grid.rate), expected.rate)
    yield from _different("audio renditions", len(plan.audio), expected.audio)
    if expected.errors is not None:
        yield from _different("errors of decoders", found.errors, expected.errors)
    for name, value in expected.media.items():
        yield from _different(f"the fact {name}", found.media.get(name), value)
    if expected.rungs is not None:
        yield from _different("rungs", [rendition.name for rendition in plan.renditions], list(expected.rungs))


def _video(expected: Plays, video: Video, found: Transcoded) -> Iterator[str]:
    read = video.header
    yield from _different("size", (video.width, video.height), tuple(expected.size))
    yield from _different("frames", len(read.times), expected.frames)
    yield from _different("decoded frames", video.frames, expected.frames)
    if abs(read.duration - expected.seconds) > _ROUNDED:
        yield f"it lasts {float(read.duration)} s instead of {float(expected.seconds)}"
    yield from _grid(read, Fraction(expected.rate), found)
    yield from _shape(read)
    if expected.color:
        yield from _different("color", str(read.color), expected.color)
    if expected.card:
        yield from _numbers(expected, video, expected.card)
        yield from _card_colors(video, expected.card, expected.colors)
    for probe in expected.probes:
        frame = video.frame_at(probe.at)
        where = f"the color at {probe.at} s, {probe.x}, {probe.y}"
        yield from _color(where, video.rgb(frame, probe.x, probe.y), probe.rgb, probe.within)
    if expected.flashes is not None:
        yield from _times("flashes", list(video.flashes()), expected.flashes, 0.001)


def _grid(read: Header, rate: Fraction, found: Transcoded) -> Iterator[str]:
    """Compare the times of frames and key frames with the grid."""
    if read.times and read.times[0]:
        yield f"the first frame starts at {float(read.times[0])} s"
    steps = {later - earlier for earlier, later in pairwise(read.times)}
    if steps - {1 / rate}:
        yield f"frames last {sorted(map(float, steps))} s"
    grid = found.plan.grid
    expected = [number / rate for number in range(0, len(read.times), grid.gop_frames)]
    yield from _different("key frames", list(read.keys), expected)


def _shape(read: Header) -> Iterator[str]:
    """Compare what a player would still have to do with nothing."""
    if read.aspect != 1:
        yield f"pixels of {read.aspect} are left"
    if read.rotation:
        yield "a rotation is left"
    if read.field_order not in (_UNKNOWN_ORDER, _PROGRESSIVE):
        yield f"frames are marked with the order {read.field_order} of fields"


def _numbers(expected: Plays, video: Video, area: Area) -> Iterator[str]:
    numbers: list[int | str] = []
    for frame in range(video.frames):
        try:
            numbers.append(video.number(frame, area))
        except ValueError:
            numbers.append("?")
    yield from _different("numbers", _runs(numbers), _runs(expected.expected_numbers))


def _runs(numbers: Sequence[int | str]) -> str:
    """Write numbers as stretches: "0-24 24*3"."""
    stretches: list[tuple[int | str, int | str, int]] = []
    for number in numbers:
        if stretches:
            first, last, repeats = stretches[-1]
            if isinstance(last, int) and number == last + 1 and repeats == 1:
                stretches[-1] = (first, number, 1)
                continue
            if number == last and first == last:
                stretches[-1] = (first, last, repeats + 1)
                continue
        stretches.append((number, number, 1))
    return " ".join(
        f"{first}*{repeats}" if repeats > 1 else str(first) if first == last else f"{first}-{last}"
        for first, last, repeats in stretches
    )


def _card_colors(video: Video, area: Area, within: int) -> Iterator[str]:
    """Compare the four colors in the first, a middle and the last frame."""
    for frame in sorted({0, video.frames // 2, video.frames - 1} & set(range(video.frames))):
        for number, color in enumerate(COLORS):
            x = area.left + (number + 0.5) / len(COLORS) * (area.right - area.left)
            y = area.top + 0.75 * (area.bottom - area.top)
            yield from _color(f"color {number} of the card in frame {frame}", video.rgb(frame, x, y), color, within)


def _audio(expected: Plays, audio: Audio) -> Iterator[str]:
    if abs(audio.seconds - float(expected.seconds)) > _AUDIO_SLACK:
        yield f"the audio lasts {audio.seconds:.3f} s instead of {float(expected.seconds):.3f}"
    if not expected.tones or expected.beeps is not None:
        yield from _times("beeps", list(audio.beeps()), expected.expected_beeps, expected.beeps_within)
    for tone in expected.tones:
        for channel in (0, 1) if tone.channel is None else (tone.channel,):
            yield from _tone(audio, tone, channel)


def _tone(audio: Audio, tone: Tone, channel: int) -> Iterator[str]:
    where = f"channel {channel} from {tone.start} to {tone.end} s"
    level = audio.level(tone.start, tone.end, channel)
    if not tone.hertz:
        if level > _SILENT_DB:
            yield f"{where} is not silent: {level:.1f} dB"
        return
    share = audio.share(tone.start, tone.end, channel, tone.hertz)
    if share < _TONE_SHARE or level < _SILENT_DB:
        yield f"{where} has {share:.0%} of its power at {tone.hertz} Hz, at {level:.1f} dB"
    if tone.level is not None and abs(level - tone.level) > _LEVEL_DB:
        yield f"{where} is {level:.1f} dB loud instead of {tone.level}"


def _times(name: str, found: Sequence[float], expected: Sequence[float], within: float) -> Iterator[str]:
    close = len(found) == len(expected) and all(
        abs(there - meant) <= within for there, meant in zip(found, expected, strict=True)
    )
    if not close:
        yield f"{name} at {[round(time, 3) for time in found]} s instead of {list(expected)}"


def _color(where: str, found: Rgb, expected: Rgb, within: int) -> Iterator[str]:
    if max(abs(there - meant) for there, meant in zip(found, expected, strict=True)) > within:
        yield f"{where} is {found} instead of {expected}"


def _different(name: str, found: object, expected: object) -> Iterator[str]:
    if found != expected:
        yield f"{name}: {found} instead of {expected}"
