"""Health that an attempt at a broadcast reports."""

import pytest

from transcoding.flv.facts import IncomingFacts
from transcoding.planning.livestream import LadderRequest, plan_livestream
from workers.steps.live import encoded_with

FACTS = IncomingFacts(width=640, height=360, rate=None, video_codec="h264")


@pytest.mark.parametrize(
    ("encoder", "used", "instead"),
    [
        ("auto", "libx264", False),
        ("x265", "libx265", False),
        ("nvenc_h264", "libx264", True),
        ("amf_h265", "libx265", True),
    ],
)
def test_an_encoder_that_is_not_the_requested_one_is_named_with_the_reason(
    encoder: str, used: str, *, instead: bool
) -> None:
    request = LadderRequest(encoder=encoder)

    found = encoded_with(plan_livestream(FACTS, request), request.to_json())

    detail = f"{encoder} needs a GPU, and live streams are encoded on the CPU: {used}."
    fallback = {"code": "hardware_unavailable", "detail": detail} if instead else None
    assert found == {"encoder": used, "fallback": fallback}
