"""The subtitles of a video that a job draws on its frames."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnIn:
    """Subtitles that are part of the frames: everybody sees them, and nobody can switch them off."""

    text: str = ""
    """The id of the text. Empty for images."""
    bitmaps: int | None = None
    """Of images instead: the number of their stream in the uploaded file."""
    language: str
    """The tag of either."""
    embedded: bool
    """It comes from the file of the video, and its times are on the clock of the working copy."""
