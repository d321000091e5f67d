"""Errors of downloads, and of RTMP.

DownloadError
├── DownloadRefused    no server that may be reached, at this address or where it redirects to; never retried
├── DownloadMissing    the server does not give the file out; never retried
├── DownloadChanged    the file is not the one whose beginning was fetched; never retried
├── DownloadEncoded    the server compressed the file, which could be a bomb; never retried
├── DownloadTooLarge   it has more bytes than allowed; never retried
└── DownloadFailed     the server cannot give it out now; retried
    ├── DownloadUnreachable  no connection
    ├── DownloadSilent       it sends nothing, or too slowly
    └── DownloadBroken       the connection broke
        └── DownloadGarbled  by the rules of HTTP: its end came too early, its header never, or it speaks otherwise

OutboundError
├── PeerUnreachable    no connection, or no server that may be reached
├── PeerRefused        the server does not want the stream, or closes the connection instead of accepting it
├── PeerSilent         it sends nothing, or takes nothing
└── PeerBroken         the connection broke, or what came breaks the rules of RTMP
"""

from transcoding.errors import InputRejected, TranscodeError

REFUSED = "the address cannot be reached"
"""Said alike of names that do not exist and of addresses that are ours: strangers must not learn which it is."""


class DownloadError(TranscodeError):
    """Base of the errors of downloads."""

    code = "download_error"
    http_status: int | None = None
    """Status that the server answered with, if that is the error."""


class DownloadRefused(DownloadError, InputRejected):
    code = "url_refused"

    def __init__(self) -> None:
        super().__init__(REFUSED)


class DownloadMissing(DownloadError, InputRejected):
    code = "download_refused"


class DownloadChanged(DownloadError, InputRejected):
    code = "download_changed"


class DownloadEncoded(DownloadError, InputRejected):
    code = "download_encoded"


class DownloadTooLarge(DownloadError, InputRejected):
    code = "too_large"


class DownloadFailed(DownloadError):
    code = "download_failed"
    retryable = True


class DownloadUnreachable(DownloadFailed):
    pass


class DownloadSilent(DownloadFailed):
    pass


class DownloadBroken(DownloadFailed):
    pass


class DownloadGarbled(DownloadBroken):
    pass


class OutboundError(TranscodeError):
    """Base of the errors of connections by RTMP. The text may be shown to whoever named the server."""

    code = "rtmp_error"
    retryable = True


class PeerUnreachable(OutboundError):
    code = "rtmp_unreachable"


class PeerRefused(OutboundError):
    code = "rtmp_refused"


class PeerSilent(OutboundError):
    code = "rtmp_silent"


class PeerBroken(OutboundError):
    code = "rtmp_broken"
