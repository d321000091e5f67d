"""Errors of live streams. Each has a stable code, which viewers get as a problem document with the status beside it.

RelayError
├── SourceError
│   ├── SourceRefused      its address, or one that it names, must not be reached; the same text for all of them
│   ├── SourceUnreachable  no connection: refused, no such host, no answer
│   ├── SourceRejected     it answered with an HTTP error
│   ├── SourceSilent       it sends nothing, or too little, for too long
│   ├── SourceNotMedia     it sends a page, nothing, or bytes without any media in them
│   ├── SourceUnsupported  it is media that the relay does not take: encrypted, or with audio in another playlist
│   └── SourceEnded        it ended or broke before anything could be made of it
├── RelayFull              no more sessions on this node
├── TooManySessions        no more sessions for this key, or from this host
├── StartTimeout           nothing came of it within the bounded start
└── SessionEnded           the session was ended meanwhile
"""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from transcoding.errors import TranscodeError

STATUSES: Mapping[str, HTTPStatus] = MappingProxyType(
    {
        "source_refused": HTTPStatus.UNPROCESSABLE_ENTITY,
        "source_unreachable": HTTPStatus.BAD_GATEWAY,
        "source_rejected": HTTPStatus.BAD_GATEWAY,
        "source_silent": HTTPStatus.GATEWAY_TIMEOUT,
        "source_not_media": HTTPStatus.BAD_GATEWAY,
        "source_unsupported": HTTPStatus.UNPROCESSABLE_ENTITY,
        "source_ended": HTTPStatus.BAD_GATEWAY,
        "video_missing": HTTPStatus.UNPROCESSABLE_ENTITY,
        "codec_unsupported": HTTPStatus.UNPROCESSABLE_ENTITY,
        "hardware_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
        "relay_full": HTTPStatus.SERVICE_UNAVAILABLE,
        "too_many_sessions": HTTPStatus.TOO_MANY_REQUESTS,
        "start_timeout": HTTPStatus.GATEWAY_TIMEOUT,
        "session_ended": HTTPStatus.CONFLICT,
        "encoder_failed": HTTPStatus.INTERNAL_SERVER_ERROR,
        "resource_exceeded": HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
"""HTTP statuses of codes, those of engines included."""


class RelayError(TranscodeError):
    """Base of the errors of live streams. Their texts are for viewers, and contain no URLs."""

    code = "relay_error"

    @property
    def status(self) -> HTTPStatus:
        """Return the HTTP status of the code."""
        return STATUSES.get(self.code, HTTPStatus.INTERNAL_SERVER_ERROR)


class SourceError(RelayError):
    """Base of the errors of sources."""

    retryable = True


class SourceRefused(SourceError):
    code = "source_refused"
    retryable = False


class SourceUnreachable(SourceError):
    code = "source_unreachable"


class SourceRejected(SourceError):
    """The source answered with an HTTP error, which `details` names."""

    code = "source_rejected"


class SourceSilent(SourceError):
    code = "source_silent"


class SourceNotMedia(SourceError):
    code = "source_not_media"


class SourceUnsupported(SourceError):
    code = "source_unsupported"
    retryable = False


class SourceEnded(SourceError):
    code = "source_ended"


class RelayFull(RelayError):
    code = "relay_full"
    retryable = True


class TooManySessions(RelayError):
    code = "too_many_sessions"
    retryable = True


class StartTimeout(RelayError):
    code = "start_timeout"
    retryable = True


class SessionEnded(RelayError):
    code = "session_ended"
