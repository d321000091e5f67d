"""The janitor's parts for live sessions."""

from operations.wiring import node_silence_seconds
from relay.records.services import sessions_expire, sessions_lose


def silent_sessions_lose() -> int:
    """Fail the sessions of relays that have been silent for as long as a node may be. Return their number."""
    return sessions_lose(silence_seconds=node_silence_seconds())


PARTS = (silent_sessions_lose, sessions_expire)
