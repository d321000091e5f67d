"""The order of attempts, with ways that start nothing."""

from collections.abc import Sequence

import pytest

from relay.engines.engine import EngineError, EngineKind, EngineRequest
from relay.engines.fallback import TranscodeAttempts
from relay.engines.transcode import TranscodeRun, Tuning
from relay.errors import StartTimeout
from transcoding.errors import TranscodeError
from transcoding.planning.live import LiveProfile


class Named:
    """A way that is only named."""

    def __init__(self, encoder: str, *, copies: bool = False) -> None:
        self.encoder = encoder
        self.copies = copies
        self.tunings: list[Tuning] = []

    def start(self, tuning: Tuning) -> TranscodeRun:
        self.tunings.append(tuning)
        raise EngineError("it starts nothing", code="encoder_failed")


GPU, CPU, AUDIO, ALL = Named("h264_vaapi"), Named("libx264"), Named("copy", copies=True), Named("copy", copies=True)
RADIO = Named("aac", copies=True)
ORIGINAL = EngineRequest(kind=EngineKind.TRANSCODE, container="mpegts")
SMALL = EngineRequest(kind=EngineKind.TRANSCODE, container="mpegts", profile=LiveProfile.P480)


def attempts(
    ways: Sequence[Named], request: EngineRequest = ORIGINAL, missing: EngineError | None = None
) -> TranscodeAttempts:
    return TranscodeAttempts(request, iter(ways), radio=RADIO, missing=missing)


def failed(code: str, text: str = "it failed", *, source: bool = False) -> EngineError:
    return EngineError(text, code=code, source_at_fault=source)


def test_what_is_preferred_is_no_fallback() -> None:
    found = attempts([GPU, CPU]).next()
    assert (found.encoder, found.fallback) == ("h264_vaapi", None)


def test_each_failure_leads_to_the_next_way_and_is_named() -> None:
    ways = attempts([GPU, CPU, AUDIO])
    ways.next()
    on_cpu = ways.next(failed("hardware_unavailable", "all sessions of the GPU are taken"))
    assert on_cpu.encoder == "libx264"
    assert on_cpu.fallback is not None
    assert (on_cpu.fallback.code, on_cpu.fallback.text) == ("hardware_unavailable", "all sessions of the GPU are taken")
    copied = ways.next(failed("relay_full", "all transcodes are taken"))
    assert copied.fallback is not None
    assert copied.fallback.code == "relay_full"
    assert copied.fallback.text == "all sessions of the GPU are taken; all transcodes are taken"
    with pytest.raises(EngineError, match="ffmpeg failed"):
        ways.next(failed("encoder_failed", "ffmpeg failed"))


def test_hardware_that_is_missing_is_named_by_the_first_attempt() -> None:
    missing = failed("hardware_unavailable", "no GPU")
    found = attempts([CPU], missing=missing).next()
    assert found.fallback is not None
    assert found.fallback.code == "hardware_unavailable"
    with pytest.raises(EngineError) as refused:
        attempts([], missing=missing).next()
    assert refused.value.code == "hardware_unavailable"


def tuning_of(ways: TranscodeAttempts, way: Named, failure: TranscodeError | None = None) -> Tuning:
    with pytest.raises(EngineError):
        ways.next(failure).start()
    return way.tunings[-1]


def test_missing_video_is_looked_for_longer_once() -> None:
    ways = attempts([CPU, AUDIO], SMALL)
    missing = failed("video_missing", source=True)
    assert tuning_of(ways, CPU) == Tuning()
    assert tuning_of(ways, CPU, missing).probing == 4
    with pytest.raises(EngineError) as refused:
        ways.next(missing)
    assert refused.value.code == "video_missing"


def test_radio_is_served_where_no_size_was_requested() -> None:
    ways = attempts([CPU, AUDIO])
    missing = failed("video_missing", source=True)
    ways.next()
    ways.next(missing)
    radio = ways.next(missing)
    assert radio.encoder == "aac"
    assert radio.fallback is not None
    assert radio.fallback.code == "video_missing"
    with pytest.raises(EngineError):
        ways.next(missing)


def test_an_encoder_that_is_too_slow_is_replaced() -> None:
    ways = attempts([CPU, AUDIO])
    ways.next()
    assert ways.next(StartTimeout("nothing came")).encoder == "copy"


def test_a_level_that_is_too_low_is_left_to_the_encoder() -> None:
    ways = attempts([CPU])
    ways.next()
    attempt = ways.next(failed("level_too_low"))
    assert attempt.fallback is None, "nothing was lost"
    with pytest.raises(EngineError):
        attempt.start()
    assert CPU.tunings[-1].level is None


def test_a_codec_that_cannot_be_decoded_may_be_copied() -> None:
    unsupported = failed("codec_unsupported", source=True)
    ways = attempts([GPU, CPU, AUDIO])
    ways.next()
    assert ways.next(unsupported).encoder == "copy"
    without = attempts([GPU, CPU])
    without.next()
    with pytest.raises(EngineError):
        without.next(unsupported)


@pytest.mark.parametrize("code", ["source_not_media", "source_ended"])
def test_no_other_encoder_helps_a_source_that_is_none(code: str) -> None:
    ways = attempts([GPU, CPU, AUDIO, ALL])
    ways.next()
    with pytest.raises(EngineError) as refused:
        ways.next(failed(code, source=True))
    assert refused.value.code == code
