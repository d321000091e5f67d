from __future__ import annotations

from typing import Any

import pytest

from jobs.endpoints.requests import TranscodeRequest

DEFAULTS = {"codec": "h264", "output_format": "hls"}


def _read(body: dict[str, object]) -> dict[str, Any]:
    serializer = TranscodeRequest(data=body)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def _faults(body: object) -> dict[str, list[str]]:
    serializer = TranscodeRequest(data=body)
    assert not serializer.is_valid()
    return {field: [str(error) for error in errors] for field, errors in serializer.errors.items()}


@pytest.mark.parametrize(
    ("body", "read"),
    [
        ({}, {}),
        ({"ladder": "auto"}, {"ladder": "auto"}),
        ({"resolution": "720p", "bitrate": 2_500_000}, {"resolution": "720p", "bitrate": 2_500_000}),
        ({"resolution": "1920x1080"}, {"resolution": "1920x1080"}),
        ({"codec": "libx264", "preset": "slow"}, {"codec": "libx264", "preset": "slow"}),
        ({"priority": 0}, {"priority": 0}),
        ({"video_stream": 3, "audio_streams": [2, 1]}, {"video_stream": 3, "audio_streams": [2, 1]}),
        ({"audio_streams": []}, {"audio_streams": []}),
        ({"priority": "high"}, {"priority": 80}),
        ({"output_format": "hls"}, {}),
        ({"output_format": "dash"}, {"output_format": "dash"}),
        ({"codec": "av1", "dynamic_range": "source"}, {"codec": "av1", "dynamic_range": "source"}),
        ({"dynamic_range": "sdr"}, {"dynamic_range": "sdr"}),
        ({"timeline": "video"}, {"timeline": "video"}),
        ({"watermark": {"text": "'%{pts}"}}, {"watermark": {"text": "'%{pts}"}}),
        ({"start": 0, "end": 12.5}, {"start": 0.0, "end": 12.5}),
        ({"extract_subtitles": True}, {"extract_subtitles": True}),
        ({"gpu": "require", "gpu_device": 1}, {"gpu": "require", "gpu_device": 1}),
        ({"gpu": "never", "gpu_device": -1}, {"gpu": "never", "gpu_device": -1}),
    ],
)
def test_what_is_accepted(body: dict[str, object], read: dict[str, object]) -> None:
    assert _read(body) == DEFAULTS | read


@pytest.mark.parametrize(
    ("body", "field", "part"),
    [
        ({"resolutoin": "720p"}, "resolutoin", "unknown field; known are: resolution"),
        ({"resolution": "721p"}, "resolution", "720p"),
        ({"extract_subtitles": False}, "extract_subtitles", "must be true"),
        ({"resolution": "0x720"}, "resolution", "positive"),
        ({"resolution": "1280x8"}, "resolution", "from 16 to 8192"),
        ({"resolution": "99999x720"}, "resolution", "from 16 to 8192"),
        ({"resolution": "\u00b2x\u00b2"}, "resolution", ""),
        ({"resolution": 720}, "resolution", ""),
        ({"resolution": None}, "resolution", "null"),
        ({"codec": "vp8"}, "codec", "must be one of: h264, h265, hevc, av1, vp9, libx264, libx265, libsvtav1"),
        ({"codecs": []}, "codecs", ""),
        ({"codecs": ["h264", "vp8"]}, "codecs", ""),
        ({"codecs": "h264"}, "codecs", ""),
        ({"codecs": ["h265", "hevc"]}, "codecs", "names a codec twice"),
        ({"codecs": ["h264", "libx264"]}, "codecs", "names a codec twice"),
        ({"codecs": ["h264", "av1"], "codec": "h264"}, "codecs", "cannot be combined with codec"),
        ({"codecs": ["h264", "libsvtav1"], "gpu": "require"}, "gpu", "cannot be combined with codec libsvtav1"),
        ({"codecs": ["h264", "vp9"], "dynamic_range": "source"}, "dynamic_range", "h264 and vp9 have 8 bits"),
        ({"resolutions": []}, "resolutions", ""),
        ({"resolutions": ["721p"]}, "resolutions", ""),
        ({"resolutions": ["720p", "720p"]}, "resolutions", "names a size twice"),
        ({"resolutions": ["720p"], "resolution": "720p"}, "resolutions", "cannot be combined with resolution"),
        ({"resolutions": ["720p"], "bitrate": 800_000}, "resolutions", "cannot be combined with bitrate"),
        ({"resolutions": ["720p"], "ladder": "auto"}, "resolutions", "cannot be combined with ladder"),
        ({"enable_hls": False, "enable_dash": False}, "enable_dash", "beside enable_hls false"),
        ({"enable_hls": "no"}, "enable_hls", ""),
        ({"beside": 1}, "beside", ""),
        ({"codec": ["h264"]}, "codec", "must be one of"),
        ({"video_stream": -1}, "video_stream", "at least 0"),
        ({"video_stream": "0"}, "video_stream", "whole number"),
        ({"audio_streams": [1, 1]}, "audio_streams", "names a stream twice"),
        ({"audio_codec": "mp3"}, "audio_codec", "must be one of: aac, opus"),
        ({"audio_channels": "7.1"}, "audio_channels", "must be one of: stereo, surround"),
        ({"normalize_audio": "yes"}, "normalize_audio", ""),
        ({"audio_streams": [], "audio_codec": "opus"}, "audio_codec", "audio_streams names no track"),
        ({"audio_streams": [], "audio_channels": "surround"}, "audio_channels", "audio_streams names no track"),
        ({"audio_streams": [], "normalize_audio": True}, "normalize_audio", "audio_streams names no track"),
        ({"audio_streams": [], "output_format": ["hls", "m4a"]}, "output_format", "audio_streams names no track"),
        ({"dynamic_range": "hdr"}, "dynamic_range", "must be one of: sdr, source"),
        ({"dynamic_range": "source"}, "dynamic_range", "source needs codec h265 or av1"),
        ({"dynamic_range": "source", "codec": "libx264"}, "dynamic_range", "source needs codec h265 or av1"),
        ({"timeline": "audio"}, "timeline", "must be one of: union, video"),
        ({"start": -0.1}, "start", "at least 0"),
        ({"start": "1"}, "start", "must be a number"),
        ({"start": True}, "start", "must be a number"),
        ({"end": float("inf")}, "end", "must be a number"),
        ({"end": 1e9}, "end", "at most 1000000"),
        ({"end": float("nan")}, "end", "must be a number"),
        ({"end": 10**400}, "end", "must be a number"),
        ({"start": 5, "end": 5}, "end", "must be later than start"),
        ({"end": 0}, "end", "must be later than start"),
        ({"gpu": "always"}, "gpu", "must be one of: prefer, require, never"),
        ({"gpu_device": "0"}, "gpu_device", "whole number"),
        ({"gpu": "never", "gpu_device": 0}, "gpu_device", "cannot be combined with gpu never"),
        ({"gpu": "require", "codec": "libx264"}, "gpu", "require cannot be combined with codec libx264"),
        ({"gpu": "require", "preset": "cpu"}, "gpu", "require cannot be combined with preset cpu"),
        ({"gpu": "require", "two_pass": True}, "gpu", "require cannot be combined with two_pass"),
        ({"preset": "placebo"}, "preset", "ultrafast, superfast"),
        ({"bitrate": 1}, "bitrate", "50000"),
        ({"bitrate": 10**12}, "bitrate", "200000000"),
        ({"bitrate": "fast"}, "bitrate", "whole number"),
        ({"bitrate": 10**400}, "bitrate", ""),
        ({"bitrate": "800000"}, "bitrate", "whole number"),
        ({"bitrate": 800_000.5}, "bitrate", "whole number"),
        ({"bitrate": True}, "bitrate", "whole number"),
        ({"priority": 101}, "priority", "0 to 100"),
        ({"priority": -1}, "priority", "0 to 100"),
        ({"priority": "urgent"}, "priority", "low, medium, high"),
        ({"priority": True}, "priority", "0 to 100"),
        ({"priority": 5.5}, "priority", "0 to 100"),
        ({"ladder": "all"}, "ladder", "must be one of: auto"),
        ({"ladder": "auto", "bitrate": 800_000}, "ladder", "bitrate"),
        ({"ladder": "auto", "resolution": "720p", "bitrate": 800_000}, "ladder", "resolution and bitrate"),
        ({"output_format": "webm"}, "output_format", "must be one of: hls"),
        ({"output_format": []}, "output_format", "must be one of: hls, dash, mp4, m4a, or a list of them"),
        ({"output_format": ["mp4", 5]}, "output_format", "must be one of"),
        ({"output_format": {"mp4": True}}, "output_format", "must be one of"),
        ({"output_format": None}, "output_format", "null"),
        (["not", "an", "object"], "non_field_errors", ""),
        ("text", "non_field_errors", ""),
    ],
)
def test_what_is_refused_names_the_field(body: object, field: str, part: str) -> None:
    faults = _faults(body)
    assert list(faults) == [field]
    assert part in " ".join(faults[field])


@pytest.mark.parametrize(("sent", "priority"), [(0, 0), (1, 10), (5, 50), (10, 100), ("low", 20), ("high", 80)])
def test_a_scale_of_ten_translates_numbers_and_no_names(sent: object, priority: int) -> None:
    serializer = TranscodeRequest(data={"priority": sent}, context={"priority_scale": 10})
    serializer.is_valid(raise_exception=True)
    assert serializer.validated_data["priority"] == priority


def test_a_number_beyond_the_scale_is_refused_and_the_scale_named() -> None:
    serializer = TranscodeRequest(data={"priority": 50}, context={"priority_scale": 10})
    assert not serializer.is_valid()
    assert "from 0 to 10, or one of: low, medium, high" in str(serializer.errors["priority"])


@pytest.mark.parametrize(
    ("watermark", "field", "part"),
    [
        ({}, "non_field_errors", "either text or image"),
        ({"text": "a", "image": "7d444840-9dc0-11d1-b245-5ffdce74fad2"}, "non_field_errors", "either text or image"),
        ({"image": "logo"}, "image", "valid UUID"),
        ({"text": ""}, "text", "blank"),
        ({"text": "a\nb"}, "text", "U+000A"),
        ({"text": "a\u202eb"}, "text", "U+202E"),
        ({"text": "a" * 101}, "text", "100"),
        ({"text": "a", "position": "middle"}, "position", "must be one of: top-left"),
        ({"text": "a", "opacity": 1.1}, "opacity", "at most 1"),
        ({"text": "a", "opacity": -0.1}, "opacity", "at least 0"),
        ({"text": "a", "scale": 0}, "scale", "at least 0.01"),
        ({"text": "a", "margin": "0"}, "margin", "must be a number"),
        ({"text": "a", "font": "x"}, "font", "unknown field"),
    ],
)
def test_a_wrong_watermark_names_the_field_in_it(watermark: object, field: str, part: str) -> None:
    serializer = TranscodeRequest(data={"watermark": watermark})
    assert not serializer.is_valid()
    faults: Any = serializer.errors["watermark"]
    assert list(faults) == [field]
    assert part in str(faults[field])


def test_a_long_list_of_formats_is_not_kept() -> None:
    assert _read({"output_format": ["mp4", "hls", "mp4"]})["output_format"] == ["hls", "mp4"]
    assert "output_format" in _faults({"output_format": ["mp4"] * 1000})


def test_an_answer_names_a_few_unknown_fields_only() -> None:
    faults = _faults({f"{number}{'x' * 1000}": 1 for number in range(1000)})
    assert len(faults) == 10
    assert max(map(len, faults)) == 100
