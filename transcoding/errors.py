"""Errors of a transcode, as classes: whose fault it is and whether trying again can help.

TranscodeError
├── InputRejected        the uploader's file is the problem; never retried
│   ├── BesideRefused    the renditions that others are to stand beside are not there, or do not fit
│   ├── InputCorrupt     parts of it are missing or damaged, so that not enough is left to show
│   ├── ResourceExceeded it needs more memory, processor time or space than a run may use
│   ├── PartGone         a video that was to be joined, or its source, was deleted before
│   ├── PlanTooLarge     it is too much for this installation, as requested
│   └── RequestUnfit     the request needs something that this source does not have
│       ├── BesideRefused       renditions that others are to stand beside; or they do not fit
│       ├── ResolutionUnavailable   a size that is no larger than the source
│       ├── TrackUnknown a track that is not there, or cannot be decoded
│       ├── TimeOutside  a part that does not lie in the video
│       ├── ImageUnknown an image that its owner does not have
│       └── TextUnknown  a text that the video does not have
├── TextRejected         a text file is none that can be shown; never retried
├── InputChanged         the source object is no longer the one that was inspected; never retried
├── EncoderFailed        ffmpeg or the machine under it failed; retried
│   ├── DeviceBusy       the GPU has no session left; elsewhere or later
│   ├── DeviceLost       the GPU, its driver or its runtime is gone or broken
│   └── EncoderRefused   the GPU is there, but its encoder does not do this
├── UnknownVersion       a stored plan or facts of another version of the program; retried, elsewhere it may be known
├── ProcessStalled       nothing moved for too long; retried
└── VerificationFailed   what came out is not what was planned; retried, since a broken worker can do that
    └── RateExceeded     the encoder spent more bits than the playlist promises; it would do so again
"""

EXPORT_AGAIN = "check that it plays, and export it again"
"""The end of sentences about files that are not what they should be."""
NO_FRAME = f"the video track has no frame that can be decoded; {EXPORT_AGAIN}"


class TranscodeError(Exception):
    """Base of every error that the platform raises on purpose about a video or its encoding."""

    code = "transcode_error"
    retryable = False
    for_clients = ""
    """Sentence for clients of the API; empty for a matter of the operator alone."""
    output_tail = ""
    """The end of what the program said that failed, for operators."""

    details = ""
    """Words of the program that failed, without paths and addresses, for people who want to look closer."""

    def __init__(self, text: str = "", *, details: str = "") -> None:
        super().__init__(text)
        self.details = details


class InputRejected(TranscodeError):
    """The source file itself is the problem; trying again cannot help."""

    code = "input_rejected"


class QuotaExceeded(InputRejected):
    """The source is more than its owner may store."""

    code = "quota_exceeded"


class InputCorrupt(InputRejected):
    """Parts of the file are missing or damaged, so that not enough of it is left to show."""

    code = "input_corrupt"


class ResourceExceeded(InputRejected):
    """A program was killed because the file made it use more memory, processes, processor time or space than it may."""

    code = "resource_exceeded"


class PartGone(InputRejected):
    """A video that was to be joined with others, or its source, was deleted before."""

    code = "part_gone"


class ChecksumMismatch(InputRejected):
    """The file that arrived is not the one whose checksum its client promised."""

    code = "checksum_mismatch"


class PlanTooLarge(InputRejected):
    """The request would need more renditions or chunks than this installation allows."""

    code = "plan_too_large"


class RequestUnfit(InputRejected):
    """The request needs something that this source does not have."""

    code = "request_unfit"

    def __init__(self, text: str, *, field: str, details: str = "") -> None:
        super().__init__(text, details=details)
        self.field = field
        """Name of the field of the request."""


class BesideRefused(RequestUnfit):
    """Renditions would not fit to those that they are to stand beside, or these are not there."""

    code = "beside_refused"


class ResolutionUnavailable(RequestUnfit):
    """All sizes that the request names are larger than the source, and nothing is enlarged."""

    code = "resolution_unavailable"


class TrackUnknown(RequestUnfit):
    """The request names a track that the source does not have, or that cannot be decoded."""

    code = "track_unknown"


class TimeOutside(RequestUnfit):
    """The request names a part of the video that does not lie in it, or has no frame."""

    code = "time_outside"


class ImageUnknown(RequestUnfit):
    """The request names an image that its owner does not have, or has no more, or that cannot be decoded."""

    code = "image_unknown"


class TextUnknown(RequestUnfit):
    """The request names a text that the video does not have, or not yet, or no more."""

    code = "text_unknown"


class TextRejected(TranscodeError):
    """A file of subtitles or captions is none, or has nothing to show."""

    code = "text_rejected"


class NoCues(TextRejected):
    """A text shows nothing."""


class InputChanged(TranscodeError):
    """The source object was deleted or replaced after it was inspected."""

    code = "input_changed"


class EncoderFailed(TranscodeError):
    """ffmpeg ended with an error that the source does not explain."""

    code = "encoder_failed"
    retryable = True


class DeviceBusy(EncoderFailed):
    """All encoding sessions of a device are taken; another device, or this one later, can do it."""

    code = "device_busy"


class DeviceLost(EncoderFailed):
    """A device, its driver or its runtime is missing, gone or broken."""

    code = "device_lost"


class EncoderRefused(EncoderFailed):
    """A device is there, but its encoder does not accept the request."""

    code = "encoder_refused"


class UnknownVersion(TranscodeError, ValueError):
    """A stored plan, or stored facts, in a version that this program does not read, or that lacks what is requested."""

    code = "unknown_version"
    retryable = True


class ProcessStalled(TranscodeError):
    """A process neither read, wrote nor advanced for longer than the stall limit."""

    code = "process_stalled"
    retryable = True


class VerificationFailed(TranscodeError):
    """The output differs from the plan: frames, decode times, key frames, identity or decodability."""

    code = "verification_failed"
    retryable = True


class RateExceeded(VerificationFailed):
    """A segment has more bits per second than its playlist promises, which no later playlist may withdraw."""

    code = "rate_exceeded"
    retryable = False
