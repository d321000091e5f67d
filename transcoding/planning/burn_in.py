"""The text of a video that a job draws on its frames."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnIn:
    """Subtitles that are part of the frames: everybody sees them, and nobody can switch them off."""

    text: str
    """The id of the text."""
    language: str
    """Its tag."""
    embedded: bool
    """It comes from the file of the video, and its times are on the clock of the working copy."""
