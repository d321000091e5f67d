class RtmpError(Exception):
    """Base of what can be wrong with the other side of a connection."""


class RtmpViolation(RtmpError):
    """It breaks the rules of the protocol, or sends more than anybody needs."""


class RtmpRefused(RtmpError):
    """It says no. The text is its own, cut, and may be shown to whoever named the server."""
