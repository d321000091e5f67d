"""Levels of audio, measured in what players decode: the mix of channels, and loudness."""

import math
import re
import subprocess
from array import array
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.ffmpeg.sources import FFMPEG, run
from tests.inputs.running import Transcoded, transcode
from transcoding.loudness import MAX_TRUE_PEAK, TARGET_LUFS

RATE = 48_000
SECONDS = 1.0
STRETCH = range(RATE // 4, RATE * 3 // 4)
"""Samples that are looked at: half a second, in which every tone has whole periods."""
AMPLITUDE = 0.1
LOUD = 0.99
CHANNELS = {
    "mono": ("FC",),
    "quad": ("FL", "FR", "BL", "BR"),
    "5.1": ("FL", "FR", "FC", "LFE", "BL", "BR"),
    "7.1": ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}
HERTZ = {"LFE": 100, **{name: 400 + 240 * n for n, name in enumerate(("FL", "FR", "FC", "BL", "BR", "SL", "SR"))}}

STEREO: Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]] = {
    "mono": ({"FC": 0.7071}, {"FC": 0.7071}),
    "quad": ({"FL": 0.5858, "BL": 0.4142}, {"FR": 0.5858, "BR": 0.4142}),
    "5.1": ({"FL": 0.4142, "FC": 0.2929, "BL": 0.2929}, {"FR": 0.4142, "FC": 0.2929, "BR": 0.2929}),
    "7.1": (
        {"FL": 0.3204, "FC": 0.2265, "BL": 0.2265, "SL": 0.2265},
        {"FR": 0.3204, "FC": 0.2265, "BR": 0.2265, "SR": 0.2265},
    ),
}
"""Of each layout the gains of its channels in the left and the right one, as `docs/media.md` states them."""
SURROUND: Mapping[str, tuple[Mapping[str, float], ...]] = {
    "quad": ({"FL": 1}, {"FR": 1}, {}, {}, {"BL": 1}, {"BR": 1}),
    "7.1": ({"FL": 1}, {"FR": 1}, {"FC": 1}, {"LFE": 1}, {"BL": 0.5, "SL": 0.5}, {"BR": 0.5, "SR": 0.5}),
}


def _source(path: Path, layout: str, channels: Sequence[str], seconds: float = SECONDS) -> Path:
    """Write audio whose channels are these functions of the time `t`."""
    tones = f"aevalsrc='{'|'.join(channels)}':channel_layout={layout}:sample_rate={RATE}:duration={seconds}"
    run(["-f", "lavfi", "-i", tones, "-c:a", "pcm_s24le", f"file:{path}"])
    return path


def _tones(path: Path, layout: str) -> Path:
    return _source(path, layout, [f"{AMPLITUDE}*sin(2*PI*{HERTZ[name]}*t)" for name in CHANNELS[layout]])


def _channels(path: Path) -> list[Sequence[float]]:
    """Decode a file that was made, one array for each of its channels."""
    probed = subprocess.run([FFMPEG, "-hide_banner", "-i", path], capture_output=True, text=True, check=False).stderr
    count = next(n for name, n in (("stereo", 2), ("5.1", 6)) if f", {name}" in probed)
    samples = array("f", run(["-i", f"file:{path}", "-f", "f32le", "-"]))
    return [samples[channel::count] for channel in range(count)]


def _gains(samples: Sequence[float], layout: str) -> dict[str, float]:
    """Return how much of each of the source's channels is in one of the output's."""
    return {name: _amplitude(samples, HERTZ[name]) / AMPLITUDE for name in CHANNELS[layout]}


def _amplitude(samples: Sequence[float], hertz: int) -> float:
    turn = 2 * math.pi * hertz / RATE
    real = sum(samples[n] * math.cos(turn * n) for n in STRETCH)
    imaginary = sum(samples[n] * math.sin(turn * n) for n in STRETCH)
    return 2 * math.hypot(real, imaginary) / len(STRETCH)


def _assert_gains(channels: Sequence[Sequence[float]], layout: str, expected: Sequence[Mapping[str, float]]) -> None:
    for number, (samples, gains) in enumerate(zip(channels, expected, strict=True)):
        found = _gains(samples, layout)
        assert found == pytest.approx({name: gains.get(name, 0.0) for name in found}, abs=0.02), (layout, number)


def _transcoded(source: Path, folder: Path, **request: object) -> Transcoded:
    return transcode(source, folder / "work", request, preset="ultrafast")


@pytest.mark.parametrize("layout", CHANNELS)
def test_channels_are_mixed_as_stated(layout: str, tmp_path: Path) -> None:
    """The same tones come out of stereo and of surround, each channel by its own factor."""
    found = _transcoded(_tones(tmp_path / "source.wav", layout), tmp_path, audio_channels="surround")
    _assert_gains(_channels(found.files["audio"]), layout, STEREO[layout])
    assert ("audio-surround" in found.files) is (layout != "mono")
    if layout in SURROUND:
        _assert_gains(_channels(found.files["audio-surround"]), layout, SURROUND[layout])


def test_no_mix_clips_although_all_channels_are_full(tmp_path: Path) -> None:
    """Half a decibel of a pure tone at full scale is lost in AAC. Without the rule there would be 2.4 times as much."""
    tone = f"{LOUD}*sin(2*PI*440*t)"
    source = _source(tmp_path / "full.wav", "5.1", [tone] * 6)
    for samples in _channels(_transcoded(source, tmp_path).files["audio"]):
        assert _amplitude(samples, 440) == pytest.approx(LOUD, rel=0.07)
        assert max(map(abs, samples[STRETCH.start : STRETCH.stop])) < LOUD + 0.03


_SYLLABLES = "sin(2*PI*180*t+3*sin(2*PI*5*t))*pow(max(0,sin(2*PI*2.3*t)),2)*lt(mod(t,3),2.2)"
_CHORD = "exp(-2*mod(t,0.8))*(sin(2*PI*262*t)+sin(2*PI*330*t)+sin(2*PI*392*t)+0.4*sin(2*PI*2093*t))"
_SHOTS = "exp(-60*mod(t,0.5))*sin(2*PI*1500*t)"


def _both(function: str) -> list[str]:
    return [function, function]


CLIPS: Mapping[str, Callable[[Path], Path]] = {
    "speech": lambda path: _source(path, "stereo", _both(f"0.2*{_SYLLABLES}+0.2*{_SHOTS}"), 6),
    "music": lambda path: _source(path, "stereo", [f"0.12*{_CHORD}", f"0.1*{_CHORD}+0.05*sin(2*PI*98*t)"], 6),
    "quiet": lambda path: _source(path, "stereo", _both(f"0.002*{_CHORD}"), 6),
    "loud": lambda path: _source(path, "stereo", _both(f"clip(2*{_CHORD},-0.99,0.99)"), 6),
    "5.1": lambda path: _source(path, "5.1", [f"{gain}*{_CHORD}" for gain in (0.1, 0.1, 0.2, 0.1, 0.05, 0.05)], 6),
    "mono": lambda path: _source(path, "mono", [f"0.1*{_SYLLABLES}"], 6),
    "short": lambda path: _source(path, "stereo", _both(f"0.3*{_SHOTS}"), 1),
    "mostly silent": lambda path: _source(path, "stereo", _both(f"0.05*{_CHORD}*between(t,4,5)"), 8),
}


@pytest.mark.parametrize("clip", CLIPS)
def test_audio_is_as_loud_as_requested_and_keeps_its_peaks(clip: str, tmp_path: Path) -> None:
    found = _transcoded(CLIPS[clip](tmp_path / "source.wav"), tmp_path, normalize_audio=True)
    integrated, true_peak = _loudness(found.files["audio"])
    assert integrated == pytest.approx(TARGET_LUFS, abs=0.5)
    assert true_peak <= MAX_TRUE_PEAK


def test_surround_and_opus_are_as_loud(tmp_path: Path) -> None:
    request = {"normalize_audio": True, "audio_channels": "surround", "audio_codec": "opus"}
    found = _transcoded(CLIPS["5.1"](tmp_path / "source.wav"), tmp_path, **request)
    for name in ("audio", "audio-surround"):
        integrated, true_peak = _loudness(found.files[name])
        assert integrated == pytest.approx(TARGET_LUFS, abs=0.5), name
        assert true_peak <= MAX_TRUE_PEAK, name


def test_noise_stays_as_it_is(tmp_path: Path) -> None:
    source = _source(tmp_path / "source.wav", "stereo", _both("0.0002*(random(0)-0.5)"), 2)
    changed = _transcoded(source, tmp_path / "changed", normalize_audio=True).files["audio"]
    assert changed.read_bytes() == _transcoded(source, tmp_path / "plain").files["audio"].read_bytes()


def _loudness(path: Path) -> tuple[float, float]:
    """Measure the loudness of a file in LUFS, and its true peak in dBTP."""
    command = [FFMPEG, "-hide_banner", "-nostats", "-i", path, "-af", "ebur128=peak=true:framelog=quiet"]
    done = subprocess.run([*command, "-f", "null", "-"], capture_output=True, text=True, check=True)
    summary = done.stderr.rpartition("Summary:")[2]
    integrated, peak = (re.search(rf"{name}:\s+(-?[\d.]+) ", summary) for name in ("I", "Peak"))
    assert integrated, summary
    assert peak, summary
    return float(integrated[1]), float(peak[1])
