"""Rules about the publisher: there, silent, gone, or gone for good."""

from dataclasses import dataclass
from enum import StrEnum

SILENT_SECONDS = 3.0
"""Time without a tag after which a publisher is said to be silent."""


class Presence(StrEnum):
    THERE = "there"
    SILENT = "silent"
    """Its ingest server has it still, and nothing comes of it."""
    GONE = "gone"
    """Its ingest server has lost it. It may come back."""
    OVER = "over"
    """The broadcast has ended: stopped, or nobody has come back in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """Facts about a publisher. Times are seconds that have passed."""

    stop_requested: bool
    publisher_present: bool
    """As the ingest server's hooks say."""
    left_seconds: float | None
    """Since the hooks have said that it left; None: they have not."""
    silent_seconds: float
    """Since the last tag arrived, or since this attempt started."""
    reconnect_seconds: float


def presence_of(signs: Signs) -> Presence:
    """Judge by what arrives first, and by hooks only where nothing does: they may be unavailable, or lost."""
    if signs.stop_requested:
        return Presence.OVER
    arriving = signs.silent_seconds < SILENT_SECONDS
    if signs.publisher_present:
        return Presence.THERE if arriving else Presence.SILENT
    left = signs.left_seconds is not None and signs.left_seconds >= signs.reconnect_seconds
    return Presence.OVER if left and not arriving else Presence.GONE
