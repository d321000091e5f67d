"""States of live streams and their broadcasts, and the reasons for which a publisher is refused."""

from enum import StrEnum


class LivestreamState(StrEnum):
    """State of a live stream: that of its newest broadcast; idle before the first one."""

    IDLE = "idle"
    STARTING = "starting"
    LIVE = "live"
    ENDING = "ending"
    ENDED = "ended"
    FAILED = "failed"


class BroadcastState(StrEnum):
    """Life of a broadcast, from the accepted publisher to the complete recording."""

    STARTING = "starting"
    """The publisher is let in, and players have nothing yet."""
    LIVE = "live"
    ENDING = "ending"
    """Its source has ended. The recording is being verified."""
    ENDED = "ended"
    FAILED = "failed"
    """Nothing of it can be played."""


OPEN_STATES = frozenset({BroadcastState.STARTING, BroadcastState.LIVE, BroadcastState.ENDING})
"""States of broadcasts that are not over. A live stream has at most one of them."""
ON_AIR_STATES = frozenset({BroadcastState.STARTING, BroadcastState.LIVE})
"""States of broadcasts whose source may still send."""


class Latency(StrEnum):
    LOW = "low"
    NORMAL = "normal"


class RefusalCode(StrEnum):
    """Reasons for which a publisher is not let in, or is dropped."""

    UNKNOWN_STREAM = "unknown_stream"
    """No live stream has this name. It is noted nowhere but in the log: nobody's stream was meant."""
    WRONG_KEY = "wrong_key"
    ALREADY_LIVE = "already_live"
    """Somebody else publishes the stream. That one goes on."""
    ENDING = "ending"
    """The recording of the broadcast before is being completed."""
    STOPPED = "stopped"
    """Its owner stopped the broadcast."""
    TOO_MANY_STREAMS = "too_many_streams"
    TOO_MANY_STREAMS_OF_OWNER = "too_many_streams_of_owner"
    QUOTA_EXCEEDED = "quota_exceeded"
    NO_CAPACITY = "no_capacity"
    """No live worker has room, or none took the stream in time."""
    BITRATE_EXCEEDED = "bitrate_exceeded"
    RESOLUTION_EXCEEDED = "resolution_exceeded"
