"""Messages of a remux process, whose decoders a stranger's bytes may have taken over."""

import json

import pytest

from execution.remuxing.jailed.messages import (
    MAX_NUMBER,
    UNSUPPORTED,
    Ended,
    Failed,
    Message,
    Ready,
    Started,
    Statistics,
    packed,
    unpacked,
)


@pytest.mark.parametrize(
    "message",
    [
        Ready(),
        Started(stream=3, video="h264", audio="", copies_audio=False),
        Statistics(stream=3, bytes_in=MAX_NUMBER, drift_ms=-1.5, rebases=2),
        Ended(stream=3),
        Failed(stream=3, code=UNSUPPORTED, text="the codec é cannot be remuxed"),
    ],
)
def test_what_our_program_sends_is_understood(message: Message) -> None:
    assert unpacked(packed(message)) == message


def test_a_whole_number_is_a_drift() -> None:
    assert unpacked(b'{"kind": "statistics", "stream": 1, "drift_ms": 5}') == Statistics(stream=1, drift_ms=5)


STATISTICS = {"kind": "statistics", "stream": 1}
FAILED = {"kind": "failed", "stream": 1, "code": "broken", "text": ""}
STARTED = {"kind": "started", "stream": 1, "video": "h264", "audio": "aac", "copies_audio": True}


@pytest.mark.parametrize(
    "fields",
    [
        STATISTICS | {"drift_ms": "1"},
        STATISTICS | {"drift_ms": float("nan")},
        STATISTICS | {"drift_ms": float("inf")},
        STATISTICS | {"drift_ms": True},
        STATISTICS | {"drift_ms": None},
        STATISTICS | {"drift_ms": -(1 << 63)},
        STATISTICS | {"drift_ms": 10**400},
        STATISTICS | {"rebases": -1},
        STATISTICS | {"rebases": 1.0},
        STATISTICS | {"rebases": True},
        STATISTICS | {"silence_ms": MAX_NUMBER + 1},
        STATISTICS | {"stream": "1"},
        STATISTICS | {"stream": [1]},
        STATISTICS | {"more": 1},
        FAILED | {"code": "strange"},
        FAILED | {"code": ["broken"]},
        FAILED | {"text": "x" * 501},
        FAILED | {"text": "a\0b"},
        FAILED | {"text": "\ud800"},
        FAILED | {"text": 1},
        STARTED | {"copies_audio": 1},
        STARTED | {"video": None},
        {"kind": "statistics"},
        {"kind": "strange"},
        {"kind": ["ready"]},
        [],
        1,
    ],
)
def test_anything_else_is_refused(fields: object) -> None:
    with pytest.raises(ValueError, match=r".*"):
        unpacked(json.dumps(fields).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 16_000, b'{"kind": "statistics", "stream": 1e999}'])
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        unpacked(data)
