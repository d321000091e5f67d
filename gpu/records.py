"""Conversion of values to JSON columns and back. Missing and unknown keys are tolerated: nodes differ in version."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from gpu.breaker import Breaker
from gpu.devices import Reading, Verdict

_READINGS = frozenset(each.name for each in fields(Reading))


def reading_from(record: Mapping[str, Any]) -> Reading:
    return Reading(**{name: value for name, value in record.items() if name in _READINGS})


def verdicts_to(verdicts: Mapping[str, Verdict]) -> dict[str, Any]:
    return {name: asdict(verdict) for name, verdict in verdicts.items()}


def verdicts_from(record: Mapping[str, Any]) -> dict[str, Verdict]:
    return {
        name: Verdict(
            encoder=name,
            available=bool(said.get("available")),
            reason=said.get("reason", ""),
            ten_bits=bool(said.get("ten_bits")),
            ten_bits_reason=said.get("ten_bits_reason", ""),
            driver=said.get("driver", ""),
            ffmpeg_version=said.get("ffmpeg_version", ""),
        )
        for name, said in record.items()
    }


def breakers_to(breakers: Mapping[str, Breaker]) -> dict[str, Any]:
    """Convert the breakers that are open or have counted failures."""
    return {
        name: {"failures": breaker.failures, "until": breaker.until.isoformat() if breaker.until else None}
        for name, breaker in breakers.items()
        if breaker != Breaker()
    }


def breakers_from(record: Mapping[str, Any]) -> dict[str, Breaker]:
    return {
        name: Breaker(failures=said["failures"], until=datetime.fromisoformat(said["until"]) if said["until"] else None)
        for name, said in record.items()
    }
